"""What the users plane sends to the models plane: lessons of users' next choices, and of what came of ads.

A lesson is asked before anything of the micro-batch is folded in: the ranker may know no more than it did when the user
chose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from processors.ads.tracking import AdStep
from processors.common.hashing import partition_of
from processors.common.topics import TRAINING_TOPIC
from processors.events.event import TAKES_BACK, Event
from processors.models.click_model import MAX_EXAMPLES
from processors.models.context_popularity import chosen_in
from processors.models.examples import RANKER, Examples, example_bytes
from processors.models.interest_groups import interests_of
from processors.models.learned import parts_bytes
from processors.planes.base import Output
from processors.planes.chain import LINK_BYTES
from processors.planes.users_step import UsersStep
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.read_models import ReadModels
from processors.ranking.training import Training, choices_of
from processors.users.profile import Profile, ProfileKeeper


class Teaching:
    """Finds lessons in micro-batches and sends them.

    Parameters
    ----------
    pipeline
        The ranking that learns.
    keeper
        Knows which events a profile has learned already.
    partitions
        Partitions of every topic.
    max_message_bytes
        What the topic of examples takes in one message; bounds the number of lessons.
    """

    def __init__(
        self, pipeline: RankingPipeline, keeper: ProfileKeeper, partitions: int, max_message_bytes: int
    ) -> None:
        self._training, self._keeper, self._partitions = Training(pipeline), keeper, partitions
        self._features = pipeline.features
        fitting = (max_message_bytes - LINK_BYTES - parts_bytes()) // example_bytes(self._features)
        self._most = max(0, min(pipeline.settings.training_examples, fitting))
        self._pack = msgspec.msgpack.Encoder().encode

    def lessons(
        self,
        events: Sequence[Event],
        profiles: Mapping[str, Profile],
        read: ReadModels,
        at_ms: int,
        step: UsersStep,
    ) -> Examples | None:
        """Ask what the first new event of each user teaches, while nothing of the batch is folded in.

        Parameters
        ----------
        events
            Of the micro-batch, in order.
        profiles
            Of their users, as they were before.
        read
            The read models.
        at_ms
            The latest append time of the batch, milliseconds since the epoch.
        step
            Takes what the lessons show of the quality of slates.
        """
        first: dict[str, Event] = {}
        for event in events:
            if len(first) == self._most:
                break
            if event.action in TAKES_BACK:
                continue
            if event.user_id not in first and not self._keeper.knows(profiles[event.user_id], event):
                first[event.user_id] = event
        if not first:
            return None
        chosen, asked = list(first.values()), [profiles[user] for user in first]
        moments, items = [event.time_ms for event in chosen], [event.item_id for event in chosen]
        answers, examples = self._training.lessons(asked, moments, items, read, at_ms)
        step.quality.choices.extend(choices_of(answers, asked))
        examples.interests = interests_of(asked, chosen)
        contexts, histories = [profile.context for profile in asked], [profile.item_ids for profile in asked]
        examples.chosen_in = chosen_in(contexts, histories, chosen)
        return examples

    def send(self, step: UsersStep, examples: Examples | None, ads: AdStep) -> None:
        """Add the message for the models plane to the step's outputs, if there is anything to be learned."""
        if examples is None and not ads.examples and not ads.purchases:
            return
        # Sent even if it is empty: the chain, which is state, must not depend on what the read model knew.
        examples = examples or Examples(RANKER, self._features, b"", b"", b"", b"", b"", b"")
        examples.clicks = tuple(ads.examples[:MAX_EXAMPLES])
        examples.purchases = tuple(ads.purchases[: MAX_EXAMPLES - len(examples.clicks)])
        sent, found = len(examples.clicks) + len(examples.purchases), len(ads.examples) + len(ads.purchases)
        if found > sent:
            step.outcomes[TRAINING_TOPIC, "left_out"] += found - sent
        receiver = partition_of(RANKER, self._partitions)
        step.outputs.append(Output(TRAINING_TOPIC, receiver, None, self._pack(examples), chained=True))
