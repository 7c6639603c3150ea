"""The exceptions of Nearstream, in one small tree, so that callers can catch as widely or as narrowly as they want.

Refused events are data, not exceptions (see :class:`processors.events.record.Refusal`): nothing in the hot path raises
for bad input.
"""


class NearstreamError(Exception):
    """Root of every error Nearstream raises on purpose."""


class ConfigurationError(NearstreamError):
    """A setting is missing, unknown or out of range. The message names the setting."""


class StateError(NearstreamError):
    """A partition store cannot be used as it is."""


class StateFormatError(StateError):
    """Stored bytes have a format version that this release does not read."""


class CorruptStoreError(StateError):
    """The files of a store are damaged: delete it and restore it from its changelog."""


class NoRoomError(StateError):
    """The disk has no room for what a store must write: try again once there is some."""


class LockedStoreError(StateError):
    """The files of a store are in use by another process."""


class DeliveryGap(StateError):
    """Records are missing: a batch starts beyond the next offset that the store expects.

    Parameters
    ----------
    topic, partition
        Where the gap is.
    expected
        The next offset that the store expects.
    found
        The first offset the batch covers.
    """

    def __init__(self, topic: str, partition: int, expected: int, found: int) -> None:
        super().__init__(f"{topic}[{partition}]: expected offset {expected}, the batch starts at {found}")
        self.topic, self.partition, self.expected, self.found = topic, partition, expected, found


class FencedError(StateError):
    """Another worker owns the partition now; the broker has aborted the transaction of this one."""


class StuckTransactionError(StateError):
    """A transaction found no end: nobody knows whether it was committed, until the changelog is read."""


class FeedbackError(NearstreamError):
    """A log of decisions, or a policy to be evaluated on it, is malformed. The message says where."""


class SupportError(FeedbackError):
    """A policy cannot be evaluated on a log, because the log took none of the policy's actions."""


class FieldError(NearstreamError):
    """A field of an event, or a column of a file, is not what it must be.

    Parameters
    ----------
    field
        Name of the field.
    value
        What it holds; :obj:`None` if it is missing.
    expected
        What it must be, in words. The message names all three.
    """

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field = field
        super().__init__(f"{field}: {'missing' if value is None else _shown(value)}, expected {expected}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 64 else f"{text[:61]}..."
