"""Campaigns of a running system: publishing them, listing them, pausing them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from processors.ads.advertisers import Advertisers
from processors.ads.alerts import Alert, alerts_of, in_stock_of
from processors.ads.campaign import MIDDLE_PRIORITY, Campaign, read_campaign
from processors.ads.campaign_view import CampaignView, decode_campaign_view
from processors.ads.doubts import disagreements_of, doubts_of, lacking_of, names_items
from processors.ads.goal import Goal
from processors.common.hashing import partition_of
from processors.common.topics import BROADCAST_CAMPAIGNS_TOPIC, CAMPAIGNS_TOPIC
from processors.items.index import ItemIndex
from streams.kafka.consumer import read_all
from streams.operations.present import read_items
from streams.settings.sections import Settings


class CampaignStatus(msgspec.Struct, frozen=True):
    """A campaign as ``nearstream campaigns list`` shows it. Money is in ``currency``.

    Parameters
    ----------
    cid, advertiser, model, bid, budget, currency, pacing, paused
        The campaign's own fields, as published.
    spent
        What has been charged so far.
    over
        What was delivered beyond the budget, and not charged.
    left_today
        What may still be spent today.
    rate
        Share of the auctions that pacing lets the campaign take part in, from 0 to 1.
    alerts
        What is the matter with it (:mod:`processors.ads.alerts`).
    doubts
        What cannot be meant in it (:mod:`processors.ads.doubts`).
    priority, house
        Its tier, and whether it is the shop's own, which comes after all others.
    goal, achieved, factor
        What a purchase may cost or has to bring in, what it cost or brought in lately, and what the cost allowed to a
        purchase is multiplied with to reach that.
    """

    cid: str
    advertiser: str
    model: str
    bid: float
    spent: float
    over: float
    budget: float
    left_today: float
    currency: str
    rate: float
    pacing: str
    paused: bool
    alerts: tuple[Alert, ...] = ()
    doubts: tuple[str, ...] = ()
    priority: int = MIDDLE_PRIORITY
    house: bool = False
    goal: Goal | None = None
    achieved: float | None = None
    factor: float | None = None


def publish(producer: KafkaProducer, settings: Settings, campaigns: dict[str, bytes]) -> None:
    """Append campaigns to their topic, each on the partition of its id, and wait until the brokers have them all.

    Parameters
    ----------
    campaigns
        Messages by campaign id, from :func:`streams.operations.campaign_files.read_file` or :func:`with_pause`.
    """
    for cid, raw in campaigns.items():
        partition = partition_of(cid, settings.topics.partitions)
        producer.send(CAMPAIGNS_TOPIC, key=cid.encode(), value=raw, partition=partition).get()


def known_campaigns(consumer: KafkaConsumer, settings: Settings) -> dict[str, CampaignView]:
    """Read the campaigns that workers know, by id: all that they have broadcast and not withdrawn."""
    return {cid: view for cid, view in _published(consumer, settings).items() if not view.withdrawn}


def _published(consumer: KafkaConsumer, settings: Settings) -> dict[str, CampaignView]:
    """Read what workers have broadcast of campaigns, by id; also of withdrawn ones that have spent something."""
    partitions = [TopicPartition(BROADCAST_CAMPAIGNS_TOPIC, p) for p in range(settings.topics.partitions)]
    found: dict[str, CampaignView] = {}
    for record in read_all(consumer, partitions):
        if record.key is None or record.key.startswith(b"\x00"):
            continue
        view = decode_campaign_view(record.value)
        if view is None:
            found.pop(record.key.decode(), None)
        else:
            found[record.key.decode()] = view
    return dict(sorted(found.items()))


def statuses(consumer: KafkaConsumer, settings: Settings) -> list[CampaignStatus]:
    """Return the figures of all campaigns, and what is the matter with each, now.

    Where campaigns name items, the items are read, too: one that is out of stock rests.
    """
    published, now_ms = _published(consumer, settings), int(time.time() * 1000)
    views = {cid: view for cid, view in published.items() if not view.withdrawn}
    short = short_advertisers(published, now_ms)
    items = _items_for(settings, consumer, [view.campaign for view in views.values()])
    in_stock, lacks, blocked = in_stock_of(items), lacking_of(items), settings.users.ads.blocked
    disagreements = disagreements_of({cid: view.campaign for cid, view in views.items()})
    return [
        status_of(
            cid,
            view,
            alerts_of(view, now_ms, in_stock, short),
            (*doubts_of(view.campaign, lacks, blocked), *disagreements.get(cid, ())),
        )
        for cid, view in views.items()
    ]


def short_advertisers(published: Mapping[str, CampaignView], now_ms: int) -> dict[str, float]:
    """Return what advertisers have left that have less than their campaigns would spend today, by name.

    Parameters
    ----------
    published
        What was broadcast of campaigns, by id, withdrawn ones included: what they have spent counts.
    """
    advertisers = Advertisers(len(published))
    for cid, view in published.items():
        advertisers.note(cid, view)
    return advertisers.short(now_ms)


def doubts_in(settings: Settings, consumer: KafkaConsumer, campaigns: dict[str, bytes]) -> dict[str, tuple[str, ...]]:
    """Say what cannot be meant in campaigns, by the id of those of which there is something to say.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription: where campaigns name items, the items are read.
    campaigns
        Messages by campaign id, from :func:`streams.operations.campaign_files.read_file`.
    """
    read, now_ms = {cid: read_campaign(raw) for cid, raw in campaigns.items()}, time.time() * 1000.0
    lacks = lacking_of(_items_for(settings, consumer, list(read.values())))
    disagreements = disagreements_of({**_others_of(settings, consumer, read), **read})
    found = {
        cid: (
            *((_OVER,) if campaign.has_ended(now_ms) else ()),
            *doubts_of(campaign, lacks, settings.users.ads.blocked),
            *disagreements.get(cid, ()),
        )
        for cid, campaign in read.items()
    }
    return {cid: doubts for cid, doubts in found.items() if doubts}


def _others_of(settings: Settings, consumer: KafkaConsumer, read: dict[str, Campaign]) -> dict[str, Campaign]:
    """Read the campaigns that workers know if any of these says what its advertiser may spend."""
    if not any(campaign.limits_advertiser for campaign in read.values()):
        return {}
    return {cid: view.campaign for cid, view in known_campaigns(consumer, settings).items()}


_OVER = "ends_at: it is over already, and is shown to nobody"


def _items_for(settings: Settings, consumer: KafkaConsumer, campaigns: Iterable[Campaign]) -> ItemIndex:
    """Read the items if any campaign names some; they are many."""
    if any(names_items(campaign) for campaign in campaigns):
        return read_items(settings, consumer)
    return ItemIndex()


def status_of(
    cid: str, view: CampaignView, alerts: tuple[Alert, ...] = (), doubts: tuple[str, ...] = ()
) -> CampaignStatus:
    """Return the figures of a campaign that an operator looks at, and what is the matter with it."""
    campaign, goal = view.campaign, view.goal
    return CampaignStatus(
        cid,
        campaign.advertiser,
        campaign.model,
        campaign.bid,
        view.spent,
        view.over,
        campaign.budget,
        view.left_today,
        campaign.currency,
        view.rate,
        campaign.pacing,
        campaign.paused,
        alerts,
        doubts,
        campaign.priority,
        campaign.house,
        campaign.goal,
        None if goal is None or campaign.goal is None else goal.achieved(campaign.goal),
        None if goal is None else goal.factor,
    )


def with_pause(view: CampaignView, paused: bool) -> bytes:
    """Return the campaign's message with ``paused`` set or cleared."""
    return msgspec.json.encode(msgspec.structs.replace(view.campaign, paused=paused))
