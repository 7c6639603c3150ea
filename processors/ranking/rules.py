"""Business rules: what a shop wants shown or not shown, whatever the ranker has learned.

A rule says what it does (:attr:`Rule.kind`), to which items (:class:`Items`), at which placements and when. Rules come
on ``catalog.rules.v1``, one record per rule id; a tombstone withdraws a rule. If two rules contradict each other about
an item, the one whose kind is earlier in
:data:`processors.ranking.rule_precedence.PRECEDENCE` wins.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from processors.common.bounds import Ids, Positions, PositiveRate, Share
from processors.common.wire_errors import explained

RuleKind = Literal["expert_only", "exclude", "only", "pin", "include", "cap", "boost", "exposure"]


MAX_RULES = 256
"""Most rules that there may be at a time; further ones are refused."""


Price = Annotated[float, msgspec.Meta(ge=0.0, le=1e12)]
Days = Annotated[float, msgspec.Meta(ge=0.0, le=36_500.0)]


class Items(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Selector of the items that a rule is about: an item must match every field given, and one name of each list.

    Parameters
    ----------
    ids, categories, brands, suppliers
        Names, of which the item's own must be one; empty for any.
    price_min, price_max
        Bounds, inclusive, of the price last seen; an item without a price is in no range.
    newer_than_days, older_than_days
        Bounds of the time since the item was first seen, in days.
    bought
        Whether the user's last action on the item must be a purchase, or must not.
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
        it; ``pin`` shows an item at a fixed position; ``include`` makes the items candidates for everybody; ``cap``
        bounds how many items of one category or brand a slate has; ``boost`` multiplies the odds that the items are
        chosen; ``exposure`` keeps their share of exposure in slates within bounds.
    items
        The items it is about; a ``cap`` without any is about all items.
    placements
        Names of the placements where it holds; empty for all.
    starts_at, ends_at
        When it comes into force and when it ends, ISO-8601 with a time zone; without them it always holds.
    position
        For ``pin``: the position in the slate, from 1.
    at_most, per
        For ``cap``: the greatest number of items, and whether that is per ``category`` or per ``brand``.
    factor
        For ``boost``: what the odds are multiplied by; less than 1 lowers them.
    share_min, share_max
        For ``exposure``, at least one of them: bounds of the share of exposure, 0 to 1
        (:mod:`processors.models.exposure`).
    ignored_when_empty
        For ``only`` and ``expert_only``: whether a slate that would be empty is made without the rule, which is counted
        each time. Otherwise the slate stays empty.
    """

    kind: RuleKind
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
        """Least and greatest share of exposure that an ``exposure`` rule allows; 0 and 1 where it gives none."""
        return self.share_min or 0.0, 1.0 if self.share_max is None else self.share_max

    def holds_at(self, now_ms: int) -> bool:
        """Tell whether the rule is in force at a moment, given in milliseconds since the epoch.

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
    """Read a rule from a record's value, which is JSON.

    Raises
    ------
    ValueError
        If the value is not a valid rule. The message names the field and what was expected of it.

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
        raise ValueError(explained(error, Rule)) from error
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
    """Refuse selectors, bounds and times that no rule of this kind can have."""
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
    """Refuse bounds of exposure that are missing, contradict each other, or are given to another kind of rule."""
    shares = [name for name in ("share_min", "share_max") if getattr(rule, name) is not None]
    if shares and rule.kind != "exposure":
        raise ValueError(f"{shares[0]}: {getattr(rule, shares[0])}, expected for a rule of kind exposure alone")
    if rule.kind == "exposure" and rule.items.bought is not None:
        raise ValueError("items.bought: given, expected the same items for everybody in a rule of kind exposure")
    if rule.kind == "exposure" and not shares:
        raise ValueError("share_min: missing, expected it or share_max for a rule of kind exposure")
    if rule.bounds[0] > rule.bounds[1]:
        raise ValueError(f"share_min: {rule.share_min}, expected at most share_max, which is {rule.share_max}")


_decode = msgspec.json.Decoder(Rule).decode
