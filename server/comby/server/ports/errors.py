"""The errors of every store and broker. No text of a driver is inside: it is logged by the adapter, and reaches no
caller."""


class StoreError(Exception):
    """The root of the errors of a store."""


class StoreUnavailable(StoreError):
    """The store can not be written or read now: the disk is full, the connection is gone, or it is being closed.

    Whatever was asked for may be asked again. After a failed `commit` nothing of the batch is known to be stored or
    not:
    the adapter has looked it up where it could, and raises this only if it could not.
    """


class StoreInUse(StoreError):
    """Another process has the store open, and it is made for one."""


class StoreIncompatible(StoreError):
    """The store was written by a newer comby, is not a store of comby, or is configured in a way that loses data."""


class StoreDamaged(StoreError):
    """What is stored contradicts itself, such as a hole in the positions. Restore a backup."""


class BrokerError(Exception):
    """The root of the errors of a broker. `reason` is a few words for an operator, without anything secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BrokerUnavailable(BrokerError):
    """The broker can not be reached, or did not answer in time. What was sent to it may be stored, or may still arrive."""


class StreamOvertaken(BrokerError):
    """The stream does not end where the publisher thought: another has written to it, or it was emptied. Look, and go on from there."""


class StreamRefused(BrokerError):
    """The stream can not be used until an operator has seen to it: it is made for something else, it is full, or what is needed is not permitted."""
