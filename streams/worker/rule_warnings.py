"""Warn of business rules that cannot do what they were meant to: contradictory, without effect, or too many."""

from __future__ import annotations

import logging

from processors.items.index import ItemIndex
from processors.ranking.rule_index import RuleIndex

logger = logging.getLogger(__name__)

STATES = ("known", "conflicts", "without_items", "refused")
"""What is counted: rules known, pairs that contradict each other, rules in force that match no item, rules refused."""


class RuleWarnings:
    """Counts what is wrong with the rules, and logs each finding once for as long as it lasts.

    Parameters
    ----------
    rules, index
        Read models of rules and items; neither is changed.

    Examples
    --------
    >>> from processors.ranking.rules import Items, Rule
    >>> rules = RuleIndex()
    >>> rules.apply("no-tents", Rule("exclude", Items(ids=("tent",))))
    >>> RuleWarnings(rules, ItemIndex()).look(now_ms=1_700_000_000_000)
    {'known': 1, 'conflicts': 0, 'without_items': 1, 'refused': 0}
    """

    def __init__(self, rules: RuleIndex, index: ItemIndex) -> None:
        self._rules, self._index = rules, index
        self._logged: frozenset[str] = frozenset()

    def look(self, now_ms: int) -> dict[str, int]:
        """Count per state of :data:`STATES`, and log what is new.

        Complexity: a pass over all items per rule in force; nothing without rules.

        Parameters
        ----------
        now_ms
            Time at which rules must be in force to be judged, milliseconds since the epoch.

        Returns
        -------
        dict
            Number of findings by state.
        """
        rules = self._rules
        useless = rules.useless(now_ms, self._index) if len(rules) else []
        findings = [*rules.conflicts, *(f"rule {name} matches no item there is" for name in useless)]
        if rules.refused:
            findings.append(f"{rules.refused} rules left out: there are {len(rules)} already, withdraw some")
        for finding in findings:
            if finding not in self._logged:
                logger.warning("%s", finding)
        self._logged = frozenset(findings)
        return dict(zip(STATES, (len(rules), len(rules.conflicts), len(useless), rules.refused), strict=True))
