"""The users plane: events in; profiles, recommendations, ad decisions and signals out.

Follow one click through :meth:`UsersPlane.step`: it is read (:mod:`processors.planes.ingest`), made a training example
of while its user's profile does not yet contain it (:mod:`processors.planes.teaching`), folded into that profile
(:mod:`processors.users.profile`), and added to the signals of items touched together (:mod:`processors.items.signals`).
Once the whole micro-batch is folded in, the plane ranks for every user with a new event
(:mod:`processors.ranking.pipeline`), decides which ads are shown (:mod:`processors.ads.ad_server`) and publishes
(:mod:`processors.planes.outgoing`). An impression is only folded in: it changes the user's next slate, but does not
trigger one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from processors.ads.ad_server import AdServer
from processors.ads.no_bid import NoBid
from processors.common.money import MoneySettings
from processors.common.time import DAY_MS
from processors.common.topics import AUDIENCES_TOPIC, FORWARDED_TOPIC, RECOMMENDATIONS_TOPIC
from processors.evaluation.published import PublishedSlates
from processors.events.event import EVENT_TOPICS, Event
from processors.events.record import Origin, SourceRecord
from processors.items.index import ItemIndex
from processors.items.signals import SignalGatherer
from processors.models.serving_weights import ServingWeights
from processors.planes.base import DEFAULT_MAX_MESSAGE_BYTES, Output, ReadStates, Step
from processors.planes.folding import Folding, Gathered
from processors.planes.ingest import Ingest, Ingested
from processors.planes.outgoing import Outgoing
from processors.planes.requested_slates import RequestedSlates
from processors.planes.shop_limits import ShopLimits
from processors.planes.teaching import Choices, Teaching
from processors.planes.users_settings import UsersSettings
from processors.planes.users_step import UsersStep
from processors.ranking.feature_names import baseline_weights
from processors.ranking.frame import Frame
from processors.ranking.pipeline import Asked, RankingPipeline
from processors.ranking.read_models import ReadModels
from processors.ranking.slate import Slates
from processors.ranking.why_not import WhyNot, why_not
from processors.users.profile import Profile
from processors.users.profile_keeper import ProfileKeeper

_FEW = 16
"""Choices up to which lessons and slates share a pass: for more, reading the profiles once more costs what it saves."""


class UsersPlane:
    """Keeps the profiles of users, makes their slates, and decides ads.

    Parameters
    ----------
    settings
        Settings of all its parts.
    index
        The read model of items. The plane only reads it; its owner may update it between steps.
    partitions
        Number of partitions of every topic.
    max_message_bytes
        Greatest size of one message on the topics of forwarded events, signals and dead letters.
    money
        The currency that everything counts in.

    Attributes
    ----------
    ads : AdServer
        Decides ads. Its read models may be updated between steps.
    read : ReadModels
        The read models that ranking reads. They may be updated between steps.
    publishes : bool
        Whether steps publish recommendations. If not, they only learn, as in replays that call :meth:`recommend`
        instead; states and signals are the same either way.
    """

    name = "users"
    state_type = Profile
    source_topics: tuple[str, ...] = (*EVENT_TOPICS, FORWARDED_TOPIC, AUDIENCES_TOPIC)
    chained_topics: frozenset[str] = frozenset()

    def __init__(
        self,
        settings: UsersSettings,
        index: ItemIndex,
        partitions: int,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        money: MoneySettings | None = None,
    ) -> None:
        money = money or MoneySettings()
        self._ingest = Ingest(settings.intake, partitions, max_message_bytes, money)
        self._keeper = ProfileKeeper(settings.profile, settings.influence)
        self.expire_after_ms = int(settings.profile.expire_after_days * DAY_MS)
        self._ranking = RankingPipeline(settings.ranking)
        self.read = ReadModels(index, ServingWeights(self._ranking.features, baseline_weights()))
        idle_ms = settings.profile.session_idle_ms
        shop = ShopLimits(self.read, settings.ranking.unknown_limits)
        self.ads = AdServer(settings.ads, self.read.groups, partitions, index, money.currency, shop, idle_ms)
        self._folding = Folding(self._keeper, self.ads, settings.consent)
        self._teaching = Teaching(self._ranking, self._keeper, partitions, max_message_bytes, settings.consent)
        self._requested = RequestedSlates(self._ranking, self._keeper, settings.consent)
        self._outgoing = Outgoing(settings.ranking.placements, self._ranking.texts, max_message_bytes)
        self._partitions = partitions
        self._published = PublishedSlates(
            [(placement.name, placement.only_new) for placement in settings.ranking.placements], index.mark_of
        )
        self.publishes = True

    def last_active_ms(self, state: Profile) -> int:
        """Return when a user was last heard of; of a profile of an older release, as far as it says."""
        shown = max(state.unclicked.times, default=0)
        decided = state.ads.decisions[-1].at_ms if state.ads.decisions else 0
        return max(state.last_seen, state.last_active, shown, decided)

    def expired(self, keys: Sequence[str], partition: int) -> list[Output]:
        """Return tombstones for the slates of users."""
        if not self.publishes:
            return []
        anchored = [f"/{placement.name}" for placement in self._ranking.settings.anchored]
        names = [f"{user}{suffix}" for user in keys for suffix in ("", *anchored)]
        return [Output(RECOMMENDATIONS_TOPIC, partition, name.encode(), None) for name in names]

    def step(self, read: ReadStates[Profile], batch: Sequence[SourceRecord], partition: int) -> UsersStep:
        """Fold a micro-batch into profiles, make slates and decide ads (:meth:`processors.planes.base.Plane.step`)."""
        step = UsersStep()
        ingested = self._ingest.read(batch, partition, step)
        accepted = ingested.accepted
        if ingested.declined:
            step.decisions[NoBid.INVALID_REQUEST.name.lower()] += ingested.declined
        heard_of = [*(event.user_id for event, _ in accepted), *(upload.user_id for upload in ingested.uploads)]
        users = list(dict.fromkeys(heard_of))
        profiles = {user: known or Profile() for user, known in zip(users, read(users), strict=True)}
        at_ms = max((origin.time_ms for _, origin in accepted), default=0)
        step.clock_ms = min(max((event.time_ms for event, _ in accepted), default=0), at_ms)
        step.done("read")
        events = [event for event, _ in accepted if isinstance(event, Event)]
        choices = self._teaching.choices(events, profiles)
        later = self.publishes and len(choices.events) <= _FEW
        examples = None
        if later:
            before = [known or Profile() for known in read(choices.users)]  # the fold changes the others
            choices = Choices(choices.events, before)
        else:
            examples = self._teaching.lessons(choices, self.read, at_ms, step)
        step.done("lessons")
        gathered = self._fold(step, ingested, profiles)
        step.done("fold")
        described = None
        if self.publishes and gathered.causes:
            described = self._recommend(step, gathered.causes, choices if later else None, at_ms, partition)
        if later:
            examples = self._teaching.lessons(choices, self.read, at_ms, step, described)
            step.done("lessons")
        if self.publishes and gathered.requests:
            self._requested.answer(step, gathered.requests, self.read, at_ms, partition)
            step.done("requests")
        self._advertise(step, gathered, partition)
        self._teaching.send(step, examples, gathered.ads)
        self._outgoing.item_signals(step, gathered.signals)
        step.done("write")
        return step

    def _fold(self, step: UsersStep, ingested: Ingested, profiles: Mapping[str, Profile]) -> Gathered:
        """Fold everything that was read into the profiles, and return what came up on the way."""
        gathered = Gathered(self.ads.begin(), SignalGatherer(self._partitions))
        for event, origin in ingested.accepted:
            is_new = self._folding.fold(event, origin, profiles[event.user_id], gathered, step)
            outcome = "duplicate" if not is_new else "repaired" if event.repairs else "accepted"
            step.outcomes[origin.topic, outcome] += 1
        for upload in ingested.uploads:
            is_new = self._folding.upload(upload, profiles[upload.user_id], gathered)
            outcome = "duplicate" if not is_new else "repaired" if upload.repairs else "accepted"
            step.outcomes[AUDIENCES_TOPIC, outcome] += 1
        step.states = {user: profiles[user] for user in gathered.changed}
        step.quality.judged.extend(self._published.judge(gathered.choices))
        return gathered

    def committed(self, step: Step[Profile]) -> None:
        """Remember what a committed step published, and hold what its ad decisions cost.

        The cost is held until the campaigns' ledgers publish what is left.
        """
        if isinstance(step, UsersStep):
            for slates in step.published:
                self._published.note(slates)
            for cid, cost in step.costs.items():
                self.ads.campaigns.hold(cid, cost)

    def recommend(self, profiles: Sequence[Profile], moments: Sequence[int], at_ms: int) -> list[Slates]:
        """Make slates without folding anything in, for evaluation.

        Parameters
        ----------
        profiles
            The users.
        moments
            The moment that each user's slates are for, milliseconds since the epoch.
        at_ms
            The moment at which the rules must be in force, milliseconds since the epoch.

        Returns
        -------
        list of Slates
            Per placement: the slates as they would be published, a row per user.
        """
        return self._ranking.rank(profiles, moments, self.read, at_ms)

    def why_not(self, profile: Profile, item: str, now_ms: int) -> list[WhyNot]:
        """Find, per placement, which stage keeps an item out of a user's slate at a moment, in milliseconds.

        See :func:`processors.ranking.why_not.why_not`.
        """
        return why_not(self._ranking, profile, item, self.read, now_ms)

    def _recommend(
        self,
        step: UsersStep,
        causes: dict[str, tuple[Event, Origin]],
        choices: Choices | None,
        at_ms: int,
        partition: int,
    ) -> Frame | None:
        """Make and publish slates for every user with a new event; ``causes`` has the latest one of each.

        Return what was found of the candidates for ``choices`` on the way, if anything was.
        """
        profiles = [step.states[user] for user in causes]
        moments = [profile.last_seen for profile in profiles]
        frame = described = None
        if choices is not None and choices.events:
            lessons = Asked(choices.profiles, choices.moments)
            frame, described = self._ranking.together(Asked(profiles, moments), lessons, self.read, at_ms)
        slates = self._ranking.rank(profiles, moments, self.read, at_ms, frame)
        step.done("rank")
        step.published += [
            part.published(number, list(causes), moments, self.read.items) for number, part in enumerate(slates)
        ]
        self._outgoing.recommendations(step, causes, slates, self.read, at_ms, partition)
        step.done("write")
        return described

    def _advertise(self, step: UsersStep, gathered: Gathered, partition: int) -> None:
        """Decide ads for the opportunities, publish the decisions, and send signals to the campaigns plane."""
        opportunities, ads = gathered.opportunities, gathered.ads
        if gathered.without_campaign:
            step.decisions[NoBid.NO_CAMPAIGN.name.lower()] += gathered.without_campaign
        decided = self.ads.decide(opportunities, ads)
        step.done("ads")
        self._outgoing.decisions(step, opportunities, decided, partition, self.publishes)
        step.delays.extend(ads.delays)
        step.costs = ads.costs
        self._outgoing.campaign_signals(step, ads.signals)
