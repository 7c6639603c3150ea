"""Slates that apps ask for: made at the moment of the request, beside an item or a basket if it names one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from processors.common.hashing import partition_of
from processors.common.time import stamp
from processors.common.topics import RECOMMENDATIONS_TOPIC
from processors.events.consent import ConsentSettings
from processors.events.record import Origin
from processors.events.slate_request import SlateRequest
from processors.planes.base import Output
from processors.planes.users_step import UsersStep
from processors.ranking.messages import CausedBy, WrittenRecommendation
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.read_models import ReadModels
from processors.ranking.slate import Slates
from processors.ranking.slate_writer import SlateWriter
from processors.users.context import update_circumstances
from processors.users.profile import Profile
from processors.users.profile_keeper import ProfileKeeper

_NOTHING = msgspec.Raw(b"[]")


class RequestedSlates:
    """Answers requests for slates.

    Parameters
    ----------
    pipeline
        The ranking.
    keeper
        Puts what a request names into a copy of the profile.
    consent
        How requests that say nothing of purposes are taken.
    """

    def __init__(self, pipeline: RankingPipeline, keeper: ProfileKeeper, consent: ConsentSettings) -> None:
        self._pipeline, self._keeper, self._consent = pipeline, keeper, consent
        self._writer = SlateWriter(pipeline.texts)
        self._json = msgspec.json.Encoder().encode
        settings = pipeline.settings
        every = (*settings.placements, *settings.anchored)
        self._anchored = {placement.name for placement in settings.anchored}
        self._placements = {placement.name: (number, placement) for number, placement in enumerate(every)}

    def answer(
        self,
        step: UsersStep,
        requests: Sequence[tuple[SlateRequest, Origin, Profile]],
        read: ReadModels,
        at_ms: int,
        partition: int,
    ) -> None:
        """Add an answer to each request to the step.

        Parameters
        ----------
        step
            Its outputs and figures are added to.
        requests
            The requests, where each was appended, and the user's profile.
        read
            The read models.
        at_ms
            When the answers are made, milliseconds since the epoch.
        partition
            The partition of the users.
        """
        alike: dict[tuple[str, int], list[int]] = defaultdict(list)
        written: dict[int, tuple[msgspec.Raw, str | None]] = {}
        for number, (request, _, _) in enumerate(requests):
            if request.placement in self._placements:
                size = request.size or self._placements[request.placement][1].size
                alike[request.placement, size].append(number)
            else:
                known = ", ".join(self._placements)
                written[number] = _NOTHING, f"placement: {request.placement!r}, expected one of {known}"
        for (name, size), numbers in alike.items():
            slates = self._made([(requests[at][0], requests[at][2]) for at in numbers], name, size, read, at_ms)
            step.quality.shown.append(slates.sample(name, read.items))
            step.removed += slates.removed
            if name not in self._anchored:
                # A small widget, or what was made without the profile, is not what the placement shows.
                rows = [row for row, at in enumerate(numbers) if self._is_usual(requests[at][0], size)]
                own = [requests[numbers[row]] for row in rows]
                users, moments = [one.user_id for one, _, _ in own], [profile.last_seen for _, _, profile in own]
                number = self._placements[name][0]
                step.published.append(slates.published(number, users, moments, read.items, rows))
            for at, items in zip(numbers, self._writer.write(slates, read), strict=True):
                raw = msgspec.Raw(items)
                why = "nothing is left that may be shown" if bytes(items) == b"[]" else None
                written[at] = raw, why
        for number, (request, origin, _) in enumerate(requests):
            step.outputs.append(self._message(request, origin, *written[number], read, at_ms, partition))

    def _is_usual(self, request: SlateRequest, size: int) -> bool:
        """Tell whether a request is answered by what its placement shows the user anyway."""
        usual = size == self._placements[request.placement][1].size and not request.exclude and not request.items
        return usual and self._consent.allows(request.purposes, "store", "recommend", "measure")

    def _made(
        self, asked: Sequence[tuple[SlateRequest, Profile]], name: str, size: int, read: ReadModels, at_ms: int
    ) -> Slates:
        """Make the slates of some requests for one placement and of one size."""
        number, placement = self._placements[name]
        profiles = [self._at_the_moment(request, profile) for request, profile in asked]
        return self._pipeline.requested(
            profiles,
            [request.time_ms for request, _ in asked],
            read,
            at_ms,
            msgspec.structs.replace(placement, size=size),
            number,
            [(*request.exclude, *request.items) for request, _ in asked],
        )

    def _at_the_moment(self, request: SlateRequest, profile: Profile) -> Profile:
        """Return the profile as it is at a request: with its circumstances, and beside what it names."""
        if not self._consent.allows(request.purposes, "recommend"):
            profile = Profile()
        context = dict(profile.context)
        update_circumstances(context, request.context, request.channel)
        known = msgspec.structs.replace(profile, context=context)
        if not request.items:
            return known
        # Beside an item it is the item that counts, not what the user looked at before.
        return self._keeper.beside(known, request.items, request.time_ms, alone=request.placement in self._anchored)

    def _message(
        self,
        request: SlateRequest,
        origin: Origin,
        items: msgspec.Raw,
        why: str | None,
        read: ReadModels,
        at_ms: int,
        partition: int,
    ) -> Output:
        message = WrittenRecommendation(
            recommendation_id=f"{origin.topic}/{origin.partition}/{origin.offset}/{request.placement}",
            user_id=request.user_id,
            placement=request.placement,
            generated_at=stamp(at_ms),
            caused_by=CausedBy(request.request_id, origin.topic, origin.partition, origin.offset),
            model_version=read.weights.version,
            items=items,
            request_id=request.request_id,
            why=why,
        )
        # A compacted topic keeps the last message of a key: an answer beside an item must not stand for the home page.
        own = request.placement in self._placements and request.placement not in self._anchored
        key = request.user_id if own else f"{request.user_id}/{request.placement}"
        return Output(RECOMMENDATIONS_TOPIC, partition, key.encode(), self._json(message))


def declined(request_id: str, user_id: str, origin: Origin, why: str, partitions: int) -> Output:
    """Return the answer to a request that makes no sense: an empty slate that says why."""
    message = WrittenRecommendation(
        recommendation_id=f"{origin.topic}/{origin.partition}/{origin.offset}/",
        user_id=user_id,
        placement="",
        generated_at=stamp(origin.time_ms),
        caused_by=CausedBy(request_id, origin.topic, origin.partition, origin.offset),
        model_version="",
        items=_NOTHING,
        request_id=request_id,
        why=why,
    )
    home = partition_of(user_id, partitions)
    return Output(RECOMMENDATIONS_TOPIC, home, f"{user_id}/".encode(), msgspec.json.encode(message))
