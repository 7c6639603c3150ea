"""The suite that every plane passes: what :class:`processors.plane.Plane` promises, on batches of the plane's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from processors.events import SourceRecord
from processors.plane import Plane, Step

State = TypeVar("State", bound=msgspec.Struct)
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True)
class Case(Generic[State]):
    """A plane to be checked.

    Parameters
    ----------
    make
        A new plane; each has a read model of its own, all with the same contents.
    batches
        Micro-batches to be taken in this order; enough of them to fill the states to their bounds.
    largest_state
        Bytes that no encoded state may exceed.
    read_model
        Everything that the plane reads and must not change, as bytes.
    """

    make: Callable[[], Plane[State]]
    batches: Sequence[Sequence[SourceRecord]]
    largest_state: int
    read_model: Callable[[Plane[State]], bytes] = field(default=lambda _: b"")
    partition: int = 0


def check_plane(case: Case[State]) -> None:
    """Make sure that the plane is pure, aliases nothing, and keeps states that are bounded and survive being stored."""
    plane, twin = case.make(), case.make()
    states, twins = _States(plane), _States(twin)
    model = case.read_model(plane)
    for batch in case.batches:
        given = _records(batch)
        step = plane.step(states.read, batch, case.partition)
        result = _result(step)
        assert _records(batch) == given, "the step changed its batch"
        assert case.read_model(plane) == model, "the step changed the read model"
        _check_states(plane, states, step, case.largest_state)

        _scribble_over(step)
        again = plane.step(states.read, batch, case.partition)
        assert _result(again) == result, "the same input gave another result: the plane remembers, or kept a state"

        twin_step = twin.step(twins.read, batch, case.partition)
        assert _result(twin_step) == result, "another plane of the same kind gave another result"
        states.keep(again)
        twins.keep(twin_step)
    assert states.stored == twins.stored, "replaying the same batches gave other states"


class _States(Generic[State]):
    """States as a store keeps them: as bytes, decoded anew at each read."""

    def __init__(self, plane: Plane[State]) -> None:
        self._type = plane.state_type
        self.stored: dict[str, bytes] = {}
        self.asked: set[str] = set()

    def read(self, keys: Sequence[str], /) -> list[State | None]:
        self.asked.update(keys)
        found = [self.stored.get(key) for key in keys]
        return [None if data is None else msgspec.msgpack.decode(data, type=self._type) for data in found]

    def keep(self, step: Step[State]) -> None:
        self.stored.update({key: _encode(state) for key, state in step.states.items()})


def _check_states(plane: Plane[State], states: _States[State], step: Step[State], largest: int) -> None:
    assert step.states.keys() <= states.asked, "a state was made without reading what there was"
    for key, state in step.states.items():
        data = _encode(state)
        assert len(data) <= largest, f"the state of {key} has grown to {len(data)} bytes"
        decoded = msgspec.msgpack.decode(data, type=plane.state_type)
        assert (decoded, _encode(decoded)) == (state, data), f"the state of {key} does not survive being stored"


def _scribble_over(step: Step[State]) -> None:
    """Change all states that came out, one at a time: none of the others may change with it."""
    for key, state in step.states.items():
        others = {other: _encode(kept) for other, kept in step.states.items() if other != key}
        for name in state.__struct_fields__:
            value = getattr(state, name)
            if isinstance(value, list | dict):
                value.clear()
            else:
                setattr(state, name, type(value)())
        changed = [other for other, data in others.items() if _encode(step.states[other]) != data]
        assert not changed, f"the states of {key} and {changed} share data"


def _result(step: Step[State]) -> bytes:
    return _encode(
        (list(step.states.items()), step.outputs, sorted(step.outcomes.items()), sorted(step.refusals.items()))
    )


def _records(batch: Sequence[SourceRecord]) -> bytes:
    return _encode([(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in batch])
