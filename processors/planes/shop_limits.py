"""The limits of the shop as ads have to keep them: stock, age, region and rules, as slates keep them."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np

from processors.ads.campaign import Creative
from processors.ads.creative_limits import names_of_category
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.common.arrays import Flags, Ints
from processors.ranking.eligibility import Unknown, age_for_limits
from processors.ranking.read_models import ReadModels
from processors.ranking.rule_index import matches
from processors.ranking.rules import Items, Rule


class ShopLimits:
    """Says which creatives promote what the shop does not allow (:class:`processors.ads.shop.Shop`).

    An item that nothing is known of is allowed: the campaign says what it is. A creative that promotes a category alone
    is forbidden where a rule excludes that category, or allows others only.

    Parameters
    ----------
    read
        The read models, with items and rules.
    unknown
        Whether users whose age or region is not known may be shown items with such limits.
    """

    def __init__(self, read: ReadModels, unknown: Unknown) -> None:
        self._read, self._unknown = read, unknown
        self._creatives: Sequence[Creative] | None = None
        self._items: list[str] = []
        self._numbers = np.empty(0, np.int64)

    def forbidden(self, opportunities: Sequence[Opportunity], creatives: Sequence[Creative]) -> Ints | None:
        """See :class:`processors.ads.shop.Shop`. Complexity: linear in opportunities times creatives with an item."""
        self._remember(creatives)
        rules = [rule for _, rule in self._read.rules.in_force(max(found.at_ms for found in opportunities))]
        rules = [rule for rule in rules if rule.kind in ("exclude", "only", "expert_only")]
        if not self._items and not rules:
            return None
        codes = np.zeros((len(opportunities), len(creatives)), np.int64)
        slots = np.array(self._read.items.slots_of(self._items), np.int64)
        known = np.flatnonzero(slots >= 0)
        self._forbid_missing(codes, slots)
        if self._read.items.attributes.limited and len(known):
            self._forbid_beyond_limits(codes, opportunities, self._numbers[known], slots[known])
        for rule in rules:
            self._forbid_by_rule(codes, opportunities, creatives, rule, known, slots[known])
        return codes if codes.any() else None

    def of_categories(self, creatives: Sequence[Creative], categories: Set[str]) -> Ints:
        """See :class:`processors.ads.shop.Shop`. Complexity: linear in creatives with an item."""
        self._remember(creatives)
        slots = np.array(self._read.items.slots_of(self._items), np.int64)
        known = np.flatnonzero(slots >= 0)
        attributes = self._read.items.attributes
        numbers, of_each = np.unique(attributes.category[slots[known]], return_inverse=True)
        names = map(attributes.categories.name, numbers.tolist())
        wanted = np.array([not categories.isdisjoint(names_of_category(name or None)) for name in names], np.bool_)
        return self._numbers[known[wanted[of_each]]]

    def _remember(self, creatives: Sequence[Creative]) -> None:
        """Note which creatives promote an item; they stay the same until a campaign changes."""
        if self._creatives is not creatives:
            self._creatives = creatives
            numbered = [(number, one.item_id) for number, one in enumerate(creatives) if one.item_id is not None]
            self._items = [item for _, item in numbered]
            self._numbers = np.array([number for number, _ in numbered], np.int64)

    def _forbid_missing(self, codes: Ints, slots: Ints) -> None:
        """Forbid what the catalogue says cannot be bought, or has withdrawn."""
        items = self._read.items
        gone = [slot < 0 and items.is_withdrawn(item) for item, slot in zip(self._items, slots.tolist(), strict=True)]
        known = slots >= 0
        missing: Flags = np.array(gone, np.bool_)
        missing[known] = ~items.attributes.available[slots[known]]
        codes[:, self._numbers[missing]] = int(NoBid.OUT_OF_STOCK)

    def _forbid_beyond_limits(
        self, codes: Ints, opportunities: Sequence[Opportunity], numbers: Ints, slots: Ints
    ) -> None:
        """Forbid what the age or the region of a user does not allow."""
        attributes = self._read.items.attributes
        ages = np.array([age_for_limits(found.profile.age, self._unknown) for found in opportunities], np.int64)
        contexts = [found.dimensions for found in opportunities]
        regions = attributes.region_sets.allowed(contexts, self._unknown == "show")
        allowed = (ages[:, None] >= attributes.min_age[slots]) & regions[:, attributes.regions[slots]]
        _forbid(codes, numbers, ~allowed, NoBid.NOT_ALLOWED)

    def _forbid_by_rule(
        self,
        codes: Ints,
        opportunities: Sequence[Opportunity],
        creatives: Sequence[Creative],
        rule: Rule,
        known: Ints,
        slots: Ints,
    ) -> None:
        """Forbid what a rule excludes, or does not name if it allows only some items."""
        rows = np.array([not rule.placements or found.placement in rule.placements for found in opportunities])
        if not rows.any() or rule.ignored_when_empty:
            return
        matching = matches(rule.items, slots, opportunities[0].at_ms, self._read.items)
        forbidden = matching if rule.kind == "exclude" else ~matching
        _forbid(codes, self._numbers[known], rows[:, None] & forbidden, NoBid.RULED_OUT)
        named = [
            number
            for number, one in enumerate(creatives)
            if one.item_id is None and one.category is not None and _by_category(rule.items)
            if (one.category in rule.items.categories) == (rule.kind == "exclude")
        ]
        _forbid(codes, np.array(named, np.int64), np.repeat(rows[:, None], len(named), 1), NoBid.RULED_OUT)


def _by_category(items: Items) -> bool:
    """Tell whether a selector asks for nothing but categories."""
    return bool(items.categories) and items == Items(categories=items.categories)


def _forbid(codes: Ints, numbers: Ints, forbidden: Flags, code: NoBid) -> None:
    """Put a code where some creatives are forbidden, shape (opportunities, numbers), and no other is yet."""
    part = codes[:, numbers]
    codes[:, numbers] = np.where((part == 0) & forbidden, int(code), part)
