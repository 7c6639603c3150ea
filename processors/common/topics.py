"""Every topic by its name, with the records on it and their keys (UTF-8)."""

from __future__ import annotations

BROWSES_TOPIC = "events.browse.v1"
"""Views of items, from apps; keyed by user."""

CLICKS_TOPIC = "events.click.v1"
"""Clicks on items and ads, from apps; keyed by user."""

PURCHASES_TOPIC = "events.purchase.v1"
"""Purchases and refunds, from apps; keyed by user."""

IMPRESSIONS_TOPIC = "events.impression.v1"
"""Impressions, from apps: what users were shown and saw; keyed by user."""

REQUESTS_TOPIC = "ads.requests.v1"
"""Ad requests, from apps; keyed by user."""

SLATE_REQUESTS_TOPIC = "recommendations.requests.v1"
"""Requests for slates, from apps; keyed by user."""

AUDIENCES_TOPIC = "audiences.v1"
"""Uploaded audiences, from the shop: the lists that a user is on; keyed by user, a tombstone takes off all of them."""

FORWARDED_TOPIC = "internal.events"
"""Forwarded records: any of the above that came to another partition than its user's; keyed by user."""

CATALOG_TOPIC = "catalog.items.v1"
"""Rows of the catalogue, from the shop; keyed by item, a tombstone withdraws one."""

RULES_TOPIC = "catalog.rules.v1"
"""Rules of the shop; keyed by rule, a tombstone withdraws one."""

CAMPAIGNS_TOPIC = "catalog.campaigns.v1"
"""Campaigns of advertisers; keyed by campaign, a tombstone withdraws one."""

RECOMMENDATIONS_TOPIC = "recommendations.v1"
"""Slates, to apps; keyed by user."""

AD_DECISIONS_TOPIC = "ad-decisions.v1"
"""Ad decisions, to apps: which ad to show, or why none; keyed by user."""

DECISION_LOG_TOPIC = "decision-log.v1"
"""Logged ad decisions with their propensities, for off-policy evaluation; keyed by user."""

REPORTS_TOPIC = "reports.ads.v1"
"""What each campaign did on each of its last days; keyed by ``campaign/day``, a tombstone forgets a day."""

DEAD_LETTERS_TOPIC = "dead-letters.v1"
"""Dead letters: refused records with their original bytes, and the reason in their headers."""

SIGNALS_TOPIC = "internal.item-signals"
"""Item signals from the users plane to the items plane: touches, and pairs touched in one session."""

TRAINING_TOPIC = "internal.training"
"""Training examples from the users plane to the models plane."""

CAMPAIGN_SIGNALS_TOPIC = "internal.campaign-signals"
"""Campaign signals from the users plane to the campaigns plane: opportunities, impressions, charges, clicks."""

BROADCAST_ITEMS_TOPIC = "broadcast.items"
"""Item views, from the items plane to every worker; keyed by item."""

BROADCAST_MODELS_TOPIC = "broadcast.models"
"""Learned models, from the models plane to every worker; keyed by model."""

BROADCAST_RULES_TOPIC = "broadcast.rules"
"""Valid rules of the shop, from the models plane to every worker; keyed by rule."""

BROADCAST_CAMPAIGNS_TOPIC = "broadcast.campaigns"
"""Campaign views, from the campaigns plane to every worker: a campaign and its budget left; keyed by campaign."""

BROADCAST_TOPICS = (
    BROADCAST_ITEMS_TOPIC,
    BROADCAST_MODELS_TOPIC,
    BROADCAST_RULES_TOPIC,
    BROADCAST_CAMPAIGNS_TOPIC,
)
"""Topics that every worker reads from the beginning, for its read models."""


def changelog_topic(plane: str) -> str:
    """Name the changelog of a plane: the topic that holds its states, and the source positions they include.

    Examples
    --------
    >>> changelog_topic("users")
    'internal.changelog.users'
    """
    return f"internal.changelog.{plane}"
