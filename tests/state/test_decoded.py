"""A store that keeps states decoded gives back what was committed, and never one object twice."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import store as module
from state.position import Position
from state.store import MemoryStore


class Tally(msgspec.Struct, array_like=True):
    counts: list[int] = msgspec.field(default_factory=list)


def commit(store: MemoryStore[Tally], states: dict[str, Tally | None]) -> None:
    store.commit(store.encode(states, Position()), 1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["add", "drop", "lose", "peek"])), max_size=60))
def test_what_is_read_is_what_was_committed_last_whatever_was_given_up(steps: list[tuple[str, str]]) -> None:
    store, expected = MemoryStore(Tally), dict[str, list[int]]()
    for number, (key, what) in enumerate(steps):
        (state,) = store.read([key])
        assert (None if state is None else state.counts) == expected.get(key)
        if what == "drop":
            commit(store, {key: None})
            expected.pop(key, None)
        elif what != "peek":
            state = state or Tally()
            state.counts.append(number)
            if what == "lose":  # a step that is given up before it is committed
                store.encode({key: state}, Position())
            else:
                commit(store, {key: state})
                expected[key] = list(state.counts)


def test_no_two_readers_get_the_same_object() -> None:
    store = MemoryStore(Tally)
    mine = Tally([1])
    commit(store, {"a": mine})
    (first,), (second,) = store.read(["a"]), store.read(["a"])
    assert first is mine
    assert second == first
    assert second is not first


def test_a_state_that_was_restored_is_read_anew() -> None:
    store, other = MemoryStore(Tally), MemoryStore(Tally)
    commit(store, {"a": Tally([1])})
    records = other.encode({"a": Tally([2])}, Position())
    store.restore(records, 3)
    assert store.read(["a"]) == [Tally([2])]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DECODED_BYTES", 200)
    store = MemoryStore(Tally)
    for n in range(50):
        commit(store, {str(n): Tally([n] * 10)})
        assert store.decoded_bytes <= 200
    assert store.decoded_bytes > 100
    assert store.read(["3", "49"]) == [Tally([3] * 10), Tally([49] * 10)]
