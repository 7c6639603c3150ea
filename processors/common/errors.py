"""The exceptions of Nearstream: one small tree, so that callers can catch as wide or as narrow as they mean.

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
    """The files of a store are damaged: it must be made anew from its changelog."""


class LockedStoreError(StateError):
    """The files of a store are in use by another process."""


class DeliveryGap(StateError):
    """Records were skipped on the way here: the batch starts beyond the next offset the store expects.

    Parameters
    ----------
    topic, partition
        Where the gap is.
    expected
        The offset the store is waiting for.
    found
        The first offset the batch covers.
    """

    def __init__(self, topic: str, partition: int, expected: int, found: int) -> None:
        super().__init__(f"{topic}[{partition}]: expected offset {expected}, the batch starts at {found}")
        self.topic, self.partition, self.expected, self.found = topic, partition, expected, found


class FencedError(StateError):
    """Another worker owns this partition now; whatever this one had in flight was aborted by the broker."""


class StuckTransactionError(StateError):
    """A transaction was neither committed nor refused in all the time that the brokers answered others."""


class FeedbackError(NearstreamError):
    """A log of decisions, or a policy to be evaluated on it, is not what it must be. The message says what is."""


class SupportError(FeedbackError):
    """The log has nothing to say of a policy: it never did what the policy would do."""


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
        super().__init__(f"{field}: {'missing' if value is None else _shown(value)}, expected {expected}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 64 else f"{text[:61]}..."
