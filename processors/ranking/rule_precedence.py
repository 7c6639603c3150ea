"""Which of two business rules wins where both speak of the same item, and which rules contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from processors.models.exposure import MAX_EXPOSURES
from processors.ranking.rules import Rule, RuleKind

PRECEDENCE: tuple[RuleKind, ...] = ("expert_only", "exclude", "only", "pin", "include", "cap", "boost", "exposure")
"""Kinds of rules, those that win first. An expert's allow-list wins over all others: what it does not name is never
shown, and what it names cannot be excluded."""


def conflicts(rules: dict[str, Rule]) -> list[str]:
    """Find rules that contradict each other, and describe each contradiction by a sentence that says which rule wins.

    Finds what follows from the rules alone: an item that one rule excludes and another shows, two pins at one position,
    bounds of exposure that exclude each other, two allow-lists without a common name, and rules for exposure beyond the
    greatest number that has an effect.

    Examples
    --------
    >>> from processors.ranking.rules import Items
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
    """Yield how two rules, each with its id, contradict each other."""
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
        yield f"{both} both take position {rule.position}: {min(name, other_name)} wins"
    if (
        kinds == {"exposure"}
        and rule.items == other.items
        and max(rule.bounds[0], other.bounds[0]) > min(rule.bounds[1], other.bounds[1])
    ):
        yield f"{both} hold the same items to shares that exclude each other: neither can win"
    if kinds <= {"only", "expert_only"} and rule.items.ids and other.items.ids and not shared:
        yield f"{both} allow nothing in common: slates stay empty unless one is ignored_when_empty"


def in_precedence(rules: Iterable[tuple[str, Rule]]) -> list[tuple[str, Rule]]:
    """Sort rules, each with its id, so that those that win come first; rules of one kind by id.

    Examples
    --------
    >>> [name for name, _ in in_precedence([("a", Rule("boost", factor=2.0)), ("b", Rule("exclude"))])]
    ['b', 'a']
    """
    return sorted(rules, key=lambda entry: (PRECEDENCE.index(entry[1].kind), entry[0]))
