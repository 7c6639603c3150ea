"""``nearstream bench ads-day``: days of ads in minutes, by several workers, some of them killed in the middle.

Visitors ask for ads on ``ads.requests.v1``, read the decisions, see them, and sometimes click and buy. They
keep an account of their own: what each campaign owes for what happened, and whether anybody was shown anything too
often. It is held against the ledgers that the workers leave behind.

Event time runs hundreds of times faster than the clock: what a worker takes to hear that a budget is spent, a fraction
of a second, is minutes of event time here. Ads that are shown beyond a budget meanwhile are not billed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.ads_visitors import Account, Visitors, planned
from bench.campaigns import campaigns_of, records_of
from bench.cluster import Cluster, cluster, create_topics, settings_from
from bench.load import append
from bench.machine import describe
from bench.recommendations import committed_consumer, read_all
from bench.worker_process import WorkerProcess
from processors.ads.ledger import Ledger
from processors.common.time import DAY_MS
from processors.common.topics import AD_DECISIONS_TOPIC, changelog_topic
from streams.broker.process import free_port
from streams.kafka.clients import client_arguments, stop_client
from streams.settings.sections import Settings

_BEGINS_MS = 1_700_006_400_000
"""A midnight, UTC."""

_ITEMS = 500
_EXPIRES_DAYS = 30
_STATE = b"\x01"
_EXACT = 1e-4


class AdsDayResult(msgspec.Struct, kw_only=True):
    """Result, one JSON line.

    Parameters
    ----------
    requests, decisions, doubled, filled
        Asked, answered, answered twice, answered with an ad.
    spent_up
        Campaigns that spent all they had.
    over_budget, over_budget_worst
        Billed beyond the budgets: of all of them together, and of the campaign where it is most; as a share.
    unbilled, unbilled_worst
        The same of what was delivered beyond them, and was not billed.
    wrong_ledgers
        Campaigns without a daily budget whose ledger is not what the visitors' account says, or the budget.
    over_caps
        Ads shown to somebody beyond the caps per hour and per day.
    pacing_error
        Mean distance of what evenly paced campaigns spent from the plan by the traffic of the day, every hour of the
        last day, as a share of the daily budget; of those that spent at least 95 % of it.
    paced
        How many of them there are.
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
    """Measure.

    Parameters
    ----------
    workers, kills
        Processes that share the partitions; how often one of them is killed, and started again, at even distances.
    campaigns
        How many advertise; every third without a daily budget and as fast as it can, the others evenly.
    days, day_s
        Simulated; seconds that one of them takes.
    rate
        Requests per second, mean.
    users
        Visitors.
    """
    with cluster(brokers) as place:
        return asyncio.run(_measure(place, _Plan(workers, kills, campaigns, days, day_s, rate, users)))


class _Plan(msgspec.Struct, frozen=True):
    workers: int
    kills: int
    campaigns: int
    days: int
    day_s: float
    rate: float
    users: int


def _campaigns(plan: _Plan) -> dict[str, dict[str, Any]]:
    """Campaigns of which most cannot buy all that they could win."""
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


async def _measure(place: Cluster, plan: _Plan) -> AdsDayResult:
    # At this speed a day is over while a worker is started anew, and what has expired is forgiven by the caps.
    first = place.environment({"NEARSTREAM_USERS__ADS__EXPIRES_MS": _EXPIRES_DAYS * DAY_MS})
    environments = [first, *(_beside(first, place) for _ in range(plan.workers - 1))]
    settings, campaigns = settings_from(first), _campaigns(plan)
    await create_topics(settings)
    await append(settings, records_of(campaigns))
    visitors = Visitors(_BEGINS_MS, plan.day_s, plan.days, plan.rate, plan.users)
    begun = time.monotonic()
    async with AsyncExitStack() as stack:
        crew = _Crew(environments, place)
        stack.callback(crew.stop)
        await asyncio.to_thread(crew.start)
        producer = AIOKafkaProducer(**client_arguments(settings.kafka), acks="all", linger_ms=2)
        await producer.start()
        stack.push_async_callback(producer.stop)
        consumer = await _listening(settings)
        stack.push_async_callback(stop_client, consumer)
        killing = asyncio.create_task(crew.be_killed(plan.kills, plan.day_s * plan.days))
        await asyncio.gather(visitors.ask(producer), visitors.react(consumer, producer))
        await killing
        await asyncio.to_thread(crew.wait_until_idle)
    ledgers = await _ledgers(settings)
    return _result(place, plan, campaigns, visitors.account, ledgers, round(time.monotonic() - begun, 1))


def _beside(environment: Mapping[str, str], place: Cluster) -> dict[str, str]:
    """The environment of one more worker of the same group."""
    state = tempfile.mkdtemp(prefix="state-", dir=place.directory)
    return {
        **environment,
        "NEARSTREAM_WORKER__STATE_DIR": state,
        "NEARSTREAM_WORKER__WEB_PORT": str(free_port()),
    }


class _Crew:
    """The workers."""

    def __init__(self, environments: list[dict[str, str]], place: Cluster) -> None:
        self._environments, self._place = environments, place
        self._workers: list[WorkerProcess] = []

    def start(self) -> None:
        """Start all, and wait until they are ready."""
        for number in range(len(self._environments)):
            self._workers.append(self._new(number))
        for worker in self._workers:
            worker.wait(worker.ready, 120.0, "the workers to be ready")

    def _new(self, number: int) -> WorkerProcess:
        log = self._place.directory / f"worker-{number}.log"
        return WorkerProcess(self._environments[number], log).__enter__()

    async def be_killed(self, kills: int, seconds: float) -> None:
        """Kill one after the other at even distances, and start each again."""
        for n in range(kills):
            await asyncio.sleep(seconds / (kills + 1))
            number = n % len(self._workers)
            os.kill(self._workers[number].pid, signal.SIGKILL)
            await asyncio.to_thread(self._workers[number].__exit__)
            self._workers[number] = await asyncio.to_thread(self._new, number)

    def wait_until_idle(self) -> None:
        """Wait until nothing is left to be applied, for a while."""
        idle: list[bool] = []

        def is_idle() -> bool:
            figures = [worker.figures() for worker in self._workers]
            ready = all(found.total("nearstream_ready") == 1.0 for found in figures)
            idle.append(ready and not sum(found.total("nearstream_lag_records") for found in figures))
            return len(idle) >= 8 and all(idle[-8:])

        self._workers[0].wait(is_idle, 300.0, "the workers to be done")

    def stop(self) -> None:
        """End all."""
        for worker in self._workers:
            worker.__exit__()


async def _listening(settings: Settings) -> AIOKafkaConsumer:
    consumer = committed_consumer(settings)
    await consumer.start()
    consumer.assign([TopicPartition(AD_DECISIONS_TOPIC, p) for p in range(settings.topics.partitions)])
    return consumer


async def _ledgers(settings: Settings) -> dict[str, Ledger]:
    """The campaigns' states as their changelog has them."""
    decode = msgspec.msgpack.Decoder(Ledger).decode
    found: dict[str, Ledger] = {}
    async for record in read_all(settings, changelog_topic("campaigns")):
        if record.key[:1] == _STATE and record.value is not None:
            found[record.key[1:].decode()] = decode(record.value[1:])
    return found


def _result(
    place: Cluster,
    plan: _Plan,
    campaigns: dict[str, dict[str, Any]],
    account: Account,
    ledgers: dict[str, Ledger],
    wall_s: float,
) -> AdsDayResult:
    budgets = {cid: fields["budget"] for cid, fields in campaigns.items()}
    spent = {cid: ledgers[cid].spent for cid in campaigns}
    billed = {cid: max(0.0, spent[cid] - budgets[cid]) / budgets[cid] for cid in campaigns}
    unbilled = {cid: max(0.0, account.owed[cid] - budgets[cid]) / budgets[cid] for cid in campaigns}
    total = sum(budgets.values())
    evenly = {cid: fields["budget_daily"] for cid, fields in campaigns.items() if "budget_daily" in fields}
    errors = [_pacing_error(account, cid, daily, plan) for cid, daily in evenly.items()]
    paced = [error for error in errors if error is not None]
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
        spent_up=sum(spent[cid] >= budgets[cid] - _EXACT for cid in campaigns),
        over_budget=round(sum(billed[cid] * budgets[cid] for cid in campaigns) / total, 6),
        over_budget_worst=round(max(billed.values()), 6),
        unbilled=round(sum(unbilled[cid] * budgets[cid] for cid in campaigns) / total, 6),
        unbilled_worst=round(max(unbilled.values()), 6),
        wrong_ledgers=sum(
            abs(spent[cid] - min(account.owed[cid], budgets[cid])) > _EXACT
            for cid, fields in campaigns.items()
            if "budget_daily" not in fields
        ),
        over_caps=account.over_caps(campaigns),
        pacing_error=round(sum(paced) / len(paced), 4) if paced else None,
        paced=len(paced),
        wall_s=wall_s,
        broker=place.label,
        machine=describe(),
    )


def _pacing_error(account: Account, cid: str, daily: float, plan: _Plan) -> float | None:
    """Mean distance from the plan at the hours of the last day; none for a campaign that could not spend its money."""
    begin = _BEGINS_MS + (plan.days - 1) * DAY_MS
    today = [(at_ms - begin, price) for at_ms, price in account.moments[cid] if begin <= at_ms < begin + DAY_MS]
    if sum(price for _, price in today) < 0.95 * daily:
        return None
    ends = [DAY_MS * hour // 24 for hour in range(1, 24)]
    done = [min(sum(price for at_ms, price in today if at_ms <= end) / daily, 1.0) for end in ends]
    return sum(abs(part - planned(end)) for part, end in zip(done, ends, strict=True)) / len(ends)
