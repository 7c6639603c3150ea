"""What is known of a user, and what would be shown to the user now, from the topics of a running system."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import msgspec
from kafka import KafkaConsumer

from processors.common.errors import NearstreamError
from processors.common.time import stamp
from processors.models.completed_profiles import completed
from processors.ranking.settings import RankingSettings
from processors.ranking.slate import SlateItem
from processors.users.profile import Profile
from streams.engine.topology import Topology
from streams.operations.present import known_profile, read_profile, read_topology
from streams.settings.sections import Settings

_MOST = 10


class KnownUser(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a user.

    Parameters
    ----------
    user_id
        The user.
    first_seen, last_seen
        Times of the earliest and the latest event, ISO-8601.
    events, sessions, purchases
        How many there were.
    spent
        Money spent on purchases less what came back, in ``currency``; purchases without a price count by the
        catalogue's.
    categories, brands
        Interests: the share of each in all that the user did, the greatest first; at most ten.
    group
        Number of the interest group, and the categories that it chooses most.
    recent_items
        The last items touched with the last action on each, the latest first; at most ten.
    dislikes
        Items dismissed or rated low.
    context, age
        The circumstances as last known.
    machine
        By what the user looks like a machine, if so: nothing is learned from such events.
    ads
        By campaign: how often the user was shown it.
    lists
        The shop's lists that the user is on.
    """

    user_id: str
    first_seen: str
    last_seen: str
    events: int
    sessions: int
    purchases: int
    spent: float
    currency: str
    categories: dict[str, float]
    brands: dict[str, float]
    group: str | None = None
    recent_items: dict[str, str] = msgspec.field(default_factory=dict)
    dislikes: tuple[str, ...] = ()
    context: dict[str, str] = msgspec.field(default_factory=dict)
    age: int | None = None
    machine: str | None = None
    ads: dict[str, int] = msgspec.field(default_factory=dict)
    lists: tuple[str, ...] = ()


class WouldShow(msgspec.Struct, frozen=True):
    """What would be shown to a user.

    Parameters
    ----------
    user_id
        The user.
    placements
        The slate of each placement, by its name.
    known
        Whether anything is known of the user; otherwise it is what everybody new is shown.
    """

    user_id: str
    placements: dict[str, list[SlateItem]]
    known: bool


def known_user(settings: Settings, consumer: KafkaConsumer, user: str) -> KnownUser:
    """Say what is known of a user.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription.

    Raises
    ------
    NearstreamError
        If no event of the user has been applied, or the topics cannot be read in time.
    """
    profile = known_profile(settings, consumer, user)
    return describe(user, profile, read_topology(settings, consumer), settings)


def describe(user: str, profile: Profile, topology: Topology, settings: Settings) -> KnownUser:
    """Describe a profile, with what the items of its events stand for."""
    whole = completed(profile, topology.index)
    return KnownUser(
        user_id=user,
        first_seen=stamp(whole.first_seen),
        last_seen=stamp(whole.last_seen),
        events=whole.events,
        sessions=whole.sessions,
        purchases=whole.purchases,
        spent=round(whole.spent, 2),
        currency=settings.money.currency,
        categories=_shares(whole.categories),
        brands=_shares(whole.brands),
        group=_group_of(whole, topology),
        recent_items=dict([*zip(whole.item_ids, whole.item_actions, strict=True)][: -_MOST - 1 : -1]),
        dislikes=tuple(whole.dislikes.ids),
        context=whole.context,
        age=whole.age,
        machine=whole.pace.behaviour(settings.users.influence),
        ads={cid: shown.total for cid, shown in whole.ads.impressions.items()},
        lists=tuple(whole.lists),
    )


def would_show(settings: Settings, consumer: KafkaConsumer, user: str, placement: str | None = None) -> WouldShow:
    """Return what would be shown to a user now, by placement; somebody unknown gets what newcomers get.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription.
    placement
        The only placement to return.

    Raises
    ------
    NearstreamError
        If there is no such placement, or the topics cannot be read in time.
    """
    names = [known.name for known in settings.users.ranking.placements]
    if placement is not None and placement not in names:
        raise NearstreamError(no_placement(placement, settings.users.ranking))
    topology = read_topology(settings, consumer)
    profile = read_profile(settings, consumer, user)
    now_ms = int(time.time() * 1000)
    slates = topology.users.recommend([profile or Profile()], [now_ms], now_ms)
    found = {name: part.items(0, topology.users.read) for name, part in zip(names, slates, strict=True)}
    chosen = found if placement is None else {placement: found[placement]}
    return WouldShow(user, chosen, profile is not None)


def no_placement(name: str, ranking: RankingSettings) -> str:
    """Say which placements there are, and how those are asked for that go with an item.

    Examples
    --------
    >>> print(no_placement("related", RankingSettings()))
    placement: 'related', expected one of home, discover; related and together go with an item: ...
    """
    said = f"placement: {name!r}, expected one of {', '.join(one.name for one in ranking.placements)}"
    anchored = [one.name for one in ranking.anchored]
    if not anchored:
        return said
    which = f"{' and '.join(anchored)} go{'' if len(anchored) > 1 else 'es'} with an item"
    meant = name if name in anchored else anchored[0]
    return f"{said}; {which}: `nearstream send slate --user USER --placement {meant} --item ITEM` asks a worker"


def in_words(known: KnownUser) -> Iterator[str]:
    """Yield the lines that describe a user to a person."""
    if not known.events:
        yield f"{known.user_id}: no events"
    else:
        since = f"{known.first_seen} to {known.last_seen}"
        yield f"{known.user_id}: {known.events} events in {known.sessions} sessions, {since}"
    yield _line("bought", f"{known.purchases} times, {known.spent:.2f} {known.currency}")
    yield _line("likes", _listed(known.categories))
    yield _line("brands", _listed(known.brands))
    if known.group is not None:
        yield _line("group", known.group)
    items = [f"{item} ({action})" for item, action in known.recent_items.items()]
    yield _line("looked at", ", ".join(items) or "nothing")
    if known.dislikes:
        yield _line("dislikes", ", ".join(known.dislikes))
    moment = [f"{name} {value}" for name, value in known.context.items()]
    moment += [] if known.age is None else [f"age {known.age}"]
    if moment:
        yield _line("circumstances", ", ".join(moment))
    if known.lists:
        yield _line("lists", ", ".join(known.lists))
    if known.ads:
        yield _line("was shown", ", ".join(f"{cid} {times} times" for cid, times in known.ads.items()))
    if known.machine is not None:
        yield _line("machine", f"by its {known.machine}: served, but nothing is learned from it for others")


def _line(name: str, text: str) -> str:
    return f"  {name:<14}{text}"


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values()) or 1.0
    best = sorted(weights.items(), key=lambda entry: (-entry[1], entry[0]))[:_MOST]
    return {name: round(weight / total, 3) for name, weight in best}


def _listed(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items()) or "nothing known"


def _group_of(profile: Profile, topology: Topology) -> str | None:
    groups = topology.users.read.groups
    number = int(groups.of([profile])[0])
    return None if number < 0 else f"{number}: {', '.join(groups.views[number].labels) or 'no category'}"
