"""The suites that every plane and every source passes.

They hold what :class:`processors.planes.base.Plane` and :class:`processors.ranking.sources.base.Source` promise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec
import numpy as np

from processors.events.record import SourceRecord
from processors.items.index import ItemIndex
from processors.planes.base import Plane, Step
from processors.ranking.read_models import ReadModels
from processors.ranking.sources import Block, Source, SourceSettings, Visitors, with_settings
from processors.users.profile import Profile

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
            elif isinstance(value, msgspec.Struct) and value.__struct_config__.frozen:
                setattr(state, name, None)  # can be shared, as nobody can change it
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


def check_source(
    source: type[Source],
    settings: SourceSettings,
    read: Callable[[bool], ReadModels],
    users: Sequence[Profile],
    now: int,
) -> None:
    """Make sure that a source is pure, names items alike wherever they lie, and proposes what its protocol allows.

    Parameters
    ----------
    read
        Builds the read models with the same views; a truth value asks for them in the opposite order.
    users
        Who is asked for, at ``now``.
    """
    models = read(False)
    model = models.items
    visitors = Visitors.of(users, [now] * len(users), model)
    given = _visitors(visitors), index_bytes(model)
    asked = with_settings(source, settings)
    block = asked.propose(visitors, models)
    assert (_visitors(visitors), index_bytes(model)) == given, "the source changed the visitors or the index"
    _check_block(asked, block, visitors, model)

    found = proposals(block, model)
    assert proposals(asked.propose(visitors, models), model) == found, "asked again, the source says something else"
    assert proposals(with_settings(source, settings).propose(visitors, models), model) == found, (
        "another one says something else"
    )

    other = read(True)
    elsewhere = with_settings(source, settings).propose(Visitors.of(users, [now] * len(users), other.items), other)
    assert proposals(elsewhere, other.items) == found, "the proposals depend on where items lie"

    apart = []
    for row, user in enumerate(users):
        alone = with_settings(source, settings).propose(Visitors.of([user], [now], model), models)
        apart += [(row, *rest) for _, *rest in proposals(alone, model)]
    assert sorted(apart, key=repr) == found, "the proposals for a user depend on who else is asked for"


def proposals(block: Block, index: ItemIndex) -> list[tuple[object, ...]]:
    """What a source proposes, by item id: row, item, values, link; in an order of its own.

    Pairs that say nothing, because their values are all zero, are left out if the source has values.
    """
    values = [column.tolist() for column in block.values]
    links = [None] * len(block.rows) if block.links is None else [index.ids[link] for link in block.links.tolist()]
    columns = (block.rows.tolist(), [index.ids[slot] for slot in block.slots.tolist()], *values, links)
    found = [row for row in zip(*columns, strict=True) if not values or any(row[2:-1])]
    return sorted(found, key=repr)


def index_bytes(index: ItemIndex) -> bytes:
    """Everything that a read model holds."""
    own = (
        index.neighbours,
        index.together,
        index.after,
        index.popularity.trends,
        index.popularity.visits,
        index.attributes.category,
        index.attributes.tie,
    )
    times = (index.price, index.first_seen, index.last_seen, index.popularity.category_trend)
    attributes = index.attributes
    said = (
        attributes.listed,
        attributes.available,
        attributes.brand,
        attributes.supplier,
        attributes.margin,
        attributes.min_age,
        attributes.log_price,
    )
    more = (attributes.since, attributes.tags, attributes.embedding, attributes.version)
    return _encode([index.ids, index.views, *(column.tobytes() for column in (*own, *times, *said, *more))])


def _check_block(source: Source, block: Block, visitors: Visitors, index: ItemIndex) -> None:
    n = len(block.rows)
    assert len(block.values) == len(source.columns), "not a column per declared value"
    assert {len(block.slots), *map(len, block.values)} == {n}, "the columns have different lengths"
    assert all(0 <= row < len(visitors) for row in block.rows.tolist()), "a row that is no user's"
    assert all(index.ids[slot] for slot in block.slots.tolist()), "a slot that no item has"
    for name, column in zip(source.columns, block.values, strict=True):
        assert np.isfinite(column).all(), f"{name} is not finite"
        assert (column >= 0.0).all(), f"{name} is negative"
    if block.links is not None:
        assert len(block.links) == n, "not a link per pair"
        own = set(zip(visitors.rows.tolist(), visitors.slots.tolist(), strict=True))
        linked = set(zip(block.rows.tolist(), block.links.tolist(), strict=True))
        assert linked <= own, "a link to an item that the user did not touch"


def _visitors(visitors: Visitors) -> bytes:
    columns = (visitors.now_ms, visitors.rows, visitors.slots, visitors.positions, visitors.counts)
    more = (visitors.weights, visitors.times, visitors.actions)
    return _encode([list(visitors.profiles), *(column.tobytes() for column in (*columns, *more))])
