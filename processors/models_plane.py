"""The models plane: training examples in, model states and their broadcast views out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from processors.dead_letters import Origin, dead_letter
from processors.events import SourceRecord
from processors.model_state import ModelKeeper, ModelsSettings, ModelState
from processors.plane import DEFAULT_MAX_MESSAGE_BYTES, Output, ReadStates, Step
from processors.training import RANKER, TRAINING_TOPIC, Examples

MODELS_TOPIC = "broadcast.models"


class ModelsPlane:
    """Learns from examples, and publishes each changed model once per micro-batch.

    Parameters
    ----------
    settings
        Of learning and of the drift alarm.
    max_message_bytes
        What the topic of dead letters takes in one message.
    """

    name = "models"
    state_type = ModelState
    source_topics: tuple[str, ...] = (TRAINING_TOPIC,)
    chained_topics: frozenset[str] = frozenset((TRAINING_TOPIC,))

    def __init__(self, settings: ModelsSettings, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self._keeper = ModelKeeper(settings)
        self._max_bytes = max_message_bytes
        self._decode = msgspec.msgpack.Decoder(Examples).decode
        self._encode = msgspec.msgpack.Encoder().encode

    def step(self, read: ReadStates[ModelState], batch: Sequence[SourceRecord], partition: int) -> Step[ModelState]:
        """Learn from messages of examples (see :meth:`processors.plane.Plane.step`)."""
        step: Step[ModelState] = Step()
        (known,) = read([RANKER])
        state = known or ModelState()
        before = state.version
        for record in batch:
            try:
                examples = self._decode(record.value or b"")
                if examples.model != RANKER:
                    raise ValueError(f"model: {examples.model!r}, expected {RANKER!r}")
                self._keeper.learn(state, examples)
            except (msgspec.MsgspecError, ValueError) as error:
                self._refuse(record, f"value: {error}, expected examples", partition, step)
            else:
                step.outcomes[record.topic, "applied"] += 1
        if state.version > before:
            step.states[RANKER] = state
            view = self._encode(self._keeper.view(state))
            step.outputs.append(Output(MODELS_TOPIC, partition, RANKER.encode(), view))
        return step

    def _refuse(self, record: SourceRecord, message: str, partition: int, step: Step[ModelState]) -> None:
        letter = dead_letter(record, Origin.of(record), "bad_examples", message, partition, self._max_bytes)
        step.outputs.append(letter)
        step.outcomes[record.topic, "refused"] += 1
        step.refusals["bad_examples"] += 1
