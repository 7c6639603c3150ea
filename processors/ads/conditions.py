"""What campaigns ask of users' histories, laid out as a table that a compiled loop can walk.

A condition is a conjunction of clauses, a clause a disjunction of checks, and a check asks whether one fact of the user
lies within a range. What a campaign is for has a clause per field of its audience; what it excludes is a single clause
of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from processors.ads.audience import Audience
from processors.ads.campaign import Campaign
from processors.ads.user_facts import Fact, Question, Questions
from processors.common.arrays import Floats, Ints
from processors.common.compiled import kernel
from processors.common.text import folded
from processors.common.time import DAY_MS


class Check(NamedTuple):
    """Whether what a question finds lies within a range, both ends in it."""

    question: Question
    low: float = -np.inf
    high: float = np.inf


Clause = Sequence[Check]
"""Checks of which one must hold."""


@dataclass(frozen=True)
class Conditions:
    """The conditions of those campaigns that have one.

    Attributes
    ----------
    campaigns
        Row of each campaign among all, shape (conditions,).
    clauses
        Number of the first clause of each, and the number of clauses; shape (conditions + 1,).
    checks
        Number of the first check of each clause, and the number of checks; shape (clauses + 1,).
    questions, low, high
        Column of what each check asks, and its range; shape (checks,).
    """

    campaigns: Ints
    clauses: Ints
    checks: Ints
    questions: Ints
    low: Floats
    high: Floats

    @classmethod
    def of(cls, conditions: Sequence[Sequence[Clause]], questions: Questions) -> Self:
        """Lay out the condition of each campaign; one without clauses is left out.

        Parameters
        ----------
        questions
            All questions that the checks ask.
        """
        campaigns = [row for row, clauses in enumerate(conditions) if clauses]
        clauses = [clause for row in campaigns for clause in conditions[row]]
        checks = [check for clause in clauses for check in clause]
        return cls(
            campaigns=np.array(campaigns, np.int64),
            clauses=np.cumsum([0, *(len(conditions[row]) for row in campaigns)]),
            checks=np.cumsum([0, *map(len, clauses)]),
            questions=np.array([questions.columns[check.question] for check in checks], np.int64),
            low=np.array([check.low for check in checks], np.float64),
            high=np.array([check.high for check in checks], np.float64),
        )

    def remove(self, removed: Ints, answers: Floats, matching: bool, code: int) -> None:
        """Remove the campaigns from users who match their condition, or from those who do not; in place.

        Complexity: linear in opportunities times checks.

        Parameters
        ----------
        removed
            Codes of what was removed before, 0 for what was not; shape (opportunities, campaigns).
        answers
            What the questions found, shape (opportunities, questions).
        matching
            Whether those who match lose the campaign.
        code
            What to put in.
        """
        if len(self.campaigns):
            table = (self.campaigns, self.clauses, self.checks, self.questions, self.low, self.high)
            _remove(removed, answers, *table, matching, int(code))


def checks_of(audience: Audience) -> list[Clause]:
    """Return a clause for each field about what users did, or which lists they are on, that an audience gives.

    Examples
    --------
    >>> checks_of(Audience(visitors="new", viewed_items=("tent", "lamp")))[0]
    [Check(question=('sessions', ''), low=-inf, high=1.0)]
    >>> [check.question for check in checks_of(Audience(viewed_items=("tent", "lamp")))[0]]
    [('viewed_item', 'tent'), ('viewed_item', 'lamp')]
    >>> checks_of(Audience(viewed_items=("tent",), viewed_within_days=7.0))
    [[Check(question=('viewed_item_ms', 'tent'), low=-inf, high=604800000.0)]]
    """
    found: list[Clause] = []
    if audience.interests:
        found.append([Check(("share", folded(one.name)), low=one.at_least) for one in audience.interests])
    if audience.visitors is not None:
        returning = audience.visitors == "returning"
        found.append([Check(("sessions", ""), low=2.0) if returning else Check(("sessions", ""), high=1.0)])
    if audience.seen_within_days is not None:
        found.append([Check(("recency_ms", ""), high=audience.seen_within_days * DAY_MS)])
    if audience.events_at_least is not None:
        found.append([Check(("events", ""), low=audience.events_at_least)])
    if audience.spent_at_least is not None:
        found.append([Check(("spent", ""), low=audience.spent_at_least)])
    found += _viewed(audience)
    found += _bought(audience)
    if audience.lists:
        found.append(_yes("list", map(folded, audience.lists)))
    return found


def _viewed(audience: Audience) -> Iterator[Clause]:
    categories, items = [*map(folded, audience.viewed_categories)], audience.viewed_items
    if audience.viewed_within_days is None:
        asked = _yes("viewed_category", categories), _yes("viewed_item", items)
    else:
        most_ms = audience.viewed_within_days * DAY_MS
        asked = _within("viewed_category_ms", categories, most_ms), _within("viewed_item_ms", items, most_ms)
    return filter(None, asked)


def _bought(audience: Audience) -> Iterator[Clause]:
    categories, items = [*map(folded, audience.bought_categories)], audience.bought_items
    if audience.bought_within_days is None:
        asked = _within("bought_category_ms", categories, _EVER_MS), _yes("bought", items)
    else:
        most_ms = audience.bought_within_days * DAY_MS
        asked = _within("bought_category_ms", categories, most_ms), _within("bought_item_ms", items, most_ms)
    return filter(None, asked)


def excluded_by(campaign: Campaign) -> list[Clause]:
    """Return what excludes a user from a campaign, as a single clause: what is known of the user, or nothing."""
    checks = [check for clause in checks_of(campaign.exclude) for check in clause]
    if campaign.exclude_purchasers:
        checks += _yes("bought", sorted({creative.item_id for creative in campaign.creatives if creative.item_id}))
    return [checks] if checks else []


def questions_of(conditions: Iterable[Sequence[Clause]]) -> Questions:
    """Gather what conditions ask."""
    return Questions(check.question for clauses in conditions for clause in clauses for check in clause)


def _yes(fact: Fact, names: Iterable[str]) -> list[Check]:
    return [Check((fact, name), low=1.0) for name in names]


def _within(fact: Fact, names: Iterable[str], most_ms: float) -> list[Check]:
    return [Check((fact, name), high=most_ms) for name in names]


_EVER_MS = np.finfo(np.float64).max
"""A window that what is known lies in, whenever it was, and what is not known does not."""


@kernel
def _remove(removed, answers, campaigns, clauses, checks, questions, low, high, matching, code):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :meth:`Conditions.remove` does."""
    for row in range(len(removed)):
        for at in range(len(campaigns)):
            if removed[row, campaigns[at]] != 0:
                continue
            holds = True
            for clause in range(clauses[at], clauses[at + 1]):
                one = False
                for check in range(checks[clause], checks[clause + 1]):
                    answer = answers[row, questions[check]]
                    if low[check] <= answer <= high[check]:
                        one = True
                        break
                if not one:
                    holds = False
                    break
            if holds == matching:
                removed[row, campaigns[at]] = code
