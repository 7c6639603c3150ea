"""All kinds of reason for an item to be in a slate, each a claim that the source that declares it can make."""

from __future__ import annotations

from dataclasses import dataclass

from processors.ranking.candidates import RULES
from processors.ranking.sources import ALL, ReasonKind


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
