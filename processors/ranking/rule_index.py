"""The read model of rules: which rules there are, which are in force, and which items a selector matches.

What the rules in force do to candidates is found by :mod:`processors.ranking.rule_effects`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from processors.common.arrays import Flags, Ints
from processors.common.time import DAY_MS
from processors.events.event import ACTION_NUMBERS
from processors.items.index import ItemIndex
from processors.models.exposure import MAX_EXPOSURES, Exposure
from processors.ranking.rule_precedence import conflicts, in_precedence
from processors.ranking.rules import MAX_RULES, Items, Rule

_BOUGHT = ACTION_NUMBERS["purchase"]


class RuleIndex:
    """Holds the shop's rules by their ids, at most :data:`processors.ranking.rules.MAX_RULES`.

    Attributes
    ----------
    exposure : dict of str to Exposure
        By id of an ``exposure`` rule: the share of exposure that its items got lately, and the offset of their
        scores, as last published.
    refused : int
        Rules refused because there were :data:`processors.ranking.rules.MAX_RULES` already.

    Examples
    --------
    >>> rules = RuleIndex()
    >>> rules.apply("no-tents", Rule("exclude", Items(categories=("tents",))))
    >>> len(rules), rules.conflicts
    (1, ())
    """

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}
        self.refused = 0
        self.exposure: dict[str, Exposure] = {}
        self._conflicts: tuple[str, ...] | None = ()

    def __len__(self) -> int:
        return len(self._rules)

    def apply(self, rule_id: str, rule: Rule | None) -> None:
        """Add or replace the rule of an id; :obj:`None` withdraws it. A new rule beyond the bound is refused."""
        if rule is None:
            self._rules.pop(rule_id, None)
        elif rule_id not in self._rules and len(self._rules) >= MAX_RULES:
            self.refused += 1
        else:
            self._rules[rule_id] = rule
        self._conflicts = None

    @property
    def conflicts(self) -> tuple[str, ...]:
        """Sentences on rules that contradict each other (:func:`processors.ranking.rule_precedence.conflicts`).

        Computed when first read after a change.
        """
        if self._conflicts is None:
            self._conflicts = tuple(conflicts(self._rules))
        return self._conflicts

    def wanted(self, now_ms: int, index: ItemIndex) -> Ints:
        """Find the items that rules make candidates for everybody.

        Those are the items of ``include``, ``pin`` and ``expert_only`` rules, and of rules that give a ``share_min``.

        Complexity: for selectors without names and categories, a pass over all items.

        Parameters
        ----------
        now_ms
            The moment at which the rules must be in force, milliseconds since the epoch.
        index
            The read model of items.

        Returns
        -------
        slots
            The items, each once, in an order that does not depend on their slots.
        """
        found = [
            _named(rule.items, index, now_ms)
            for _, rule in self.in_force(now_ms)
            if rule.kind in ("include", "pin", "expert_only") or rule.share_min
        ]
        return _each_once(slot for slots in found for slot in slots.tolist())

    def useless(self, now_ms: int, index: ItemIndex) -> list[str]:
        """List the ids of rules in force that match none of the items in the index."""
        known = np.flatnonzero(np.array([view is not None for view in index.views], np.bool_))
        return [name for name, rule in self.in_force(now_ms) if not matches(rule.items, known, now_ms, index).any()]

    def exposure_offset(self, rule_id: str) -> float:
        """Return the offset of the scores of an ``exposure`` rule's items; 0 if none was published."""
        found = self.exposure.get(rule_id)
        return 0.0 if found is None else found.offset

    def exposure_bounds(self, rule_id: str) -> tuple[float, float] | None:
        """Return the least and greatest share of an ``exposure`` rule; :obj:`None` if there is none of this id."""
        rule = self._rules.get(rule_id)
        return None if rule is None or rule.kind != "exposure" else rule.bounds

    def exposures(self, now_ms: int) -> list[tuple[str, Rule]]:
        """List the ``exposure`` rules in force with their ids, by id.

        Beyond :data:`processors.models.exposure.MAX_EXPOSURES` they have no effect and are left out.
        """
        return [entry for entry in self.in_force(now_ms) if entry[1].kind == "exposure"][:MAX_EXPOSURES]

    def in_force(self, now_ms: int) -> list[tuple[str, Rule]]:
        """List the rules in force at a moment with their ids, those that win first."""
        return in_precedence(entry for entry in self._rules.items() if entry[1].holds_at(now_ms))


def matches(items: Items, slots: Ints, now_ms: int, index: ItemIndex) -> Flags:
    """Tell which items a selector matches for a user who has touched none of them.

    Parameters
    ----------
    items
        The selector.
    slots
        The items, shape (n,).
    now_ms, index
        As in :func:`matches_with`.
    """
    return matches_with(items, slots, np.zeros(len(slots), np.int64), now_ms, index)


def matches_with(items: Items, slots: Ints, actions: Ints, now_ms: int, index: ItemIndex) -> Flags:
    """Tell which candidates a selector matches, given what their users did with the items.

    Parameters
    ----------
    items
        The selector.
    slots, actions
        One per candidate: the item, and the number of the user's last action on it
        (:data:`processors.events.event.ACTION_NUMBERS`), 0 for none.
    now_ms
        The moment at which the ages of items are measured, milliseconds since the epoch.
    index
        The read model of items.
    """
    found = np.ones(len(slots), np.bool_)
    if items.ids:
        found &= np.isin(slots, index.slots_of(list(items.ids)))
    if items.categories:
        found &= np.isin(index.attributes.category[slots], index.attributes.categories.known(items.categories))
    if items.brands:
        found &= np.isin(index.attributes.brand[slots], index.attributes.brands.known(items.brands))
    if items.suppliers:
        found &= np.isin(index.attributes.supplier[slots], index.attributes.suppliers.known(items.suppliers))
    with np.errstate(invalid="ignore"):
        if items.price_min is not None:
            found &= index.price[slots] >= items.price_min
        if items.price_max is not None:
            found &= index.price[slots] <= items.price_max
    age_days = (now_ms - index.attributes.since[slots]) / DAY_MS
    seen = index.attributes.since[slots] > 0
    if items.newer_than_days is not None:
        found &= seen & (age_days < items.newer_than_days)
    if items.older_than_days is not None:
        found &= seen & (age_days > items.older_than_days)
    if items.bought is not None:
        found &= (actions == _BOUGHT) == items.bought
    return found


def _named(items: Items, index: ItemIndex, now_ms: int) -> Ints:
    """Find the items that a selector names, and the most popular ones of its categories.

    If it names neither items nor categories, find the most popular items that it matches.
    """
    slots = [slot for slot in index.slots_of(list(items.ids)) if slot >= 0]
    for number in index.attributes.categories.known(items.categories):
        slots.extend(index.popularity.in_category(number, _FROM_CATEGORY).tolist())
    if not items.ids and not items.categories:
        known = np.flatnonzero(index.popularity.visits > 0.0)
        known = known[matches(items, known, now_ms, index)]
        order = np.lexsort((index.attributes.tie[known], index.popularity.trend[known]))[::-1]
        return known[order[:_FROM_CATEGORY]]
    wanted = _each_once(slots)
    return wanted[matches(items, wanted, now_ms, index)]


def _each_once(slots: Iterable[int]) -> Ints:
    return np.array(list(dict.fromkeys(slots)), np.int64)


_FROM_CATEGORY = 24
"""Most items that become candidates for everybody by one category, or by a selector without names and categories."""


def decode_rule(value: bytes | None) -> Rule | None:
    """Decode the rule in a broadcast record's value; a tombstone gives :obj:`None`."""
    return None if value is None else _DECODER.decode(value)


_DECODER = msgspec.json.Decoder(Rule)
