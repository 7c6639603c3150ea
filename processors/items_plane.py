"""The items plane: signals in, item states and their broadcast views out."""

from collections.abc import Sequence

import msgspec

from processors.dead_letters import Origin, dead_letter
from processors.events import SourceRecord
from processors.item_state import ItemKeeper, ItemSettings, ItemState
from processors.plane import DEFAULT_MAX_MESSAGE_BYTES, Output, ReadStates, Step
from processors.signals import SIGNALS_TOPIC, ItemSignals

BROADCAST_TOPIC = "broadcast.items"


class ItemsPlane:
    """Keeps popularity, co-visitation and facts per item, and publishes each changed item once per micro-batch.

    Parameters
    ----------
    settings
        Bounds and half-lives.
    max_message_bytes
        What the topic of dead letters takes in one message.
    """

    name = "items"
    state_type = ItemState
    source_topics: tuple[str, ...] = (SIGNALS_TOPIC,)
    chained_topics: frozenset[str] = frozenset((SIGNALS_TOPIC,))

    def __init__(self, settings: ItemSettings, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self._keeper = ItemKeeper(settings)
        self._max_bytes = max_message_bytes
        self._decode = msgspec.msgpack.Decoder(ItemSignals).decode
        self._encode = msgspec.msgpack.Encoder().encode

    def step(self, read: ReadStates[ItemState], batch: Sequence[SourceRecord], partition: int) -> Step[ItemState]:
        """Fold signal messages into item states (see :meth:`processors.plane.Plane.step`)."""
        step: Step[ItemState] = Step()
        messages = [signals for record in batch if (signals := self._read(record, partition, step)) is not None]
        keys = list(dict.fromkeys(key for signals in messages for key in _owned(signals)))
        states = {key: state or ItemState() for key, state in zip(keys, read(keys), strict=True)}
        for signals in messages:
            self._fold(signals, states)
        step.states = {**states}
        for key, state in states.items():
            view = self._encode(self._keeper.view(state))
            step.outputs.append(Output(BROADCAST_TOPIC, partition, key.encode(), view))
        return step

    def _read(self, record: SourceRecord, partition: int, step: Step[ItemState]) -> ItemSignals | None:
        """The record's signals; if it holds none, it becomes a dead letter."""
        try:
            signals = self._decode(record.value or b"")
            signals.check()
        except (msgspec.MsgspecError, ValueError) as error:
            message = f"value: {error}, expected item signals"
            origin = Origin.of(record)
            step.outputs.append(dead_letter(record, origin, "bad_signals", message, partition, self._max_bytes))
            step.outcomes[record.topic, "refused"] += 1
            step.refusals["bad_signals"] += 1
            return None
        step.outcomes[record.topic, "applied"] += 1
        return signals

    def _fold(self, signals: ItemSignals, states: dict[str, ItemState]) -> None:
        names, keeper = signals.items, self._keeper
        for touch in signals.touches:
            keeper.touch(states[names[touch.item]], touch)
        owners, others, distances, times = (column.tolist() for column in signals.pairs())
        for owner, other, distance, time_ms in zip(owners, others, distances, times, strict=True):
            keeper.pair(states[names[owner]], names[other], distance, time_ms)


def _owned(signals: ItemSignals) -> list[str]:
    """Items that the message changes, in the order it mentions them."""
    owned = {touch.item for touch in signals.touches}
    owned.update(signals.pairs()[0].tolist())
    return [name for at, name in enumerate(signals.items) if at in owned]
