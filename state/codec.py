"""Bytes of a state: one version byte, then msgpack. Never pickle."""

from typing import Generic, TypeVar

import msgspec

from processors.common.errors import StateFormatError

State = TypeVar("State", bound=msgspec.Struct)

FORMAT_VERSION = 2
"""Number of the format. Raise it whenever the layout of a stored struct changes: other versions are refused."""

_PREFIX = bytes([FORMAT_VERSION])


class StateCodec(Generic[State]):
    r"""Encodes and decodes the states of one plane.

    Parameters
    ----------
    state_type
        The msgspec struct that the states of the plane are.

    Examples
    --------
    >>> class Tally(msgspec.Struct, array_like=True):
    ...     n: int = 0
    >>> codec = StateCodec(Tally)
    >>> codec.decode(codec.encode(Tally(3)))
    Tally(n=3)
    >>> codec.decode(b"\x63")
    Traceback (most recent call last):
    ...
    processors.common.errors.StateFormatError: stored Tally has format version 99, this release reads 2: ...
    """

    def __init__(self, state_type: type[State]) -> None:
        self._name = state_type.__name__
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(state_type).decode

    def encode(self, state: State) -> bytes:
        """Return the bytes of a state: the version byte, then msgpack."""
        return _PREFIX + self._encode(state)

    def decode(self, data: bytes) -> State:
        """Return the state that :meth:`encode` made these bytes of.

        Raises
        ------
        StateFormatError
            If the bytes have another format version or cannot be decoded as this struct.
        """
        if data[:1] != _PREFIX:
            found = data[0] if data else "none"
            raise StateFormatError(
                f"stored {self._name} has format version {found}, this release reads {FORMAT_VERSION}: "
                "run the release that wrote it, or delete the state directory, the changelog topics and "
                "internal.item-signals to start anew"
            )
        try:
            return self._decode(memoryview(data)[1:])
        except msgspec.MsgspecError as error:
            raise StateFormatError(f"stored {self._name} cannot be decoded: {error}") from error
