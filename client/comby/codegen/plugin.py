"""protoc-gen-comby: a protoc plugin that writes <stem>_types.py and <stem>_client.py for each domain's file."""

import sys

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse

from comby.codegen.checks import refusals
from comby.codegen.model import Contract
from comby.codegen.render import render_client, render_types


def respond(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """Return the generated files, or every rule that the files break as the response's error."""
    response = CodeGeneratorResponse(supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
    contract = Contract(request)
    if lines := refusals(contract):
        response.error = "\n".join(lines)
        return response
    for file in contract.generated:
        stem = file.descriptor.name.removesuffix(".proto").replace("-", "_")
        for suffix, text in (("types", render_types(file, contract)), ("client", render_client(file, contract))):
            if text is not None:
                response.file.add(name=f"{stem}_{suffix}.py", content=text)
    return response


def main() -> None:
    """Answer protoc: a request on stdin, the response on stdout."""
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(respond(request).SerializeToString())
