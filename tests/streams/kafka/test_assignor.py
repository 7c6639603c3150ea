"""Which partitions move when workers come and go."""

from __future__ import annotations

from typing import Any, cast

from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.assignor import StickyPartitions, place

claims = st.dictionaries(st.sampled_from("abcde"), st.sets(st.integers(0, 11)), min_size=1)


@given(claims, st.integers(1, 12))
def test_all_are_placed_evenly_and_only_what_must_move_moves(owned: dict[str, set[int]], count: int) -> None:
    placed = place(range(count), owned)
    assert sorted(number for numbers in placed.values() for number in numbers) == list(range(count))
    sizes = [len(numbers) for numbers in placed.values()]
    assert max(sizes) - min(sizes) <= 1
    assert place(range(count), placed) == placed, "what is even already stays"
    for member, numbers in owned.items():
        mine = {number for number in numbers if number < count}
        if sum(map(len, owned.values())) == len(set().union(*owned.values())):  # nobody claims what another has
            assert len(mine - placed[member]) <= max(0, len(mine) - min(sizes)), "gives away more than it must"


class Cluster:
    """Two topics, one with fewer partitions."""

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(2 if topic == "short" else 4))


def member(owned: set[int] | None, topics: tuple[str, ...] = ("long", "short")) -> Any:
    if owned is None:
        return ConsumerProtocolMemberMetadata(0, list(topics), b"\xff of another release")
    consumer: Any = type("StickyPartitions", (StickyPartitions,), {"owned": frozenset(owned)})
    return consumer.metadata(topics)


def test_a_worker_has_the_same_partitions_of_every_topic() -> None:
    found = StickyPartitions.assign(Cluster(), {"a": member({1, 3}), "b": member(None), "c": member(set())})
    assert {name: dict(each.assignment) for name, each in found.items()} == {
        "a": {"long": [1, 3], "short": [1]},
        "b": {"long": [0], "short": [0]},
        "c": {"long": [2], "short": []},
    }


def test_a_consumer_remembers_what_it_has_and_no_other_does() -> None:
    one, other = (cast(Any, type("StickyPartitions", (StickyPartitions,), {})) for _ in range(2))
    found = one.assign(Cluster(), {"a": one.metadata(["long"]), "b": other.metadata(["long"])})
    one.on_assignment(found["a"])
    assert (one.owned, other.owned, StickyPartitions.owned) == ({0, 1}, frozenset(), frozenset())
    again = one.assign(Cluster(), {"z": one.metadata(["long"]), "b": other.metadata(["long"])})
    assert dict(again["z"].assignment) == {"long": [0, 1]}
