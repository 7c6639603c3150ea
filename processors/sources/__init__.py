"""Where candidates come from: one file a source, all of one shape (:class:`processors.sources.base.Source`).

To add one, write its file and name it in :data:`ALL`; everything else (merging, features, reasons, the conformance
suite, the ablation) follows.
"""

from processors.sources.alike import PeopleLikeYou
from processors.sources.base import Block, Source, SourceSettings, Visitors
from processors.sources.category import CategoryTop
from processors.sources.content import ContentNeighbourhood
from processors.sources.context import SameContext
from processors.sources.covisitation import Covisitation
from processors.sources.fresh import Fresh
from processors.sources.history import OwnHistory
from processors.sources.popularity import EverPopular, Trending
from processors.sources.secondhop import SecondHop

ALL: tuple[type[Source], ...] = (
    Covisitation,
    OwnHistory,
    Trending,
    EverPopular,
    CategoryTop,
    SecondHop,
    ContentNeighbourhood,
    Fresh,
    PeopleLikeYou,
    SameContext,
)
"""All sources. The order decides nothing but that of the columns."""

__all__ = ["ALL", "Block", "Source", "SourceSettings", "Visitors"]
