"""What users did, as targeting asks for it: one column per question, each looked up once whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Literal, get_args

import numpy as np

from processors.ads.category_times import categories_bought, categories_viewed
from processors.ads.opportunity import Opportunity
from processors.common.arrays import Floats
from processors.common.hashing import fingerprint
from processors.common.text import folded
from processors.users.profile import Profile

Age = Literal["viewed_category_ms", "viewed_item_ms", "bought_category_ms", "bought_item_ms"]
Fact = (
    Literal["share", "viewed_category", "viewed_item", "bought", "list", "recency_ms", "sessions", "events", "spent"]
    | Age
)
Question = tuple[Fact, str]
"""What is asked of a user: the fact, and what it is about: a category, brand or list, :func:`folded`, an item, or
nothing. An :data:`Age` is answered by the milliseconds since then; infinity if it was never, so that no window has it.
"""


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
        self._lists = self._about("list")
        self._ages = {fact: columns for fact in get_args(Age) if (columns := self._about(fact))}
        self._aged = [column for columns in self._ages.values() for column in columns.values()]

    def answered(self, opportunities: Sequence[Opportunity]) -> Floats:
        """Answer the questions for the user of each opportunity, shape (opportunities, questions); 1.0 stands for yes.

        Complexity: linear in the questions that a user's history answers, and in what was bought.
        """
        found = np.zeros((len(opportunities), len(self.columns)))
        if self.columns:
            found[:, self._aged] = np.inf
            for opportunity, answers in zip(opportunities, found, strict=True):
                self._answer(opportunity, answers)
                if self._lists or self._ages:
                    self._answer_lists_and_ages(opportunity, answers)
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

    def _answer_lists_and_ages(self, opportunity: Opportunity, answers: Floats) -> None:
        lists = opportunity.profile.lists
        for name in self._lists.keys() & set(map(folded, lists)) if self._lists else ():
            answers[self._lists[name]] = 1.0
        for fact, columns in self._ages.items():
            for name, at_ms in times_of(fact, opportunity, columns.keys()).items():
                answers[columns[name]] = opportunity.at_ms - at_ms

    def _about(self, fact: Fact) -> dict[str, int]:
        """Return the columns of one fact by what they are about."""
        return {name: column for (asked, name), column in self.columns.items() if asked == fact}


def times_of(fact: Age, found: Opportunity, names: Set[str]) -> Mapping[str, int]:
    """Return when some items or categories were viewed or bought last, milliseconds since the epoch; 0 if unknown.

    Those that the user never viewed or bought, or not among what is remembered, are left out.

    Parameters
    ----------
    fact
        What is asked.
    found
        The moment; its user, and the read model of items.
    names
        Ids of items, or categories, :func:`folded`.

    Examples
    --------
    >>> who = Opportunity("d", "u", Profile(item_ids=["tent", "lamp"], item_times=[7, 9]), 10, "top", {})
    >>> times_of("viewed_item_ms", who, {"lamp", "boat"})
    {'lamp': 9}
    """
    profile = found.profile
    if fact == "bought_item_ms":
        bought = profile.last_bought()
        return {item: bought[mark] for item in names if (mark := fingerprint(item)) in bought}
    if fact == "viewed_item_ms":
        times = dict(zip(profile.item_ids, profile.item_times, strict=True))
    else:
        categories = categories_viewed if fact == "viewed_category_ms" else categories_bought
        times = categories(profile, found.items)
    return {name: at_ms for name, at_ms in times.items() if name in names}


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
