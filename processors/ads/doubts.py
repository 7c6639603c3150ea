"""What cannot be meant in a campaign that is valid: it is told when the campaign is loaded, and when it is listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from processors.ads.audience import WINDOWS, Audience, names_in
from processors.ads.campaign import Campaign, Frequency
from processors.ads.countries import COUNTRIES
from processors.ads.creative_limits import Blocks, CreativeLimits
from processors.common.text import folded
from processors.items.index import ItemIndex

_LISTS = (
    "segments",
    "countries",
    "regions",
    "cities",
    "devices",
    "channels",
    "languages",
    "placements",
    "viewed_categories",
    "viewed_items",
    "bought_categories",
    "bought_items",
    "lists",
)
_ITEMS = ("viewed_items", "bought_items")
_WINDOW_OF = {field: window for window, fields in WINDOWS.items() for field in fields}
_LEAST = ("events_at_least", "spent_at_least")
_SHOWN = 5
"""Names that a doubt lists at most."""

_NOTHING_BLOCKED = Blocks()

Lacks = Callable[[str], bool]


def doubts_of(
    campaign: Campaign, lacks: Lacks = lambda _: False, blocked: Blocks = _NOTHING_BLOCKED
) -> tuple[str, ...]:
    """Say what cannot be meant in a campaign; nothing if it makes sense.

    Parameters
    ----------
    campaign
        A valid campaign.
    lacks
        Tells of an item whether the shop does not have it (:func:`lacking_of`).
    blocked
        What settings block at every placement.

    Examples
    --------
    >>> from processors.ads.campaign import Creative
    >>> tent = Creative("a", "A tent", "https://shop.example/tent")
    >>> found = Audience(countries=("DE", "Narnia")), Audience(countries=("de",))
    >>> for doubt in doubts_of(Campaign("shop", (tent,), 2.0, 100.0, target=found[0], exclude=found[1])):
    ...     print(doubt)
    countries: target and exclude both have DE
    target.countries: no country has the code Narnia, expected one of ISO 3166-1 such as DE
    """
    return (
        *_contradictions(campaign),
        *_idle_caps(campaign.frequency),
        *_unapproved(campaign),
        *_blocked(campaign, blocked),
        *_no_countries(campaign),
        *_of_goal(campaign),
        *_lacking(campaign, lacks),
    )


def disagreements_of(campaigns: Mapping[str, Campaign]) -> dict[str, tuple[str, ...]]:
    """Say by id what campaigns of one advertiser say differently of what they may spend together; the smallest counts.

    Parameters
    ----------
    campaigns
        By id, all that are known.

    Examples
    --------
    >>> from processors.ads.campaign import Creative
    >>> tent = Creative("a", "A tent", "https://shop.example/tent")
    >>> first = Campaign("shop", (tent,), 2.0, 100.0, advertiser_budget=150.0)
    >>> second = Campaign("shop", (tent,), 2.0, 100.0, advertiser_budget=200.0)
    >>> disagreements_of({"first": first, "second": second, "third": Campaign("shop", (tent,), 2.0, 100.0)})
    {'second': ('advertiser_budget: 200.0, but first of the same advertiser has 150.0, which counts',)}
    """
    found: dict[str, list[str]] = {}
    for cid, doubt in (*_budgets_apart(campaigns), *_days_apart(campaigns)):
        found.setdefault(cid, []).append(doubt)
    return {cid: tuple(doubts) for cid, doubts in found.items()}


def _budgets_apart(campaigns: Mapping[str, Campaign]) -> Iterator[tuple[str, str]]:
    for field in ("advertiser_budget", "advertiser_budget_daily"):
        given = {cid: getattr(one, field) for cid, one in sorted(campaigns.items()) if getattr(one, field) is not None}
        least: dict[str, tuple[float, str]] = {}
        for cid, budget in given.items():
            name = campaigns[cid].advertiser
            least[name] = min(least.get(name, (budget, cid)), (budget, cid))
        for cid, budget in given.items():
            smallest, other = least[campaigns[cid].advertiser]
            if budget > smallest:
                yield cid, f"{field}: {budget}, but {other} of the same advertiser has {smallest}, which counts"


def _days_apart(campaigns: Mapping[str, Campaign]) -> Iterator[tuple[str, str]]:
    """Say which campaigns of advertisers with a daily budget have another day than the first."""
    daily = {one.advertiser for one in campaigns.values() if one.advertiser_budget_daily is not None}
    firsts: dict[str, tuple[str, str]] = {}
    for cid, one in sorted(campaigns.items()):
        zone = one.dayparts.timezone
        other, first = firsts.setdefault(one.advertiser, (cid, zone))
        if one.advertiser in daily and zone != first:
            yield cid, f"dayparts.timezone: {zone}, but {other} of the same advertiser has {first}: their days differ"


def lacking_of(items: ItemIndex) -> Lacks:
    """Return what tells of an item whether the shop does not have it.

    Parameters
    ----------
    items
        The read model of items. Where it has rows of a catalogue, an item has to be among them; in a shop without a
        catalogue it is enough that events name it. Where no item is known at all, as before the first worker has run,
        nothing can be said to be missing.
    """
    listed = any(view is not None and view.listing is not None for view in items.views)

    def lacks(item_id: str) -> bool:
        view = items.view(item_id)
        if not len(items):
            return False
        return view is None or (listed and view.listing is None)

    return lacks


def names_items(campaign: Campaign) -> bool:
    """Tell whether items must be known to say whether a campaign makes sense."""
    promotes = any(creative.item_id is not None for creative in campaign.creatives)
    return promotes or any(getattr(side, field) for side in (campaign.target, campaign.exclude) for field in _ITEMS)


def _contradictions(campaign: Campaign) -> Iterator[str]:
    target, exclude = campaign.target, campaign.exclude
    for field in _LISTS:
        wanted, unwanted = _names(target, field), _names(exclude, field)
        both = [name for key, name in wanted.items() if key in unwanted]
        if both and _outlasts(target, exclude, field):
            continue
        if both and len(both) == len(wanted):
            yield f"{field}: exclude has all that target has, {_listed(both)}: it is shown to nobody"
        elif both:
            yield f"{field}: target and exclude both have {_listed(both)}"
    least = {folded(interest.name): interest.at_least for interest in exclude.interests}
    both = [one.name for one in target.interests if least.get(folded(one.name), 2.0) <= one.at_least]
    if both:
        yield f"interests: target and exclude both have {_listed(both)}"
    if target.visitors is not None and target.visitors == exclude.visitors:
        yield f"visitors: target and exclude are both {target.visitors}: it is shown to nobody"
    yield from _contradicting_figures(target, exclude)
    promoted = {creative.item_id for creative in campaign.creatives}
    if campaign.exclude_purchasers and target.bought_items and promoted.issuperset(target.bought_items):
        items = _listed([*target.bought_items])
        yield f"exclude_purchasers: target.bought_items has only what it promotes, {items}: it is shown to nobody"


def _outlasts(target: Audience, exclude: Audience, field: str) -> bool:
    """Tell whether a target looks further back than an exclusion, so that both may list the same."""
    if (window := _WINDOW_OF.get(field)) is None:
        return False
    wanted, unwanted = getattr(target, window), getattr(exclude, window)
    return unwanted is not None and (wanted is None or wanted > unwanted)


def _contradicting_figures(target: Audience, exclude: Audience) -> Iterator[str]:
    for field in _LEAST:
        wanted, unwanted = getattr(target, field), getattr(exclude, field)
        if wanted is not None and unwanted is not None and unwanted <= wanted:
            yield f"{field}: exclude has {unwanted}, target {wanted}: it is shown to nobody"
    within, beyond = target.seen_within_days, exclude.seen_within_days
    if within is not None and beyond is not None and beyond >= within:
        yield f"seen_within_days: exclude has {beyond}, target {within}: it is shown to nobody"


def _idle_caps(caps: Frequency) -> Iterator[str]:
    """Name caps that are never reached, as one over a longer time is reached before."""
    for prefix in ("", "advertiser_"):
        least: tuple[str, int] | None = None
        for span in ("total", "per_month", "per_week", "per_day", "per_hour"):
            name = f"{prefix}{span}"
            cap: int | None = getattr(caps, name, None)
            if cap is None:
                continue
            if least is not None and cap > least[1]:
                yield f"frequency.{name}: {cap} is never reached, as {least[0]} is {least[1]}"
            else:
                least = name, cap


def _unapproved(campaign: Campaign) -> Iterator[str]:
    """Say that a campaign rests as long as nobody has agreed to its creatives."""
    if not campaign.approved:
        counts = Counter(creative.status for creative in campaign.creatives)
        said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        yield f"creatives: none is approved ({said}): it is shown to nobody"


def _blocked(campaign: Campaign, blocked: Blocks) -> Iterator[str]:
    codes = CreativeLimits.of([campaign]).blocked(blocked) if blocked else None
    if codes is not None and codes.all():
        yield "creatives: the settings users.ads.blocked_* keep back all that are approved: it is shown to nobody"


def _no_countries(campaign: Campaign) -> Iterator[str]:
    for side in ("target", "exclude"):
        countries: tuple[str, ...] = getattr(campaign, side).countries
        unknown = [country for country in countries if country.upper() not in COUNTRIES]
        if unknown:
            yield f"{side}.countries: no country has the code {_listed(unknown)}, expected one of ISO 3166-1 such as DE"


def _of_goal(campaign: Campaign) -> Iterator[str]:
    goal = campaign.goal
    if goal is None:
        return
    if goal.cpa is not None and campaign.model == "cpa" and campaign.bid <= goal.cpa:
        yield f"goal.cpa: {goal.cpa}, but it never pays more for a purchase than its bid, {campaign.bid}"
    if goal.value == "margin" and not any(creative.item_id for creative in campaign.creatives):
        yield "goal.value: margin, but no creative promotes an item that could have one: revenue counts"


def _lacking(campaign: Campaign, lacks: Lacks) -> Iterator[str]:
    for creative in campaign.creatives:
        if creative.item_id is not None and lacks(creative.item_id):
            yield f"creative {creative.crid}: the catalogue lacks {creative.item_id}, which it promotes"
    for side in ("target", "exclude"):
        for field in _ITEMS:
            missing = [item for item in getattr(getattr(campaign, side), field) if lacks(item)]
            if missing:
                yield f"{side}.{field}: the catalogue lacks {_listed(missing)}"


def _names(audience: Audience, field: str) -> dict[str, str]:
    """Return the names in a list by what they are compared by: of items, the ids themselves."""
    return {item: item for item in getattr(audience, field)} if field in _ITEMS else names_in(audience, field)


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
