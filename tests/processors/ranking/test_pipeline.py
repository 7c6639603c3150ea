"""Every stage of the ranking keeps the promises of a stage; a stage that breaks one is found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.models.exposure import Exposure
from processors.ranking.candidates import MAX_ROWS
from processors.ranking.frame import Frame, Stage
from processors.ranking.pipeline import Asked, RankingPipeline
from processors.ranking.rules import Items, Rule
from processors.ranking.settings import Placement, RankingSettings
from processors.ranking.training import Training
from processors.users.unclicked_impressions import UnclickedImpressions
from tests.processors.worlds import NOW, World, profile, random_world, view

seeds = st.integers(0, 2**32)
RULES = {
    "no lamps": Rule("exclude", Items(categories=("lamps",)), placements=("home",)),
    "few tents": Rule("cap", Items(categories=("tents",)), at_most=1, per="category"),
    "item 1 first": Rule("pin", Items(ids=("item 1",)), position=1),
    "more tents": Rule("boost", Items(categories=("tents",)), factor=2.0),
    "some lamps": Rule("exposure", Items(categories=("lamps",)), share_min=0.2),
}


def full_world(seed: int) -> World:
    """A random world in which every stage has something to do, or none of it for some seeds."""
    world, random = random_world(seed), np.random.default_rng(seed)
    for name, rule in RULES.items():
        if random.random() < 0.5:
            world.rules.apply(name, rule)
    world.rules.exposure = {"some lamps": Exposure(offset=0.4)}
    for user in world.users[::2]:
        names = sorted(world.known())[:5]
        user.unclicked = UnclickedImpressions(names, [9] * len(names), [NOW] * len(names))
    diversity = float(random.choice([0.0, 0.3]))
    return replace(
        world, settings=msgspec.structs.replace(world.settings, diversity=diversity, exploration=0.5, fatigue=0.5)
    )


def through(pipeline: RankingPipeline, world: World, rows: Sequence[int]) -> Frame:
    """Take some of the users through all stages for the first placement, checking each stage on the way."""
    users = [world.users[row] for row in rows]
    frame = pipeline.begin(users, [NOW] * len(users), world.read(pipeline.features), NOW)
    for shared in (True, False):
        if not shared:
            frame = pipeline.for_placement(frame, 0)
        for stage in pipeline.stages_for("slate", shared=shared):
            check_stage(stage, frame)
            pipeline.run([stage], frame)
    return frame


def check_stage(stage: Stage, frame: Frame) -> None:
    """Make sure that a stage gives back its frame, changes no array, brings nothing back, and does the same again."""
    before = frame.copied()
    given = {name: array.tobytes() for name, array in arrays(before).items()}
    first, second = frame.copied(), frame.copied()
    assert stage.apply(first) is first, f"{stage.name} gives back another frame"
    changed = [name for name, array in arrays(before).items() if array.tobytes() != given[name]]
    assert not changed, f"{stage.name} changes what it was given: {changed}"
    stage.apply(second)
    again = {name: array.tobytes() for name, array in arrays(second).items()}
    assert {name: array.tobytes() for name, array in arrays(first).items()} == again, f"{stage.name} does not repeat"
    if hasattr(before, "kept"):
        assert not (first.kept & ~before.kept).any(), f"{stage.name} brings back what was removed"
        removes = bool((before.kept & ~first.kept).any())
        assert not removes or stage.removes, f"{stage.name} removes candidates and does not say why"


def arrays(frame: Frame) -> dict[str, np.ndarray]:
    """Return all arrays that a frame has so far, by name."""
    found = {field.name: getattr(frame, field.name, None) for field in fields(frame)}
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_every_stage_conforms_and_users_do_not_depend_on_each_other(seed: int) -> None:
    world = full_world(seed)
    pipeline = RankingPipeline(world.settings)
    together = through(pipeline, world, range(len(world.users)))
    for row in range(len(world.users)):
        alone = through(pipeline, world, [row])
        begin, end = together.candidates.begins[row : row + 2]
        assert alone.kept.tolist() == together.kept[begin:end].tolist()
        assert alone.scores.tolist() == together.scores[begin:end].tolist()
        slots = [
            frame.candidates.slots[frame.numbers[at][frame.filled[at]]].tolist()
            for frame, at in ((alone, 0), (together, row))
        ]
        assert slots[0] == slots[1]


def test_names_are_unique_shared_stages_come_first_and_each_purpose_is_served() -> None:
    stages = RankingPipeline(RankingSettings()).stages
    names = [stage.name for stage in stages]
    assert len(set(names)) == len(names)
    shared = [stage.shared for stage in stages]
    assert shared == sorted(shared, reverse=True)
    assert all("slate" in stage.purposes for stage in stages)
    lesson = [stage.name for stage in stages if "lesson" in stage.purposes]
    assert lesson == ["gather", "describe", "reasons", "touched", "score"]
    trial = [stage.name for stage in stages if "trial" in stage.purposes]
    assert set(names) - set(trial) == {"rules", "rule_offsets", "spread", "pins", "explain"}


def test_what_stages_remove_is_counted_by_their_names() -> None:
    world = World({name: view(1.0, category="tents") for name in ("a", "b", "c")}, [profile("a", "b")])
    world.rules.apply("not c", Rule("exclude", Items(ids=("c",)), placements=("home",)))
    home, discover = world.ranked()
    assert (home.removed, discover.removed) == ({"rules": 1}, {"touched": 2})


class Changing(Stage):
    name = "changing"

    def apply(self, frame: Frame) -> Frame:
        frame.scores += 1.0
        return frame


class Reviving(Stage):
    name = "reviving"

    def apply(self, frame: Frame) -> Frame:
        frame.kept = np.ones_like(frame.kept)
        return frame


class Silent(Stage):
    name = "silent"

    def apply(self, frame: Frame) -> Frame:
        frame.kept = np.zeros_like(frame.kept)
        return frame


class Moody(Stage):
    name = "moody"

    def __init__(self) -> None:
        self._turn = 0

    def apply(self, frame: Frame) -> Frame:
        self._turn += 1
        frame.scores = frame.scores + self._turn
        return frame


class Strange(Stage):
    name = "strange"

    def apply(self, frame: Frame) -> Frame:
        return frame.copied()


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (Changing(), "changes what it was given"),
        (Reviving(), "brings back what was removed"),
        (Silent(), "does not say why"),
        (Moody(), "does not repeat"),
        (Strange(), "gives back another frame"),
    ],
)
def test_a_stage_that_breaks_a_promise_does_not_conform(stage: Stage, said: str) -> None:
    world = World({name: view(1.0, category="tents") for name in ("a", "b")}, [profile("a")])
    pipeline = RankingPipeline(world.settings)
    frame = through(pipeline, world, [0])
    frame.kept = np.arange(len(frame.kept)) > 0
    with pytest.raises(AssertionError, match=said):
        check_stage(stage, frame)


@pytest.mark.unmeasured
@given(seeds)
def test_a_user_gets_the_same_slates_alone_as_among_others(seed: int) -> None:
    world = random_world(seed)
    alone = [replace(world, users=[user]).slates() for user in world.users]
    assert world.slates() == [[slates[n][0] for slates in alone] for n in range(2)]


def taught(world: World, pipeline: RankingPipeline, users: Asked, frame: Frame | None = None) -> bytes:
    """The examples that the users' choices give, who choose the known items in turn."""
    known = sorted(world.known()) or ["none"]
    chosen = [known[n % len(known)] for n in range(len(users.profiles))]
    read = world.read(pipeline.features)
    _, examples = Training(pipeline).lessons(users.profiles, users.now_ms, chosen, read, NOW, frame)
    return msgspec.msgpack.encode(examples)


@pytest.mark.unmeasured
@given(seeds)
def test_one_pass_for_slates_and_lessons_gives_what_each_gives_by_itself(seed: int) -> None:
    world = full_world(seed)
    pipeline, read = RankingPipeline(world.settings), world.read(RankingPipeline(world.settings).features)
    slates = Asked(world.users, [NOW] * len(world.users))
    lessons = Asked(world.users[1:][::-1] or world.users, [NOW - 7_000_000] * (len(world.users) - 1 or 1))
    frame, described = pipeline.together(slates, lessons, read, NOW)
    shared, alone = (pipeline.rank(*slates, read, NOW, given) for given in (frame, None))
    for one, other in zip(shared, alone, strict=True):
        assert all(one.items(row, read) == other.items(row, read) for row in range(len(world.users)))
        assert one.removed == other.removed
    assert taught(world, pipeline, lessons, described) == taught(world, pipeline, lessons)


def test_slates_and_lessons_are_made_apart_where_rules_make_candidates_for_slates_or_users_are_many() -> None:
    world = World({"tent": view(1.0)}, [profile("tent")])
    pipeline, users = RankingPipeline(world.settings), Asked(world.users, [NOW])
    many = Asked(world.users * MAX_ROWS, [NOW] * MAX_ROWS)
    assert None not in pipeline.together(users, users, world.read(pipeline.features), NOW)
    assert pipeline.together(many, users, world.read(pipeline.features), NOW) == (None, None)
    world.rules.apply("tents first", Rule("pin", Items(ids=("tent",)), position=1))
    assert pipeline.together(users, users, world.read(pipeline.features), NOW) == (None, None)


def test_more_users_than_one_pass_takes_get_their_own_slates() -> None:
    views = {f"item {n}": view(float(n), {f"item {n + 1}": (1.0, 1.0)}) for n in range(30)}
    users = [profile(f"item {n % 30}", f"item {n % 7}") for n in range(2 * MAX_ROWS + 1)]
    found = World(views, users).slates()
    alone = {n: World(views, [users[n]]).slates() for n in (0, MAX_ROWS - 1, MAX_ROWS, 2 * MAX_ROWS)}
    assert [len(slates) for slates in found] == [len(users)] * 2
    for n, slates in alone.items():
        assert [found[placement][n] for placement in range(2)] == [slates[0][0], slates[1][0]]


STOVE = {"tent": view(5.0), "stove": view(6.0)}


def test_placements_come_in_the_order_of_the_settings() -> None:
    settings = RankingSettings(placements=(Placement("new", only_new=True), Placement("any")))
    new, any_item = World(STOVE, [profile("stove")], settings).slates()
    assert ["stove" in {item.item_id for item in part[0]} for part in (new, any_item)] == [False, True]
