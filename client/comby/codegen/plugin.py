from google.protobuf.compiler import plugin_pb2
def respond(request):
    return plugin_pb2.CodeGeneratorResponse(supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
