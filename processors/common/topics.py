"""Every topic by its name, with what travels on it. Keys are UTF-8."""

from __future__ import annotations

BROWSES_TOPIC = "events.browse.v1"
"""Looks at items, from apps; keyed by user."""

CLICKS_TOPIC = "events.click.v1"
"""Clicks on items and ads, from apps; keyed by user."""

PURCHASES_TOPIC = "events.purchase.v1"
"""Purchases and refunds, from apps; keyed by user."""

IMPRESSIONS_TOPIC = "events.impression.v1"
"""What users were shown and saw, from apps; keyed by user."""

REQUESTS_TOPIC = "ads.requests.v1"
"""Apps asking for an ad; keyed by user."""

FORWARDED_TOPIC = "internal.events"
"""Any of the above that came to a partition its user does not live on; keyed by user."""

CATALOG_TOPIC = "catalog.items.v1"
"""Rows of the catalogue, from the shop; keyed by item, a tombstone withdraws one."""

RULES_TOPIC = "catalog.rules.v1"
"""Rules of the shop; keyed by rule, a tombstone withdraws one."""

CAMPAIGNS_TOPIC = "catalog.campaigns.v1"
"""Campaigns of advertisers; keyed by campaign, a tombstone withdraws one."""

RECOMMENDATIONS_TOPIC = "recommendations.v1"
"""Slates, to apps; keyed by user."""

AD_DECISIONS_TOPIC = "ad-decisions.v1"
"""Which ad to show, or why none, to apps; keyed by user."""

DECISION_LOG_TOPIC = "decision-log.v1"
"""What each decision rested on, for off-policy evaluation; keyed by user."""

DEAD_LETTERS_TOPIC = "dead-letters.v1"
"""What could not be read, with its original bytes and the reason in its headers."""

SIGNALS_TOPIC = "internal.item-signals"
"""From the users plane to the items plane: what was touched, and touched together."""

TRAINING_TOPIC = "internal.training"
"""From the users plane to the models plane: examples to learn from."""

CAMPAIGN_SIGNALS_TOPIC = "internal.campaign-signals"
"""From the users plane to the campaigns plane: opportunities, costs, clicks, purchases."""

BROADCAST_ITEMS_TOPIC = "broadcast.items"
"""From the items plane to every worker: what is known of an item; keyed by item."""

BROADCAST_MODELS_TOPIC = "broadcast.models"
"""From the models plane to every worker: what was learned; keyed by model."""

BROADCAST_RULES_TOPIC = "broadcast.rules"
"""From the models plane to every worker: rules that make sense; keyed by rule."""

BROADCAST_CAMPAIGNS_TOPIC = "broadcast.campaigns"
"""From the campaigns plane to every worker: a campaign and what it may spend; keyed by campaign."""

BROADCAST_TOPICS = (
    BROADCAST_ITEMS_TOPIC,
    BROADCAST_MODELS_TOPIC,
    BROADCAST_RULES_TOPIC,
    BROADCAST_CAMPAIGNS_TOPIC,
)
"""What every worker reads in whole, for its read models."""


def changelog_topic(plane: str) -> str:
    """Name the topic that holds every change of a plane's states, and its positions.

    Examples
    --------
    >>> changelog_topic("users")
    'internal.changelog.users'
    """
    return f"internal.changelog.{plane}"
