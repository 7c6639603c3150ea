"""The models plane: what ranks.

Training examples in, model states and their broadcast views out; business rules in, and those that make sense out to
every worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from processors.common.topics import BROADCAST_MODELS_TOPIC, BROADCAST_RULES_TOPIC, RULES_TOPIC, TRAINING_TOPIC
from processors.events.json_object import Refused
from processors.events.keyed_row import KeyWords, read_row
from processors.events.record import Origin, SourceRecord
from processors.models.click_model import PURCHASE_LOGIT, ClickLearner
from processors.models.context_popularity import CONTEXTS, ContextLearner
from processors.models.examples import RANKER, Examples
from processors.models.exploration_rate import learn_trials
from processors.models.exposure import learn_exposure
from processors.models.interest_groups import GROUPS, InterestGroupLearner
from processors.models.ranker_learner import RankerLearner
from processors.models.state import ModelsSettings, ModelState
from processors.planes.base import DEFAULT_MAX_MESSAGE_BYTES, Output, ReadStates, Step
from processors.planes.dead_letters import dead_letter
from processors.ranking.rules import read_rule

EXPOSURE = "exposure"
"""Key of what exposure items got and what pushes them, on the topic of models."""
CLICKS = "clicks"
PURCHASES = "purchases"
"""Keys of the models of clicks and of purchases after them, on the same topic."""


_MAX_RULE_BYTES = 2**18
_KEY_WORDS = KeyWords.of("rule")


class ModelsPlane:
    """Learns from examples, publishes each changed model once per micro-batch, and passes rules on.

    Parameters
    ----------
    settings
        Of learning and of the drift alarm.
    max_message_bytes
        What the topic of dead letters takes in one message.
    """

    name = "models"
    state_type = ModelState
    source_topics: tuple[str, ...] = (TRAINING_TOPIC, RULES_TOPIC)
    chained_topics: frozenset[str] = frozenset((TRAINING_TOPIC,))

    def __init__(self, settings: ModelsSettings, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self._keeper = RankerLearner(settings)
        self._groups = InterestGroupLearner(settings.groups)
        self._contexts = ContextLearner(settings.contexts)
        self._clicks = ClickLearner(settings.clicks)
        self._purchases = ClickLearner(settings.clicks, PURCHASE_LOGIT)
        self._max_bytes = max_message_bytes
        self._decode = msgspec.msgpack.Decoder(Examples).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._json = msgspec.json.Encoder().encode

    def committed(self, step: Step[ModelState]) -> None:
        """Nothing follows from a step but what it says."""

    def step(self, read: ReadStates[ModelState], batch: Sequence[SourceRecord], partition: int) -> Step[ModelState]:
        """Learn from messages of examples, and check rules (see :meth:`processors.planes.base.Plane.step`)."""
        step: Step[ModelState] = Step()
        (known,) = read([RANKER])
        state = known or ModelState()
        before, exposed = _progress(state), msgspec.to_builtins(state.exposure)
        clicks, purchases = state.clicks.version, state.purchases.version
        for record in batch:
            try:
                if record.topic == RULES_TOPIC:
                    step.outputs.append(self._passed_on(record, partition))
                else:
                    self._learn(record, state)
            except (msgspec.MsgspecError, ValueError, Refused) as error:
                self._refuse(record, str(error), partition, step)
            else:
                step.outcomes[record.topic, "applied"] += 1
        changed = msgspec.to_builtins(state.exposure) != exposed
        if changed or _progress(state) != before:
            views: dict[str, Any] = {
                EXPOSURE: state.exposure if changed else None,
                GROUPS: self._groups.view(state.groups) if self._groups.due(state.groups) else None,
                CLICKS: self._clicks.view(state.clicks) if state.clicks.version != clicks else None,
                PURCHASES: self._purchases.view(state.purchases) if state.purchases.version != purchases else None,
                CONTEXTS: self._contexts.view(state.contexts) if self._contexts.due(state.contexts) else None,
            }
            step.states[RANKER] = state
            view = self._encode(self._keeper.view(state, state.share.arm))
            step.outputs.append(Output(BROADCAST_MODELS_TOPIC, partition, RANKER.encode(), view))
            for key, found in views.items():
                if found is not None:
                    step.outputs.append(Output(BROADCAST_MODELS_TOPIC, partition, key.encode(), self._encode(found)))
        return step

    def _learn(self, record: SourceRecord, state: ModelState) -> None:
        examples = self._decode(record.value or b"")
        if examples.model != RANKER:
            raise ValueError(f"model: {examples.model!r}, expected {RANKER!r}")
        examples.interests.rows()
        examples.trials.check()
        examples.chosen_in.check()
        for measured in examples.exposure:
            measured.check()
        for click in (*examples.clicks, *examples.purchases):
            click.check()
        self._keeper.learn(state, examples)
        self._groups.learn(state.groups, examples.interests)
        learn_trials(state.share, examples.trials)
        self._contexts.learn(state.contexts, examples.chosen_in)
        for measured in examples.exposure:
            learn_exposure(state.exposure, measured)
        self._clicks.learn(state.clicks, examples.clicks)
        self._purchases.learn(state.purchases, examples.purchases)

    def _passed_on(self, record: SourceRecord, partition: int) -> Output:
        _, value = read_row(record, _KEY_WORDS, max_bytes=_MAX_RULE_BYTES)
        packed = None if value is None else self._json(read_rule(value))
        return Output(BROADCAST_RULES_TOPIC, partition, record.key, packed)

    def _refuse(self, record: SourceRecord, message: str, partition: int, step: Step[ModelState]) -> None:
        reason = "bad_rule" if record.topic == RULES_TOPIC else "bad_examples"
        step.outputs.append(dead_letter(record, Origin.of(record), reason, message, partition, self._max_bytes))
        step.outcomes[record.topic, "refused"] += 1
        step.refusals[reason] += 1


def _progress(state: ModelState) -> tuple[int, ...]:
    """What changes when anything was learned."""
    ads = state.clicks.version, state.purchases.version
    return state.version, state.groups.learned, state.share.pulls, state.contexts.learned, *ads
