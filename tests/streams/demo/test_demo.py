"""The demo: what it measures and draws, and the whole of it once on the embedded broker."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from rich.console import Console

from processors.ranking.messages import CausedBy, Recommendation
from processors.ranking.reasons import Reason
from processors.ranking.slate import SlateItem
from processors.simulator import SimulatedEvent, Simulator
from streams.demo.feed import Feed
from streams.demo.meters import Curve, Latencies, Rate
from streams.demo.run import activation
from streams.demo.show import say_summary
from streams.demo.snapshot import DemoInfo, ShopperAction, Snapshot, Story, Suggestion
from streams.demo.story import liveliest
from streams.demo.summary import summarize
from streams.demo.view import draw
from streams.demo.watch import Measurements

NOW = 1_700_000_000.0
INFO = DemoInfo(
    broker="Tansu",
    brokers="127.0.0.1:17891",
    metrics_url="http://127.0.0.1:30301/metrics",
    guarantee="at_least_once",
    shoppers=1_000,
    rate=200.0,
    placement="home",
    seed=1,
    example_item="music-capo-iris",
)


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(seed=1, shoppers=40)


@pytest.fixture
def measurements(simulator: Simulator) -> Measurements:
    return Measurements(simulator, "home")


def answer(event: SimulatedEvent, items: Sequence[str] = (), placement: str = "home") -> Recommendation:
    slate = [
        SlateItem(item, rank, 1.0, "together", (Reason("viewed_together", items[0], f"Viewed with {items[0]}"),))
        for rank, item in enumerate(items, 1)
    ]
    cause = CausedBy(event.event_id, event.topic, 0, 0)
    return Recommendation(
        recommendation_id="id",
        user_id=event.key,
        placement=placement,
        generated_at="",
        caused_by=cause,
        model_version="",
        items=slate,
    )


def an_event(simulator: Simulator) -> SimulatedEvent:
    return next(simulator.events(int(NOW * 1000), rate_per_s=200))


# ---------------------------------------------------------------- meters


def test_a_rate_speaks_of_the_last_seconds_only() -> None:
    rate = Rate(window_s=2.0)
    for tenth in range(10):
        rate.add(NOW + tenth / 10)
    assert rate.per_s(NOW + 1.0) == 10.0
    assert rate.per_s(NOW + 9.0) == 0.0


def test_latencies_of_clocks_that_disagree_count_as_zero_and_endless_ones_are_bounded() -> None:
    latencies = Latencies()
    assert latencies.quantile(0.5) is latencies.recent(0.5) is None
    latencies.add(-5)
    assert latencies.quantile(0.99) == 0.0
    latencies.add(1e9)
    assert latencies.quantile(0.99) == 60_000.0


def test_a_curve_stays_bounded_and_keeps_its_means() -> None:
    curve = Curve(figures=2, stretch_s=1.0, most=8)
    for second in range(1_000):
        curve.add(second, [second, 1.0])
    assert len(curve.points(0)) <= 8
    assert curve.mean(0) == pytest.approx(499.5)
    assert curve.mean(1, 0.5) == 1.0


def test_a_curve_leaves_out_the_time_in_which_nothing_came() -> None:
    curve = Curve(figures=1, stretch_s=1.0, most=8)
    curve.add(0.0, [0.25])
    curve.add(5.0, [0.75])
    assert curve.points(0) == [0.25, 0.75]
    assert curve.mean(0, 0.25, 0.75) is None


# ---------------------------------------------------------------- measurements


def test_latency_runs_from_append_to_reading(simulator: Simulator, measurements: Measurements) -> None:
    event = an_event(simulator)
    measurements.sent(event, None, NOW)
    measurements.appended(event.event_id, NOW + 0.010)
    measurements.recommended(answer(event), NOW + 0.050)
    assert measurements.latencies.quantile(0.5) == 40.0


def test_a_recommendation_for_somebody_elses_event_is_counted_and_not_measured(
    simulator: Simulator, measurements: Measurements
) -> None:
    measurements.recommended(answer(an_event(simulator)), NOW)
    assert measurements.recommendations == 1
    assert measurements.latencies.quantile(0.5) is None
    assert measurements.snapshot(NOW).hit_rate is None


def test_the_ideal_slate_hits_as_often_as_the_oracle(simulator: Simulator, measurements: Measurements) -> None:
    event = an_event(simulator)
    measurements.sent(event, simulator.affinity(event.key), NOW)
    measurements.recommended(answer(event, simulator.truth_top(event.key)), NOW)
    snapshot = measurements.snapshot(NOW)
    assert snapshot.hit_rate == pytest.approx(simulator.oracle(10, event.key))
    assert snapshot.oracle == pytest.approx(snapshot.hit_rate)


def test_only_the_first_ten_known_items_of_the_judged_placement_count(
    simulator: Simulator, measurements: Measurements
) -> None:
    event = an_event(simulator)
    best, *_ = simulator.truth_top(event.key, 1)
    measurements.sent(event, simulator.affinity(event.key), NOW)
    measurements.recommended(answer(event, [best], placement="discover"), NOW)
    assert measurements.snapshot(NOW).hit_rate is None
    measurements.recommended(answer(event, ["no-such-item"] * 10 + [best]), NOW)
    assert measurements.snapshot(NOW).hit_rate == 0.0


def test_an_empty_slate_hits_nothing(simulator: Simulator, measurements: Measurements) -> None:
    event = an_event(simulator)
    measurements.sent(event, simulator.affinity(event.key), NOW)
    measurements.recommended(answer(event), NOW)
    assert measurements.snapshot(NOW).hit_rate == 0.0


def test_the_bestsellers_are_those_visited_so_far(simulator: Simulator, measurements: Measurements) -> None:
    event = an_event(simulator)
    truth = np.zeros(len(simulator.catalogue.products))
    truth[simulator.catalogue.positions[event.product.item_id]] = 1.0
    measurements.sent(event, truth, NOW)
    measurements.recommended(answer(event), NOW)
    assert measurements.snapshot(NOW).popularity == 1.0


def test_events_that_were_never_answered_are_forgotten(simulator: Simulator, measurements: Measurements) -> None:
    first, second = simulator.events(int(NOW * 1000), rate_per_s=200, count=2)
    measurements.sent(first, None, NOW)
    measurements.sent(second, None, NOW + 61)
    measurements.recommended(answer(first), NOW + 62)
    measurements.recommended(answer(second), NOW + 62)
    assert measurements.latencies.recent(0.99) == pytest.approx(1_000.0)
    assert measurements.latencies.recent(0.0) == pytest.approx(1_000.0)


def test_the_summary_compares_the_first_quarter_with_the_last(simulator: Simulator, measurements: Measurements) -> None:
    events = simulator.events(int(NOW * 1000), rate_per_s=10, count=40)
    for number, event in enumerate(events):
        at = NOW + number / 4
        measurements.sent(event, simulator.affinity(event.key), at)
        items = simulator.truth_top(event.key) if number >= 20 else []
        measurements.recommended(answer(event, items), at + 0.02)
    measurements.end(NOW + 10)
    summary = summarize(measurements, INFO, NOW - 5)
    assert summary.hit_rate_first_quarter == 0.0
    assert summary.oracle_share == 1.0
    assert (summary.events, summary.recommendations, summary.seconds, summary.ready_s) == (40, 40, 10.0, 5.02)


def test_a_run_without_a_recommendation_has_a_summary_too(measurements: Measurements) -> None:
    summary = summarize(measurements, INFO, NOW)
    assert summary.ready_s is summary.p50_ms is summary.hit_rate is summary.oracle_share is None


# ---------------------------------------------------------------- story


def test_the_story_names_products_reasons_and_what_was_foreseen(
    simulator: Simulator, measurements: Measurements
) -> None:
    followed = liveliest(simulator).user_id
    events = (event for event in simulator.events(int(NOW * 1000), rate_per_s=200) if event.key == followed)
    first = next(events)
    second = next(event for event in events if event.product != first.product and event.action == "view")
    measurements.sent(first, None, NOW)
    measurements.recommended(answer(first, [first.product.item_id, second.product.item_id]), NOW)
    measurements.sent(second, None, NOW + 3)
    story = measurements.snapshot(NOW + 5).story
    assert story.user_id == followed
    assert story.actions[0] == ShopperAction(2.0, "looked at", second.product.name, foreseen=2)
    assert story.slate[1] == Suggestion(2, second.product.name, f"Viewed with {first.product.name}")


# ---------------------------------------------------------------- feed


class Broker:
    """Takes what a producer sends, until it has seen enough."""

    def __init__(self, enough: int) -> None:
        self.records: list[tuple[str, bytes, dict[str, Any]]] = []
        self._enough = enough

    async def send(self, topic: str, value: bytes, key: bytes) -> asyncio.Future[Any]:
        self.records.append((topic, key, msgspec.json.decode(value)))
        if len(self.records) > self._enough:
            raise asyncio.CancelledError
        sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        sent.set_result(SimpleNamespace(timestamp=int(time.time() * 1000)))
        return sent


async def feed_into(broker: Any, seed: int) -> Measurements:
    simulator = Simulator(seed, shoppers=2_000)
    measurements = Measurements(simulator, "home")
    with pytest.raises(asyncio.CancelledError):
        await Feed(simulator, 5_000.0, measurements).run(broker)
    return measurements


async def test_the_same_seed_sends_the_same_events_apart_from_the_time() -> None:
    runs = [Broker(enough=200) for _ in range(3)]
    for broker, seed in zip(runs, (1, 1, 2), strict=True):
        await feed_into(broker, seed)
    for broker in runs:
        for _, _, value in broker.records:
            del value["timestamp"]
    assert runs[0].records == runs[1].records
    assert runs[0].records != runs[2].records


async def test_events_are_keyed_by_user_and_sent_when_they_happen() -> None:
    broker = Broker(enough=200)
    measurements = await feed_into(broker, seed=1)
    assert all(key.decode() == value["user_id"] for _, key, value in broker.records)
    assert abs(time.time() * 1000 - broker.records[-1][2]["timestamp"]) < 1_000
    assert measurements.events == len(broker.records)


async def test_shoppers_wait_while_slates_take_longer_than_a_second() -> None:
    broker, simulator = Broker(enough=60), Simulator(1, shoppers=2_000)
    measurements = Measurements(simulator, "home")
    measurements.behind_s = 3.0
    begun = time.time()
    with pytest.raises(asyncio.CancelledError):
        await Feed(simulator, 5_000.0, measurements).run(broker)
    assert measurements.held_s == pytest.approx(61 * 2.0 * 4.0 / 5_000.0)
    assert time.time() - begun > measurements.held_s
    assert abs(time.time() * 1000 - broker.records[-1][2]["timestamp"]) < 1_000


def test_how_long_slates_take_now_follows_the_latest(simulator: Simulator, measurements: Measurements) -> None:
    for number, event in enumerate(simulator.events(int(NOW * 1000), rate_per_s=10, count=100)):
        measurements.sent(event, None, NOW + number)
        measurements.recommended(answer(event), NOW + number + 5.0)
    assert measurements.behind_s == pytest.approx(5.0, abs=0.1)


def test_it_is_said_when_the_machine_does_not_keep_up(measurements: Measurements) -> None:
    held = replace(SNAPSHOT, held_s=12.0)
    assert "events in (slowed)" in "".join(drawn(held, 100, 40))
    assert "slowed" not in "".join(drawn(SNAPSHOT, 100, 40))
    summary = replace(summarize(measurements, INFO, 0.0), events=900, seconds=10.0, held_s=12.0)
    console = Console(file=StringIO(), width=200, color_system=None)
    with console.capture() as said:
        say_summary(console, summary)
    assert "kept up with 90 of 200 events a second" in said.get()


async def test_an_event_that_cannot_be_sent_ends_the_feed() -> None:
    class Refusing:
        async def send(self, *_: Any, **__: Any) -> asyncio.Future[Any]:
            sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            sent.set_exception(ConnectionError("gone"))
            return sent

    simulator = Simulator(seed=1)
    with pytest.raises(ConnectionError):
        await Feed(simulator, 1_000.0, Measurements(simulator, "home")).run(Refusing())


# ---------------------------------------------------------------- view

STORY = Story(
    user_id="shopper-0688",
    tastes="running 44 % (Pacer, Velora), cycling 24 % (Serpentin)",
    actions=(
        ShopperAction(0.4, "clicked", "Spoke Echo cycling jersey"),
        ShopperAction(1.2, "looked at", "Spoke Echo cycling jersey", foreseen=1),
    ),
    slate=(
        Suggestion(1, "Ventoux Otter bike computer", "Often viewed together with Spoke Echo cycling jersey"),
        Suggestion(2, "Halden Breeze energy gel", "You looked at this before"),
    ),
)
SNAPSHOT = Snapshot(
    elapsed_s=62.0,
    events=12_034,
    recommendations=24_010,
    events_per_s=201.4,
    recommendations_per_s=398.7,
    p50_ms=41.3,
    p99_ms=85.0,
    hit_rate=0.46,
    oracle=0.85,
    popularity=0.11,
    curve=(0.05, 0.15, 0.25, 0.35, 0.40, 0.46),
    story=STORY,
)
NOTHING_YET = Snapshot(0.0, 0, 0, 0.0, 0.0, None, None, None, None, None, (), Story("shopper-0688", "", (), ()))

SCREEN = """\
 nearstream demo  1,000 simulated shoppers → Tansu → one worker             1:02
╭─ The stream ─────────────────╮╭─ Is the next product in the top 10? ─────────╮
│ events in             201 /s ││       ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈  85 % best possible  │
│ recommendations out   399 /s ││                                              │
│ time between them            ││     ▃▆                   46 % Nearstream     │
│   half within (p50)    41 ms ││   ▄███                                       │
│   99 % within (p99)    85 ms ││ ▂▇████┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈  11 % bestsellers    │
╰──────────────────────────────╯╰──────────────────────────────────────────────╯
╭─ One of them: shopper-0688 ──────────────────────────────────────────────────╮
│ likes running 44 % (Pacer, Velora), cycling 24 % (Serpentin)                 │
│ Just now  (✓ no. 3: it was suggested, as third)                              │
│   0 s clicked   Spoke Echo cycling jersey                                    │
│   1 s looked at Spoke Echo cycling jersey                          ✓ no. 1   │
│                                                                              │
│ Nearstream suggests  (home)                                                  │
│  1 Ventoux Otter bike computer    Often viewed together with Spoke Echo cy…  │
│  2 Halden Breeze energy gel       You looked at this before                  │
│                                                                              │
│                                                                              │
│                                                                              │
╰──────────────────────────────────────────────────────────────────────────────╯
nearstream tail recommendations.v1 --user me --brokers 127.0.0.1:17891
nearstream send view --user me --item music-capo-iris --brokers 127.0.0.1:17891
http://127.0.0.1:30301/metrics                                       Ctrl-C ends
"""


def drawn(snapshot: Snapshot, width: int, height: int, info: DemoInfo = INFO) -> list[str]:
    console = Console(file=StringIO(), width=width, height=height, color_system=None)
    with console.capture() as captured:
        console.print(draw(info, snapshot, width, height))
    return captured.get().rstrip("\n").split("\n")


def test_the_screen_at_80x24() -> None:
    assert [line.rstrip() for line in drawn(SNAPSHOT, 80, 24)] == SCREEN.splitlines()


@pytest.mark.parametrize("size", [(80, 24), (64, 18), (100, 30), (120, 40), (200, 60)])
@pytest.mark.parametrize("snapshot", [SNAPSHOT, NOTHING_YET])
def test_the_screen_fills_every_terminal_and_no_more(snapshot: Snapshot, size: tuple[int, int]) -> None:
    width, height = size
    lines = drawn(snapshot, width, height)
    assert len(lines) == height
    assert max(map(len, lines)) <= width


def test_what_makes_nearstream_found_has_a_line_of_its_own() -> None:
    lines = drawn(SNAPSHOT, 80, 24, replace(INFO, activate=". .venv/bin/activate"))
    assert (len(lines), lines[-4].rstrip()) == (24, ". .venv/bin/activate")


def test_a_shell_that_finds_this_nearstream_needs_no_activation(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    script, activate = tmp_path / "bin" / "nearstream", tmp_path / "bin" / "activate"
    script.touch()
    activate.touch()
    assert activation(str(script), tmp_path) == ""
    assert activation("/bin/sh", tmp_path) == activation(None, tmp_path) == f". {activate}"


def test_a_python_that_is_no_virtual_environment_has_no_activation(tmp_path: Path) -> None:
    assert activation(None, tmp_path) == ""


def test_no_line_of_the_summary_is_broken_at_80_columns(measurements: Measurements) -> None:
    summary = replace(summarize(measurements, INFO, 0.0), hit_rate_first_quarter=1.0, hit_rate_last_quarter=1.0)
    summary = replace(summary, oracle=1.0, popularity=1.0, oracle_share=1.0, p50_ms=60_000.0, p99_ms=60_000.0)
    console = Console(file=StringIO(), width=80)
    with console.capture() as captured:
        say_summary(console, replace(summary, events=10**7, recommendations=10**8))
    assert len(captured.get().splitlines()) == 5


def test_a_tiny_terminal_gets_a_line() -> None:
    assert "hit-rate 46 %" in " ".join(drawn(SNAPSHOT, 30, 8))


def test_a_wide_terminal_has_room_for_whole_reasons() -> None:
    assert "Often viewed together with Spoke Echo cycling jersey" in "\n".join(drawn(SNAPSHOT, 120, 40))


# ---------------------------------------------------------------- the whole


def writers_into(folder: Path) -> set[int]:
    """Processes whose standard output is a file in the folder: the broker and the worker of a demo."""
    found = set()
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and (process / "fd" / "1").readlink().is_relative_to(folder):
                found.add(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_the_demo_learns_ends_by_itself_and_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streams.cli", "demo", "--seconds", "8", "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEARSTREAM_")}
    seen: set[int] = set()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "TMPDIR": str(tmp_path)},
    ) as process:
        while process.poll() is None:
            seen |= writers_into(tmp_path)
            time.sleep(0.2)
        output, messages = process.communicate()
    assert process.returncode == 0, messages
    assert len(seen) >= 2
    assert writers_into(tmp_path) == set()
    assert list(tmp_path.iterdir()) == []
    (line,) = output.splitlines()
    summary = json.loads(line)
    assert summary["recommendations"] > 0
    assert summary["ads"] > 0
    assert summary["hit_rate"] > 0
    assert summary["hit_rate_last_quarter"] > summary["hit_rate_first_quarter"]
    assert summary["ready_s"] > 0
