"""What rules do to candidates: which they remove, raise or lower, or pin, and how many of a label they allow."""

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
    """A rule that shows an item at a fixed position.

    Attributes
    ----------
    slot
        The item.
    position
        The position in the slate, from 0.
    rule
        Id of the rule.
    """

    slot: int
    position: int
    rule: str


@dataclass(frozen=True)
class Cap:
    """A rule that bounds how many items of each label a slate has.

    Attributes
    ----------
    labels
        The label of each slot, such as the number of its category; 0 for none, which is not bounded. Shape (slots,).
    at_most
        The greatest number of items of one label.
    within
        Which candidates count and are bounded, shape (candidates,); :obj:`None` for all.
    rule
        Id of the rule.
    per
        What the labels are: ``category`` or ``brand``.
    """

    labels: npt.NDArray[np.int32]
    at_most: int
    within: Flags | None = None
    rule: str = ""
    per: str = "category"

    def labels_of(self, numbers: Ints, slots: Ints) -> Ints:
        """Return the label of each of some candidates, 0 for those that are not bounded.

        Parameters
        ----------
        numbers
            Numbers of candidates, in any shape, which the result has, too.
        slots
            Item of each candidate, shape (candidates,).
        """
        labels = self.labels[slots[numbers]].astype(np.int64)
        return labels if self.within is None else np.where(self.within[numbers], labels, 0)


@dataclass(frozen=True)
class RuleEffects:
    """What the rules do to the candidates of a placement.

    Attributes
    ----------
    removed_by
        Index into ``names`` of the rule that removed each candidate, -1 if none did, shape (candidates,); :obj:`None`
        without rules.
    offsets
        What is added to the score of each candidate, shape (candidates,); :obj:`None` without rules.
    pins, caps
        What selection must keep to, those that win first.
    names
        Ids of the rules in force, those that win first.
    ignored
        By rule id: how many slates are made without the rule because they would be empty.
    """

    removed_by: Ints | None = None
    offsets: Floats | None = None
    pins: tuple[Pin, ...] = ()
    caps: tuple[Cap, ...] = ()
    names: tuple[str, ...] = ()
    ignored: Counter[str] = field(default_factory=Counter)


NO_EFFECTS = RuleEffects()


class _EffectsOfRules:
    """Applies one rule after another to the candidates of a placement, those that win first.

    Parameters
    ----------
    candidates, now_ms, index, showable
        As for :func:`effects_of`.
    exposure
        What keeps the exposure of items within bounds, as last published, by rule id.
    """

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
        # What an expert's allow-list names, and no rule after it can remove.
        self._protected = np.zeros(len(candidates), np.bool_)
        self._offsets = np.zeros(len(candidates))
        self._ignored: Counter[str] = Counter()

    def apply(self, rules: list[tuple[str, Rule]]) -> RuleEffects:
        """Return what the rules do, given with their ids, those that win first."""
        pins, caps = [], []
        for number, (name, rule) in enumerate(rules):
            matching = matches_with(rule.items, self._candidates.slots, self._actions, self._now_ms, self._index)
            if rule.kind in ("expert_only", "only"):
                self._allow(number, name, rule, matching)
            elif rule.kind == "exclude":
                self._remove(number, matching & ~self._protected)
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
        """Remove what an allow-list does not name, unless it is to be ignored where nothing would be left."""
        kept = matching & self._showable & (self._removed_by < 0)
        others = ~matching & ~self._protected
        if rule.ignored_when_empty:
            rows, users = self._candidates.rows, len(self._candidates.visitors)
            empty = np.bincount(rows, kept, users) == 0
            if empty.any():
                self._ignored[name] += int(empty.sum())
            others &= ~empty[rows]
        self._remove(number, others)
        if rule.kind == "expert_only":
            self._protected |= matching

    def _remove(self, number: int, which: Flags) -> None:
        """Note that a rule, by its number, removes candidates that no rule before it has removed."""
        self._removed_by[which & (self._removed_by < 0)] = number


def effects_of(
    rules: RuleIndex, candidates: Candidates, placement: str, now_ms: int, index: ItemIndex, showable: Flags
) -> RuleEffects:
    """Find what the rules of the shop do to candidates at a placement.

    Complexity: a few operations over all candidates for each rule in force, nothing without rules.

    Parameters
    ----------
    rules
        The read model of rules.
    candidates
        Candidates of some users.
    placement
        Name of the placement.
    now_ms
        The moment at which the rules must be in force, milliseconds since the epoch.
    index
        The read model of items.
    showable
        Which candidates may be shown as far as rules are not concerned, shape (candidates,). An allow-list that names
        none of a user's showable candidates leaves that user's slate empty.
    """
    in_force = [
        (name, rule) for name, rule in rules.in_force(now_ms) if not rule.placements or placement in rule.placements
    ]
    if not in_force:
        return NO_EFFECTS
    return _EffectsOfRules(candidates, now_ms, index, rules.exposure, showable).apply(in_force)
