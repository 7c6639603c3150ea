"""What the users plane publishes: slates and ad decisions for apps, signals for the items and campaigns planes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from processors.ads.messages import AdDecision, LoggedDecision
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.ads.signals import CampaignSignals
from processors.common.time import stamp
from processors.common.topics import (
    AD_DECISIONS_TOPIC,
    CAMPAIGN_SIGNALS_TOPIC,
    DECISION_LOG_TOPIC,
    RECOMMENDATIONS_TOPIC,
    RULES_TOPIC,
    SIGNALS_TOPIC,
)
from processors.events.event import Event
from processors.events.record import Origin
from processors.items.signals import SignalGatherer
from processors.planes.base import Output
from processors.planes.chain import LINK_BYTES
from processors.planes.users_step import UsersStep
from processors.ranking.messages import CausedBy, WrittenRecommendation
from processors.ranking.read_models import ReadModels
from processors.ranking.reason_texts import ReasonTexts
from processors.ranking.settings import Placement
from processors.ranking.slate import Slates
from processors.ranking.slate_writer import SlateWriter


class Outgoing:
    """Encodes what a step found as records to publish.

    Parameters
    ----------
    placements
        The placements, in the order of the settings.
    texts
        What reasons say to people.
    max_message_bytes
        Greatest size of one message on the topic of item signals.
    """

    def __init__(self, placements: Sequence[Placement], texts: ReasonTexts, max_message_bytes: int) -> None:
        self._writer = SlateWriter(texts)
        self._placements, self._max_bytes = placements, max_message_bytes
        self._json = msgspec.json.Encoder().encode
        self._pack = msgspec.msgpack.Encoder().encode

    def recommendations(
        self,
        step: UsersStep,
        causes: Mapping[str, tuple[Event, Origin]],
        slates: Sequence[Slates],
        read: ReadModels,
        at_ms: int,
        partition: int,
    ) -> None:
        """Add a recommendation per user and placement to the step, and the figures of the slates.

        Parameters
        ----------
        step
            Its outputs and figures are added to.
        causes
            By user, in the order of the rows of the slates: the event that the user's slates answer, and where it was
            appended.
        slates
            One per placement, in the order of the settings.
        read
            The read models that the slates were made from.
        at_ms
            When the slates are made, milliseconds since the epoch.
        partition
            The partition of the users.
        """
        self._count(step, slates, read)
        now, version = stamp(at_ms), read.weights.version
        written = [self._writer.write(part, read) for part in slates]
        for row, (user, (event, origin)) in enumerate(causes.items()):
            cause = CausedBy(event.event_id, origin.topic, origin.partition, origin.offset)
            key, identity = user.encode(), f"{origin.topic}/{origin.partition}/{origin.offset}/"
            # The first placement goes out last: a compacted topic keeps the last message of a user.
            for placement, items in zip(reversed(self._placements), reversed(written), strict=True):
                message = WrittenRecommendation(
                    recommendation_id=identity + placement.name,
                    user_id=user,
                    placement=placement.name,
                    generated_at=now,
                    caused_by=cause,
                    model_version=version,
                    items=msgspec.Raw(items[row]),
                )
                step.outputs.append(Output(RECOMMENDATIONS_TOPIC, partition, key, self._json(message)))

    def _count(self, step: UsersStep, slates: Sequence[Slates], read: ReadModels) -> None:
        """Add to the step how good the slates are, what was removed from them, and which rules were ignored."""
        for placement, part in zip(self._placements, slates, strict=True):
            step.quality.shown.append(part.sample(placement.name, read.items))
            step.removed += part.removed
            if part.ignored:
                step.outcomes[RULES_TOPIC, "ignored"] += part.ignored.total()

    def decisions(
        self,
        step: UsersStep,
        opportunities: Sequence[Opportunity],
        decided: Sequence[tuple[AdDecision, LoggedDecision]],
        partition: int,
        publish: bool,
    ) -> None:
        """Add the ad decisions and their log to the step, and count their outcomes.

        Without any campaign, only answers to requests are published: no app waits for other decisions.

        Parameters
        ----------
        step
            Its outputs and counts are added to.
        opportunities, decided
            The opportunities, and the decision and the log entry of each.
        partition
            The partition of the users.
        publish
            Whether to add the decisions, or only to count them.
        """
        for opportunity, (decision, logged) in zip(opportunities, decided, strict=True):
            step.decisions["filled" if decision.nbr is None else NoBid(decision.nbr).name.lower()] += 1
            if publish and (opportunity.request_id is not None or decision.nbr != NoBid.NO_CAMPAIGN):
                key = opportunity.user_id.encode()
                step.outputs.append(Output(AD_DECISIONS_TOPIC, partition, key, self._json(decision)))
                log_key = None if opportunity.contextual else key
                step.outputs.append(Output(DECISION_LOG_TOPIC, partition, log_key, self._json(logged)))

    def campaign_signals(self, step: UsersStep, signals: CampaignSignals) -> None:
        """Add the signals for the campaigns plane to the step.

        Parameters
        ----------
        step
            Its outputs are added to.
        signals
            What happened to each campaign: opportunities, impressions, clicks, purchases and what they cost.
        """
        for receiver, found in sorted(signals.messages().items()):
            step.outputs.append(Output(CAMPAIGN_SIGNALS_TOPIC, receiver, None, self._pack(found), chained=True))

    def item_signals(self, step: UsersStep, gatherer: SignalGatherer) -> None:
        """Add the signals for the items plane to the step; what does not fit into a message is dropped and counted."""
        for receiver, signals in gatherer.messages().items():
            packed = self._pack(signals)
            if len(packed) > self._max_bytes - LINK_BYTES:
                signals, left_out = signals.cut(self._max_bytes - LINK_BYTES)
                packed = self._pack(signals)
                step.outcomes[SIGNALS_TOPIC, "left_out"] += left_out
            step.outputs.append(Output(SIGNALS_TOPIC, receiver, None, packed, chained=True))
