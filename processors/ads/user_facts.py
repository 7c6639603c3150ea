"""What users did, as targeting asks for it: one column per question, each looked up once whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Literal

import numpy as np

from processors.ads.opportunity import Opportunity
from processors.common.arrays import Floats
from processors.common.text import folded
from processors.users.profile import Profile

Fact = Literal["share", "viewed_category", "viewed_item", "bought", "recency_ms", "sessions", "events", "spent"]
Question = tuple[Fact, str]
"""What is asked of a user: the fact, and what it is about: a category or brand, :func:`folded`, an item, or nothing."""


class Questions:
    """All questions that the campaigns ask of a user, each with the number of its column.

    Parameters
    ----------
    asked
        The questions; one that comes twice gets one column.

    Examples
    --------
    >>> questions = Questions([("share", "tents"), ("sessions", ""), ("share", "tents")])
    >>> questions.columns
    {('share', 'tents'): 0, ('sessions', ''): 1}
    >>> who = Opportunity("d", "u", Profile(categories={"tents": 3.0, "lamps": 1.0}, sessions=2), 0, "top", {})
    >>> questions.answered([who]).tolist()
    [[0.75, 2.0]]
    """

    def __init__(self, asked: Iterable[Question]) -> None:
        self.columns: dict[Question, int] = {}
        for question in asked:
            self.columns.setdefault(question, len(self.columns))
        self._shares, self._categories = self._about("share"), self._about("viewed_category")
        self._items, self._bought = self._about("viewed_item"), self._about("bought")
        figures: tuple[Literal["sessions", "events", "spent"], ...] = ("sessions", "events", "spent")
        self._figures = [(name, self.columns[name, ""]) for name in figures if (name, "") in self.columns]
        self._recency = self.columns.get(("recency_ms", ""))

    def answered(self, opportunities: Sequence[Opportunity]) -> Floats:
        """Answer the questions for the user of each opportunity, shape (opportunities, questions); 1.0 stands for yes.

        Complexity: linear in the questions that a user's history answers, and in what was bought.
        """
        found = np.zeros((len(opportunities), len(self.columns)))
        if self.columns:
            for opportunity, answers in zip(opportunities, found, strict=True):
                self._answer(opportunity, answers)
        return found

    def _answer(self, opportunity: Opportunity, answers: Floats) -> None:
        profile = opportunity.profile
        if self._shares:
            for name, share in shares_of(profile, self._shares.keys()).items():
                answers[self._shares[name]] = share
        if self._categories:
            for name in self._categories.keys() & set(map(folded, profile.categories)):
                answers[self._categories[name]] = 1.0
        for name in self._items.keys() & profile.item_ids:
            answers[self._items[name]] = 1.0
        for name, column in self._bought.items():
            answers[column] = profile.has_bought(name)
        for figure, column in self._figures:
            answers[column] = getattr(profile, figure)
        if self._recency is not None:
            answers[self._recency] = profile.recency_ms(opportunity.at_ms)

    def _about(self, fact: Fact) -> dict[str, int]:
        """Return the columns of one fact by what they are about."""
        return {name: column for (asked, name), column in self.columns.items() if asked == fact}


def shares_of(profile: Profile, names: Set[str]) -> dict[str, float]:
    """Return the share of a user's interests that each of some categories or brands takes, if it takes any.

    Names are :func:`processors.common.text.folded`: in whatever case and form events write them, they are the same. A
    category counts as one even if a brand is called the same.

    Examples
    --------
    >>> shares_of(Profile(categories={"tents": 2.0, "Tents": 1.0, "lamps": 1.0}), {"tents", "boats"})
    {'tents': 0.75}
    """
    found: dict[str, float] = {}
    for weights in (profile.brands, profile.categories):
        there = dict[str, float]()
        for name, weight in weights.items():
            if (alike := folded(name)) in names:
                there[alike] = there.get(alike, 0.0) + weight
        if there:
            total = sum(weights.values()) or 1.0  # all of them may have faded to nothing
            found.update({name: weight / total for name, weight in there.items()})
    return found
