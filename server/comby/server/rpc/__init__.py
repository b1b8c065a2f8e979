"""The edge: one table of methods that knows no transport, and the thin grpc.aio binding under it.

On the way from a caller to the facade this room turns bytes and metadata into requests, and answers and errors into bytes and
statuses. It must not decide anything about commands, queries or events.
"""
