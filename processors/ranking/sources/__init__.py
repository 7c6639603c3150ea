"""Where candidates come from: one file a source, all of one shape (:class:`processors.ranking.sources.base.Source`).

To add one, write its file and name it in :data:`ALL`; everything else (merging, features, reasons, the conformance
suite, the ablation) follows.
"""

from processors.ranking.sources.base import Block, Source, SourceSettings, Visitors
from processors.ranking.sources.category_popular import CategoryPopular
from processors.ranking.sources.covisitation import Covisitation
from processors.ranking.sources.fresh import Fresh
from processors.ranking.sources.interest_group import InterestGroup
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
)
"""All sources. The order decides nothing but that of the columns."""

__all__ = ["ALL", "Block", "Source", "SourceSettings", "Visitors"]
