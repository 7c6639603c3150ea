"""The models plane learns what there is to learn, tells when that goes wrong, and refuses what is no example."""

from typing import Any

import msgspec
import numpy as np
import pytest

from processors.common.topics import BROADCAST_MODELS_TOPIC, DEAD_LETTERS_TOPIC, TRAINING_TOPIC
from processors.events.record import Record
from processors.models.examples import RANKER, Examples
from processors.models.ranker_learner import RankerLearner
from processors.models.ranker_weights import HEADS, WEIGHT_ROWS, effective, fallback_weights, rows_of_bucket
from processors.models.serving_weights import RankerView, ServingWeights
from processors.models.state import ModelsSettings, ModelState
from processors.planes.base import Step
from processors.planes.models import ModelsPlane
from processors.ranking.feature_names import baseline_weights

FEATURES = ("good", "bad")
NOW = 1_700_000_000_000


def examples(
    gradients: Any, *, head: int = 0, bucket: int = 0, loss: float = 1.0, rank: int = 1, plain_rank: int = 2
) -> Examples:
    rows = np.atleast_2d(np.asarray(gradients, "<f4"))
    n = len(rows)
    return Examples(
        model=RANKER,
        features=FEATURES,
        heads=np.full(n, head, "<i1").tobytes(),
        buckets=np.full(n, bucket, "<i1").tobytes(),
        ranks=np.full(n, rank, "<i4").tobytes(),
        plain_ranks=np.full(n, plain_rank, "<i4").tobytes(),
        losses=np.full(n, loss, "<f4").tobytes(),
        gradients=rows.tobytes(),
    )


def weights(state: ModelState) -> np.ndarray:
    return np.frombuffer(state.weights).reshape(len(HEADS), WEIGHT_ROWS, -1)


def test_steps_are_those_of_adagrad_one_after_another() -> None:
    random = np.random.default_rng(3)
    rows = random.uniform(-1, 1, (20, 2)).astype(np.float32)
    at_once, one_by_one = ModelState(), ModelState()
    keeper = RankerLearner(ModelsSettings(learning_rate=0.3, first_square=0.2), baseline_weights())
    keeper.learn(at_once, examples(rows, head=1, bucket=2))
    for row in rows:
        keeper.learn(one_by_one, examples(row, head=1, bucket=2))
    expected, squares = np.zeros(2), np.full(2, 0.2)
    for row in rows.astype(np.float64):
        squares += row**2
        expected -= 0.3 * row / np.sqrt(squares)
    for state in (at_once, one_by_one):
        for row in rows_of_bucket(2):
            assert weights(state)[1, row] == pytest.approx(expected)
        assert not weights(state)[0].any()
        others = [row for row in range(WEIGHT_ROWS) if row not in rows_of_bucket(2)]
        assert not weights(state)[1, others].any()
        assert state.examples == 20


def learn_blocks(state: ModelState, n: int, keeper: RankerLearner, **what: Any) -> None:
    """``n`` blocks of eight examples, their losses a little uneven, as losses are."""
    loss = what.pop("loss", 1.0)
    for block in range(n):
        uneven = loss + 0.02 * (block % 3)
        keeper.learn(state, examples(np.zeros((8, 2)), loss=uneven, **what))


SETTINGS = ModelsSettings(boldness=0.1, block_examples=8, window_blocks=64)


def test_losses_that_stay_raise_no_alarm() -> None:
    state, keeper = ModelState(), RankerLearner(SETTINGS, baseline_weights())
    learn_blocks(state, 200, keeper)
    assert (state.alarms, state.rollbacks, state.fallback) == (0, 0, False)
    assert (len(state.losses), state.good is not None) == (64, True)


def test_losses_that_fall_raise_no_alarm() -> None:
    state, keeper = ModelState(), RankerLearner(SETTINGS, baseline_weights())
    learn_blocks(state, 40, keeper, loss=5.0)
    learn_blocks(state, 40, keeper, loss=1.0)
    assert (state.alarms, state.fallback) == (0, False)


def test_when_the_world_changes_steps_grow_again() -> None:
    state, keeper = ModelState(), RankerLearner(SETTINGS, baseline_weights())
    keeper.learn(state, examples(np.ones((400, 2)), loss=1.0))
    before = np.frombuffer(state.squares).max()
    learn_blocks(state, 20, keeper, loss=1.0)
    learn_blocks(state, 20, keeper, loss=5.0)
    assert state.alarms >= 1
    assert (state.rollbacks, state.fallback) == (0, False), "it is still ahead of co-visitation"
    assert np.frombuffer(state.squares).max() < before / 2


def test_weights_that_go_wrong_go_back_to_good_ones_and_co_visitation_ranks_meanwhile() -> None:
    state, keeper, serving = (
        ModelState(),
        RankerLearner(SETTINGS, baseline_weights()),
        ServingWeights(FEATURES, baseline_weights()),
    )
    learn_blocks(state, 20, keeper, loss=1.0)
    assert state.good is not None
    good = np.frombuffer(state.good.weights)
    keeper.learn(state, examples(np.ones((100, 2)), loss=9.0, rank=50, plain_rank=2))
    assert not np.array_equal(np.frombuffer(state.weights), good)
    learn_blocks(state, 40, keeper, loss=9.0, rank=50, plain_rank=2)
    assert (state.alarms >= 1, state.rollbacks >= 1, state.fallback) == (True, True, True)
    serving.apply(keeper.view(state))
    assert serving.version == "covisitation"
    assert np.array_equal(serving.serving, effective(fallback_weights(FEATURES, baseline_weights())))
    learn_blocks(state, 40, keeper, loss=1.0, rank=1, plain_rank=2)
    assert not state.fallback, "once it is ahead again, it ranks again"
    serving.apply(keeper.view(state))
    assert serving.version == f"softmax-{state.version}"


def test_what_is_behind_co_visitation_does_not_rank_even_without_an_alarm() -> None:
    state, keeper = ModelState(), RankerLearner(SETTINGS, baseline_weights())
    learn_blocks(state, 40, keeper, rank=9, plain_rank=3)
    assert (state.fallback, state.alarms) == (True, 0)


def test_features_may_come_and_go() -> None:
    state, keeper = ModelState(), RankerLearner(SETTINGS, baseline_weights())
    keeper.learn(state, examples([[0.5, -0.5]]))
    before = weights(state)[0, 0]
    more = msgspec.structs.replace(
        examples([[0.0, 0.0]]), features=("bad", "fresh", "good"), gradients=np.zeros(3, "<f4").tobytes()
    )
    keeper.learn(state, more)
    assert weights(state)[0, 0].tolist() == [before[1], 0.0, before[0]]


def test_the_baseline_is_what_is_learned_from_ranked_by_at_first_and_gone_back_to() -> None:
    baseline = {"good": 3.0, "unknown": 1.0}
    state, keeper, serving = ModelState(), RankerLearner(SETTINGS, baseline), ServingWeights(FEATURES, baseline)
    assert serving.serving[0, 0].tolist() == [3.0, 0.0]
    keeper.learn(state, examples([[0.0, 0.0]]))
    assert weights(state)[0, 0].tolist() == [3.0, 0.0]
    steep = RankerLearner(ModelsSettings(learning_rate=1e6), baseline)
    steep.learn(state, examples(np.ones((9, 2))))
    assert weights(state)[0, 0].tolist() == [3.0, 0.0], "weights that ran away start anew"
    assert state.alarms == 1


class Models:
    """The plane, and the state it is given back."""

    def __init__(self) -> None:
        self.plane = ModelsPlane(SETTINGS)
        self.state: ModelState | None = None
        self.offset = 0

    def take(self, *values: bytes | None) -> Step[ModelState]:
        batch = [Record(TRAINING_TOPIC, 0, self.offset + n, NOW, None, value) for n, value in enumerate(values)]
        self.offset += len(values)
        step = self.plane.step(lambda keys: [self.state for _ in keys], batch, 0)
        self.state = step.states.get(RANKER, self.state)
        return step


def test_a_change_is_published_once_per_micro_batch() -> None:
    models, serving = Models(), ServingWeights(FEATURES, baseline_weights())
    value = msgspec.msgpack.encode(examples([[-1.0, 1.0]], bucket=1))
    step = models.take(value, value)
    (output,) = step.outputs
    assert (output.topic, output.key) == (BROADCAST_MODELS_TOPIC, RANKER.encode())
    view = RankerLearner.decode(output.value)
    assert isinstance(view, RankerView)
    assert (view.version, view.examples) == (2, 2)
    serving.apply(view)
    assert np.array_equal(serving.serving, ServingWeights(FEATURES, baseline_weights()).serving), (
        "two are too few to tell"
    )
    serving.apply(msgspec.structs.replace(view, behind=()))
    good, bad = serving.serving[0, 1]
    assert good > 0.5 > -0.5 > bad
    assert serving.serving[0, 1, 0] > serving.serving[0, 0, 0] > 0, "what a bucket learned adds to what all share"
    assert step.outcomes[TRAINING_TOPIC, "applied"] == 2


def test_a_model_that_is_withdrawn_is_forgotten() -> None:
    serving = ServingWeights(FEATURES, baseline_weights())
    fresh = serving.serving
    (output,) = Models().take(*[msgspec.msgpack.encode(examples([[-1.0, 1.0]]))] * 40).outputs
    serving.apply(RankerLearner.decode(output.value))
    assert not np.array_equal(serving.serving, fresh)
    serving.apply(RankerLearner.decode(None))
    assert (np.array_equal(serving.serving, fresh), serving.version, serving.view) == (True, "covisitation", None)


BAD = {
    "nothing": (None, "Input data was truncated"),
    "garbage": (b"\xc1", "invalid"),
    "another model": (msgspec.structs.replace(examples([[0, 0]]), model="other"), "model: 'other', expected 'ranker'"),
    "a column too short": (msgspec.structs.replace(examples([[0, 0]]), ranks=b""), "different lengths"),
    "a row too short": (
        msgspec.structs.replace(examples([[0, 0]]), gradients=b"1234"),
        "1 figures, expected 1 examples of 2",
    ),
    "half a figure": (msgspec.structs.replace(examples([[0, 0]]), losses=b"12"), "buffer size"),
    "no such head": (examples([[0, 0]], head=2), "heads or buckets"),
    "no such bucket": (examples([[0, 0]], bucket=-1), "heads or buckets"),
    "a loss below zero": (examples([[0, 0]], loss=-1.0), "losses"),
    "an endless loss": (examples([[0, 0]], loss=float("inf")), "losses"),
    "a steep gradient": (examples([[0, 3.0]]), "gradients: expected figures in [-1, 1]"),
    "no number": (examples([[0, float("nan")]]), "gradients: expected figures in [-1, 1]"),
}


@pytest.mark.parametrize(("value", "said"), BAD.values(), ids=BAD)
def test_what_is_no_example_becomes_a_dead_letter_and_stops_nothing(value: Any, said: str) -> None:
    models = Models()
    raw = msgspec.msgpack.encode(value) if isinstance(value, Examples) else value
    step = models.take(raw, msgspec.msgpack.encode(examples([[0.5, 0.5]])))
    letters = [output for output in step.outputs if output.topic == DEAD_LETTERS_TOPIC]
    assert len(letters) == 1
    assert said in dict(letters[0].headers)["__streams.errors.message"].decode()
    assert step.refusals == {"bad_examples": 1}
    assert step.states[RANKER].examples == 1


@pytest.mark.parametrize("rank", [1, 9])
def test_what_was_learned_serves_a_length_of_history_once_it_is_ahead_there(rank: int) -> None:
    """Newcomers are not ranked by what others taught, until that is as good for them as co-visitation."""
    models, serving = Models(), ServingWeights(FEATURES, baseline_weights())
    fresh = serving.serving
    lesson = examples([[-1.0, 1.0]], bucket=0)
    ranks = np.array([rank], "<i4").tobytes()
    worse = msgspec.structs.replace(lesson, ranks=ranks, plain_ranks=np.array([3], "<i4").tobytes())
    others = examples([[-1.0, 1.0]], bucket=4)
    (output,) = models.take(*[msgspec.msgpack.encode(one) for one in (worse, others) * 40]).outputs
    view = RankerLearner.decode(output.value)
    assert view is not None
    serving.apply(msgspec.structs.replace(view, fallback=False))
    served = ~(serving.serving == fresh).all(axis=(0, 2))
    assert served[0] == (rank < 3)
    assert served[4]
    assert not served[7], "nobody has taught anything of the next length of history"


def _missing(asked: int, found: int) -> Examples:
    return msgspec.structs.replace(examples(np.zeros((0, 2))), asked=asked, found=found)


def test_choices_that_nobody_could_propose_raise_an_alarm_though_they_carry_no_loss() -> None:
    settings = ModelsSettings()
    learner, state = RankerLearner(settings, baseline_weights()), ModelState()
    random = np.random.default_rng(5)

    def choose(blocks: int, share_found: float) -> int:
        before = state.misses.alarms
        for _ in range(blocks):
            learner.learn(state, _missing(4, int(random.binomial(4, share_found))))
        return state.misses.alarms - before

    assert choose(500, 0.6) == 0
    assert learner.view(state).missed == pytest.approx(0.4, abs=0.15)
    assert choose(50, 0.2) >= 1, "200 choices"
    assert learner.view(state).miss_alarms == state.misses.alarms
    assert choose(500, 0.2) <= 5, "the same change, until what was before it is forgotten"
    assert choose(500, 0.7) == 0, "that more is found is no alarm"
    assert len(state.misses.shares) < settings.window_blocks + 4, "looked at, and cut, every fourth block"


def test_a_message_that_found_more_than_was_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="found: 3 of 2 choices asked about"):
        RankerLearner(ModelsSettings(), baseline_weights()).learn(ModelState(), _missing(2, 3))
