"""The items plane: signals and the catalogue in, item states and their broadcast views out."""

from collections.abc import Sequence

import msgspec

from processors.common.money import MoneySettings
from processors.common.time import DAY_MS
from processors.common.topics import BROADCAST_ITEMS_TOPIC, CATALOG_TOPIC, SIGNALS_TOPIC
from processors.events.record import Origin, Refusal, SourceRecord
from processors.items.catalogue import CatalogReader, Row
from processors.items.keeper import ItemKeeper
from processors.items.signals import ItemSignals, Touch
from processors.items.state import ItemSettings, ItemState
from processors.planes.base import DEFAULT_MAX_MESSAGE_BYTES, Output, ReadStates, Step
from processors.planes.dead_letters import dead_letter


class ItemsPlane:
    """Keeps popularity, co-visitation and attributes per item, and publishes the items that say something new.

    Parameters
    ----------
    settings
        Bounds and half-lives of item states.
    partitions
        Number of partitions of every topic.
    max_message_bytes
        Largest message that the topic of dead letters takes.
    money
        The currency that prices are turned into.
    """

    name = "items"
    state_type = ItemState
    source_topics: tuple[str, ...] = (SIGNALS_TOPIC, CATALOG_TOPIC)
    chained_topics: frozenset[str] = frozenset((SIGNALS_TOPIC,))

    def __init__(
        self,
        settings: ItemSettings,
        partitions: int = 1,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        money: MoneySettings | None = None,
    ) -> None:
        self._keeper = ItemKeeper(settings)
        self.expire_after_ms = int(settings.expire_after_days * DAY_MS)
        self._catalog = CatalogReader(settings.embedding_size, settings.max_row_bytes, partitions, money)
        self._max_bytes = max_message_bytes
        self._decode = msgspec.msgpack.Decoder(ItemSignals).decode
        self._encode = msgspec.msgpack.Encoder().encode

    def committed(self, step: Step[ItemState]) -> None:
        """Do nothing: nothing follows from a step but what it says."""

    def last_active_ms(self, state: ItemState) -> int:
        """Return when an item was last touched; 0 if the catalogue lists it, or has withdrawn it.

        What was withdrawn stays as a mark: without it a late event, or an item that was once seen together with it,
        would bring it back.
        """
        if state.attributes is not None or state.withdrawn:
            return 0
        return state.last_seen or state.published.at_ms

    def expired(self, keys: Sequence[str], partition: int) -> list[Output]:
        """Return tombstones for the views of items."""
        return [Output(BROADCAST_ITEMS_TOPIC, partition, key.encode(), None) for key in keys]

    def step(self, read: ReadStates[ItemState], batch: Sequence[SourceRecord], partition: int) -> Step[ItemState]:
        """Fold signals and rows into item states (see :meth:`processors.planes.base.Plane.step`)."""
        step: Step[ItemState] = Step()
        read_records = [found for record in batch if (found := self._read(record, partition, step)) is not None]
        keys = list(dict.fromkeys(key for found in read_records for key in _owned(found)))
        states = {key: state or ItemState() for key, state in zip(keys, read(keys), strict=True)}
        for found in read_records:
            if isinstance(found, Row):
                self._keeper.describe(states[found.item_id], found.attributes, found.at_ms)
            else:
                self._fold(found, states)
        touched_ms = max((touch.time_ms for found in read_records for touch in _touches(found)), default=0)
        step.clock_ms = min(touched_ms, max((record.timestamp for record in batch), default=0))
        step.states = {**states}
        self._publish(step, states, batch, partition)
        return step

    def _publish(
        self, step: Step[ItemState], states: dict[str, ItemState], batch: Sequence[SourceRecord], partition: int
    ) -> None:
        """Publish the items that say something new, and count those that do not."""
        step.done("fold")
        keeper, at_ms = self._keeper, max((record.timestamp for record in batch), default=0)
        for key, state in states.items():
            if keeper.due(state, at_ms):
                keeper.note_published(state, at_ms)
                view = self._encode(keeper.view(state))
                step.outputs.append(Output(BROADCAST_ITEMS_TOPIC, partition, key.encode(), view))
            else:
                step.held += 1
                step.held_ms = max(step.held_ms, at_ms - state.published.at_ms)
        step.done("broadcast")

    def _read(self, record: SourceRecord, partition: int, step: Step[ItemState]) -> ItemSignals | Row | None:
        """Return what the record says; if it makes no sense, it becomes a dead letter."""
        if record.topic == CATALOG_TOPIC:
            found: ItemSignals | Row | Refusal = self._catalog.read(record, partition)
        else:
            found = self._signals(record)
        if isinstance(found, Refusal):
            letter = dead_letter(record, Origin.of(record), found.reason, found.message, partition, self._max_bytes)
            step.outputs.append(letter)
            step.outcomes[record.topic, "refused"] += 1
            step.refusals[found.reason] += 1
            return None
        step.outcomes[record.topic, _outcome(found)] += 1
        return found

    def _signals(self, record: SourceRecord) -> ItemSignals | Refusal:
        try:
            signals = self._decode(record.value or b"")
            signals.check()
        except (msgspec.MsgspecError, ValueError) as error:
            return Refusal("bad_signals", f"value: {error}, expected item signals")
        return signals

    def _fold(self, signals: ItemSignals, states: dict[str, ItemState]) -> None:
        names, keeper = signals.items, self._keeper
        for touch in signals.touches:
            keeper.touch(states[names[touch.item]], touch)
        pairs = zip(*(column.tolist() for column in signals.pairs()), strict=True)
        keeper.pairs((states[names[owner]], names[other], *more) for owner, other, *more in pairs)


def _outcome(found: ItemSignals | Row) -> str:
    if isinstance(found, ItemSignals):
        return "applied"
    if found.attributes is None:
        return "withdrawn"
    return "repaired" if found.repairs else "accepted"


def _touches(found: ItemSignals | Row) -> Sequence[Touch]:
    return () if isinstance(found, Row) else found.touches


def _owned(found: ItemSignals | Row) -> list[str]:
    """Return the items that the record changes, in the order it mentions them."""
    return [found.item_id] if isinstance(found, Row) else _changed(found)


def _changed(signals: ItemSignals) -> list[str]:
    owned = {touch.item for touch in signals.touches}
    owned.update(signals.pairs()[0].tolist())
    return [name for at, name in enumerate(signals.items) if at in owned]
