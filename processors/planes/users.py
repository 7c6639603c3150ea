"""The users plane: events in, profiles, recommendations and signals out.

Follow one click: :meth:`UsersPlane.step` reads it (:mod:`processors.planes.ingest`), folds it into its user's profile
(:mod:`processors.users.profile`), tells the items plane what was touched together (:mod:`processors.items.signals`),
and, once the whole micro-batch is folded in, ranks for every user it touched (:mod:`processors.ranking.pipeline`).
Before anything is folded in, each user's next choice is a lesson for the ranker (:mod:`processors.models.examples`). An
impression is only noted: it changes what the next slate shows, and asks for none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from processors.ads.ad_server import AdServer
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.ads.settings import AdSettings
from processors.ads.tracking import AdStep
from processors.common.hashing import partition_of
from processors.common.time import stamp
from processors.common.topics import (
    AD_DECISIONS_TOPIC,
    CAMPAIGN_SIGNALS_TOPIC,
    DECISION_LOG_TOPIC,
    FORWARDED_TOPIC,
    RECOMMENDATIONS_TOPIC,
    RULES_TOPIC,
    SIGNALS_TOPIC,
    TRAINING_TOPIC,
)
from processors.evaluation.live_quality import Observations
from processors.events.ad_request import AdRequest
from processors.events.event import EVENT_TOPICS, TAKES_BACK, Event
from processors.events.impression import Impression
from processors.events.record import Origin, SourceRecord
from processors.events.repair import IntakeSettings
from processors.items.index import ItemIndex
from processors.items.signals import SignalGatherer
from processors.models.click_model import CLICK_BYTES, MAX_EXAMPLES
from processors.models.context_popularity import TOLD_BYTES, chosen_in
from processors.models.examples import RANKER, Examples, example_bytes
from processors.models.exposure import EXPOSURE_BYTES
from processors.models.interest_groups import INTERESTS_BYTES, interests_of
from processors.models.serving_weights import ServingWeights
from processors.planes.base import DEFAULT_MAX_MESSAGE_BYTES, Output, ReadStates, Step
from processors.planes.chain import LINK_BYTES
from processors.planes.ingest import Ingest, Seen
from processors.ranking.messages import CausedBy, Recommendation
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.read_models import ReadModels
from processors.ranking.settings import RankingSettings
from processors.ranking.slate import SlateItem
from processors.ranking.training import Training, choices_of
from processors.ranking.why_not import WhyNot, why_not
from processors.users.profile import Profile, ProfileKeeper, ProfileSettings


@dataclass
class UsersStep(Step[Profile]):
    """Result of one step of the users plane.

    Parameters
    ----------
    quality
        What the step showed of the quality of slates.
    decisions
        How many ad decisions had which outcome.
    delays
        Between ads and the clicks and purchases that they were credited with: of which, and milliseconds.
    costs
        What ad decisions are going to cost, by campaign: to be held once the step is committed.
    """

    quality: Observations = field(default_factory=Observations)
    decisions: Counter[str] = field(default_factory=Counter)
    delays: list[tuple[str, int]] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)


@dataclass
class _Taken:
    """What a micro-batch gathers while its records are folded in; ``changed`` has the users whose profiles did."""

    ads: AdStep
    gatherer: SignalGatherer
    opportunities: list[Opportunity] = field(default_factory=list)
    causes: dict[str, tuple[Event, Origin]] = field(default_factory=dict)
    changed: dict[str, None] = field(default_factory=dict)


class UsersSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the users plane, by part."""

    intake: IntakeSettings = IntakeSettings()
    profile: ProfileSettings = ProfileSettings()
    ranking: RankingSettings = RankingSettings()
    ads: AdSettings = AdSettings()


class UsersPlane:
    """Keeps profiles and recommends.

    Parameters
    ----------
    settings
        By part.
    index
        The read model of items. The plane only reads it; whoever owns it may update it between steps.
    partitions
        Number of partitions of every topic.
    max_message_bytes
        What the topics of forwarded events, signals and dead letters take in one message.

    Attributes
    ----------
    ads : AdServer
        With its read models, to be updated between steps.
    read : ReadModels
        What ranking rests on, likewise.
    publishes : bool
        Whether steps recommend. Off, they only learn, for replays that ask with :meth:`recommend`; states and signals
        are the same either way.
    """

    name = "users"
    state_type = Profile
    source_topics: tuple[str, ...] = (*EVENT_TOPICS, FORWARDED_TOPIC)
    chained_topics: frozenset[str] = frozenset()

    def __init__(
        self,
        settings: UsersSettings,
        index: ItemIndex,
        partitions: int,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        self._ingest = Ingest(settings.intake, partitions, max_message_bytes)
        self._keeper = ProfileKeeper(settings.profile)
        self._ranking = RankingPipeline(settings.ranking)
        self._training = Training(self._ranking)
        self._placements = settings.ranking.placements
        fitting = (
            max_message_bytes - LINK_BYTES - INTERESTS_BYTES - TOLD_BYTES - EXPOSURE_BYTES - CLICK_BYTES
        ) // example_bytes(self._ranking.features)
        self._lessons = max(0, min(settings.ranking.training_examples, fitting))
        self.read = ReadModels(index, ServingWeights(self._ranking.features))
        self.ads = AdServer(settings.ads, self.read.groups, partitions)
        self._partitions = partitions
        self._max_bytes = max_message_bytes
        self.publishes = True
        self._json = msgspec.json.Encoder().encode
        self._pack = msgspec.msgpack.Encoder().encode

    def step(self, read: ReadStates[Profile], batch: Sequence[SourceRecord], partition: int) -> UsersStep:
        """Fold events into profiles and recommend (see :meth:`processors.planes.base.Plane.step`)."""
        step = UsersStep()
        ingested = self._ingest.read(batch, partition, step)
        accepted = ingested.accepted
        if ingested.declined:
            step.decisions[NoBid.INVALID_REQUEST.name.lower()] += ingested.declined
        users = list(dict.fromkeys(event.user_id for event, _ in accepted))
        profiles = {user: known or Profile() for user, known in zip(users, read(users), strict=True)}
        at_ms = max((origin.time_ms for _, origin in accepted), default=0)
        examples = self._lessons_of([event for event, _ in accepted if isinstance(event, Event)], profiles, at_ms, step)
        taken = _Taken(self.ads.begin(), SignalGatherer(self._partitions))
        for event, origin in accepted:
            is_new = self._take(event, origin, profiles[event.user_id], taken)
            outcome = "duplicate" if not is_new else "repaired" if event.repairs else "accepted"
            step.outcomes[origin.topic, outcome] += 1
        step.states = {user: profiles[user] for user in taken.changed}
        if self.publishes:
            self._recommend(step, taken.causes, at_ms, partition)
        self._advertise(step, taken, partition)
        self._teach(step, examples, taken.ads)
        for receiver, signals in taken.gatherer.messages().items():
            packed = self._pack(signals)
            if len(packed) > self._max_bytes - LINK_BYTES:
                signals, left_out = signals.cut(self._max_bytes - LINK_BYTES)
                packed = self._pack(signals)
                step.outcomes[SIGNALS_TOPIC, "left_out"] += left_out
            step.outputs.append(Output(SIGNALS_TOPIC, receiver, None, packed, chained=True))
        return step

    def _take(self, event: Seen, origin: Origin, profile: Profile, taken: _Taken) -> bool:
        """Fold in one record; whether it was news."""
        if isinstance(event, AdRequest):
            if self.ads.agreed(event):
                if not self._keeper.ask(profile, event.request_id):
                    return False
                taken.changed[event.user_id] = None
            taken.opportunities.append(self.ads.requested(event, origin, profile))
            return True
        if isinstance(event, Impression):
            if not self._keeper.see(profile, event):
                return False
            self.ads.tracking.seen(profile, event, taken.ads)
        else:
            learned = self._keeper.learn(profile, event)
            if learned.duplicate:
                return False
            taken.causes[event.user_id] = event, origin
            if event.action not in TAKES_BACK:
                taken.gatherer.add(event, learned.preceding)
            self.ads.tracking.react(profile, event, taken.ads)
            found = self.ads.opportunity(event, origin, profile)
            taken.opportunities += [found] if found is not None else []
        taken.changed[event.user_id] = None
        return True

    def committed(self, step: Step[Profile]) -> None:
        """Take note that a step has come true: what its decisions cost is held until the ledgers tell what is left."""
        for cid, cost in (step.costs if isinstance(step, UsersStep) else {}).items():
            self.ads.campaigns.hold(cid, cost)

    def recommend(self, profiles: Sequence[Profile], now_ms: int) -> list[list[list[SlateItem]]]:
        """Slates as they would be published at a moment: per placement, per user. For evaluation and questions."""
        moments = [now_ms] * len(profiles)
        slates = self._ranking.rank(profiles, moments, self.read, now_ms)
        return [[part.items(row, self.read) for row in range(len(profiles))] for part in slates]

    def why_not(self, profile: Profile, item: str, now_ms: int) -> list[WhyNot]:
        """What became of an item on its way into a user's slates, per placement."""
        return why_not(self._ranking, profile, item, self.read, now_ms)

    def _lessons_of(
        self, events: Sequence[Event], profiles: dict[str, Profile], at_ms: int, step: UsersStep
    ) -> Examples | None:
        """What the first event of each user teaches the ranker, as long as nothing of the batch is folded in."""
        first: dict[str, Event] = {}
        for event in events:
            if len(first) == self._lessons:
                break
            if event.action in TAKES_BACK:
                continue
            if event.user_id not in first and not self._keeper.knows(profiles[event.user_id], event):
                first[event.user_id] = event
        if not first:
            return None
        moments = [event.time_ms for event in first.values()]
        chosen = [event.item_id for event in first.values()]
        asked = [profiles[user] for user in first]
        answers, examples = self._training.lessons(asked, moments, chosen, self.read, at_ms)
        step.quality.choices.extend(choices_of(answers, asked))
        examples.interests = interests_of(asked, list(first.values()))
        known, items = [profile.context for profile in asked], [profile.item_ids for profile in asked]
        examples.chosen_in = chosen_in(known, items, list(first.values()))
        return examples

    def _teach(self, step: UsersStep, examples: Examples | None, ads: AdStep) -> None:
        """Send what is to be learned."""
        if examples is None and not ads.examples and not ads.purchases:
            return
        # Sent even if it is empty: the chain, which is state, must not depend on what the read model knew.
        examples = examples or Examples(RANKER, self._ranking.features, b"", b"", b"", b"", b"", b"")
        examples.clicks = tuple(ads.examples[:MAX_EXAMPLES])
        examples.purchases = tuple(ads.purchases[: MAX_EXAMPLES - len(examples.clicks)])
        told, all_of_them = len(examples.clicks) + len(examples.purchases), len(ads.examples) + len(ads.purchases)
        if all_of_them > told:
            step.outcomes[TRAINING_TOPIC, "left_out"] += all_of_them - told
        receiver = partition_of(RANKER, self._partitions)
        step.outputs.append(Output(TRAINING_TOPIC, receiver, None, self._pack(examples), chained=True))

    def _advertise(self, step: UsersStep, taken: _Taken, partition: int) -> None:
        """Decide for the opportunities, publish, and tell the campaigns plane.

        Where there is no campaign at all nobody waits for ads, and nothing is published but answers to requests.
        """
        opportunities, ads = taken.opportunities, taken.ads
        for found, (told, logged) in zip(opportunities, self.ads.decide(opportunities, ads), strict=True):
            key = found.user_id.encode()
            step.decisions["filled" if told.nbr is None else NoBid(told.nbr).name.lower()] += 1
            if self.publishes and (found.request_id is not None or told.nbr != NoBid.NO_CAMPAIGN):
                step.outputs.append(Output(AD_DECISIONS_TOPIC, partition, key, self._json(told)))
                log_key = None if found.contextual else key
                step.outputs.append(Output(DECISION_LOG_TOPIC, partition, log_key, self._json(logged)))
        step.delays.extend(ads.delays)
        step.costs = ads.costs
        messages = ads.signals.messages()
        # Opportunities are told of to everybody: whom they concern is known to the read model alone, and the chain,
        # which is state, must not depend on it.
        receivers = range(self._partitions) if opportunities else sorted(messages)
        for receiver in receivers:
            packed = self._pack(messages.get(receiver, []))
            step.outputs.append(Output(CAMPAIGN_SIGNALS_TOPIC, receiver, None, packed, chained=True))

    def _recommend(self, step: UsersStep, causes: dict[str, tuple[Event, Origin]], at_ms: int, partition: int) -> None:
        if not causes:
            return
        profiles, now = [step.states[user] for user in causes], stamp(at_ms)
        moments = [profile.last_seen for profile in profiles]
        slates = self._ranking.rank(profiles, moments, self.read, at_ms)
        for placement, part in zip(self._placements, slates, strict=True):
            step.quality.shown.append(part.sample(placement.name, self.read.items))
            if part.ignored:
                step.outcomes[RULES_TOPIC, "ignored"] += part.ignored.total()
        encode, read, version = self._json, self.read, self.read.weights.version
        for row, (user, (event, origin)) in enumerate(causes.items()):
            cause = CausedBy(event.event_id, origin.topic, origin.partition, origin.offset)
            key = user.encode()
            identity = f"{origin.topic}/{origin.partition}/{origin.offset}/"
            # The first placement goes out last: a compacted topic keeps the last message of a user.
            for placement, part in zip(reversed(self._placements), reversed(slates), strict=True):
                message = Recommendation(
                    recommendation_id=identity + placement.name,
                    user_id=user,
                    placement=placement.name,
                    generated_at=now,
                    caused_by=cause,
                    model_version=version,
                    items=part.items(row, read),
                )
                step.outputs.append(Output(RECOMMENDATIONS_TOPIC, partition, key, encode(message)))
