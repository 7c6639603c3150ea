"""The read model of rules: what they make of the candidates of many users at once.

A pass asks for a :class:`Verdict` per placement. Each rule in force costs a few operations over the flat candidates;
without rules nothing is done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from processors.common.arrays import Flags, Floats, Ints
from processors.common.time import DAY_MS
from processors.items.index import ItemIndex
from processors.models.exposure import Exposure
from processors.ranking.candidates import Candidates
from processors.ranking.rules import MAX_EXPOSURES, MAX_RULES, Items, Rule, conflicts, in_precedence
from processors.ranking.sources.base import ACTION_NUMBERS

_BOUGHT = ACTION_NUMBERS["purchase"]


@dataclass(frozen=True)
class Pin:
    """An item that belongs at a place of the slate, the first being 0."""

    slot: int
    place: int


@dataclass(frozen=True)
class Cap:
    """So many items of each label, at most; ``labels`` gives the label of each slot, 0 for none, which is free."""

    labels: npt.NDArray[np.int32]
    at_most: int
    within: Flags | None = None


@dataclass(frozen=True)
class Verdict:
    """What the rules make of the candidates of a placement.

    Attributes
    ----------
    removed_by
        Index into ``names`` of the rule that removed a candidate, -1 if none did; :obj:`None` if no rule removes any.
    offsets
        To be added to the scores; :obj:`None` if there is nothing to add.
    pins, caps
        For the slate, in the order in which they win.
    names
        Ids of the rules.
    ignored
        How many slates a rule was left out for, because they would have been empty, by rule id.
    """

    removed_by: Ints | None = None
    offsets: Floats | None = None
    pins: tuple[Pin, ...] = ()
    caps: tuple[Cap, ...] = ()
    names: tuple[str, ...] = ()
    ignored: Counter[str] = field(default_factory=Counter)

    def applied_to(self, scores: Floats) -> Floats:
        """Scores with the offsets, and without what was removed."""
        if self.removed_by is None or self.offsets is None:
            return scores
        return np.where(self.removed_by < 0, scores + self.offsets, -np.inf)


_NOTHING = Verdict()


class RuleBook:
    """Holds the rules in force.

    Attributes
    ----------
    exposure : dict of str to Exposure
        What the items of rules for exposure got lately, and what pushes them, as last published, by rule.
    refused : int
        Rules left out because there were :data:`processors.ranking.rules.MAX_RULES` already.

    Examples
    --------
    >>> book = RuleBook()
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
            for _, rule in self._in_force(now_ms)
            if rule.kind in ("include", "pin", "expert_only") or rule.share_min
        ]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)

    def useless(self, now_ms: int, index: ItemIndex) -> list[str]:
        """Ids of rules in force that match no item there is."""
        known = np.flatnonzero(np.array([view is not None for view in index.views], np.bool_))
        return [name for name, rule in self._in_force(now_ms) if not matches(rule.items, known, now_ms, index).any()]

    def judge(
        self, candidates: Candidates, placement: str, now_ms: int, index: ItemIndex, showable: Flags | None = None
    ) -> Verdict:
        """What the rules make of candidates at a placement.

        Parameters
        ----------
        showable
            Candidates that may be shown if rules agree; all without it. A list of which none may is an empty one.
        """
        rules = [
            (name, rule) for name, rule in self._in_force(now_ms) if not rule.placements or placement in rule.placements
        ]
        if not rules:
            return _NOTHING
        showable = np.ones(len(candidates), np.bool_) if showable is None else showable
        return _Judgement(candidates, now_ms, index, self.exposure, showable).of(rules)

    def exposure_offset(self, rule_id: str) -> float:
        """What is added to the scores of the items of a rule for exposure."""
        found = self.exposure.get(rule_id)
        return 0.0 if found is None else found.offset

    def exposure_bounds(self, rule_id: str) -> tuple[float, float] | None:
        """Least and greatest share by a rule for exposure; :obj:`None` if there is no such rule."""
        rule = self._rules.get(rule_id)
        return None if rule is None or rule.kind != "exposure" else rule.bounds

    def exposures(self, now_ms: int) -> list[tuple[str, Rule]]:
        """Rules for exposure in force, by id; :data:`processors.ranking.rules.MAX_EXPOSURES` at most."""
        return [entry for entry in self._in_force(now_ms) if entry[1].kind == "exposure"][:MAX_EXPOSURES]

    def _in_force(self, now_ms: int) -> list[tuple[str, Rule]]:
        return in_precedence(entry for entry in self._rules.items() if entry[1].holds_at(now_ms))


class _Judgement:
    def __init__(
        self,
        candidates: Candidates,
        now_ms: int,
        index: ItemIndex,
        exposure: Mapping[str, Exposure],
        showable: Flags,
    ) -> None:
        self._candidates, self._now_ms, self._index = candidates, now_ms, index
        self._exposure, self._showable = exposure, showable
        self._actions = np.zeros(len(candidates), np.int64)
        self._actions[candidates.history] = candidates.visitors.actions
        self._removed_by = np.full(len(candidates), -1)
        self._safe = np.zeros(len(candidates), np.bool_)
        self._offsets = np.zeros(len(candidates))
        self._ignored: Counter[str] = Counter()

    def of(self, rules: list[tuple[str, Rule]]) -> Verdict:
        pins, caps = [], []
        for number, (name, rule) in enumerate(rules):
            matching = _matches(rule.items, self._candidates.slots, self._actions, self._now_ms, self._index)
            if rule.kind in ("expert_only", "only"):
                self._allow(number, name, rule, matching)
            elif rule.kind == "exclude":
                self._remove(number, matching & ~self._safe)
            elif rule.kind == "pin" and rule.position is not None:
                slot = self._index.slot(rule.items.ids[0])
                if slot >= 0:
                    pins.append(Pin(slot, rule.position - 1))
            elif rule.kind == "cap" and rule.at_most is not None:
                attributes = self._index.attributes
                labels = attributes.category if rule.per == "category" else attributes.brand
                caps.append(Cap(labels, rule.at_most, None if rule.items == Items() else matching))
            elif rule.kind == "boost" and rule.factor is not None:
                self._offsets += np.where(matching, np.log(rule.factor), 0.0)
            elif rule.kind == "exposure" and name in self._exposure:
                self._offsets += np.where(matching, self._exposure[name].offset, 0.0)
        names = tuple(name for name, _ in rules)
        return Verdict(self._removed_by, self._offsets, tuple(pins), tuple(caps), names, self._ignored)

    def _allow(self, number: int, name: str, rule: Rule, matching: Flags) -> None:
        kept = matching & self._showable & (self._removed_by < 0)
        others = ~matching & ~self._safe
        if rule.ignored_when_empty:
            rows, users = self._candidates.rows, len(self._candidates.visitors)
            empty = np.bincount(rows, kept, users) == 0
            if empty.any():
                self._ignored[name] += int(empty.sum())
            others &= ~empty[rows]
        self._remove(number, others)
        if rule.kind == "expert_only":
            self._safe |= matching

    def _remove(self, number: int, which: Flags) -> None:
        self._removed_by[which & (self._removed_by < 0)] = number


def matches(items: Items, slots: Ints, now_ms: int, index: ItemIndex) -> Flags:
    """Which items a selector agrees to, whoever looks at them."""
    return _matches(items, slots, np.zeros(len(slots), np.int64), now_ms, index)


def _matches(items: Items, slots: Ints, actions: Ints, now_ms: int, index: ItemIndex) -> Flags:
    """Which candidates the selector agrees to."""
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
