"""Why an item is in a slate: what contributed most to its score, among what is true of it.

A reason names a kind, for machines, and has a text, for people. Kinds are claims, and a claim must hold: "viewed
together" needs a co-visitation with an item the user really touched, "trending" a place among the trending items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.items.index import ItemIndex
from processors.models.ranker_weights import buckets_of
from processors.ranking.candidates import RULES, Candidates
from processors.ranking.frame import SLATES, Frame, Stage
from processors.ranking.read_models import ReadModels

Locale = Literal["en", "zh"]


@dataclass(frozen=True)
class Kind:
    """A kind of reason.

    Attributes
    ----------
    name
        In the messages.
    source
        Source that must have proposed the item.
    column
        Value of that source which must be positive, and by which the strongest of the user's items is named; without
        one, having been proposed is enough.
    features
        Prefixes of the features that speak for it.
    texts
        Per locale; ``{item}`` is the user's own item, ``{category}`` the category.
    linked
        Whether something of the user's led to it.
    links_items
        Whether that is an item; else it is a context, by its number in the read model.
    """

    name: str
    source: str
    column: str | None
    features: tuple[str, ...]
    texts: dict[Locale, str]
    linked: bool = False
    links_items: bool = True


KINDS = (
    Kind(
        "viewed_together", "together", "together", ("together",),
        {"en": "Often viewed together with {item}", "zh": "常与 {item} 一起浏览"}, linked=True,
    ),
    Kind(
        "viewed_next", "together", "next", ("next",),
        {"en": "Often viewed right after {item}", "zh": "浏览 {item} 之后常看"}, linked=True,
    ),
    Kind(
        "related", "related", "related", ("related",),
        {"en": "Related to {item}", "zh": "与 {item} 相关"}, linked=True,
    ),
    Kind(
        "similar", "content", "content", ("content",),
        {"en": "Similar to {item}", "zh": "与 {item} 相似"}, linked=True,
    ),
    Kind(
        "alike", "content", "embedding", ("embedding",),
        {"en": "In the manner of {item}", "zh": "与 {item} 风格相近"}, linked=True,
    ),
    Kind(
        "viewed_before", "recent", None, ("own", "recent", "touched"),
        {"en": "You looked at this before", "zh": "您之前看过"},
    ),
    Kind(
        "popular_in_category", "category", None, ("trend_in_category", "category_", "brand_in_category"),
        {"en": "Popular in {category}", "zh": "{category} 中的热门"}, linked=True,
    ),
    Kind(
        "people_like_you", "group", None, ("group",),
        {"en": "People with your interests like this", "zh": "与您兴趣相近的人喜欢"},
    ),
    Kind(
        "popular_in_context", "context", "context", ("context",),
        {"en": "Popular with visitors like you", "zh": "与您情况相近的访客喜欢"}, linked=True, links_items=False,
    ),
    Kind(
        "new", "fresh", None, ("fresh", "item_fresh"),
        {"en": "New", "zh": "新品上架"},
    ),
    Kind(
        "trending", "trending", None, ("trend_hour", "trend_day", "trend_week", "item_lately"),
        {"en": "Popular right now", "zh": "当前热门"},
    ),
    Kind(
        "popular", "popular", None, ("visits",),
        {"en": "Popular with everybody", "zh": "大家都在看"},
    ),
    Kind(
        "featured", RULES, None, (),
        {"en": "Chosen by the shop", "zh": "店家精选"},
    ),
)  # fmt: skip
"""All kinds. Of equal contributions, the earlier kind is named."""


CATEGORY = next(number for number, kind in enumerate(KINDS) if kind.name == "popular_in_category")
"""Number of the kind that names a category instead of an item."""


CONTEXT = next(number for number, kind in enumerate(KINDS) if kind.name == "popular_in_context")
"""Number of the kind that names a context, such as a country or a device, instead of an item."""

_CONTEXT_TEXTS: dict[str, dict[Locale, str]] = {
    "country": {"en": "Popular with visitors from {context}", "zh": "来自 {context} 的访客喜欢"},
    "region": {"en": "Popular with visitors from {context}", "zh": "来自 {context} 的访客喜欢"},
    "device": {"en": "Popular with visitors on {context}", "zh": "使用 {context} 的访客喜欢"},
    "channel": {"en": "Popular with visitors who come by {context}", "zh": "通过 {context} 来的访客喜欢"},
    "page": {"en": "Popular with visitors of {context}", "zh": "浏览 {context} 的访客喜欢"},
}
"""What is said of each kind of context that there is (:data:`processors.users.context.FIELDS`)."""


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
    for row, kind in enumerate(KINDS):
        if kind.source in candidates.blocks:
            found[row] = candidates.values[kind.column] > 0.0 if kind.column else candidates.proposed[kind.source]
        if kind.name == "viewed_before":
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
        self._speaking = [[row for row, name in enumerate(names) if name.startswith(kind.features)] for kind in KINDS]

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
        for number, kind in enumerate(KINDS):
            if kind.linked and kind.source in candidates.blocks:
                of_kind = np.flatnonzero(kinds == number)
                links[of_kind] = _strongest_link(candidates, picked[of_kind], kind, index)
        return Explained(kinds, links)


def _strongest_link(candidates: Candidates, picked: Ints, kind: Kind, index: ItemIndex) -> Ints:
    """Slot of the user's item that contributed most to each picked candidate, by the kind's source."""
    if not len(picked):
        return picked
    proposal = candidates.blocks[kind.source]
    links = proposal.block.links if kind.links_items else proposal.block.contexts
    if links is None:
        raise ValueError(f"source {kind.source} names no items, but reasons of kind {kind.name} need them")
    begins = candidates.starts[picked]
    lengths = candidates.starts[picked + 1] - begins
    owner = np.repeat(np.arange(len(picked)), lengths)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    pairs = candidates.order[begins[owner] + offset] - proposal.at
    of_source = (pairs >= 0) & (pairs < len(links))
    owner, pairs = owner[of_source], pairs[of_source]
    linked = links[pairs]
    values = proposal.column(kind.column)[pairs] if kind.column else np.zeros(len(pairs))
    order = np.lexsort((index.attributes.tie[linked] if kind.links_items else linked, values, owner))
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
    kind = KINDS[number]
    item = read.items.ids[link] if link >= 0 and kind.links_items and number != CATEGORY else None
    context = read.contexts.names[link] if number == CONTEXT else None
    category = read.items.category_name(slot) if number == CATEGORY else None
    field, _, value = (context or "").partition(":")
    text = _CONTEXT_TEXTS.get(field, kind.texts)[locale].format(item=item, category=category, context=value)
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
