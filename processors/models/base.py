"""What a learned model is, for the models plane to loop over.

The users plane sends messages of :class:`processors.models.examples.Examples`, each with a part for every model. The
models plane keeps one :class:`processors.models.state.ModelState`, likewise with a part for each. A model names its
parts, says what a usable message is, learns from it, and says what is published and when. Adding a model takes its
file, its fields in these two structs, a place in :func:`processors.models.learned.learned`, and a read model in
:mod:`processors.planes.read_models`.
"""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import msgspec

State = TypeVar("State")
Message = TypeVar("Message", contravariant=True)
View = TypeVar("View")


class LearnedModel(Protocol[State, Message]):
    """Something that is learned online from messages, and published for the read models of every worker.

    A model is a pure function of settings, state and message: the same messages in the same order give the same state,
    bit by bit, whatever process learns them. Its state is plain data that msgpack encodes, and bounded whatever
    messages there come.
    """

    @property
    def key(self) -> str | None:
        """Key of its view on the topic of models; :obj:`None` if what it learned rides in another model's view."""
        ...

    @property
    def state_field(self) -> str | None:
        """Field of the models' state that holds its own; :obj:`None` if the whole is its state."""
        ...

    @property
    def message_field(self) -> str | None:
        """Field of a message of examples that is its part; :obj:`None` if the whole is its message."""
        ...

    @property
    def message_bytes(self) -> int:
        """Largest size of its part of a message, in bytes; 0 if that is counted with another part, or per user."""
        ...

    def new_state(self) -> State:
        """Return the state before anything was learned."""
        ...

    def check(self, message: Message) -> None:
        """Make sure that a message can be learned. Called for every model before any of them learns.

        Raises
        ------
        ValueError
            If it cannot; the text names what is wrong.
        """
        ...

    def learn(self, state: State, message: Message) -> None:
        """Learn from a message that passed :meth:`check`, changing the state in place."""
        ...

    def progress(self, state: State) -> object:
        """Return something that compares unequal before and after anything was learned that must be kept."""
        ...

    def due(self, state: State, before: object) -> bool:
        """Tell whether a view is to be published now, and note in the state that it is.

        Asked once per micro-batch in which any model made progress.

        Parameters
        ----------
        state
            After the micro-batch.
        before
            This model's :meth:`progress` before the micro-batch.
        """
        ...

    def view(self, state: State) -> Any:
        """Return what is published of a state, for msgpack to encode."""
        ...

    def decode(self, value: bytes | None) -> Any:
        """Return the view that a broadcast record's value holds; :obj:`None` for a tombstone."""
        ...


def part_of(whole: msgspec.Struct, field: str | None) -> Any:
    """Return a model's part of the models' state or of a message of examples.

    Parameters
    ----------
    whole
        The state or the message.
    field
        The model's ``state_field`` or ``message_field``; :obj:`None` stands for the whole.
    """
    return whole if field is None else getattr(whole, field)


class ViewDecoder(Generic[View]):
    """Decodes the values of broadcast records to views of one type.

    Parameters
    ----------
    view
        The type.

    Examples
    --------
    >>> decode = ViewDecoder(dict[str, float])
    >>> decode(msgspec.msgpack.encode({"tent": 0.5})), decode(None)
    ({'tent': 0.5}, None)
    """

    def __init__(self, view: type[View]) -> None:
        self._decode = msgspec.msgpack.Decoder(view).decode

    def __call__(self, value: bytes | None) -> View | None:
        """Return the view, or :obj:`None` for a tombstone.

        Raises
        ------
        msgspec.DecodeError
            If the value is not an encoded view.
        """
        return None if value is None else self._decode(value)
