"""What is kept by creative and placement: bounded, and with its rest exactly what the campaign did."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.ads.breakdown import DAY_CREATIVES, DAY_PLACEMENTS, ENTRIES_KEPT, OTHER
from processors.ads.campaign import Campaign, Creative
from processors.ads.day_figures import DayFigures
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.report import DIMENSIONS, Dimension, ReportRow, message_of, report_of
from processors.ads.signals import MOST_PARTS, MOST_PLACEMENTS, CampaignSignal, CampaignSignals
from processors.common.time import DAY_MS
from tests.processors.ads.shop import NOW

COUNTED = ("won", "impressions", "clicks", "conversions", "spend", "beyond", "revenue", "filtered", "dismissed")
FIELDS = ("decided", "shown", "clicks", "conversions", "dismissed", "filtered", "returned")
MONEY = ("charged", "refunded", "revenue", "returned_revenue")

happenings = st.lists(
    st.tuples(
        st.integers(0, 90),  # day
        st.integers(0, 30),  # placement
        st.integers(0, 12),  # creative
        st.sampled_from((*FIELDS, *MONEY)),
        st.integers(1, 5_000_000),
    ),
    max_size=120,
)


def ledger_of(budget: float = 20.0) -> tuple[LedgerKeeper, Ledger]:
    keeper, state = LedgerKeeper(), Ledger()
    keeper.replace(state, Campaign("shop", (Creative("a", "A", "https://shop.example/"),), 1.0, budget, pacing="asap"))
    return keeper, state


def signals_of(happened: list[tuple[int, int, int, str, int]], per_batch: int) -> list[CampaignSignal]:
    found: list[CampaignSignal] = []
    for begin in range(0, len(happened), per_batch):
        signals = CampaignSignals(1)
        for day, placement, creative, field, size in happened[begin : begin + per_batch]:
            at_ms = NOW + day * DAY_MS
            figure = size / 1e6 if field in MONEY else size % 7
            signals.add("c", f"creative {creative}", f"place {placement}", at_ms, **{field: figure})
            signals.of("c", at_ms).add_opportunities(f"place {placement}", size % 5)
        found += [signal for group in signals.messages().values() for signal in group]
    return found


def lines(state: Ledger, *by: Dimension) -> list[ReportRow]:
    return report_of({"c": state}, by)


def sums(rows: list[ReportRow]) -> dict[str, float]:
    return {field: round(sum(getattr(row, field) for row in rows), 9) for field in COUNTED}


@settings(max_examples=60, deadline=None)
@given(happened=happenings, per_batch=st.integers(1, 40))
def test_whatever_happens_the_parts_add_up_to_what_was_counted(
    happened: list[tuple[int, int, int, str, int]], per_batch: int
) -> None:
    keeper, state = ledger_of()
    signals = signals_of(happened, per_batch)
    for signal in signals:
        signal.check()
        keeper.learn(state, signal)
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=Ledger)
    expected = {
        "won": sum(one.decided for one in signals),
        "impressions": sum(one.shown for one in signals),
        "clicks": sum(one.clicks for one in signals),
        "conversions": sum(one.conversions - one.returned for one in signals),
        "revenue": round(sum(one.revenue - one.returned_revenue for one in signals), 9),
        "filtered": sum(one.filtered for one in signals),
        "dismissed": sum(one.dismissed for one in signals),
    }
    money = round(sum(one.charged - one.refunded for one in signals), 9)
    every: tuple[tuple[Dimension, ...], ...] = ((), *((name,) for name in DIMENSIONS), DIMENSIONS)
    for by in every:
        found = sums(lines(state, *by))
        assert {field: found[field] for field in expected} == expected, by
        assert round(found["spend"] + found["beyond"], 9) == money
    for by in ((), ("day",), ("placement",), ("day", "placement")):
        assert sum(row.eligible or 0 for row in lines(state, *by)) == sum(one.opportunities for one in signals)
    for day in state.days:
        message = message_of("c", day, state)
        assert message is not None
        for parts in (message.by_creative, message.by_placement):
            assert sums(list(parts)) == sums([message])


def test_what_was_not_billed_is_a_part_s_as_far_as_the_money_went() -> None:
    keeper, state = ledger_of(budget=1.0)
    signals = CampaignSignals(1)
    signals.add("c", "a", "top", NOW, charged=0.7)
    signals.add("c", "b", "top", NOW, charged=0.5)
    keeper.learn(state, signals.of("c", NOW))
    assert [(row.creative, row.spend, row.beyond) for row in lines(state, "creative")] == [
        ("a", 0.7, 0.0),
        ("b", 0.3, 0.2),
    ]
    refund = CampaignSignals(1)
    refund.add("c", "b", "top", NOW, refunded=0.5)
    keeper.learn(state, refund.of("c", NOW))
    assert [(row.creative, row.spend, row.beyond) for row in lines(state, "creative")] == [("a", 0.7, 0.0)]
    assert state.spent == pytest.approx(0.7)


def learn(keeper: LedgerKeeper, state: Ledger, crid: str, placement: str, at_ms: int = NOW) -> Counter[str]:
    signals = CampaignSignals(1)
    signals.add("c", crid, placement, at_ms, shown=1)
    return keeper.learn(state, signals.of("c", at_ms))


def test_a_day_keeps_so_many_placements_and_creatives_and_says_what_it_left_out() -> None:
    keeper, state = ledger_of()
    folded = Counter[str]()
    for n in range(DAY_PLACEMENTS + 3):
        folded += learn(keeper, state, "a", f"p{n:02}")
    assert folded == {"part": 3}
    rows = {row.placement: row.impressions for row in lines(state, "placement")}
    assert (len(rows), rows[OTHER], rows["p00"]) == (DAY_PLACEMENTS + 1, 3, 1)
    assert list(rows)[-1] == OTHER
    for n in range(DAY_CREATIVES):
        folded += learn(keeper, state, f"c{n:02}", "p00")
    rows = {row.creative: row.impressions for row in lines(state, "creative")}
    surplus = DAY_PLACEMENTS
    assert rows[OTHER] == 3 + surplus
    assert folded == {"part": 3 + surplus}
    assert {row.placement: row.impressions for row in lines(state, "placement")}["p00"] == 1 + DAY_CREATIVES


def test_the_breakdown_of_the_earliest_days_goes_first_and_the_days_stay() -> None:
    keeper, state = ledger_of()
    folded = Counter[str]()
    for day in range(30):
        for placement in range(8):
            folded += learn(keeper, state, "a", f"p{placement}", NOW + day * DAY_MS)
    kept = ENTRIES_KEPT // 16
    assert len(state.breakdown.days) == kept
    assert folded == {"breakdown": 30 - kept}
    days = {(row.day, row.placement): row.impressions for row in lines(state, "day", "placement")}
    assert sum(days.values()) == 240
    assert days["2023-11-14", OTHER] == 8
    assert days["2023-12-13", "p0"] == 1
    learn(keeper, state, "a", "p0")
    assert len(state.breakdown.days) == kept, "what comes late opens no breakdown again"
    assert lines(state, "day")[0].impressions == 9


def test_a_state_stays_small_whatever_apps_name_and_however_long_it_runs() -> None:
    keeper, state = ledger_of(budget=1e9)
    sizes = []
    for n in range(4_000):
        signals = CampaignSignals(1)
        for k in range(3):
            signals.add("c", f"cr{(n * 7 + k) % 20}", f"p{n * k % 50}", NOW + n * DAY_MS // 40, shown=1, charged=0.25)
        keeper.learn(state, signals.of("c", NOW + n * DAY_MS // 40))
        sizes.append(len(msgspec.msgpack.encode(state)))
    assert max(sizes[3_000:]) < 1.2 * max(sizes[:3_000]) < 20_000


def test_a_state_of_the_release_before_is_read_and_its_days_are_other() -> None:
    keeper, state = ledger_of()
    fields = list(msgspec.structs.astuple(state)[:-2])
    fields[Ledger.__struct_fields__.index("days")] = {"2023-11-13": DayFigures(impressions=5, spend=0.1 + 0.2)}
    old = msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=Ledger)
    learn(keeper, old, "a", "top")
    found = [(row.day, row.creative, row.impressions, row.spend) for row in lines(old, "day", "creative")]
    assert found == [("2023-11-13", OTHER, 5, 0.3), ("2023-11-14", "a", 1, 0.0)]


def test_a_signal_of_the_release_before_counts_for_the_campaign() -> None:
    keeper, state = ledger_of()
    old = list(msgspec.structs.astuple(CampaignSignal("c", NOW, opportunities=3, shown=2, charged=0.5)))[:-2]
    keeper.learn(state, msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=CampaignSignal))
    (row,) = lines(state, "placement")
    assert (row.placement, row.eligible, row.impressions, row.spend) == (OTHER, 3, 2, 0.5)


def test_a_signal_is_bounded_and_what_is_beyond_counts_for_the_campaign() -> None:
    signals = CampaignSignals(1)
    for n in range(100):
        signals.add("c", "a", f"p{n}", NOW, shown=1)
        signals.of("c", NOW).add_opportunities(f"p{n}", 1)
    signal = signals.of("c", NOW)
    assert (signal.shown, len(signal.parts)) == (100, MOST_PARTS)
    assert (signal.opportunities, len(signal.opportunities_at)) == (100, MOST_PLACEMENTS)


@pytest.mark.parametrize("field", ["parts.shown", "opportunities_at"])
def test_a_signal_whose_parts_cannot_be_true_is_refused(field: str) -> None:
    signal = CampaignSignal("c", NOW)
    if field == "parts.shown":
        part = signal.part("a", "top")
        assert part is not None
        part.shown = -1
    else:
        signal.add_opportunities("top", -1)
        signal.opportunities = 0
    with pytest.raises(ValueError, match=field):
        signal.check()
