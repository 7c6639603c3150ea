"""What campaigns spend and give away does not depend on how many events are computed at once."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from processors.ads.breakdown import DAY_PLACEMENTS
from processors.ads.campaign_view import decode_campaign_view
from processors.ads.ledger import Ledger
from processors.ads.signals import CampaignSignal, CampaignSignals
from processors.common.time import DAY_MS
from processors.common.topics import (
    BROADCAST_CAMPAIGNS_TOPIC,
    CAMPAIGN_SIGNALS_TOPIC,
    CAMPAIGNS_TOPIC,
    REQUESTS_TOPIC,
)
from processors.events.record import Record
from processors.planes.campaigns import CampaignsPlane
from streams.engine.driver import TopologyDriver
from streams.engine.source_batch import SourceBatch
from streams.settings.sections import Settings

MIDNIGHT = 1_700_006_400_000
SETTINGS = msgspec.convert({"topics": {"partitions": 1}, "worker": {"broadcast_interval_ms": 0}}, Settings)
CAMPAIGN = {
    "advertiser": "shop",
    "bid": 1000.0,
    "bidfloor": 100.0,
    "budget": 1.0,
    "pacing": "asap",
    "creatives": [{"crid": "a", "title": "A tent", "landing_url": "https://shop.example/tent"}],
}


def request(number: int, at_ms: int) -> Record:
    """Of somebody who has not agreed to be known: an ad for one of them costs 0.1 at once."""
    asked = {
        "request_id": f"r{number}",
        "user_id": f"u{number}",
        "timestamp": at_ms,
        "placement": "top",
        "purposes": [],
    }
    return Record(REQUESTS_TOPIC, 0, number, at_ms, b"u%d" % number, msgspec.json.encode(asked))


def play(times: list[int], batch: int, **campaign: Any) -> tuple[list[str], Any]:
    """Ask for an ad at each moment; return when there was one, and the campaign's ledger."""
    driver = TopologyDriver(SETTINGS)
    driver.pipe(CAMPAIGNS_TOPIC, b"c", msgspec.json.encode({**CAMPAIGN, **campaign}), MIDNIGHT - DAY_MS)
    records = [request(number, at_ms) for number, at_ms in enumerate(times)]
    for begin in range(0, len(records), batch):
        part = records[begin : begin + batch]
        driver.process("users", 0, [SourceBatch(REQUESTS_TOPIC, begin, begin + len(part), part)], part[-1].timestamp)
        driver.flush()
    decisions = [msgspec.json.decode(record.value or b"") for record in driver.read("ad-decisions.v1")]
    return [found["at"] for found in decisions if "cid" in found], driver.state("campaigns")["c"]


@pytest.mark.parametrize("batch", [1, 16, 1000])
def test_a_budget_is_not_overspent_within_a_micro_batch(batch: int) -> None:
    filled, ledger = play([MIDNIGHT + number for number in range(1000)], batch)
    assert len(filled) == 10
    assert (ledger.spent, ledger.over) == pytest.approx((1.0, 0.0))


@pytest.mark.parametrize("batch", [1, 16, 40])
def test_nor_is_a_daily_budget_when_a_micro_batch_spans_midnight(batch: int) -> None:
    times = [MIDNIGHT - 2000 + 100 * number for number in range(40)]
    filled, ledger = play(times, batch, budget=100.0, budget_daily=2.5)
    today = sum(at >= "2023-11-15" for at in filled)
    assert 15 <= len(filled) - today <= 20, "what is held for decisions of late may keep some back"
    assert today >= 3
    assert (ledger.spent, ledger.spent_today, ledger.over) == pytest.approx((len(filled) / 10, today / 10, 0.0))


def test_a_step_says_what_reports_left_out_and_the_view_what_was_done_today() -> None:
    signals = CampaignSignals(1)
    for number in range(DAY_PLACEMENTS + 2):
        signals.add("c", "a", f"p{number}", MIDNIGHT, shown=1)
    records = [
        Record(CAMPAIGNS_TOPIC, 0, 0, MIDNIGHT, b"c", msgspec.json.encode(CAMPAIGN)),
        Record(CAMPAIGN_SIGNALS_TOPIC, 0, 0, MIDNIGHT, None, msgspec.msgpack.encode(signals.messages()[0])),
    ]
    step = CampaignsPlane("EUR", 1).step(_nothing_known, records, 0)
    assert step.folded == {"part": 2}
    (published,) = (output.value for output in step.outputs if output.topic == BROADCAST_CAMPAIGNS_TOPIC)
    view = decode_campaign_view(published)
    assert view is not None
    assert view.today.impressions == DAY_PLACEMENTS + 2


def test_what_comes_back_after_a_withdrawal_is_published_however_fast_it_comes() -> None:
    plane, known, published = CampaignsPlane("EUR", 1), dict[str, Ledger | None](), list[float]()
    signals = [
        CampaignSignal("c", MIDNIGHT, charged=0.9),
        CampaignSignal("c", MIDNIGHT + 100, refunded=0.2),
        CampaignSignal("c", MIDNIGHT + 200, refunded=0.3),
    ]
    bought, *returned = (record(CAMPAIGN_SIGNALS_TOPIC, None, msgspec.msgpack.encode([each])) for each in signals)
    campaign = record(CAMPAIGNS_TOPIC, b"c", msgspec.json.encode(CAMPAIGN))
    for each in (campaign, bought, record(CAMPAIGNS_TOPIC, b"c", None), *returned):
        step = plane.step(lambda keys: [known.get(key) for key in keys], [each], 0)
        known.update(step.states)
        packed = [output.value for output in step.outputs if output.topic == BROADCAST_CAMPAIGNS_TOPIC]
        published += [view.spent for view in map(decode_campaign_view, packed) if view is not None]
    assert published[-3:] == pytest.approx([0.9, 0.7, 0.4])


def record(topic: str, key: bytes | None, value: bytes | None) -> Record:
    return Record(topic, 0, 0, MIDNIGHT, key, value)


def _nothing_known(keys: Sequence[str], /) -> list[Ledger | None]:
    return [None for _ in keys]
