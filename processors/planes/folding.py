"""Fold the messages of a micro-batch into profiles, each as far as its user agreed to, and collect what follows.

What a message is decides what happens: an event or a visit to a page changes the profile and is answered by slates, an
impression only counts, a request is noted so that it is answered once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from processors.ads.ad_server import AdServer
from processors.ads.opportunity import Opportunity
from processors.ads.tracking import AdStep
from processors.evaluation.published import Choice
from processors.events.ad_request import AdRequest
from processors.events.audience_upload import AudienceUpload
from processors.events.consent import ConsentSettings, Purpose
from processors.events.event import TAKES_BACK, Event
from processors.events.impression import Impression
from processors.events.record import Origin
from processors.events.slate_request import SlateRequest
from processors.items.signals import SignalGatherer
from processors.planes.ingest import Message
from processors.planes.users_step import UsersStep
from processors.users.profile import Profile
from processors.users.profile_keeper import Learned, ProfileKeeper


@dataclass
class Gathered:
    """What is collected while the records of a micro-batch are folded in.

    Attributes
    ----------
    ads, signals
        What goes to the campaigns plane and to the items plane.
    opportunities
        Opportunities to show an ad, in the order of their records.
    requests
        Requests for slates, where each was appended, and the user's profile.
    causes
        By user: the latest event, and where it was appended; the user's slates answer it.
    changed
        Users whose profiles changed, in the order in which they changed first.
    without_campaign
        Number of further opportunities, on which nothing is decided as there is no campaign.
    before
        By user: when the user was last heard of before the micro-batch, and whether there was a history.
    choices
        What users chose, to be found in what they were shown.
    """

    ads: AdStep
    signals: SignalGatherer
    opportunities: list[Opportunity] = field(default_factory=list)
    requests: list[tuple[SlateRequest, Origin, Profile]] = field(default_factory=list)
    causes: dict[str, tuple[Event, Origin]] = field(default_factory=dict)
    changed: dict[str, None] = field(default_factory=dict)
    without_campaign: int = 0
    before: dict[str, tuple[int, bool]] = field(default_factory=dict)
    choices: list[Choice] = field(default_factory=list)


class Folding:
    """Folds messages into profiles.

    Parameters
    ----------
    keeper
        Changes profiles.
    ads
        Says what is an opportunity for an ad, and what comes of ads.
    consent
        How messages that say nothing of purposes are taken.
    """

    def __init__(self, keeper: ProfileKeeper, ads: AdServer, consent: ConsentSettings) -> None:
        self._keeper, self._ads, self._consent = keeper, ads, consent

    def fold(self, message: Message, origin: Origin, profile: Profile, gathered: Gathered, step: UsersStep) -> bool:
        """Fold one message into its user's profile and into what is collected, in place.

        Parameters
        ----------
        message, origin
            The message, and where it was appended.
        profile
            The user's profile.
        gathered, step
            Are added to.

        Returns
        -------
        bool
            Whether it was new; a repeated one changes nothing.
        """
        gathered.before.setdefault(message.user_id, (profile.last_seen, bool(profile.item_ids)))
        if isinstance(message, AdRequest):
            return self._ad_request(message, origin, profile, gathered)
        if isinstance(message, SlateRequest):
            return self._slate_request(message, origin, profile, gathered)
        if not self._may(message, "store"):
            return self._pass_by(message, origin, profile, gathered)
        if isinstance(message, Impression):
            is_new = self._impression(message, profile, gathered)
        elif not message.item_id:
            is_new = self._keeper.visit(profile, message)
        else:
            is_new = self._event(message, profile, gathered, step)
        if is_new:
            if isinstance(message, Event):
                self._answer(message, origin, profile, gathered)
            self._change(message, profile, gathered)
        return is_new

    @staticmethod
    def upload(upload: AudienceUpload, profile: Profile, gathered: Gathered) -> bool:
        """Put a user on the lists of an upload and on no others, in place.

        Nothing else comes of it: an upload is no visit, teaches nothing and asks for nothing.

        Returns
        -------
        bool
            Whether that changed anything; one that does not is not stored, and is no sign of life.
        """
        if profile.lists == [*upload.lists]:
            return False
        profile.lists = [*upload.lists]
        profile.last_active = max(profile.last_active, upload.time_ms)
        gathered.changed[upload.user_id] = None
        return True

    def _may(self, message: Message, *needed: Purpose) -> bool:
        """Tell whether the user of a message agreed to some purposes."""
        return self._consent.allows(message.purposes, *needed)

    def _ad_request(self, request: AdRequest, origin: Origin, profile: Profile, gathered: Gathered) -> bool:
        if self._ads.agreed(request):
            if not self._keeper.note_request(profile, request.request_id):
                return False
            self._change(request, profile, gathered)
        gathered.opportunities.append(self._ads.requested(request, origin, profile))
        return True

    def _slate_request(self, request: SlateRequest, origin: Origin, profile: Profile, gathered: Gathered) -> bool:
        if self._may(request, "store"):
            if not self._keeper.note_request(profile, f"slate {request.request_id}"):
                return False
            self._change(request, profile, gathered)
        gathered.requests.append((request, origin, profile))
        return True

    def _impression(self, impression: Impression, profile: Profile, gathered: Gathered) -> bool:
        if not self._keeper.note_impression(profile, impression):
            return False
        if self._may(impression, "measure"):
            self._ads.tracking.seen(profile, impression, gathered.ads)
        return True

    def _event(self, event: Event, profile: Profile, gathered: Gathered, step: UsersStep) -> bool:
        touched = event.item_id in profile.item_ids
        learned = self._keeper.learn(profile, event)
        if learned.duplicate:
            return False
        if event.chooses and learned.influence.machine is None and self._may(event, "measure"):
            before = gathered.before[event.user_id]
            gathered.choices.append(Choice(event.user_id, event.item_id, *before, touched))
        if self._may(event, "learn"):
            self._signal(event, learned, profile, gathered, step)
        if self._may(event, "measure"):
            self._ads.tracking.react(profile, event, gathered.ads)
        return True

    def _answer(self, event: Event, origin: Origin, profile: Profile, gathered: Gathered) -> None:
        """Note that the user gets slates for an event, as far as agreed to, and an ad if it is an opportunity."""
        if self._may(event, "recommend"):
            gathered.causes[event.user_id] = event, origin
        if self._ads.is_opportunity(event, origin):
            self._offer(event, origin, profile, gathered)

    def _pass_by(self, message: Message, origin: Origin, profile: Profile, gathered: Gathered) -> bool:
        """Take in a message of which nothing may be stored; return whether it was new, as far as the profile can tell.

        There may be an ad that only the moment decides. Others do not learn from it: without a profile nobody can tell
        how often somebody has said the same.
        """
        if not isinstance(message, Event):
            return True
        if self._keeper.knows(profile, message):
            return False
        if self._ads.is_opportunity(message, origin):
            self._offer(message, origin, profile, gathered)
        return True

    @staticmethod
    def _signal(event: Event, learned: Learned, profile: Profile, gathered: Gathered, step: UsersStep) -> None:
        """Add to the signals what others may learn from an event: nothing from one of a machine.

        A return takes back the purchase that taught them something, and no other.
        """
        influence = learned.influence
        if event.action in TAKES_BACK:
            if learned.returned and profile.unteach(event.item_id):
                gathered.signals.give_back(event)
        elif influence.machine is not None:
            step.unlearned[influence.machine] += 1
        else:
            nth = influence.nth if influence.settled else -influence.nth
            touched = not event.disliked
            if event.action == "purchase" and touched:
                profile.teach(event.item_id)
            gathered.signals.add(event, learned.preceding, nth, touched=touched, entered=learned.entered)

    @staticmethod
    def _change(message: Message, profile: Profile, gathered: Gathered) -> None:
        """Note that a message changed its user's profile, and when."""
        profile.last_active = max(profile.last_active, message.time_ms)
        gathered.changed[message.user_id] = None

    def _offer(self, event: Event, origin: Origin, profile: Profile, gathered: Gathered) -> None:
        """Add the opportunity for an ad that an event is; where there is no campaign, only count it."""
        if self._ads.idle:
            gathered.without_campaign += 1
        else:
            gathered.opportunities.append(self._ads.opportunity(event, origin, profile))
