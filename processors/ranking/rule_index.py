"""The read model of rules: what they make of the candidates of many users at once.

A pass asks for a :class:`RuleEffects` per placement. Each rule in force costs a few operations over the flat
candidates; without rules nothing is done.
"""

from __future__ import annotations

import msgspec
import numpy as np

from processors.common.arrays import Flags, Ints
from processors.common.time import DAY_MS
from processors.events.event import ACTION_NUMBERS
from processors.items.index import ItemIndex
from processors.models.exposure import MAX_EXPOSURES, Exposure
from processors.ranking.rules import MAX_RULES, Items, Rule, conflicts, in_precedence

_BOUGHT = ACTION_NUMBERS["purchase"]


class RuleIndex:
    """Holds the rules in force.

    Attributes
    ----------
    exposure : dict of str to Exposure
        What the items of rules for exposure got lately, and what pushes them, as last published, by rule.
    refused : int
        Rules left out because there were :data:`processors.ranking.rules.MAX_RULES` already.

    Examples
    --------
    >>> book = RuleIndex()
    >>> book.apply("no-tents", Rule("exclude", Items(categories=("tents",))))
    >>> len(book), book.conflicts
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
        """Take over a rule; :obj:`None` withdraws it."""
        if rule is None:
            self._rules.pop(rule_id, None)
        elif rule_id not in self._rules and len(self._rules) >= MAX_RULES:
            self.refused += 1
        else:
            self._rules[rule_id] = rule
        self._conflicts = None

    @property
    def conflicts(self) -> tuple[str, ...]:
        """What contradicts what (:func:`processors.ranking.rules.conflicts`); found when asked for after a change."""
        if self._conflicts is None:
            self._conflicts = tuple(conflicts(self._rules))
        return self._conflicts

    def wanted(self, now_ms: int, index: ItemIndex) -> Ints:
        """Slots that rules want among everybody's candidates: included and pinned ones, those to get exposure.

        Complexity: for rules that tell items by other than names and categories, a pass over all items.
        """
        found = [
            _named(rule.items, index, now_ms)
            for _, rule in self.in_force(now_ms)
            if rule.kind in ("include", "pin", "expert_only") or rule.share_min
        ]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)

    def useless(self, now_ms: int, index: ItemIndex) -> list[str]:
        """Ids of rules in force that match no item there is."""
        known = np.flatnonzero(np.array([view is not None for view in index.views], np.bool_))
        return [name for name, rule in self.in_force(now_ms) if not matches(rule.items, known, now_ms, index).any()]

    def exposure_offset(self, rule_id: str) -> float:
        """What is added to the scores of the items of a rule for exposure."""
        found = self.exposure.get(rule_id)
        return 0.0 if found is None else found.offset

    def exposure_bounds(self, rule_id: str) -> tuple[float, float] | None:
        """Least and greatest share by a rule for exposure; :obj:`None` if there is no such rule."""
        rule = self._rules.get(rule_id)
        return None if rule is None or rule.kind != "exposure" else rule.bounds

    def exposures(self, now_ms: int) -> list[tuple[str, Rule]]:
        """Rules for exposure in force, by id; :data:`processors.models.exposure.MAX_EXPOSURES` at most."""
        return [entry for entry in self.in_force(now_ms) if entry[1].kind == "exposure"][:MAX_EXPOSURES]

    def in_force(self, now_ms: int) -> list[tuple[str, Rule]]:
        """List the rules that hold at a moment, with their ids, in the order in which they win."""
        return in_precedence(entry for entry in self._rules.items() if entry[1].holds_at(now_ms))


def matches(items: Items, slots: Ints, now_ms: int, index: ItemIndex) -> Flags:
    """Which items a selector agrees to, whoever looks at them."""
    return matches_with(items, slots, np.zeros(len(slots), np.int64), now_ms, index)


def matches_with(items: Items, slots: Ints, actions: Ints, now_ms: int, index: ItemIndex) -> Flags:
    """Tell which candidates a selector agrees to.

    Parameters
    ----------
    items
        The selector.
    slots, actions
        Of each candidate: the item, and the number of the user's last action on it.
    now_ms
        The moment that ages are counted from, milliseconds since the epoch.
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
    """Slots of a selector that names items, or the most wanted ones of its categories or else of all it agrees to."""
    slots = [slot for slot in index.slots_of(list(items.ids)) if slot >= 0]
    for number in index.attributes.categories.known(items.categories):
        slots.extend(index.popularity.in_category(number, _FROM_CATEGORY).tolist())
    if not items.ids and not items.categories:
        known = np.flatnonzero(index.popularity.visits > 0.0)
        known = known[matches(items, known, now_ms, index)]
        order = np.lexsort((index.attributes.tie[known], index.popularity.trend[known]))[::-1]
        return np.sort(known[order[:_FROM_CATEGORY]])
    wanted = np.unique(np.array(slots, np.int64))
    return wanted[matches(items, wanted, now_ms, index)]


_FROM_CATEGORY = 24


def decode_rule(value: bytes | None) -> Rule | None:
    """Rule of a broadcast record's value; a tombstone gives :obj:`None`."""
    return None if value is None else _DECODER.decode(value)


_DECODER = msgspec.json.Decoder(Rule)


def decode_exposure(value: bytes | None) -> dict[str, Exposure]:
    """Exposure by rule of a broadcast record's value; a tombstone gives none."""
    return {} if value is None else _EXPOSURE_DECODER.decode(value)


_EXPOSURE_DECODER = msgspec.msgpack.Decoder(dict[str, Exposure])
