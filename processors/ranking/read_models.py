"""The read models that ranking reads, as one argument."""

from __future__ import annotations

from dataclasses import dataclass, field

from processors.items.index import ItemIndex
from processors.models.context_popularity import ContextPopularity
from processors.models.interest_groups import InterestGroups
from processors.models.serving_weights import ServingWeights
from processors.ranking.rule_index import RuleIndex


@dataclass(frozen=True)
class ReadModels:
    """The read models that slates are made from. Ranking changes none of them; their owner may, between two steps.

    Parameters
    ----------
    items
        Every item, with its popularity, its neighbours and its row of the catalogue.
    weights
        Weights of the features: learned ones, and those that serve.
    groups
        Interest groups, and the items that each chooses most.
    contexts
        The items chosen most in each context, such as a country.
    rules
        Business rules of the shop.
    """

    items: ItemIndex
    weights: ServingWeights
    groups: InterestGroups = field(default_factory=InterestGroups)
    contexts: ContextPopularity = field(default_factory=ContextPopularity)
    rules: RuleIndex = field(default_factory=RuleIndex)
