"""The suites that every plane, every source, every learned model and every read model passes.

They hold what :class:`processors.planes.base.Plane`, :class:`processors.ranking.sources.base.Source`,
:class:`processors.models.base.LearnedModel` and :class:`processors.planes.read_models.ReadModel` promise.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np

from processors.events.record import SourceRecord
from processors.items.index import ItemIndex
from processors.models.base import LearnedModel
from processors.planes.base import Plane, Step
from processors.planes.read_models import ReadModel
from processors.ranking.read_models import ReadModels
from processors.ranking.sources import ProposedPairs, Source, SourceSettings, Visitors, with_settings
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
    pairs = asked.propose(visitors, models)
    assert (_visitors(visitors), index_bytes(model)) == given, "the source changed the visitors or the index"
    _check_pairs(asked, pairs, visitors, model)

    found = proposals(pairs, model)
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
    assert apart == found, "the proposals for a user depend on who else is asked for"


def proposals(pairs: ProposedPairs, index: ItemIndex) -> list[tuple[object, ...]]:
    """What a source proposes, by item id: row, item, values, link; in its order.

    Pairs that say nothing, because their values are all zero, are left out if the source has values.
    """
    values = [column.tolist() for column in pairs.values.T]
    links = [None] * len(pairs.rows) if pairs.links is None else [index.ids[link] for link in pairs.links.tolist()]
    columns = (pairs.rows.tolist(), [index.ids[slot] for slot in pairs.slots.tolist()], *values, links)
    return [row for row in zip(*columns, strict=True) if not values or any(row[2:-1])]


def index_bytes(index: ItemIndex) -> bytes:
    """Everything that a read model holds."""
    own = (
        index.neighbours,
        index.together,
        index.after,
        index.popularity.trends,
        index.popularity.visits,
        index.popularity.entries,
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


def _check_pairs(source: Source, pairs: ProposedPairs, visitors: Visitors, index: ItemIndex) -> None:
    n = len(pairs.rows)
    assert pairs.values.shape[1] == len(source.columns), "not a column per declared value"
    assert {len(pairs.slots), len(pairs.values)} == {n}, "the columns have different lengths"
    assert sorted(pairs.rows.tolist()) == pairs.rows.tolist(), "the pairs are not sorted by user"
    assert all(0 <= row < len(visitors) for row in pairs.rows.tolist()), "a row that is no user's"
    assert all(0 <= slot < len(index.ids) and index.ids[slot] for slot in pairs.slots.tolist()), (
        "a slot that no item has"
    )
    for name, column in zip(source.columns, pairs.values.T, strict=True):
        assert np.isfinite(column).all(), f"{name} is not finite"
        assert (column >= 0.0).all(), f"{name} is negative"
    if pairs.links is not None:
        assert len(pairs.links) == n, "not a link per pair"
        own = set(zip(visitors.rows.tolist(), visitors.slots.tolist(), strict=True))
        linked = set(zip(pairs.rows.tolist(), pairs.links.tolist(), strict=True))
        assert linked <= own, "a link to an item that the user did not touch"


def _visitors(visitors: Visitors) -> bytes:
    columns = (visitors.now_ms, visitors.rows, visitors.slots, visitors.positions, visitors.counts)
    more = (visitors.weights, visitors.times, visitors.actions)
    return _encode([list(visitors.profiles), *(column.tobytes() for column in (*columns, *more))])


@dataclass(frozen=True)
class ModelCase:
    """A learned model to be checked.

    Parameters
    ----------
    make
        A new model; all that it makes are alike.
    state_type, message_type
        What its states and its messages are decoded to.
    messages
        To be learned in this order; half of them are enough to fill the state to its bounds.
    bad
        Messages that must be refused, by what is wrong with them.
    """

    make: Callable[[], LearnedModel[Any, Any]]
    state_type: Any
    message_type: Any
    messages: Sequence[Any]
    bad: Mapping[str, Any]


def check_model(case: ModelCase) -> None:
    """Make sure that a model refuses what is bad, learns the same anywhere, stays bounded, and publishes what it can.

    A twin learns the same messages from a state and messages that went through msgpack, and sees no bad message.
    """
    model, twin = case.make(), case.make()
    state, other = model.new_state(), twin.new_state()
    sizes, published = list[int](), 0
    for message in case.messages:
        _check_bad(model, case.bad)
        raw, before, twins = _encode(message), model.progress(state), twin.progress(other)
        assert not model.message_bytes or len(raw) <= model.message_bytes, f"a message has {len(raw)} bytes"
        model.check(message)
        model.learn(state, message)
        assert _encode(message) == raw, "the model changed its message"
        twin.learn(other, msgspec.msgpack.decode(raw, type=case.message_type))
        if model.progress(state) != before:
            due = model.due(state, before)
            assert twin.due(other, twins) == due, "two models find it due at different times"
            published += due
            _check_view(model, state, due)
        data = _encode(state)
        assert _encode(other) == data, "the same messages gave another state"
        other = _stored(data, case.state_type)
        sizes.append(len(data))
    half = len(sizes) // 2
    assert max(sizes[half:]) <= 1.1 * max(sizes[:half]), f"the state has grown from {sizes[half]} to {sizes[-1]} bytes"
    assert bool(published) == (model.key is not None), "it has a key and is never published, or the other way round"
    assert model.decode(None) is None, "a tombstone is a view"
    _check_damaged(model, state, case)


def _stored(data: bytes, state_type: Any) -> Any:
    try:
        state = msgspec.msgpack.decode(data, type=state_type)
    except msgspec.MsgspecError as error:
        raise AssertionError(f"the state does not survive being stored: {error}") from error
    assert _encode(state) == data, "the state does not survive being stored"
    return state


def _check_bad(model: LearnedModel[Any, Any], bad: Mapping[str, Any]) -> None:
    for what, message in bad.items():
        said = None
        try:
            model.check(message)
        except ValueError as error:
            said = str(error)
        assert said is not None, f"a message with {what} was let through"
        assert said, f"nothing is said of a message with {what}"


def _check_view(model: LearnedModel[Any, Any], state: Any, due: bool) -> None:
    data = _encode(state)
    view = model.view(state)
    assert _encode(state) == data, "to look at the state changed it"
    if not due:
        return
    assert _is_finite(msgspec.to_builtins(view)), "a figure of the view is not finite"
    packed = _encode(view)
    try:
        decoded = model.decode(packed)
    except msgspec.MsgspecError as error:
        raise AssertionError(f"what it publishes cannot be decoded: {error}") from error
    assert _encode(decoded) == packed, "the view does not survive being published"


def _check_damaged(model: LearnedModel[Any, Any], state: Any, case: ModelCase) -> None:
    """Make sure that whatever can be decoded and is not refused can also be learned and published."""
    data = _encode(state)
    for message in _damaged(case):
        try:
            model.check(message)
        except ValueError:
            continue
        after = msgspec.msgpack.decode(data, type=case.state_type)
        try:
            model.learn(after, message)
            kept = msgspec.msgpack.decode(_encode(after), type=case.state_type)
            finite = model.key is None or _is_finite(msgspec.to_builtins(model.view(kept)))
        except Exception as error:
            raise AssertionError(f"{repr(message)[:400]} was let through, and then: {error!r}") from error
        assert finite, f"{repr(message)[:400]} was let through, and the view is not finite"


def _damaged(case: ModelCase) -> Iterator[Any]:
    """Messages with something in them replaced by what does not belong there, as far as they can be decoded."""
    random = np.random.default_rng(1)
    for message in case.messages[:20]:
        for _ in range(15):
            parts = msgspec.msgpack.decode(_encode(message))
            parent: Any = [parts]
            at = 0
            while isinstance(parent[at], list) and parent[at] and (parent[at] is parts or random.random() < 0.9):
                parent = parent[at]
                at = int(random.integers(len(parent)))
            if parent[at] is parts:
                continue  # a message of nothing
            others = _STRANGE[type(parent[at])](parent[at])
            parent[at] = others[int(random.integers(len(others)))]
            try:
                yield msgspec.msgpack.decode(_encode(parts), type=case.message_type)
            except msgspec.MsgspecError:
                continue


_STRANGE: dict[type, Any] = {
    float: lambda _: [np.nan, np.inf, -np.inf, -1.0, -0.0, 1e308, 1e-308],
    int: lambda value: [-1, 0, 255, -value, 2**31, 2**62],
    bool: lambda value: [not value],
    str: lambda value: ["", value * 300, "\x00", value[:1]],
    bytes: lambda value: [
        b"",
        value[:-1],
        value + value,
        b"\xff" * len(value),
        b"\x7f" * len(value),
        bytes(len(value)),
    ],
    list: lambda value: [[], value[:-1], value + value, value[::-1]],
}


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return bool(np.isfinite(value))
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return all(map(_is_finite, value)) if isinstance(value, list | tuple) else True


@dataclass(frozen=True)
class ReadModelCase:
    """A read model to be checked.

    Parameters
    ----------
    make
        A new read model, and a function that gives all that readers see of it.
    keys
        Keys of its records, one at least.
    values
        Encoded views that each differ to a reader, two at least.
    """

    make: Callable[[], tuple[ReadModel, Callable[[], object]]]
    keys: Sequence[str]
    values: Sequence[bytes]


def check_read_model(case: ReadModelCase) -> None:
    """Make sure that what readers see follows from the last record of each key, and that tombstones forget."""

    def seen(*records: tuple[str, bytes | None]) -> object:
        model, look = case.make()
        for key, value in records:
            model.apply(key, value)
        return look()

    nothing = seen()
    for key in case.keys:
        alone = [seen((key, value)) for value in case.values]
        for n, (value, result) in enumerate(zip(case.values, alone, strict=True)):
            assert result != nothing, "a view changes nothing"
            assert result not in alone[:n], "two views look alike"
            assert seen((key, value), (key, value)) == result, "a view that comes twice makes a difference"
            assert seen((key, None), (key, value)) == result, "what was forgotten before makes a difference"
            for earlier in case.values:
                assert seen((key, earlier), (key, value)) == result, "a view that was replaced makes a difference"
            assert seen((key, value), (key, None)) == nothing, "a tombstone does not forget"
        for other in case.keys:
            if other != key:
                both = [(key, case.values[0]), (other, case.values[1])]
                assert seen(*both) != alone[0], "a record of another key is not taken"
                assert seen(*both, (other, None)) == alone[0], "a tombstone forgets another key"
                assert seen(*both) == seen(*reversed(both)), "the order of keys makes a difference"
