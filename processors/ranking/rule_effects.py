"""What rules make of candidates: which are removed, lifted, pinned, and how many of a kind there may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from processors.common.arrays import Flags, Floats, Ints
from processors.items.index import ItemIndex
from processors.models.exposure import Exposure
from processors.ranking.candidates import Candidates
from processors.ranking.rule_index import RuleIndex, matches_with
from processors.ranking.rules import Items, Rule


@dataclass(frozen=True)
class Pin:
    """An item that belongs at a position of the slate, the first being 0, and the rule that says so."""

    slot: int
    position: int
    rule: str


@dataclass(frozen=True)
class Cap:
    """A bound on the items of one label in a slate.

    Attributes
    ----------
    labels
        The label of each slot, such as the number of its category; 0 for none, which is not bounded.
    at_most
        Items of each label, at most.
    within
        Which candidates it is about; all without it.
    rule, per
        The rule that says so, and what its labels are: ``category`` or ``brand``.
    """

    labels: npt.NDArray[np.int32]
    at_most: int
    within: Flags | None = None
    rule: str = ""
    per: str = "category"

    def labels_of(self, numbers: Ints, slots: Ints) -> Ints:
        """Return the bounded label of each of some candidates, 0 for those that are not bounded."""
        labels = self.labels[slots[numbers]].astype(np.int64)
        return labels if self.within is None else np.where(self.within[numbers], labels, 0)


@dataclass(frozen=True)
class RuleEffects:
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


NO_EFFECTS = RuleEffects()


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

    def of(self, rules: list[tuple[str, Rule]]) -> RuleEffects:
        pins, caps = [], []
        for number, (name, rule) in enumerate(rules):
            matching = matches_with(rule.items, self._candidates.slots, self._actions, self._now_ms, self._index)
            if rule.kind in ("expert_only", "only"):
                self._allow(number, name, rule, matching)
            elif rule.kind == "exclude":
                self._remove(number, matching & ~self._safe)
            elif rule.kind == "pin" and rule.position is not None:
                slot = self._index.slot(rule.items.ids[0])
                if slot >= 0:
                    pins.append(Pin(slot, rule.position - 1, name))
            elif rule.kind == "cap" and rule.at_most is not None:
                attributes = self._index.attributes
                labels = attributes.category if rule.per == "category" else attributes.brand
                within = None if rule.items == Items() else matching
                caps.append(Cap(labels, rule.at_most, within, name, rule.per or "category"))
            elif rule.kind == "boost" and rule.factor is not None:
                self._offsets += np.where(matching, np.log(rule.factor), 0.0)
            elif rule.kind == "exposure" and name in self._exposure:
                self._offsets += np.where(matching, self._exposure[name].offset, 0.0)
        names = tuple(name for name, _ in rules)
        return RuleEffects(self._removed_by, self._offsets, tuple(pins), tuple(caps), names, self._ignored)

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


def effects_of(
    rules: RuleIndex, candidates: Candidates, placement: str, now_ms: int, index: ItemIndex, showable: Flags
) -> RuleEffects:
    """Find what the rules make of candidates at a placement.

    Each rule in force costs a few operations over the flat candidates; without rules nothing is done.

    Parameters
    ----------
    rules
        The read model of rules.
    candidates
        Of some users.
    placement
        Its name.
    now_ms
        The moment at which the rules must be in force, milliseconds since the epoch.
    index
        The read model of items.
    showable
        Candidates that may be shown if rules agree. A list of which none may is an empty one.
    """
    in_force = [
        (name, rule) for name, rule in rules.in_force(now_ms) if not rule.placements or placement in rule.placements
    ]
    if not in_force:
        return NO_EFFECTS
    return _Judgement(candidates, now_ms, index, rules.exposure, showable).of(in_force)
