"""The few protobuf encodings that are made by hand, so that a batch that is bytes already is not parsed and encoded again."""


def length_delimited(field: int, body: bytes) -> bytes:
    """Return `body` as an element of a length-delimited field, whose number is below 16."""
    size = len(body)
    if size < 0x80:
        return bytes((field << 3 | 2, size)) + body
    header = bytearray((field << 3 | 2,))
    while size >= 0x80:
        header.append(size & 0x7F | 0x80)
        size >>= 7
    header.append(size)
    return bytes(header) + body
