"""Every learned model conforms, and a model that breaks a promise is found out."""

from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
import numpy as np
import pytest

from processors.common.bounded_counter import add_bounded
from processors.common.topics import TRAINING_TOPIC
from processors.events.record import Record
from processors.models.base import LearnedModel, ViewDecoder, part_of
from processors.models.click_model import BITS, MAX_EXAMPLES, MAX_FEATURES, ClickExample
from processors.models.context_popularity import SAMPLED_USERS, ChosenIn, ContextsSettings
from processors.models.examples import RANKER, Examples, example_bytes
from processors.models.exploration_rate import PARTS, Trials
from processors.models.exposure import MAX_EXPOSURES, Measured
from processors.models.interest_group_learner import GroupsSettings
from processors.models.interest_groups import DIMENSIONS, INTERESTS, Interests
from processors.models.learned import LEARNED, learned, parts_bytes
from processors.models.ranker_weights import BUCKETS, HEADS
from processors.models.state import ModelsSettings, ModelState
from processors.planes.models import ModelsPlane
from processors.users.context import FIELDS
from tests.processors.conformance import ModelCase, check_model

FEATURES = ("good", "bad", "new")
SMALL = ModelsSettings(
    block_examples=8,
    window_blocks=8,
    groups=GroupsSettings(groups=2, items=6, published_items=4, fading_choices=50, published_every=4),
    contexts=ContextsSettings(contexts=2, items=4, published_items=3, fewest_choices=1, published_every=8),
)
"""Bounds that a hundred messages reach."""

Random = np.random.Generator


def text(random: Random, longest: int) -> str:
    """Any text, of characters that take one to four bytes."""
    return "".join(random.choice(list("aé€😀"), random.integers(1, longest + 1)))


def ranked(random: Random) -> Examples:
    n = int(random.integers(1, 9))
    return Examples(
        model=RANKER,
        features=FEATURES,
        heads=random.integers(0, len(HEADS), n).astype("<i1").tobytes(),
        buckets=random.integers(0, BUCKETS, n).astype("<i1").tobytes(),
        ranks=random.integers(1, 50, n).astype("<i4").tobytes(),
        plain_ranks=random.integers(1, 50, n).astype("<i4").tobytes(),
        losses=random.uniform(0, 9, n).astype("<f4").tobytes(),
        gradients=random.uniform(-1, 1, (n, len(FEATURES))).astype("<f4").tobytes(),
    )


def interests(random: Random) -> Interests:
    vectors = random.normal(size=(INTERESTS, DIMENSIONS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [tuple(text(random, 256) for _ in range(INTERESTS)) for _ in range(2)]
    return Interests(vectors.astype("<f4").tobytes(), *names)


def trials(random: Random) -> Trials:
    asked = int(random.integers(0, 64))
    return Trials(int(random.integers(len(PARTS))), asked, int(random.integers(0, asked + 1)))


def choices(random: Random) -> ChosenIn:
    fields = [str(field) for field in random.permutation(FIELDS)] * SAMPLED_USERS
    contexts = tuple(f"{field}:{text(random, 64)}" for field in fields)
    return ChosenIn(contexts, tuple(text(random, 256) for _ in contexts))


def exposures(random: Random) -> tuple[Measured, ...]:
    rows = []
    for _ in range(int(random.integers(0, MAX_EXPOSURES + 1))):
        total, (least, most) = float(random.uniform(0, 900)), sorted(random.uniform(0, 1, 2).tolist())
        got, offset = float(random.uniform(0, total)), float(random.uniform(-6, 6))
        rows.append(Measured(text(random, 256), got, total, least, most, offset))
    return tuple(rows)


def clicks(random: Random) -> tuple[ClickExample, ...]:
    lengths = random.integers(1, MAX_FEATURES + 1, MAX_EXAMPLES // 2)
    return tuple(
        ClickExample(tuple(random.integers(0, 1 << BITS, n).tolist()), bool(random.random() < 0.3)) for n in lengths
    )


MESSAGES: dict[str | None, Callable[[Random], Any]] = {
    None: ranked,
    "interests": interests,
    "trials": trials,
    "chosen_in": choices,
    "exposure": exposures,
    "clicks": clicks,
    "purchases": clicks,
}
"""Random messages for each part of a message of examples. A new model needs its own here."""

GOOD = ranked(np.random.default_rng(0))
NAN = float("nan")
BAD: dict[str | None, dict[str, Any]] = {
    None: {
        "another model": msgspec.structs.replace(GOOD, model="other"),
        "a column too short": msgspec.structs.replace(GOOD, ranks=b""),
        "no such head": msgspec.structs.replace(GOOD, heads=b"\x07" * len(GOOD.heads)),
        "no such bucket": msgspec.structs.replace(GOOD, buckets=b"\x7f" * len(GOOD.buckets)),
        "no numbers": msgspec.structs.replace(GOOD, gradients=b"\xff" * len(GOOD.gradients)),
        "endless losses": msgspec.structs.replace(GOOD, losses=np.full(len(GOOD.heads), np.inf, "<f4").tobytes()),
    },
    "interests": {
        "half a vector": Interests(bytes(8), ("tent",), ("",)),
        "no category": Interests(bytes(4 * DIMENSIONS), ("tent",), ()),
        "no numbers": Interests(b"\xff" * 4 * DIMENSIONS, ("tent",), ("",)),
    },
    "trials": {"no such arm": Trials(len(PARTS)), "more hits than choices": Trials(0, 1, 2), "below": Trials(0, 1, -1)},
    "chosen_in": {
        "no item": ChosenIn(("country:A",), ()),
        "no such field": ChosenIn(("shoe:9",), ("tent",)),
        "an empty item": ChosenIn(("country:A",), ("",)),
        "too many": ChosenIn(("country:A",) * 11, ("tent",) * 11),
    },
    "exposure": {
        "more than all": (Measured("a", 1.0, 2.0), Measured("b", 3.0, 2.0)),
        "no number": (Measured("a", NAN, NAN),),
        "more than there can be": (Measured("a", 1.0, 1e308, offset=-6.0),),
        "an offset out of bounds": (Measured("a", 1.0, 2.0, offset=13.0),),
        "bounds out of order": (Measured("a", 1.0, 2.0, 0.5, 0.1),),
    },
    "clicks": {
        "no features": (ClickExample((1,), clicked=True), ClickExample((), clicked=True)),
        "no probability": (ClickExample((1,), clicked=True, expected=1.5),),
        "no such feature": (ClickExample((1 << BITS,), clicked=True),),
        "too many features": (ClickExample((1,) * (MAX_FEATURES + 1), clicked=True),),
    },
}
BAD["purchases"] = BAD["clicks"]
COUNTS = {"interests": 600, "clicks": 40, "purchases": 40}
"""Messages until the state has been full for half of them, where that is not a hundred and fifty."""

numbers = pytest.mark.parametrize(
    "number", range(len(LEARNED)), ids=[str(model.key or model.state_field) for model in LEARNED]
)


@numbers
def test_every_learned_model_conforms(number: int) -> None:
    field, part = LEARNED[number].message_field, LEARNED[number].state_field
    random = np.random.default_rng(5)
    assert field in MESSAGES, f"no messages to check the model of {part} with"
    messages = [MESSAGES[field](random) for _ in range(COUNTS.get(str(field), 150))]
    check_model(
        ModelCase(
            lambda: learned(SMALL, {})[number],
            type(LEARNED[number].new_state()) if part is None else get_type_hints(ModelState)[part],
            Examples if field is None else get_type_hints(Examples)[field],
            messages,
            BAD[field],
        )
    )


@numbers
def test_a_model_begins_with_what_the_models_state_begins_with(number: int) -> None:
    model = LEARNED[number]
    new, whole = model.new_state(), ModelState()
    if model.state_field is None:
        assert [getattr(whole, name) for name in new.__struct_fields__] == list(msgspec.structs.astuple(new))
    else:
        assert new == part_of(whole, model.state_field)
    model.check(part_of(Examples(RANKER, FEATURES, b"", b"", b"", b"", b"", b""), model.message_field))


def test_every_part_of_a_message_and_of_the_state_has_its_model() -> None:
    whole = {name for name in get_type_hints(ModelState) if name not in LEARNED[0].new_state().__struct_fields__}
    assert {model.state_field for model in LEARNED} - {None} == whole - {"histories", "missed"}, (
        "these two are the ranker's"
    )
    fields = set(Examples.__struct_fields__)
    ranker = {"model", "features", "heads", "buckets", "ranks", "plain_ranks", "losses", "gradients", "asked", "found"}
    assert {model.message_field for model in LEARNED} - {None} == fields - ranker
    keys = [model.key for model in LEARNED if model.key is not None]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("seed", range(20))
def test_a_message_has_room_for_the_largest_parts_of_all_models(seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = {field: make(random) for field, make in MESSAGES.items() if field is not None}
    users = int(random.integers(1, 9))
    n = users * len(HEADS)
    columns = (bytes(n), bytes(n), bytes(4 * n), bytes(4 * n), bytes(4 * n), bytes(4 * n * len(FEATURES)))
    message = Examples(RANKER, FEATURES, *columns, **parts)
    assert len(msgspec.msgpack.encode(message)) <= parts_bytes() + users * example_bytes(FEATURES)


@pytest.mark.parametrize(("field", "what"), [(field, what) for field, bad in BAD.items() for what in bad])
def test_a_message_with_one_bad_part_changes_nothing(field: str | None, what: str) -> None:
    random = np.random.default_rng(2)
    parts = {name: make(random) for name, make in MESSAGES.items() if name is not None}
    good = msgspec.structs.replace(ranked(random), **parts)
    bad = BAD[field][what]
    bad = msgspec.structs.replace(bad, **parts) if field is None else msgspec.structs.replace(good, **{field: bad})
    plane, state = ModelsPlane(SMALL), ModelState()
    known: list[ModelState | None] = [state]
    for message, refused in ((good, 0), (bad, 1)):
        before = msgspec.msgpack.encode(state)
        record = Record(TRAINING_TOPIC, 0, 0, 0, None, msgspec.msgpack.encode(message))
        step = plane.step(lambda keys: known, [record], 0)
        assert (step.refusals.total(), step.states == {}) == (refused, bool(refused))
        assert (msgspec.msgpack.encode(state) == before) == bool(refused)


class TallyMessage(msgspec.Struct, array_like=True):
    """Names, and how often each was met; a list, so that there is something to change."""

    names: list[str]
    counts: list[float]


class TallyState(msgspec.Struct, array_like=True):
    """Sums by name, messages learned, and a note for those that break a promise."""

    sums: dict[str, float] = msgspec.field(default_factory=dict)
    learned: int = 0
    note: object = None


class Tally:
    """Adds up counts of at most five names: the least that conforms, for others to break."""

    key: str | None = "tally"
    state_field = "tally"
    message_field = "tally"
    message_bytes = 200
    decode: Callable[[bytes | None], Any] = ViewDecoder(dict[str, float])

    def new_state(self) -> TallyState:
        return TallyState()

    def check(self, message: TallyMessage) -> None:
        if len(message.names) != len(message.counts):
            raise ValueError("not a count per name")
        if not all(0.0 <= count <= 9.0 for count in message.counts):
            raise ValueError("a count out of bounds")

    def learn(self, state: TallyState, message: TallyMessage) -> None:
        for name, count in zip(message.names, message.counts, strict=True):
            add_bounded(state.sums, name[:4], min(count, 9.0), 5)
        state.learned += 1

    def progress(self, state: TallyState) -> object:
        return state.learned

    def due(self, state: TallyState, before: object) -> bool:
        return state.learned % 3 == 0

    def view(self, state: TallyState) -> Any:
        return state.sums


class Growing(Tally):
    def learn(self, state: TallyState, message: TallyMessage) -> None:
        super().learn(state, message)
        state.sums.update(zip(message.names, message.counts, strict=True))


class Remembering(Tally):
    learned = 0

    def learn(self, state: TallyState, message: TallyMessage) -> None:
        Remembering.learned += 1
        super().learn(state, message)
        state.sums[next(iter(state.sums))] += Remembering.learned


class RememberingBad(Tally):
    """Counts what it refuses, and learns otherwise after it."""

    def __init__(self) -> None:
        self.refused = 0

    def check(self, message: TallyMessage) -> None:
        self.refused += 1
        super().check(message)

    def learn(self, state: TallyState, message: TallyMessage) -> None:
        super().learn(state, message)
        state.note = self.refused > 0


class Trusting(Tally):
    def check(self, message: TallyMessage) -> None:
        """Let everything through."""


class HalfTrusting(Tally):
    """Looks at one count only: what is known to be bad does not get through, and other things do."""

    def check(self, message: TallyMessage) -> None:
        if len(message.names) != len(message.counts) or not 0.0 <= message.counts[0] <= 9.0:
            raise ValueError("a count out of bounds")

    def learn(self, state: TallyState, message: TallyMessage) -> None:
        for name, count in zip(message.names, message.counts, strict=True):
            add_bounded(state.sums, name[:4], count, 5)
        state.learned += 1


class Silent(Tally):
    def check(self, message: TallyMessage) -> None:
        try:
            super().check(message)
        except ValueError:
            raise ValueError from None


class Unstorable(Tally):
    def learn(self, state: TallyState, message: TallyMessage) -> None:
        super().learn(state, message)
        state.learned = 0.5  # type: ignore[assignment]


class Undecodable(Tally):
    def view(self, state: TallyState) -> Any:
        return list(state.sums)


class Lossy(Tally):
    decode = ViewDecoder(TallyState)

    def view(self, state: TallyState) -> Any:
        return [state.sums, state.learned, None, "more than a reader knows"]


class NotANumber(Tally):
    def view(self, state: TallyState) -> Any:
        return {**state.sums, "mean": NAN}


class ChangingState(Tally):
    def view(self, state: TallyState) -> Any:
        state.learned += 1
        return state.sums


class ChangingMessage(Tally):
    def learn(self, state: TallyState, message: TallyMessage) -> None:
        super().learn(state, message)
        message.names.sort(reverse=True)
        message.names.pop()


class NeverDue(Tally):
    def due(self, state: TallyState, before: object) -> bool:
        return False


class WithoutKey(Tally):
    key = None


class Larger(Tally):
    message_bytes = 20


class TombstoneAsView(Tally):
    def decode(self, value: bytes | None) -> Any:
        return {} if value is None else msgspec.msgpack.decode(value)


def check_tally(make: Callable[[], LearnedModel[Any, Any]]) -> None:
    random = np.random.default_rng(3)
    messages = []
    for n in range(60):
        names = [f"{random.integers(30)} {n}" for _ in range(int(random.integers(1, 9)))]
        messages.append(TallyMessage(names, random.uniform(0, 9, len(names)).tolist()))
    bad = {"a name too many": TallyMessage(["a"], []), "a count below zero": TallyMessage(["a"], [-1.0])}
    check_model(ModelCase(make, TallyState, TallyMessage, messages, bad))


def test_a_model_that_keeps_its_promises_conforms() -> None:
    check_tally(Tally)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Growing, "the state has grown from"),
        (Remembering, "the same messages gave another state"),
        (RememberingBad, "the same messages gave another state"),
        (Trusting, "a message with a name too many was let through"),
        (HalfTrusting, "was let through, and the view is not finite"),
        (Silent, "nothing is said of a message with a name too many"),
        (Unstorable, "the state does not survive being stored"),
        (Undecodable, "what it publishes cannot be decoded"),
        (Lossy, "the view does not survive being published"),
        (NotANumber, "a figure of the view is not finite"),
        (ChangingState, "to look at the state changed it"),
        (ChangingMessage, "the model changed its message"),
        (NeverDue, "it has a key and is never published"),
        (WithoutKey, "or the other way round"),
        (Larger, "bytes"),
        (TombstoneAsView, "a tombstone is a view"),
    ],
)
def test_a_model_that_breaks_a_promise_does_not_conform(make: Callable[[], Tally], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_tally(make)
