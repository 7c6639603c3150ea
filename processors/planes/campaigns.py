"""The campaigns plane: what campaigns may spend.

Campaigns and signals of the users plane in; what every worker needs to know of each campaign out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from processors.ads.campaign import Campaign, read_campaign
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.report import message_of
from processors.ads.signals import CampaignSignal
from processors.common.topics import BROADCAST_CAMPAIGNS_TOPIC, CAMPAIGN_SIGNALS_TOPIC, CAMPAIGNS_TOPIC, REPORTS_TOPIC
from processors.events.json_object import Refused
from processors.events.keyed_row import KeyWords, read_row
from processors.events.record import Origin, SourceRecord
from processors.planes.base import DEFAULT_MAX_MESSAGE_BYTES, KeptForever, Output, ReadStates, Step
from processors.planes.dead_letters import dead_letter

_MAX_CAMPAIGN_BYTES = 2**18
_KEY_WORDS = KeyWords.of("campaign")
_PUBLISHED_EVERY_MS = 1_000


@dataclass
class CampaignsStep(Step[Ledger]):
    """Result of one step of the campaigns plane.

    Parameters
    ----------
    folded
        By :meth:`processors.ads.ledger_keeper.LedgerKeeper.learn`: how often something was folded that there is too
        much of for reports.
    """

    folded: Counter[str] = field(default_factory=Counter)


class CampaignsPlane(KeptForever):
    """Keeps the ledger of every campaign, and publishes what changed.

    Parameters
    ----------
    currency
        Campaigns in another one are refused.
    partitions
        Number of partitions of every topic.
    max_message_bytes
        Largest message that the topic of dead letters takes.
    """

    name = "campaigns"
    state_type = Ledger
    source_topics: tuple[str, ...] = (CAMPAIGNS_TOPIC, CAMPAIGN_SIGNALS_TOPIC)
    chained_topics: frozenset[str] = frozenset((CAMPAIGN_SIGNALS_TOPIC,))

    def __init__(self, currency: str, partitions: int, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self._currency, self._partitions, self._max_bytes = currency, partitions, max_message_bytes
        self._keeper = LedgerKeeper()
        self._decode = msgspec.msgpack.Decoder(list[CampaignSignal]).decode
        self._encode, self._json = msgspec.msgpack.Encoder().encode, msgspec.json.Encoder().encode

    def committed(self, step: Step[Ledger]) -> None:
        """Do nothing: nothing follows from a step but what it says."""

    def step(self, read: ReadStates[Ledger], batch: Sequence[SourceRecord], partition: int) -> CampaignsStep:
        """Take over campaigns and signals (see :meth:`processors.planes.base.Plane.step`)."""
        step = CampaignsStep()
        understood = [(record, found) for record in batch if (found := self._read(record, partition, step)) is not None]
        cids = list(dict.fromkeys(cid for _, found in understood for cid in _campaigns_of(found)))
        states = {cid: known or Ledger() for cid, known in zip(cids, read(cids), strict=True)}
        due: dict[str, bool] = {}
        for record, found in understood:
            if isinstance(found, _Change):
                self._keeper.replace(states[found.cid], found.campaign)
                due[found.cid] = True
            else:
                for signal in found:
                    due[signal.cid] = self._learn(states[signal.cid], signal, step) or due.get(signal.cid, False)
            step.outcomes[record.topic, "applied"] += 1
        step.done("fold")
        at_ms = max((signal.at_ms for _, found in understood if isinstance(found, list) for signal in found), default=0)
        for cid in cids:
            step.states[cid] = states[cid]
            for day in self._keeper.report(states[cid], at_ms):
                message = message_of(cid, day, states[cid])
                value = None if message is None else self._json(message)
                step.outputs.append(Output(REPORTS_TOPIC, partition, f"{cid}/{day}".encode(), value))
            if due[cid]:
                view = self._keeper.view(states[cid])
                packed = None if view is None else self._encode(view)
                step.outputs.append(Output(BROADCAST_CAMPAIGNS_TOPIC, partition, cid.encode(), packed))
        step.done("broadcast")
        return step

    def _learn(self, state: Ledger, signal: CampaignSignal, step: CampaignsStep) -> bool:
        """Take over a signal, and tell whether it is time to publish."""
        had = state.left() > 0.0
        if folded := self._keeper.learn(state, signal):
            step.folded.update(folded)
        ran_out = had != (state.left() > 0.0)
        # Either way: after a clock that was ahead, what follows must not wait until time has caught up with it.
        # Of one that was withdrawn little comes, perhaps nothing any more with which what is held back would go out.
        if ran_out or state.campaign is None or abs(signal.at_ms - state.published_ms) >= _PUBLISHED_EVERY_MS:
            state.published_ms = signal.at_ms
            return state.campaign is not None or state.withdrawn is not None
        return False

    def _read(self, record: SourceRecord, partition: int, step: Step[Ledger]) -> _Change | list[CampaignSignal] | None:
        try:
            if record.topic == CAMPAIGNS_TOPIC:
                return self._change(record, partition)
            signals = self._decode(record.value or b"")
            for signal in signals:
                signal.check()
        except (msgspec.MsgspecError, ValueError, Refused) as error:
            reason = "bad_campaign" if record.topic == CAMPAIGNS_TOPIC else "bad_signals"
            step.outputs.append(dead_letter(record, Origin.of(record), reason, str(error), partition, self._max_bytes))
            step.outcomes[record.topic, "refused"] += 1
            step.refusals[reason] += 1
            return None
        return signals

    def _change(self, record: SourceRecord, partition: int) -> _Change:
        on = partition, self._partitions
        cid, value = read_row(record, _KEY_WORDS, on, _MAX_CAMPAIGN_BYTES)
        if value is None:
            return _Change(cid, None)
        campaign = read_campaign(value)
        if campaign.currency != self._currency:
            raise ValueError(f"currency: {campaign.currency}, expected {self._currency} (money.currency)")
        return _Change(cid, campaign)


class _Change(msgspec.Struct, frozen=True):
    """A campaign as it is from now on; none if it was withdrawn."""

    cid: str
    campaign: Campaign | None


def _campaigns_of(found: _Change | list[CampaignSignal]) -> list[str]:
    return [found.cid] if isinstance(found, _Change) else [signal.cid for signal in found]
