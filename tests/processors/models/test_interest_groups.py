"""Interest groups: who is alike comes together, numbers stay, counts are bounded, and nonsense is refused."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.common.topics import BROADCAST_MODELS_TOPIC, DEAD_LETTERS_TOPIC, TRAINING_TOPIC
from processors.events.record import Record
from processors.models.examples import RANKER, Examples
from processors.models.interest_group_learner import GroupsSettings, GroupsState, InterestGroupLearner
from processors.models.interest_groups import (
    DIMENSIONS,
    InterestGroups,
    Interests,
    vectors_of,
)
from processors.models.state import ModelsSettings, ModelState
from processors.planes.base import Step
from processors.planes.models import ModelsPlane
from processors.users.profile import Profile

KINDS = {"camper": ("tents", "stoves"), "reader": ("novels", "poems"), "cook": ("pans", "knives")}


def shopper(kind: str, random: np.random.Generator) -> Profile:
    first, second = KINDS[kind]
    weights = {first: float(random.uniform(1, 4)), second: float(random.uniform(1, 4))}
    return Profile(categories=weights | {f"odd {random.integers(9)}": 0.05}, events=5)


def lesson(kinds: list[str], random: np.random.Generator) -> Interests:
    vectors = vectors_of([shopper(kind, random) for kind in kinds]).astype("<f4").tobytes()
    items = tuple(f"{kind}'s {random.integers(5)}" for kind in kinds)
    return Interests(vectors, items, tuple(KINDS[kind][0] for kind in kinds))


def taught(state: GroupsState, keeper: InterestGroupLearner, lessons: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(lessons):
        keeper.learn(state, lesson([str(kind) for kind in random.choice(list(KINDS), 4)], random))


def groups_of(keeper: InterestGroupLearner, state: GroupsState, seed: int) -> dict[str, set[int]]:
    random, read = np.random.default_rng(seed), InterestGroups()
    read.apply(keeper.view(state))
    return {kind: set(read.of([shopper(kind, random) for _ in range(50)]).tolist()) for kind in KINDS}


def test_shoppers_of_a_kind_come_together_and_their_group_keeps_its_number() -> None:
    keeper, state = InterestGroupLearner(GroupsSettings(groups=6)), GroupsState()
    taught(state, keeper, 100, seed=1)
    early = groups_of(keeper, state, seed=2)
    together = [numbers for kind in KINDS for numbers in early[kind]]
    assert len(together) == len(set(together)), "no group holds two kinds"
    taught(state, keeper, 300, seed=3)
    late = groups_of(keeper, state, seed=2)
    for kind in KINDS:
        assert late[kind] & early[kind], kind
        for number in late[kind]:
            view = keeper.view(state)[number]
            assert view.labels == (KINDS[kind][0],)
            assert all(item.startswith(kind) for item in view.items)


def test_without_groups_nobody_has_one_and_a_stranger_never_has() -> None:
    keeper, state = InterestGroupLearner(GroupsSettings()), GroupsState()
    taught(state, keeper, 5, seed=1)
    read = InterestGroups()
    camper, stranger = shopper("camper", np.random.default_rng(1)), Profile(categories={"tents": 1.0}, events=1)
    assert read.of([camper]).tolist() == [-1]
    read.apply(keeper.view(state))
    assert read.of([stranger, camper, stranger]).tolist()[::2] == [-1, -1]
    assert read.of([camper])[0] == read.of([stranger, camper])[1] >= 0


def test_old_choices_fade_and_counts_stay_bounded() -> None:
    keeper = InterestGroupLearner(GroupsSettings(groups=1, items=20, fading_choices=40, published_items=5))
    state, random = GroupsState(), np.random.default_rng(4)
    vectors = vectors_of([shopper("camper", random)]).astype("<f4").tobytes()
    for n in range(300):
        keeper.learn(state, Interests(vectors, (f"item {n // 100} {n % 3}",), ("tents",)))
        keeper.learn(state, Interests(vectors, (f"once {n}",), (f"category {n}",)))
    (group,) = state.groups
    assert len(group.items) <= 20
    assert len(group.categories) <= 64
    assert {item.split()[1] for item in keeper.view(state)[0].items[:3]} == {"2"}


@pytest.mark.parametrize(
    ("interests", "complaint"),
    [
        (Interests(bytes(8), ("tent",), ("",)), "interests: 2 figures, expected 1 vectors of 32"),
        (Interests(bytes(4 * DIMENSIONS), ("tent",), ()), "interests: 0 categories, expected 1"),
        (Interests(np.full(DIMENSIONS, np.nan, "<f4").tobytes(), ("tent",), ("",)), "interests: expected figures"),
        (Interests(np.full(DIMENSIONS, 7.0, "<f4").tobytes(), ("tent",), ("",)), "interests: expected figures"),
    ],
)
def test_unusable_interests_go_to_the_dead_letters_and_change_nothing(interests: Interests, complaint: str) -> None:
    state = ModelState()
    step = step_of(state, interests)
    assert state == ModelState()
    (letter,) = [output for output in step.outputs if output.topic == DEAD_LETTERS_TOPIC]
    assert complaint.encode() in b" ".join(value for _, value in letter.headers)


def step_of(state: ModelState, interests: Interests) -> Step[ModelState]:
    plane = ModelsPlane(ModelsSettings(groups=GroupsSettings(published_every=4)))
    examples = Examples(RANKER, ("together",), b"", b"", b"", b"", b"", b"", interests)
    record = Record(TRAINING_TOPIC, 0, 0, 0, None, msgspec.msgpack.encode(examples))

    def read(keys: Sequence[str]) -> list[ModelState | None]:
        return [state for _ in keys]

    return plane.step(read, [record], 0)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), lessons=st.integers(1, 12))
def test_groups_survive_the_codec_at_any_moment_and_a_replay_gives_the_same_bytes(seed: int, lessons: int) -> None:
    straight, stored = ModelState(), ModelState()
    random = np.random.default_rng(seed)
    for _ in range(lessons):
        interests = lesson([str(kind) for kind in random.choice(list(KINDS), 3)], random)
        first = step_of(straight, interests)
        stored = msgspec.msgpack.decode(msgspec.msgpack.encode(stored), type=ModelState)
        assert step_of(stored, interests).outputs == first.outputs
    assert msgspec.msgpack.encode(stored) == msgspec.msgpack.encode(straight)
    assert stored.groups.learned == 3 * lessons


def test_groups_are_published_when_enough_was_learned() -> None:
    state, random = ModelState(), np.random.default_rng(5)
    published = []
    for _ in range(4):
        for output in step_of(state, lesson(["camper", "reader"], random)).outputs:
            assert (output.topic, output.key) in {
                (BROADCAST_MODELS_TOPIC, InterestGroupLearner.key.encode()),
                (BROADCAST_MODELS_TOPIC, RANKER.encode()),
            }
            if output.key == InterestGroupLearner.key.encode():
                published.append(InterestGroupLearner.decode(output.value) or ())
    assert [len(views) for views in published] == [2, 2]
    assert InterestGroupLearner.decode(None) is None
