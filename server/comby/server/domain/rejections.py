"""The domain's way to say no."""

from enum import StrEnum


class Rejected(Exception):
    """A business rule refuses the command; nothing is recorded.

    The caller gets FAILED_PRECONDITION with the reason, the domain's name, and the metadata as strings.
    """

    def __init__(self, reason: StrEnum | str, **metadata: object) -> None:
        super().__init__(str(reason))
        self.reason = str(reason)
        self.metadata = {key: str(value) for key, value in metadata.items()}
