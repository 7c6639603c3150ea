"""What the users plane sends to the models plane: training examples from users' next choices, and from ads.

Examples from choices are made of the profiles as they were before the micro-batch: the ranker must not know more than
it did when the user chose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from processors.ads.tracking import AdStep
from processors.common.hashing import partition_of
from processors.common.topics import TRAINING_TOPIC
from processors.events.consent import ConsentSettings
from processors.events.event import Event
from processors.models.click_model import MAX_EXAMPLES
from processors.models.completed_profiles import all_completed
from processors.models.context_popularity import chosen_in
from processors.models.examples import RANKER, Examples, example_bytes
from processors.models.interest_groups import interests_of
from processors.models.learned import parts_bytes
from processors.planes.base import Output
from processors.planes.chain import LINK_BYTES
from processors.planes.users_step import UsersStep
from processors.ranking.frame import Frame
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.read_models import ReadModels
from processors.ranking.training import Training, choices_of
from processors.users.profile import Profile
from processors.users.profile_keeper import ProfileKeeper


class Choices(NamedTuple):
    """What users chose, and who they were.

    Attributes
    ----------
    events
        The choices, each of another user.
    profiles
        The profiles of these users as they were before.
    """

    events: Sequence[Event]
    profiles: Sequence[Profile]

    @property
    def moments(self) -> list[int]:
        """When each was made, milliseconds since the epoch."""
        return [event.time_ms for event in self.events]

    @property
    def users(self) -> list[str]:
        """Who made each."""
        return [event.user_id for event in self.events]


class Teaching:
    """Makes training examples from micro-batches and sends them to the models plane.

    Parameters
    ----------
    pipeline
        The ranking that learns.
    keeper
        Tells which events a profile contains already.
    partitions
        Number of partitions of every topic.
    max_message_bytes
        Greatest size of one message on the topic of examples; bounds their number per micro-batch.
    consent
        How events that say nothing of purposes are taken.
    """

    def __init__(
        self,
        pipeline: RankingPipeline,
        keeper: ProfileKeeper,
        partitions: int,
        max_message_bytes: int,
        consent: ConsentSettings,
    ) -> None:
        self._consent = consent
        self._training, self._keeper, self._partitions = Training(pipeline), keeper, partitions
        self._features = pipeline.features
        fitting = (max_message_bytes - LINK_BYTES - parts_bytes()) // example_bytes(self._features)
        self._most = max(0, min(pipeline.settings.training_examples, fitting))
        self._pack = msgspec.msgpack.Encoder().encode

    def choices(self, events: Sequence[Event], profiles: Mapping[str, Profile]) -> Choices:
        """Return the choices that are learned from: each user's first new event, of as many users as fit a message.

        Parameters
        ----------
        events
            The events of the micro-batch, in order.
        profiles
            By user: the profile as it was before the micro-batch.
        """
        first: dict[str, Event] = {}
        for event in events:
            if len(first) == self._most:
                break
            profile = profiles[event.user_id]
            no_lesson = not event.chooses or not self._consent.allows(event.purposes, "store", "learn")
            if no_lesson or event.user_id in first or self._keeper.is_machine(profile):
                continue
            if not self._keeper.knows(profile, event):
                first[event.user_id] = event
        return Choices(list(first.values()), [profiles[user] for user in first])

    def lessons(
        self,
        choices: Choices,
        read: ReadModels,
        at_ms: int,
        step: UsersStep,
        frame: Frame | None = None,
    ) -> Examples | None:
        """Make an example of each choice; :obj:`None` if there is none.

        Parameters
        ----------
        choices
            What was chosen, by users whose profiles do not contain anything of the micro-batch.
        read
            The read models.
        at_ms
            The latest append time of the batch, milliseconds since the epoch.
        step
            Its figures of quality are added to.
        frame
            What :meth:`processors.ranking.pipeline.RankingPipeline.together` has found of the users, if it was asked.
        """
        chosen, asked = choices.events, choices.profiles
        if not chosen:
            return None
        items = [event.item_id for event in chosen]
        answers, examples = self._training.lessons(asked, choices.moments, items, read, at_ms, frame)
        step.quality.choices.extend(choices_of(answers))
        known = [at for at, profile in enumerate(asked) if self._keeper.has_past(profile)]
        asked, chosen = [asked[at] for at in known], [chosen[at] for at in known]
        examples.interests = interests_of(all_completed(asked, read.items), chosen, read.items)
        contexts, histories = [profile.context for profile in asked], [profile.item_ids for profile in asked]
        examples.chosen_in = chosen_in(contexts, histories, chosen)
        return examples

    def send(self, step: UsersStep, examples: Examples | None, ads: AdStep) -> None:
        """Add the message for the models plane to the step's outputs, if there is anything to be learned.

        Parameters
        ----------
        step
            Its outputs are added to, and examples that do not fit are counted in its outcomes.
        examples
            From :meth:`lessons`.
        ads
            The examples that clicks, purchases and unclicked impressions of ads give.
        """
        if examples is None and not ads.examples and not ads.purchases:
            return
        # Sent even if it is empty: the chain, which is state, must not depend on the contents of a read model.
        examples = examples or Examples(RANKER, self._features, b"", b"", b"", b"", b"", b"")
        examples.clicks = tuple(ads.examples[:MAX_EXAMPLES])
        examples.purchases = tuple(ads.purchases[: MAX_EXAMPLES - len(examples.clicks)])
        sent, found = len(examples.clicks) + len(examples.purchases), len(ads.examples) + len(ads.purchases)
        if found > sent:
            step.outcomes[TRAINING_TOPIC, "left_out"] += found - sent
        receiver = partition_of(RANKER, self._partitions)
        step.outputs.append(Output(TRAINING_TOPIC, receiver, None, self._pack(examples), chained=True))
