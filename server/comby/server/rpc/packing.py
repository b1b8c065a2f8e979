"""Elements of a repeated field on their way in a stream of messages: several to a message, none of them too large."""

from collections import deque

ELEMENTS_PER_MESSAGE = 100
BYTES_PER_MESSAGE = 1024 * 1024
"""Elements may be large, such as receipts of commands with many events: a message ends here, far below a client's limit of 4 MiB."""


def next_message(waiting: deque[bytes]) -> list[bytes]:
    """Take the elements of the next message from the front: as many as fit, but one at least where any waits."""
    packed: list[bytes] = []
    size = 0
    while waiting and len(packed) < ELEMENTS_PER_MESSAGE:
        size += len(waiting[0])
        if packed and size > BYTES_PER_MESSAGE:
            break
        packed.append(waiting.popleft())
    return packed
