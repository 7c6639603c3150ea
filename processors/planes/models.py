"""The models plane: everything that is learned.

Training examples in, model states and their broadcast views out; business rules in, and those that make sense out to
every worker. What the models are, :func:`processors.models.learned.learned` lists.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from processors.common.topics import BROADCAST_MODELS_TOPIC, BROADCAST_RULES_TOPIC, RULES_TOPIC, TRAINING_TOPIC
from processors.events.json_object import Refused
from processors.events.keyed_row import KeyWords, read_row
from processors.events.record import Origin, SourceRecord
from processors.models.base import part_of
from processors.models.examples import RANKER, Examples
from processors.models.learned import learned
from processors.models.state import ModelsSettings, ModelState
from processors.planes.base import DEFAULT_MAX_MESSAGE_BYTES, KeptForever, Output, ReadStates, Step
from processors.planes.dead_letters import dead_letter
from processors.ranking.feature_names import baseline_weights
from processors.ranking.rules import read_rule

_MAX_RULE_BYTES = 2**18
_KEY_WORDS = KeyWords.of("rule")


class ModelsPlane(KeptForever):
    """Learns from examples, publishes each model that is due once per micro-batch, and passes rules on.

    Parameters
    ----------
    settings
        How models learn and are watched.
    max_message_bytes
        Largest message that the topic of dead letters takes.
    """

    name = "models"
    state_type = ModelState
    source_topics: tuple[str, ...] = (TRAINING_TOPIC, RULES_TOPIC)
    chained_topics: frozenset[str] = frozenset((TRAINING_TOPIC,))

    def __init__(
        self,
        settings: ModelsSettings,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        self._models = learned(settings, baseline_weights())
        self._max_bytes = max_message_bytes
        self._decode = msgspec.msgpack.Decoder(Examples).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._json = msgspec.json.Encoder().encode

    def committed(self, step: Step[ModelState]) -> None:
        """Do nothing: nothing follows from a step but what it says."""

    def step(self, read: ReadStates[ModelState], batch: Sequence[SourceRecord], partition: int) -> Step[ModelState]:
        """Learn from messages of examples, and check rules (see :meth:`processors.planes.base.Plane.step`)."""
        step: Step[ModelState] = Step()
        (known,) = read([RANKER])
        state = known or ModelState()
        before = self._progress(state)
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
        step.done("learn")
        if self._progress(state) != before:
            step.states[RANKER] = state
            self._publish(state, before, partition, step)
            step.done("broadcast")
        return step

    def _progress(self, state: ModelState) -> list[object]:
        """Return the progress of each model: a state in which none differs is not kept."""
        return [model.progress(part_of(state, model.state_field)) for model in self._models]

    def _publish(self, state: ModelState, before: Sequence[object], partition: int, step: Step[ModelState]) -> None:
        """Publish the models that are due, given the progress of each before the micro-batch."""
        for model, progress in zip(self._models, before, strict=True):
            own = part_of(state, model.state_field)
            if model.due(own, progress) and model.key is not None:
                view = self._encode(model.view(own))
                step.outputs.append(Output(BROADCAST_MODELS_TOPIC, partition, model.key.encode(), view))

    def _learn(self, record: SourceRecord, state: ModelState) -> None:
        """Let every model learn its part of a message; all are checked first, so a bad part changes nothing."""
        examples = self._decode(record.value or b"")
        for model in self._models:
            model.check(part_of(examples, model.message_field))
        for model in self._models:
            model.learn(part_of(state, model.state_field), part_of(examples, model.message_field))

    def _passed_on(self, record: SourceRecord, partition: int) -> Output:
        """Return what is broadcast of a record of the rules; raise if it makes no sense."""
        _, value = read_row(record, _KEY_WORDS, max_bytes=_MAX_RULE_BYTES)
        packed = None if value is None else self._json(read_rule(value))
        return Output(BROADCAST_RULES_TOPIC, partition, record.key, packed)

    def _refuse(self, record: SourceRecord, message: str, partition: int, step: Step[ModelState]) -> None:
        reason = "bad_rule" if record.topic == RULES_TOPIC else "bad_examples"
        step.outputs.append(dead_letter(record, Origin.of(record), reason, message, partition, self._max_bytes))
        step.outcomes[record.topic, "refused"] += 1
        step.refusals[reason] += 1
