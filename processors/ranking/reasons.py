"""Reasons: why an item is in a slate, as what contributed most to its score among what is true of it.

A reason names a kind, for programs, and has a text, for people. A kind of reason is a claim, and is only given where it
is true: "viewed together" only for an item co-visited with one that the user touched, "trending" only for an item that
is among the trending ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.items.index import ItemIndex
from processors.models.ranker_weights import buckets_of
from processors.ranking.candidates import RULES, Candidates
from processors.ranking.frame import SLATES, Frame, Stage
from processors.ranking.read_models import ReadModels
from processors.ranking.sources import ALL, ReasonKind
from processors.ranking.sources.base import VIEWED_BEFORE, Locale


@dataclass(frozen=True)
class SourcedKind:
    """A kind of reason, and the source that must have proposed an item for it to be true.

    Attributes
    ----------
    source
        Name of the source, or :data:`processors.ranking.candidates.RULES`.
    kind
        The kind of reason.
    """

    source: str
    kind: ReasonKind


FEATURED = ReasonKind("featured", (), {"en": "Chosen by the shop", "zh": "店家精选"}, order=130)
"""The kind of reason for items that only a rule makes candidates."""

KINDS = tuple(
    sorted(
        (*(SourcedKind(source.name, kind) for source in ALL for kind in source.reasons), SourcedKind(RULES, FEATURED)),
        key=lambda entry: entry.kind.order,
    )
)
"""All kinds of reason; a kind's number is its index here. Of two that contribute equally, the earlier one is given."""

CATEGORY = tuple(number for number, entry in enumerate(KINDS) if entry.kind.links == "category")
"""Numbers of the kinds that name a category."""


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an item is in a slate.

    Parameters
    ----------
    kind
        Name of one of :data:`KINDS`.
    item_id
        Id of the user's own item that led to it, if the kind names one.
    text
        The text for people, in the locale of the settings.
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


@dataclass(frozen=True)
class Explained:
    """Reasons of some candidates as arrays.

    Attributes
    ----------
    kinds
        Number of the kind, an index into :data:`KINDS`, int64 of shape (candidates,).
    links
        The user's own item (slot) or context that the reason names, -1 if it names none, int64 of shape (candidates,).
    """

    kinds: Ints
    links: Ints


def true_kinds(candidates: Candidates) -> Flags:
    """Tell which kinds of reason are true of which candidates, shape (kinds, candidates)."""
    n = len(candidates)
    found = np.zeros((len(KINDS), n), np.bool_)
    for row, (source, kind) in enumerate((entry.source, entry.kind) for entry in KINDS):
        if source in candidates.proposals:
            found[row] = candidates.values[kind.column] > 0.0 if kind.column else candidates.proposed[source]
        if kind.name == VIEWED_BEFORE:
            found[row] |= candidates.touched
    return found


class Explainer:
    """Finds the reasons for many candidates at once.

    Parameters
    ----------
    names
        Names of the features, in the order of their rows.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._rows_of = [
            [row for row, name in enumerate(names) if name.startswith(entry.kind.features)] for entry in KINDS
        ]

    def explain(
        self,
        candidates: Candidates,
        picked: Ints,
        weighted: Floats,
        true: Flags,
        index: ItemIndex,
    ) -> Explained:
        """Find the true kind of reason that contributed most to the score of each candidate picked.

        Parameters
        ----------
        candidates
            All candidates of some users.
        picked
            Numbers of the candidates to explain, shape (picked,).
        weighted
            Their features times the weights that they were ranked by, shape (features, picked).
        true
            Which kinds are true of which candidates (:func:`true_kinds`), shape (kinds, candidates).
        index
            The read model of items.
        """
        links = np.full(len(picked), -1, np.int64)
        if not len(picked):
            return Explained(links, links)
        contributions = np.full((len(KINDS), len(picked)), -np.inf)
        for number, rows in enumerate(self._rows_of):
            # Not a matrix product, whose last bits depend on how many candidates there are.
            added = weighted[rows].sum(axis=0)
            contributions[number] = np.where(true[number, picked], added, -np.inf)
        kinds = np.argmax(contributions, axis=0)
        for number, entry in enumerate(KINDS):
            if entry.kind.links in ("item", "context") and entry.source in candidates.proposals:
                of_kind = np.flatnonzero(kinds == number)
                links[of_kind] = _strongest_link(candidates, picked[of_kind], entry, index)
        return Explained(kinds, links)


def _strongest_link(candidates: Candidates, picked: Ints, entry: SourcedKind, index: ItemIndex) -> Ints:
    """Find the user's item (slot) or context by which a kind's source proposed each picked candidate most strongly.

    Raises
    ------
    ValueError
        If the source does not say what led to its pairs.
    """
    if not len(picked):
        return picked
    kind, proposal = entry.kind, candidates.proposals[entry.source]
    links = proposal.pairs.links if kind.links == "item" else proposal.pairs.contexts
    if links is None:
        raise ValueError(f"source {entry.source} names no {kind.links}s, but reasons of kind {kind.name} need them")
    begins = candidates.pair_begins[picked]
    lengths = candidates.pair_begins[picked + 1] - begins
    owner = np.repeat(np.arange(len(picked)), lengths)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    pairs = candidates.pair_order[begins[owner] + offset] - proposal.first
    of_source = (pairs >= 0) & (pairs < len(links))
    owner, pairs = owner[of_source], pairs[of_source]
    linked = links[pairs]
    values = proposal.column(kind.column)[pairs] if kind.column else np.zeros(len(pairs))
    order = np.lexsort((index.attributes.tie[linked] if kind.links == "item" else linked, values, owner))
    last = np.flatnonzero(np.diff(owner[order], append=len(picked)))
    found: Ints = linked[order[last]]
    return found


def reason_of(number: int, link: int, slot: int, locale: Locale, read: ReadModels) -> Reason:
    """Return a reason as it is published.

    Parameters
    ----------
    number, link
        Number of the kind and the item or context that it names, as in :class:`Explained`.
    slot
        The item that the reason is for.
    locale
        Language of the text.
    read
        The read models, for the names of items, categories and contexts.
    """
    kind = KINDS[number].kind
    item = read.items.ids[link] if kind.links == "item" and link >= 0 else None
    context = read.contexts.names[link] if kind.links == "context" else None
    category = read.items.category_name(slot) if kind.links == "category" else None
    field, _, value = (context or "").partition(":")
    text = kind.field_texts.get(field, kind.texts)[locale].format(item=item, category=category, context=value)
    return Reason(kind.name, item, text, category, context)


class TrueReasons(Stage):
    """Find which kinds of reason are true of each candidate; what no reason can be given for is not shown."""

    name = "reasons"
    shared = True
    removes = "nothing that could be said for it is true"

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.true_kinds = true_kinds(frame.candidates)
        frame.kept = frame.kept & np.logical_or.reduce(frame.true_kinds)
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
        candidates, flat = frame.candidates, np.flatnonzero(frame.filled)
        picked = frame.numbers.ravel()[flat]
        buckets = buckets_of(candidates.visitors.profiles, candidates.visitors.now_ms)
        weighted = frame.features[:, picked] * frame.weights[buckets[candidates.rows[picked]]].T
        explained = self._explainer.explain(candidates, picked, weighted, frame.true_kinds, frame.read.items)
        kinds = np.full(frame.numbers.size, -1, np.int64)
        links = kinds.copy()
        kinds[flat], links[flat] = explained.kinds, explained.links
        frame.kinds, frame.links = kinds.reshape(frame.numbers.shape), links.reshape(frame.numbers.shape)
        return frame
