"""Business rules: what a shop wants shown or not shown, whatever the ranker has learned.

A rule says what it does (:attr:`Rule.kind`), to which items (:class:`Items`), where and when. Rules come on
``catalog.rules.v1``, one record per rule id, a tombstone withdraws one. Where two rules speak of the same item, the one
earlier in :data:`PRECEDENCE` wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import combinations
from typing import Annotated, Literal

import msgspec

from processors.common.bounds import Ids, Positions, PositiveRate, Share
from processors.models.exposure import MAX_EXPOSURES

Kind = Literal["expert_only", "exclude", "only", "pin", "include", "cap", "boost", "exposure"]

PRECEDENCE: tuple[Kind, ...] = ("expert_only", "exclude", "only", "pin", "include", "cap", "boost", "exposure")
"""Which rule wins where two speak of the same item. An expert's allow-list stands above all: what it does not name is
not shown, and what it names no rule of the shop can exclude."""

MAX_RULES = 256
"""Rules in force at a time; further ones are refused."""


Price = Annotated[float, msgspec.Meta(ge=0.0, le=1e12)]
Days = Annotated[float, msgspec.Meta(ge=0.0, le=36_500.0)]


class Items(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which items a rule is about: those that every field given agrees to. A list agrees to each of its names.

    Parameters
    ----------
    ids, categories, brands, suppliers
        Names.
    price_min, price_max
        Bounds of the price last seen; an item without a price is in no range.
    newer_than_days, older_than_days
        Since the item was first seen.
    bought
        Whether the last thing the user did with the item was to buy it.
    """

    ids: Ids = ()
    categories: Ids = ()
    brands: Ids = ()
    suppliers: Ids = ()
    price_min: Price | None = None
    price_max: Price | None = None
    newer_than_days: Days | None = None
    older_than_days: Days | None = None
    bought: bool | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule.

    Parameters
    ----------
    kind
        ``exclude`` never shows the items; ``only`` shows nothing else; ``expert_only`` likewise, and nothing overrides
        it; ``pin`` puts them at a place; ``include`` makes them candidates for everybody; ``cap`` allows so many of a
        category or brand in a slate; ``boost`` multiplies their odds; ``exposure`` holds their share of what is
        shown within bounds.
    items
        Which items; for a ``cap`` all items if nothing is said.
    placements
        Where it holds; empty for everywhere.
    starts_at, ends_at
        When it holds, ISO-8601 with a time zone.
    position
        Of a pin, from 1.
    at_most, per
        Of a cap.
    factor
        Of a boost.
    share_min, share_max
        Of an exposure, one of them at least: what part of it the items are to get (:mod:`processors.models.exposure`).
    ignored_when_empty
        For ``only`` and ``expert_only``: whether a slate that would be left empty is made without the rule. It is
        counted each time. Otherwise the slate stays empty.
    """

    kind: Kind
    items: Items = Items()
    placements: Ids = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    position: Positions | None = None
    at_most: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    per: Literal["category", "brand"] | None = None
    factor: PositiveRate | None = None
    share_min: Share | None = None
    share_max: Share | None = None
    ignored_when_empty: bool = False

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest share of exposure."""
        return self.share_min or 0.0, 1.0 if self.share_max is None else self.share_max

    def holds_at(self, now_ms: int) -> bool:
        """Whether it is in force at a moment.

        Examples
        --------
        >>> from datetime import UTC
        >>> rule = Rule("exclude", Items(ids=("tent",)), ends_at=datetime(2025, 1, 1, tzinfo=UTC))
        >>> rule.holds_at(1_700_000_000_000), rule.holds_at(1_800_000_000_000)
        (True, False)
        """
        moment = now_ms / 1000
        begun = self.starts_at is None or self.starts_at.timestamp() <= moment
        return begun and (self.ends_at is None or moment < self.ends_at.timestamp())


_FIELDS_OF = {
    "pin": ("position",),
    "cap": ("at_most", "per"),
    "boost": ("factor",),
}


def read_rule(raw: bytes) -> Rule:
    """The rule that a record's value holds.

    Raises
    ------
    ValueError
        If it is none. The message names the field, and says what was expected.

    Examples
    --------
    >>> read_rule(b'{"kind":"exclude","items":{"categories":["tobacco"]}}').items.categories
    ('tobacco',)
    >>> read_rule(b'{"kind":"pin","items":{"ids":["tent"]}}')
    Traceback (most recent call last):
    ...
    ValueError: position: missing, expected for a rule of kind pin
    """
    try:
        rule = _decode(raw)
    except msgspec.MsgspecError as error:
        raise ValueError(f"value: {error}") from error
    for kind, fields in _FIELDS_OF.items():
        for field in fields:
            given = getattr(rule, field) is not None
            if given and rule.kind != kind:
                raise ValueError(f"{field}: {getattr(rule, field)}, expected for a rule of kind {kind} alone")
            if not given and rule.kind == kind:
                raise ValueError(f"{field}: missing, expected for a rule of kind {kind}")
    _check_ranges(rule)
    return rule


def _check_ranges(rule: Rule) -> None:
    items = rule.items
    if rule.kind != "cap" and items == Items():
        raise ValueError(f"items: empty, expected something to tell items by in a rule of kind {rule.kind}")
    _check_shares(rule)
    if rule.kind == "pin" and len(items.ids) != 1:
        raise ValueError(f"items.ids: {len(items.ids)} names, expected one to pin")
    if items.price_min is not None and items.price_max is not None and items.price_min > items.price_max:
        raise ValueError(f"items.price_min: {items.price_min}, expected at most price_max, which is {items.price_max}")
    for name in ("starts_at", "ends_at"):
        moment = getattr(rule, name)
        if moment is not None and moment.tzinfo is None:
            raise ValueError(f"{name}: {moment.isoformat()}, expected a time zone")
    if rule.starts_at is not None and rule.ends_at is not None and rule.starts_at >= rule.ends_at:
        raise ValueError(f"ends_at: {rule.ends_at.isoformat()}, expected after starts_at")
    if rule.ignored_when_empty and rule.kind not in ("only", "expert_only"):
        raise ValueError(f"ignored_when_empty: true, expected for rules that allow only some items, not {rule.kind}")


def _check_shares(rule: Rule) -> None:
    shares = [name for name in ("share_min", "share_max") if getattr(rule, name) is not None]
    if shares and rule.kind != "exposure":
        raise ValueError(f"{shares[0]}: {getattr(rule, shares[0])}, expected for a rule of kind exposure alone")
    if rule.kind == "exposure" and rule.items.bought is not None:
        raise ValueError("items.bought: given, expected the same items for everybody in a rule of kind exposure")
    if rule.kind == "exposure" and not shares:
        raise ValueError("share_min: missing, expected it or share_max for a rule of kind exposure")
    if rule.bounds[0] > rule.bounds[1]:
        raise ValueError(f"share_min: {rule.share_min}, expected at most share_max, which is {rule.share_max}")


def conflicts(rules: dict[str, Rule]) -> list[str]:
    """Pairs of rules that contradict each other, each as a sentence that names both and says which wins.

    What can be told from the rules alone: the same item pinned and excluded, or pinned by two to one place, or two
    allow-lists without a name in common; and rules for exposure beyond those that can be held.

    Examples
    --------
    >>> conflicts(
    ...     {
    ...         "a": Rule("pin", Items(ids=("tent",)), position=1),
    ...         "b": Rule("exclude", Items(ids=("tent",))),
    ...     }
    ... )
    ['rules a (pin) and b (exclude) both name tent: b wins']
    """
    found = [text for pair in combinations(sorted(rules.items()), 2) for text in _conflicts(*pair)]
    idle = sorted(name for name, rule in rules.items() if rule.kind == "exposure")[MAX_EXPOSURES:]
    return found + [f"rule {name} (exposure) does nothing: {MAX_EXPOSURES} others come before it" for name in idle]


def _conflicts(first: tuple[str, Rule], second: tuple[str, Rule]) -> Iterator[str]:
    (name, rule), (other_name, other) = first, second
    if rule.placements and other.placements and not set(rule.placements) & set(other.placements):
        return
    both = f"rules {name} ({rule.kind}) and {other_name} ({other.kind})"
    shared = sorted(set(rule.items.ids) & set(other.items.ids))
    kinds = {rule.kind, other.kind}
    stronger = name if PRECEDENCE.index(rule.kind) <= PRECEDENCE.index(other.kind) else other_name
    if (
        shared
        and len(kinds) == 2
        and kinds & {"exclude"}
        and kinds & {"expert_only", "only", "pin", "include", "boost"}
    ):
        yield f"{both} both name {', '.join(shared[:3])}: {stronger} wins"
    if kinds == {"pin"} and rule.position == other.position:
        yield f"{both} both take place {rule.position}: {min(name, other_name)} wins"
    if (
        kinds == {"exposure"}
        and rule.items == other.items
        and max(rule.bounds[0], other.bounds[0]) > min(rule.bounds[1], other.bounds[1])
    ):
        yield f"{both} hold the same items to shares that exclude each other: neither can win"
    if kinds <= {"only", "expert_only"} and rule.items.ids and other.items.ids and not shared:
        yield f"{both} allow nothing in common: slates stay empty unless one is ignored_when_empty"


def in_precedence(rules: Iterable[tuple[str, Rule]]) -> list[tuple[str, Rule]]:
    """Rules, those that win first; equals by id.

    Examples
    --------
    >>> [name for name, _ in in_precedence([("a", Rule("boost", factor=2.0)), ("b", Rule("exclude"))])]
    ['b', 'a']
    """
    return sorted(rules, key=lambda entry: (PRECEDENCE.index(entry[1].kind), entry[0]))


_decode = msgspec.json.Decoder(Rule).decode
