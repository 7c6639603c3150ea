"""``nearstream bench ads-day``: days of ads in minutes, by several workers, some of them killed in the middle.

Visitors ask for ads on ``ads.requests.v1``, read the decisions, see them, and sometimes click and buy. They
keep an account of their own: what each campaign owes for what happened, and whether anybody was shown anything too
often. It is compared with the ledgers that the workers leave behind.

Event time runs hundreds of times faster than the clock: what a worker takes to hear that a budget is spent, a fraction
of a second, is minutes of event time here. Ads that are shown beyond a budget meanwhile are not billed.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.ads_visitors import Account, Visitors, planned
from bench.campaigns import campaigns_of, records_of
from bench.cluster import Cluster, create_topics, settings_from, use_cluster
from bench.load import append
from bench.machine import describe
from bench.recommendations import committed_consumer, read_all
from bench.worker_group import WorkerGroup, environment_beside
from processors.ads.ledger import Ledger
from processors.common.time import DAY_MS
from processors.common.topics import AD_DECISIONS_TOPIC, changelog_topic
from streams.kafka.clients import client_arguments
from streams.kafka.upstream.stopping import stop_client
from streams.settings.sections import Settings

_BEGINS_MS = 1_700_006_400_000
"""A midnight, UTC."""

_ITEMS = 500
_EXPIRES_DAYS = 30
_DECISIONS = 1_000
_STATE = b"\x01"
_EXACT = 1e-4


class AdsDayResult(msgspec.Struct, kw_only=True):
    """Result, one JSON line.

    Parameters
    ----------
    requests, decisions, doubled, filled
        Numbers of requests, of decisions, of requests that were answered twice, and of decisions that show an ad.
    spent_up
        Campaigns that spent their whole budget.
    over_budget, over_budget_worst
        What was billed beyond the budgets, as a share of them: of all campaigns together, and of the worst one.
    unbilled, unbilled_worst
        What was delivered beyond the budgets and not billed, as a share of them: of all together, and of the worst.
    wrong_ledgers
        Campaigns without a daily budget whose ledger differs from the visitors' account (at most the budget).
    over_caps
        Ads shown to somebody beyond the caps per hour and per day.
    pacing_error
        Mean distance of what evenly paced campaigns spent from the plan by the traffic of the day, every hour of the
        last day, as a share of the daily budget; only campaigns that spent at least 95 % of it count.
    paced
        How many campaigns these are.
    """

    workers: int
    kills: int
    campaigns: int
    days: int
    compressed: float
    requests: int
    decisions: int
    doubled: int
    filled: int
    spent_up: int
    over_budget: float
    over_budget_worst: float
    unbilled: float
    unbilled_worst: float
    wrong_ledgers: int
    over_caps: int
    pacing_error: float | None
    paced: int
    wall_s: float
    broker: str
    machine: str


def run_ads_day(
    workers: int = 2,
    kills: int = 1,
    campaigns: int = 50,
    days: int = 2,
    day_s: float = 120.0,
    rate: float = 100.0,
    users: int = 2_000,
    brokers: str | None = None,
) -> AdsDayResult:
    """Let visitors ask for ads for some days, and compare the ledgers with what happened.

    Parameters
    ----------
    workers, kills
        Number of processes that share the partitions, and how often one of them is killed and started again, evenly
        spread over the time.
    campaigns
        Number of campaigns. Every third spends as fast as it can and has no daily budget, the others spend evenly.
    days, day_s
        Number of simulated days, and the seconds that one takes.
    rate
        Mean requests per second.
    users
        Number of visitors.
    brokers
        Brokers without Nearstream's records; by default an Apache Kafka is started.
    """
    with use_cluster(brokers) as cluster:
        return asyncio.run(_measure(cluster, _Plan(workers, kills, campaigns, days, day_s, rate, users)))


class _Plan(msgspec.Struct, frozen=True):
    workers: int
    kills: int
    campaigns: int
    days: int
    day_s: float
    rate: float
    users: int


def _campaigns(plan: _Plan) -> dict[str, dict[str, Any]]:
    """Return campaigns of which most cannot buy all that they could win."""
    found = campaigns_of(plan.campaigns, _ITEMS)
    worth = 0.03 * plan.rate * plan.day_s * plan.days / max(plan.campaigns, 1)
    for n, fields in enumerate(found.values()):
        fields["budget"] = round(worth * (0.4 + n % 5 / 5.0), 2)
        fields["bid"] = min(fields["bid"], fields["budget"] / 3.0)
        fields["target"] = {} if n % 4 else {"devices": ["phone"]}
        if n % 3 == 0:
            del fields["budget_daily"]
            fields["pacing"] = "asap"
        else:
            fields["budget_daily"] = round(fields["budget"] / plan.days, 4)
    return found


async def _measure(cluster: Cluster, plan: _Plan) -> AdsDayResult:
    # At this speed a day is over while a worker is started anew, and what has expired is forgiven by the caps.
    # Whoever asked meanwhile is answered in one go, and sees all of it afterwards.
    # Days pass in seconds here: the clock that counts is the visitors'.
    ads = {"EXPIRES_MS": _EXPIRES_DAYS * DAY_MS, "DECISIONS": _DECISIONS, "CLOCK_TOLERANCE_MS": 10**13}
    ads["CLICKS_PER_MINUTE"] = 1000
    first = cluster.environment({f"NEARSTREAM_USERS__ADS__{name}": value for name, value in ads.items()})
    environments = [first, *(environment_beside(first, cluster) for _ in range(plan.workers - 1))]
    settings, campaigns = settings_from(first), _campaigns(plan)
    await create_topics(settings)
    await append(settings, records_of(campaigns))
    visitors = Visitors(_BEGINS_MS, plan.day_s, plan.days, plan.rate, plan.users)
    begun = time.monotonic()
    async with AsyncExitStack() as stack:
        workers = WorkerGroup(environments, cluster)
        stack.callback(workers.stop)
        await asyncio.to_thread(workers.start)
        producer = AIOKafkaProducer(**client_arguments(settings.kafka), acks="all", linger_ms=2)
        await producer.start()
        stack.push_async_callback(producer.stop)
        consumer = await _listening(settings)
        stack.push_async_callback(stop_client, consumer)
        killing = asyncio.create_task(workers.kill_in_turn(plan.kills, plan.day_s * plan.days))
        await asyncio.gather(visitors.ask(producer), visitors.react(consumer, producer))
        await killing
        await asyncio.to_thread(workers.wait_until_idle)
    ledgers = await _ledgers(settings)
    return _result(cluster, plan, campaigns, visitors.account, ledgers, round(time.monotonic() - begun, 1))


async def _listening(settings: Settings) -> AIOKafkaConsumer:
    consumer = committed_consumer(settings)
    await consumer.start()
    consumer.assign([TopicPartition(AD_DECISIONS_TOPIC, p) for p in range(settings.topics.partitions)])
    return consumer


async def _ledgers(settings: Settings) -> dict[str, Ledger]:
    """Read the campaigns' states from their changelog."""
    decode = msgspec.msgpack.Decoder(Ledger).decode
    found: dict[str, Ledger] = {}
    async for record in read_all(settings, changelog_topic("campaigns")):
        if record.key[:1] == _STATE and record.value is not None:
            found[record.key[1:].decode()] = decode(record.value[1:])
    return found


def _result(
    cluster: Cluster,
    plan: _Plan,
    campaigns: dict[str, dict[str, Any]],
    account: Account,
    ledgers: dict[str, Ledger],
    wall_s: float,
) -> AdsDayResult:
    return AdsDayResult(
        workers=plan.workers,
        kills=plan.kills,
        campaigns=len(campaigns),
        days=plan.days,
        compressed=round(DAY_MS / 1000.0 / plan.day_s, 1),
        requests=account.asked,
        decisions=account.decided,
        doubled=account.doubled,
        filled=account.filled,
        **_spending(campaigns, account, ledgers),
        over_caps=account.over_caps(campaigns),
        **_pacing(campaigns, account, plan),
        wall_s=wall_s,
        broker=cluster.label,
        machine=describe(),
    )


def _spending(campaigns: dict[str, dict[str, Any]], account: Account, ledgers: dict[str, Ledger]) -> dict[str, Any]:
    """Compare what the ledgers say was spent with the budgets and with the visitors' account."""
    budgets = {cid: fields["budget"] for cid, fields in campaigns.items()}
    spent = {cid: ledgers[cid].spent for cid in campaigns}
    billed = {cid: max(0.0, spent[cid] - budgets[cid]) / budgets[cid] for cid in campaigns}
    unbilled = {cid: max(0.0, account.owed[cid] - budgets[cid]) / budgets[cid] for cid in campaigns}
    total = sum(budgets.values())
    return {
        "spent_up": sum(spent[cid] >= budgets[cid] - _EXACT for cid in campaigns),
        "over_budget": round(sum(billed[cid] * budgets[cid] for cid in campaigns) / total, 6),
        "over_budget_worst": round(max(billed.values()), 6),
        "unbilled": round(sum(unbilled[cid] * budgets[cid] for cid in campaigns) / total, 6),
        "unbilled_worst": round(max(unbilled.values()), 6),
        "wrong_ledgers": sum(
            abs(spent[cid] - min(account.owed[cid], budgets[cid])) > _EXACT
            for cid, fields in campaigns.items()
            if "budget_daily" not in fields
        ),
    }


def _pacing(campaigns: dict[str, dict[str, Any]], account: Account, plan: _Plan) -> dict[str, Any]:
    """Return the mean pacing error of the campaigns that spent their money, and how many they are."""
    evenly = {cid: fields["budget_daily"] for cid, fields in campaigns.items() if "budget_daily" in fields}
    errors = [_pacing_error(account, cid, daily, plan) for cid, daily in evenly.items()]
    paced = [error for error in errors if error is not None]
    return {"pacing_error": round(sum(paced) / len(paced), 4) if paced else None, "paced": len(paced)}


def _pacing_error(account: Account, cid: str, daily: float, plan: _Plan) -> float | None:
    """Return the mean distance from the plan at the hours of the last day.

    It is :obj:`None` for a campaign that spent less than 95 % of its daily budget: it could not spend its money.
    """
    begin = _BEGINS_MS + (plan.days - 1) * DAY_MS
    today = [(at_ms - begin, price) for at_ms, price in account.moments[cid] if begin <= at_ms < begin + DAY_MS]
    if sum(price for _, price in today) < 0.95 * daily:
        return None
    ends = [DAY_MS * hour // 24 for hour in range(1, 24)]
    done = [min(sum(price for at_ms, price in today if at_ms <= end) / daily, 1.0) for end in ends]
    return sum(abs(part - planned(end)) for part, end in zip(done, ends, strict=True)) / len(ends)
