"""What ranking reads of the world, as one argument."""

from __future__ import annotations

from dataclasses import dataclass, field

from processors.items.index import ItemIndex
from processors.models.context_popularity import ContextPopularity
from processors.models.interest_groups import InterestGroups
from processors.models.serving_weights import ServingWeights
from processors.ranking.rule_index import RuleIndex


@dataclass(frozen=True)
class ReadModels:
    """The read models that slates rest on. Ranking changes none of them; whoever owns them may between two steps.

    Parameters
    ----------
    items
        What is known of every item.
    weights
        What has been learned to rank by.
    groups
        Interest groups, and what each chooses.
    contexts
        What is chosen in which context.
    rules
        Rules of the shop.
    """

    items: ItemIndex
    weights: ServingWeights
    groups: InterestGroups = field(default_factory=InterestGroups)
    contexts: ContextPopularity = field(default_factory=ContextPopularity)
    rules: RuleIndex = field(default_factory=RuleIndex)
