"""The wire form of recorded events, made the same way by every adapter.

A record is a serialized Event without `position` and `recorded_at`, which only the log knows. To append a field to a serialized
message is to set it, so both are appended without parsing the record.
"""

_ELEMENT = b"\x0a"  # field 1, length-delimited: one of `repeated Event events = 1`
_POSITION = b"\x08"  # Event.position, field 1, varint
_RECORDED_AT = b"\x42"  # Event.recorded_at, field 8, length-delimited
_SECONDS = b"\x08"  # Timestamp.seconds, field 1, varint
_NANOS = b"\x10"  # Timestamp.nanos, field 2, varint


def element(record: bytes, position: int, time: bytes) -> tuple[bytes, int]:
    """Return an event as one element of a field `repeated Event events = 1`, and where in it the record starts.

    `time` is what `time_field` returns: the same for all events of a batch.
    """
    tail = _POSITION + varint(position) + time
    head = _ELEMENT + varint(len(record) + len(tail))
    return head + record + tail, len(head)


def message(record: bytes, position: int, recorded_at: int) -> bytes:
    """Return a complete serialized Event, alone."""
    return record + _POSITION + varint(position) + time_field(recorded_at)


def time_field(recorded_at: int) -> bytes:
    """Return the field `recorded_at` for a time in microseconds since 1970 in UTC."""
    seconds, micros = divmod(recorded_at, 1_000_000)
    time = _SECONDS + varint(seconds)
    if micros:
        time += _NANOS + varint(micros * 1000)
    return _RECORDED_AT + varint(len(time)) + time


def varint(value: int) -> bytes:
    """Encode a non-negative integer as a protobuf varint."""
    if value < _READY:
        return _VARINTS[value]
    return _varint(value)


def varint_text(value: int) -> str:
    """Do the same as text of as many characters, for what is put together as text and then encoded as latin-1."""
    if value < _READY:
        return SHORT_VARINTS[value]
    return _varint(value).decode("latin-1")


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


_READY = 2048
"""Varints below it are ready: nearly all that are written are lengths of texts and of small messages."""
_VARINTS = tuple(_varint(value) for value in range(_READY))
SHORT_VARINTS = tuple(one.decode("latin-1") for one in _VARINTS)
"""What `varint_text` returns for those: looked up, as for the length of an id, it costs less than called."""
