"""Every learned model there is, as the one list that all who deal with models go through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processors.models.base import LearnedModel
from processors.models.click_learner import ClickLearner, PurchaseLearner
from processors.models.context_popularity import ContextLearner
from processors.models.exploration_rate import ExplorationRateLearner
from processors.models.exposure import ExposureLearner
from processors.models.interest_group_learner import InterestGroupLearner
from processors.models.ranker_learner import RankerLearner
from processors.models.state import ModelsSettings


def learned(settings: ModelsSettings, baseline: Mapping[str, float]) -> tuple[LearnedModel[Any, Any], ...]:
    """Make every learned model, in the order in which they check, learn and are published.

    Parameters
    ----------
    settings
        How models learn.
    baseline
        Weight per feature that the ranker starts from.

    Examples
    --------
    >>> [model.key for model in learned(ModelsSettings(), {})]
    ['ranker', 'exposure', 'groups', 'clicks', 'purchases', 'contexts', None]
    """
    return (
        RankerLearner(settings, baseline),
        ExposureLearner(),
        InterestGroupLearner(settings.groups),
        ClickLearner(settings.clicks),
        PurchaseLearner(settings.clicks),
        ContextLearner(settings.contexts),
        ExplorationRateLearner(),
    )


LEARNED = learned(ModelsSettings(), {})
"""All of them with default settings and no baseline: for what depends on neither, such as keys and sizes."""


def parts_bytes() -> int:
    """Return the largest size of all models' parts of a message of examples, in bytes, beside the users' examples.

    What remains of a message is for users' examples (:func:`processors.models.examples.example_bytes`).

    Examples
    --------
    >>> parts_bytes()
    107616
    """
    return sum(model.message_bytes for model in LEARNED)
