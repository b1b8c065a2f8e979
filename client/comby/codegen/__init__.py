"""The code generator: from a domain's .proto files to messages, stubs, types and a typed client.

It runs on a developer's machine only. It never imports generated code, so that it can generate comby's own.
"""
