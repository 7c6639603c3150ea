"""Answers to "why is this item not shown to that user", from the topics of a running system."""

from __future__ import annotations

import time
from collections.abc import Iterable
from difflib import get_close_matches

import msgspec
from kafka import KafkaConsumer

from processors.ranking.why_not import UNKNOWN, WhyNot
from streams.operations.present import known_profile, read_topology
from streams.settings.sections import Settings


def why_not(settings: Settings, consumer: KafkaConsumer, user: str, item: str) -> list[WhyNot]:
    """Say, per placement, which stage would keep an item out of a user's slates now.

    Reads the broadcast topics and the part of the changelog that the user is in: as much as a worker reads when it
    starts.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription.
    user, item
        Ids of the user and of the item. Of an item that is not known, the text names one that may be meant.

    Raises
    ------
    NearstreamError
        If no event of the user has been applied, or the topics cannot be read in time.
    """
    topology = read_topology(settings, consumer)
    profile = known_profile(settings, consumer, user)
    found = topology.users.why_not(profile, item, int(time.time() * 1000))
    meant = near_id(item, topology.index.ids) if any(part.stage == UNKNOWN for part in found) else None
    if meant is None:
        return found
    return [msgspec.structs.replace(part, text=f"{part.text}; did you mean {meant}?") for part in found]


def near_id(wanted: str, ids: Iterable[str]) -> str | None:
    """Return the id that is most similar to one that there is not, if any is.

    Complexity: one look at each id; at most :data:`_MOST_COMPARED` of about the same length are compared, those with
    the same beginning or end first.

    Examples
    --------
    >>> near_id("wool-sok-1", ["tent-1", "", "wool-sock-1", "wool-scarf-1"]), near_id("x", ["tent-1"])
    ('wool-sock-1', None)
    >>> near_id("TENT-1", ["tent-2", "tent-1"])
    'tent-1'
    """
    if len(wanted) > _LONGEST_COMPARED:
        return None
    begin, end, plain = wanted[:_SAME], wanted[-_SAME:], wanted.casefold()
    alike, others = list[str](), list[str]()
    for known in ids:
        if known and abs(len(known) - len(wanted)) <= _MOST_APART:
            if known.casefold() == plain:
                return known
            (alike if known.startswith(begin) or known.endswith(end) else others).append(known)
    near = get_close_matches(wanted, [*alike, *others][:_MOST_COMPARED], n=1, cutoff=_SIMILAR)
    return near[0] if near else None


_MOST_COMPARED, _LONGEST_COMPARED = 5_000, 64
_SAME, _MOST_APART, _SIMILAR = 3, 2, 0.75
