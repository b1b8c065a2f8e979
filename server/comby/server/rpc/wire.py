"""The few protobuf encodings that are made by hand, so that a batch that is bytes already is not parsed and encoded again."""

from comby.server.ports.elements import varint


def length_delimited(field: int, body: bytes) -> bytes:
    """Return `body` as an element of a length-delimited field, whose number is below 16."""
    return varint(field << 3 | 2) + varint(len(body)) + body
