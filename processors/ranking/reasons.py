"""Why an item is in a slate: what contributed most to its score, among what is true of it.

A reason names a kind, for machines, and has a text, for people. Kinds are claims, and a claim must hold: "viewed
together" needs a co-visitation with an item the user really touched, "trending" a place among the trending items.
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
class Kind:
    """A kind of reason, and the source that must have proposed the item."""

    source: str
    kind: ReasonKind


_FEATURED = ReasonKind("featured", (), {"en": "Chosen by the shop", "zh": "店家精选"}, order=130)
"""Said of what only rules want shown."""

KINDS = tuple(
    sorted(
        (*(Kind(source.name, kind) for source in ALL for kind in source.reasons), Kind(RULES, _FEATURED)),
        key=lambda entry: entry.kind.order,
    )
)
"""All kinds. Of equal contributions, the earlier kind is named."""

CATEGORY = tuple(number for number, entry in enumerate(KINDS) if entry.kind.links == "category")
"""Numbers of the kinds that name a category."""


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an item is in a slate.

    Parameters
    ----------
    kind
        One of :data:`KINDS`, by name.
    item_id
        The user's own item that led to it.
    text
        For people, in the locale of the settings.
    category
        The category it is popular in.
    context
        The context it is popular in, such as ``country:DE``.
    """

    kind: str
    item_id: str | None = None
    text: str | None = None
    category: str | None = None
    context: str | None = None


@dataclass(frozen=True)
class Explained:
    """Reasons as arrays: index into :data:`KINDS`, and the user's own item (slot) or context behind it, -1 without."""

    kinds: Ints
    links: Ints


def holds(candidates: Candidates) -> Flags:
    """Which kinds are true of which candidates, shape (kinds, candidates)."""
    n = len(candidates)
    found = np.zeros((len(KINDS), n), np.bool_)
    for row, (source, kind) in enumerate((entry.source, entry.kind) for entry in KINDS):
        if source in candidates.blocks:
            found[row] = candidates.values[kind.column] > 0.0 if kind.column else candidates.proposed[source]
        if kind.name == VIEWED_BEFORE:
            found[row] |= candidates.touched
    return found


class Explainer:
    """Finds the reason for each place of many slates at once.

    Parameters
    ----------
    names
        Of the features.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._speaking = [
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
        """Reasons for the picked candidates.

        Parameters
        ----------
        picked
            Numbers of candidates.
        weighted
            Their features times the weights they were ranked by, shape (features, picked).
        true
            What :func:`holds` says of all candidates.
        """
        links = np.full(len(picked), -1, np.int64)
        if not len(picked):
            return Explained(links, links)
        says = np.full((len(KINDS), len(picked)), -np.inf)
        for number, rows in enumerate(self._speaking):
            # Not a matrix product, whose last bits depend on how many candidates there are.
            said = weighted[rows].sum(axis=0)
            says[number] = np.where(true[number, picked], said, -np.inf)
        kinds = np.argmax(says, axis=0)
        for number, entry in enumerate(KINDS):
            if entry.kind.links in ("item", "context") and entry.source in candidates.blocks:
                of_kind = np.flatnonzero(kinds == number)
                links[of_kind] = _strongest_link(candidates, picked[of_kind], entry, index)
        return Explained(kinds, links)


def _strongest_link(candidates: Candidates, picked: Ints, entry: Kind, index: ItemIndex) -> Ints:
    """Slot of the user's item that contributed most to each picked candidate, by the kind's source."""
    if not len(picked):
        return picked
    kind, proposal = entry.kind, candidates.blocks[entry.source]
    links = proposal.block.links if kind.links == "item" else proposal.block.contexts
    if links is None:
        raise ValueError(f"source {entry.source} names no {kind.links}s, but reasons of kind {kind.name} need them")
    begins = candidates.starts[picked]
    lengths = candidates.starts[picked + 1] - begins
    owner = np.repeat(np.arange(len(picked)), lengths)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    pairs = candidates.order[begins[owner] + offset] - proposal.at
    of_source = (pairs >= 0) & (pairs < len(links))
    owner, pairs = owner[of_source], pairs[of_source]
    linked = links[pairs]
    values = proposal.column(kind.column)[pairs] if kind.column else np.zeros(len(pairs))
    order = np.lexsort((index.attributes.tie[linked] if kind.links == "item" else linked, values, owner))
    last = np.flatnonzero(np.diff(owner[order], append=len(picked)))
    found: Ints = linked[order[last]]
    return found


def reason_of(number: int, link: int, slot: int, locale: Locale, read: ReadModels) -> Reason:
    """A reason as it is published.

    Parameters
    ----------
    number, link
        As in :class:`Explained`.
    slot
        The item it is a reason for.
    """
    kind = KINDS[number].kind
    item = read.items.ids[link] if kind.links == "item" and link >= 0 else None
    context = read.contexts.names[link] if kind.links == "context" else None
    category = read.items.category_name(slot) if kind.links == "category" else None
    field, _, value = (context or "").partition(":")
    text = kind.field_texts.get(field, kind.texts)[locale].format(item=item, category=category, context=value)
    return Reason(kind.name, item, text, category, context)


class TrueReasons(Stage):
    """Find what is true of each candidate, and remove those of which nothing is that could be said."""

    name = "reasons"
    shared = True
    removes = "nothing that could be said for it is true"

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.true = holds(frame.candidates)
        frame.kept = frame.kept & np.logical_or.reduce(frame.true)
        return frame


class Explain(Stage):
    """Find the reason for each position: what contributed most to the score, among what is true.

    Parameters
    ----------
    features
        Names of the features.
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
        explained = self._explainer.explain(candidates, picked, weighted, frame.true, frame.read.items)
        kinds = np.full(frame.numbers.size, -1, np.int64)
        because = kinds.copy()
        kinds[flat], because[flat] = explained.kinds, explained.links
        frame.kinds, frame.because = kinds.reshape(frame.numbers.shape), because.reshape(frame.numbers.shape)
        return frame
