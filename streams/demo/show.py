"""Showing a demo: live on a terminal, line by line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from streams.demo.snapshot import DemoInfo, Snapshot
from streams.demo.summary import Summary
from streams.demo.view import HELD_UP_S, commands, draw, milliseconds, percent, status_line


class Show(Protocol):
    """Shows snapshots while its context is open."""

    every_s: float
    """Seconds between two snapshots."""

    def open(self) -> AbstractContextManager[object]:
        """Begin to show; the demo is shown until the context ends."""
        ...

    def update(self, snapshot: Snapshot) -> None:
        """Show a snapshot now."""
        ...


class LiveShow:
    """Redraws the whole screen, at whatever size it has then."""

    every_s = 0.25

    def __init__(self, console: Console, info: DemoInfo) -> None:
        self._console, self._info = console, info
        self._live = Live(console=console, screen=True, auto_refresh=False, transient=True)

    def open(self) -> AbstractContextManager[object]:
        """Switch to the terminal's other screen."""
        return self._live

    def update(self, snapshot: Snapshot) -> None:
        """Redraw the screen."""
        self._live.update(draw(self._info, snapshot, *self._console.size), refresh=True)


class PlainShow:
    """Prints a line a second."""

    every_s = 1.0

    def __init__(self, console: Console) -> None:
        self._console = console

    def open(self) -> AbstractContextManager[object]:
        """Do nothing."""
        return nullcontext()

    def update(self, snapshot: Snapshot) -> None:
        """Print a line."""
        self._console.print(status_line(snapshot), soft_wrap=True, highlight=False, markup=False)


@contextmanager
def step(console: Console, text: str) -> Iterator[None]:
    """Say what is being done within the context, and afterwards how long it took."""
    begun = time.monotonic()
    if console.is_terminal:
        with console.status(f"{text} …"):
            yield
    else:
        console.print(f"{text} …", highlight=False)
        yield
    console.print(Text("✓ ", "green").append(text, "default").append(f"  {time.monotonic() - begun:.1f} s", "dim"))


def say_how_to_connect(console: Console, info: DemoInfo) -> None:
    """Print what another terminal needs to join in."""
    console.print(Text("Kafka   ").append(info.brokers, "cyan"))
    console.print(Text("Metrics ").append(info.metrics_url, "cyan"))
    console.print("In another terminal, see your own recommendations and cause some:")
    for command in commands(info):
        console.print(Text(command, "cyan"), soft_wrap=True)


def say_summary(console: Console, summary: Summary) -> None:
    """Print the figures of a demo that is over."""
    lines = (
        f"{summary.events:,} events in {summary.seconds:.0f} s; {summary.recommendations:,} recommendations.",
        f"From event to recommendation: p50 {milliseconds(summary.p50_ms)}, p99 {milliseconds(summary.p99_ms)}.",
        f"Next product in the top 10: {percent(summary.hit_rate_first_quarter)} in the first quarter, "
        f"{percent(summary.hit_rate_last_quarter)} in the last.",
        f"Best possible {percent(summary.oracle)}, bestsellers {percent(summary.popularity)}: "
        f"Nearstream reached {percent(summary.oracle_share)} of the best.",
        f"{summary.ads:,} ads, {summary.ad_clicks:,} clicked: {percent(summary.ad_click_rate)} lately, "
        f"{percent(summary.ad_click_rate_by_chance)} by chance.",
    )
    for line in (*lines, *_held_up(summary)):
        console.print(line, highlight=False, markup=False)


def _held_up(summary: Summary) -> list[str]:
    """Say how many events a second the machine kept up with, if that were fewer than wanted."""
    if summary.held_s <= HELD_UP_S or not summary.seconds:
        return []
    done = summary.events / summary.seconds
    return [f"This machine kept up with {done:.0f} of {summary.rate:.0f} events a second: the shoppers waited for it."]
