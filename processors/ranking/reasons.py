"""Reasons: why an item is in a slate, as what contributed most to its score among what is true of it.

A reason names a kind, for programs, and has a text, for people. A kind of reason is a claim, and is only given where it
is true: "viewed together" only for an item co-visited with one that the user touched, "trending" only for an item that
is among the trending ones.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np

from processors.common.arrays import Ints
from processors.common.compiled import kernel
from processors.ranking.candidates import OLDER, RECENT, Candidates, Marks
from processors.ranking.frame import SLATES, Frame, Stage
from processors.ranking.read_models import ReadModels
from processors.ranking.reason_kinds import KINDS, SourcedKind
from processors.ranking.reason_texts import ReasonTexts
from processors.ranking.sources.base import VIEWED_BEFORE


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an item is in a slate.

    Parameters
    ----------
    kind
        Name of one of :data:`KINDS`.
    item_id
        Id of the user's own item that led to it, if the kind names one; the text has its title.
    text
        The text for people, in the user's language.
    category
        Name of the category that the item is popular in, if the kind names one.
    context
        The context that the item is popular in, such as ``country:DE``, if the kind names one.
    """

    kind: str
    item_id: str | None = None
    text: str | None = None
    category: str | None = None
    context: str | None = None


class Explained(msgspec.Struct, frozen=True):
    """Reasons of the items in slates as arrays of shape (users, size).

    Attributes
    ----------
    kinds
        Number of the kind, an index into :data:`KINDS`; -1 beyond the end of a slate.
    links
        The user's own item (slot) or context that the reason names, -1 if it names none.
    """

    kinds: Ints
    links: Ints


def true_kinds(candidates: Candidates) -> Marks:
    """Tell which kinds of reason are true of which candidates, uint32 of shape (candidates,): bit k for kind k."""
    conditions = _conditions(tuple(candidates.proposals), candidates.columns)
    found: Marks = _true_kinds(candidates.marks, candidates.amounts, *conditions)
    return found


@lru_cache(maxsize=16)
def _conditions(sources: tuple[str, ...], columns: tuple[str, ...]) -> tuple[Marks, Ints, Marks]:
    """Return, per kind: the mark of its source, the row of its value (-1 for none), and marks that make it true too."""
    named = [1 << sources.index(entry.source) if entry.source in sources else 0 for entry in KINDS]
    touched = [RECENT | OLDER if entry.kind.name == VIEWED_BEFORE else 0 for entry in KINDS]
    rows = [columns.index(entry.kind.column) if entry.kind.column in columns else -1 for entry in KINDS]
    return np.array(named, np.uint32), np.array(rows, np.int64), np.array(touched, np.uint32)


@kernel
def _true_kinds(marks, amounts, sources, rows, touched):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return what :func:`true_kinds` does.

    A kind needs a value above 0 in its row of ``amounts``, or without such a row a mark of ``sources``; or else a mark
    of ``touched``.
    """
    found, n = np.zeros(len(marks), np.uint32), np.uint64(len(marks))
    for kind in range(len(sources)):
        row, wanted = rows[kind], touched[kind]
        if row >= 0:
            for at in range(n):
                found[at] |= np.uint32(amounts[row, at] > 0.0) << np.uint32(kind)
        else:
            wanted |= sources[kind]
        if wanted:
            for at in range(n):
                found[at] |= np.uint32(marks[at] & wanted != 0) << np.uint32(kind)
    return found


class Explainer:
    """Finds the reasons for many candidates at once.

    Parameters
    ----------
    names
        Names of the features, in the order of their rows.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        spoken = [[at for at, name in enumerate(names) if name.startswith(entry.kind.features)] for entry in KINDS]
        self._features = np.array([at for columns in spoken for at in columns], np.int64)
        self._begins = np.cumsum([0, *map(len, spoken)])

    def explain(self, frame: Frame) -> Explained:
        """Find the true kind of reason that contributed most to the score of each item of the slates.

        A kind that half of a slate has already is passed over where another is true.

        Parameters
        ----------
        frame
            Users with their candidates, features, true kinds, weights and slates.
        """
        candidates = frame.candidates
        kinds, links, there = _strongest_kinds(
            frame.numbers, frame.filled, frame.features, frame.weights, candidates.buckets, frame.true_kinds,
            self._begins, self._features,
        )  # fmt: skip
        for number, entry in enumerate(KINDS):
            if there >> number & 1 and entry.kind.links in ("item", "context"):
                _link(links, kinds, number, frame, entry)
        return Explained(kinds, links)


@kernel
def _strongest_kinds(  # type: ignore[no-untyped-def]  # numba finds the types
    numbers, filled, features, weights, buckets, true, begins, columns
):
    """Return, per position, the true kind whose features add most to the score, no links, and a bit per kind there is.

    Of equal ones the first is given; a kind that half of the slate has only where no other is true. The features that
    speak for kind k are ``columns[begins[k] : begins[k + 1]]``.
    """
    kinds, links, there = np.full(numbers.shape, -1, np.int64), np.full(numbers.shape, -1, np.int64), 0
    given, half = np.zeros(len(begins) - 1, np.int64), max((numbers.shape[1] + 1) // 2, 1)
    for user in range(len(numbers)):
        given[:] = 0
        for position in range(numbers.shape[1]):
            if not filled[user, position]:
                continue
            candidate, best, most, worn = numbers[user, position], -1, -np.inf, True
            for kind in range(len(begins) - 1):
                if not true[candidate] >> np.uint32(kind) & np.uint32(1):
                    continue
                added = 0.0
                for at in range(begins[kind], begins[kind + 1]):
                    added += weights[buckets[user], columns[at]] * features[columns[at], candidate]
                often = given[kind] >= half
                if best < 0 or (worn and not often) or (worn == often and added > most):
                    best, most, worn = kind, added, often
            kinds[user, position] = best
            given[best] += 1
            there |= 1 << best
    return kinds, links, there


def _link(links: Ints, kinds: Ints, number: int, frame: Frame, entry: SourcedKind) -> None:
    """Write the links of one kind: the user's item or context by which its source proposed the item most strongly.

    Raises
    ------
    ValueError
        If the source does not say what led to its pairs.
    """
    candidates, kind = frame.candidates, entry.kind
    proposal = candidates.proposals[entry.source]
    of_pair = proposal.pairs.links if kind.links == "item" else proposal.pairs.contexts
    if of_pair is None:
        raise ValueError(f"source {entry.source} names no {kind.links}s, but reasons of kind {kind.name} need them")
    column = -1 if kind.column is None else proposal.columns.index(kind.column)
    pairs = candidates.of_pair[proposal.first : proposal.first + len(of_pair)]
    tie = frame.read.items.attributes.tie if kind.links == "item" else _NO_TIES
    _strongest_links(
        links, kinds, number, frame.numbers, len(candidates), pairs, of_pair, proposal.pairs.values, column, tie
    )


@kernel
def _strongest_links(  # type: ignore[no-untyped-def]  # noqa: C901  # numba finds the types
    links, kinds, number, numbers, candidates, of_pair, link_of_pair, values, column, tie
):
    """Write the strongest link of each position of a kind; of equal ones that of the highest hash, or number."""
    best = np.full(candidates, -2, np.int64)
    asked = 0
    for user in range(len(kinds)):
        for position in range(kinds.shape[1]):
            if kinds[user, position] == number:
                best[numbers[user, position]] = -1
                asked += 1
    if not asked:
        return
    for pair in range(len(of_pair)):
        candidate = of_pair[pair]
        if candidate < 0 or candidate >= candidates or best[candidate] == -2:
            continue
        other = best[candidate]
        if other >= 0:
            value = values[pair, column] if column >= 0 else 0.0
            most = values[other, column] if column >= 0 else 0.0
            if value < most:
                continue
            one, two = link_of_pair[pair], link_of_pair[other]
            if value == most and (tie[one] <= tie[two] if len(tie) else one <= two):
                continue
        best[candidate] = pair
    for user in range(len(kinds)):
        for position in range(kinds.shape[1]):
            if kinds[user, position] == number and best[numbers[user, position]] >= 0:
                links[user, position] = link_of_pair[best[numbers[user, position]]]


def reason_of(number: int, link: int, slot: int, language: int, texts: ReasonTexts, read: ReadModels) -> Reason:
    """Return a reason as it is published.

    Parameters
    ----------
    number, link
        Number of the kind and the item or context that it names, as in :class:`Explained`.
    slot
        The item that the reason is for.
    language, texts
        Number of the language, and the texts.
    read
        The read models, for the names of items, categories and contexts.
    """
    kind = KINDS[number].kind
    item = read.items.ids[link] if kind.links == "item" and link >= 0 else None
    context = read.contexts.names[link] if kind.links == "context" else None
    category = read.items.category_name(slot) if kind.links == "category" else None
    field, _, value = (context or "").partition(":")
    title = read.items.title(link) if item is not None else None
    text = texts.template(language, number, field).format(item=title, category=category, context=value)
    return Reason(kind.name, item, text, category, context)


class TrueReasons(Stage):
    """Find which kinds of reason are true of each candidate; what no reason can be given for is not shown."""

    name = "reasons"
    shared = True
    removes = "nothing that could be said for it is true"

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.true_kinds = true_kinds(frame.candidates)
        frame.kept = frame.kept & (frame.true_kinds != 0)
        return frame


class Explain(Stage):
    """Find the reason for each position of the slates: what contributed most to the score, among what is true.

    Parameters
    ----------
    features
        Names of the features, in the order of their rows.
    """

    name = "explain"
    purposes = SLATES

    def __init__(self, features: tuple[str, ...]) -> None:
        self._explainer = Explainer(features)

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        explained = self._explainer.explain(frame)
        frame.kinds, frame.links = explained.kinds, explained.links
        return frame


_NO_TIES = np.empty(0)
