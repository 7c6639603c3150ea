"""The users plane: events in, profiles, recommendations, ad decisions and signals out.

Follow one click: :meth:`UsersPlane.step` reads it (:mod:`processors.planes.ingest`), asks what it teaches before it is
known (:mod:`processors.planes.teaching`), folds it into its user's profile (:mod:`processors.users.profile`), notes
what was touched together (:mod:`processors.items.signals`) and, once the whole micro-batch is folded in, ranks for
every user it touched (:mod:`processors.ranking.pipeline`), decides which ads are shown
(:mod:`processors.ads.ad_server`) and publishes (:mod:`processors.planes.outgoing`). An impression is only noted: it
changes what the next slate shows, and asks for none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from processors.ads.ad_server import AdServer
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.ads.settings import AdSettings
from processors.ads.tracking import AdStep
from processors.common.topics import (
    FORWARDED_TOPIC,
)
from processors.events.ad_request import AdRequest
from processors.events.event import EVENT_TOPICS, TAKES_BACK, Event
from processors.events.impression import Impression
from processors.events.record import Origin, SourceRecord
from processors.events.repair import IntakeSettings
from processors.items.index import ItemIndex
from processors.items.signals import SignalGatherer
from processors.models.serving_weights import ServingWeights
from processors.planes.base import DEFAULT_MAX_MESSAGE_BYTES, ReadStates, Step
from processors.planes.ingest import Ingest, Message
from processors.planes.outgoing import Outgoing
from processors.planes.teaching import Teaching
from processors.planes.users_step import UsersStep
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.read_models import ReadModels
from processors.ranking.settings import RankingSettings
from processors.ranking.slate import SlateItem
from processors.ranking.why_not import WhyNot, why_not
from processors.users.profile import Profile, ProfileKeeper
from processors.users.settings import ProfileSettings


@dataclass
class _Gathered:
    """What a micro-batch gathers while its records are folded in.

    Attributes
    ----------
    ads, signals
        For the campaigns plane and the items plane.
    opportunities
        Moments at which an ad could be shown.
    causes
        The latest event of each user, and where it was appended: what the user's slates answer.
    changed
        Users whose profiles changed, in order.
    """

    ads: AdStep
    signals: SignalGatherer
    opportunities: list[Opportunity] = field(default_factory=list)
    causes: dict[str, tuple[Event, Origin]] = field(default_factory=dict)
    changed: dict[str, None] = field(default_factory=dict)


class UsersSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the settings of the users plane, by part."""

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
        self.read = ReadModels(index, ServingWeights(self._ranking.features))
        self.ads = AdServer(settings.ads, self.read.groups, partitions)
        self._teaching = Teaching(self._ranking, self._keeper, partitions, max_message_bytes)
        self._outgoing = Outgoing(settings.ranking.placements, partitions, max_message_bytes)
        self._partitions = partitions
        self.publishes = True

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
        events = [event for event, _ in accepted if isinstance(event, Event)]
        examples = self._teaching.lessons(events, profiles, self.read, at_ms, step)
        gathered = _Gathered(self.ads.begin(), SignalGatherer(self._partitions))
        for event, origin in accepted:
            is_new = self._fold(event, origin, profiles[event.user_id], gathered)
            outcome = "duplicate" if not is_new else "repaired" if event.repairs else "accepted"
            step.outcomes[origin.topic, outcome] += 1
        step.states = {user: profiles[user] for user in gathered.changed}
        if self.publishes and gathered.causes:
            self._recommend(step, gathered.causes, at_ms, partition)
        self._advertise(step, gathered, partition)
        self._teaching.send(step, examples, gathered.ads)
        self._outgoing.item_signals(step, gathered.signals)
        return step

    def _fold(self, event: Message, origin: Origin, profile: Profile, gathered: _Gathered) -> bool:
        """Fold in one record; return whether it was new."""
        if isinstance(event, AdRequest):
            if self.ads.agreed(event):
                if not self._keeper.note_request(profile, event.request_id):
                    return False
                gathered.changed[event.user_id] = None
            gathered.opportunities.append(self.ads.requested(event, origin, profile))
            return True
        if isinstance(event, Impression):
            if not self._keeper.note_impression(profile, event):
                return False
            self.ads.tracking.seen(profile, event, gathered.ads)
        else:
            learned = self._keeper.learn(profile, event)
            if learned.duplicate:
                return False
            gathered.causes[event.user_id] = event, origin
            if event.action not in TAKES_BACK:
                gathered.signals.add(event, learned.preceding)
            self.ads.tracking.react(profile, event, gathered.ads)
            found = self.ads.opportunity(event, origin, profile)
            gathered.opportunities += [found] if found is not None else []
        gathered.changed[event.user_id] = None
        return True

    def committed(self, step: Step[Profile]) -> None:
        """Take note that a step is committed: what its decisions cost is held until the ledgers say what is left."""
        for cid, cost in (step.costs if isinstance(step, UsersStep) else {}).items():
            self.ads.campaigns.hold(cid, cost)

    def recommend(self, profiles: Sequence[Profile], now_ms: int) -> list[list[list[SlateItem]]]:
        """Make slates as they would be published at a moment: per placement, per user. For evaluation and questions."""
        moments = [now_ms] * len(profiles)
        slates = self._ranking.rank(profiles, moments, self.read, now_ms)
        return [[part.items(row, self.read) for row in range(len(profiles))] for part in slates]

    def why_not(self, profile: Profile, item: str, now_ms: int) -> list[WhyNot]:
        """Find what became of an item on its way into a user's slates, per placement."""
        return why_not(self._ranking, profile, item, self.read, now_ms)

    def _recommend(self, step: UsersStep, causes: dict[str, tuple[Event, Origin]], at_ms: int, partition: int) -> None:
        """Rank for every user that an event touched, and publish."""
        profiles = [step.states[user] for user in causes]
        slates = self._ranking.rank(profiles, [profile.last_seen for profile in profiles], self.read, at_ms)
        self._outgoing.recommendations(step, causes, slates, self.read, at_ms, partition)

    def _advertise(self, step: UsersStep, gathered: _Gathered, partition: int) -> None:
        """Decide for the opportunities, publish, and tell the campaigns plane."""
        opportunities, ads = gathered.opportunities, gathered.ads
        decided = self.ads.decide(opportunities, ads)
        self._outgoing.decisions(step, opportunities, decided, partition, self.publishes)
        step.delays.extend(ads.delays)
        step.costs = ads.costs
        self._outgoing.campaign_signals(step, ads.signals, to_all=bool(opportunities))
