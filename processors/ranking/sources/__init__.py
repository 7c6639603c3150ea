"""Candidate sources: each proposes items for a reason of its own (:class:`processors.ranking.sources.base.Source`).

To add one, write its file and name it in :data:`ALL`; settings, merging, features, baseline weights, reasons, the
conformance tests and the ablation follow from that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_type_hints

import msgspec

from processors.ranking.sources.base import ProposedPairs, ReasonKind, Source, Visitors
from processors.ranking.sources.category_popular import CategoryPopular
from processors.ranking.sources.covisitation import Covisitation
from processors.ranking.sources.fresh import Fresh
from processors.ranking.sources.interest_group import InterestGroup
from processors.ranking.sources.item_based import ItemBased
from processors.ranking.sources.own_history import OwnHistory
from processors.ranking.sources.popularity import EverPopular, Trending
from processors.ranking.sources.same_context import SameContext
from processors.ranking.sources.second_hop import SecondHop
from processors.ranking.sources.similar import Similar

ALL: tuple[type[Source], ...] = (
    Covisitation,
    OwnHistory,
    Trending,
    EverPopular,
    CategoryPopular,
    SecondHop,
    Similar,
    Fresh,
    InterestGroup,
    SameContext,
    ItemBased,
)
"""All sources. Their order is that of the features, and has no other effect."""


def _settings_of(sources: tuple[type[Source], ...]) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, type and default of each setting of the sources, each once.

    Raises
    ------
    TypeError
        If two sources declare a setting of one name differently.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for source in sources:
        kinds = get_type_hints(source.settings, include_extras=True)
        for name, default in zip(source.settings.__struct_fields__, source.settings.__struct_defaults__, strict=True):
            if found.setdefault(name, (kinds[name], default)) != (kinds[name], default):
                raise TypeError(f"setting {name} of source {source.name}: another source declares it differently")
    for name, (kind, default) in found.items():
        yield name, kind, default


_OfSources: Any = msgspec.defstruct("_OfSources", [*_settings_of(ALL)], frozen=True, forbid_unknown_fields=True)


class SourceSettings(_OfSources, frozen=True, forbid_unknown_fields=True):  # type: ignore[misc,call-arg]  # put together above
    """Settings of all sources in one section; each source's own class documents those that it reads.

    Parameters
    ----------
    off
        Names of sources that propose nothing; an empty list turns all on.
    """

    off: tuple[str, ...] = ("group",)


def with_settings(source: type[Source], settings: SourceSettings) -> Source:
    """Make a source from its own part of the settings.

    Examples
    --------
    >>> with_settings(Trending, SourceSettings(popular_items=3)).name
    'trending'
    """
    return source(source.settings(**{name: getattr(settings, name) for name in source.settings.__struct_fields__}))


__all__ = ["ALL", "ProposedPairs", "ReasonKind", "Source", "SourceSettings", "Visitors", "with_settings"]
