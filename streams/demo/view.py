"""Drawing a snapshot in a terminal of any size."""

from __future__ import annotations

from rich import box
from rich.console import RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.demo.chart import chart, row_of
from streams.demo.snapshot import Deed, Setting, Snapshot, Story, Suggestion

_STREAM_WIDTH = 32
_LEGEND_WIDTH = 21
_SIDE_BY_SIDE = 110


def draw(setting: Setting, snapshot: Snapshot, width: int, height: int) -> Layout:
    """The screen.

    Parameters
    ----------
    setting, snapshot
        What to show.
    width, height
        Of the terminal, in characters.
    """
    top = 7 if height < 32 else 11
    screen = Layout()
    figures = Layout(size=top)
    figures.split_row(
        Layout(_stream(snapshot), size=_STREAM_WIDTH),
        Layout(_hits(snapshot, width - _STREAM_WIDTH - 4, top - 2)),
    )
    screen.split_column(
        Layout(_header(setting, snapshot), size=1),
        figures,
        Layout(_story(snapshot.story, setting.placement, width, height - top - 5)),
        Layout(_footer(setting), size=2),
    )
    return screen


def percent(share: float | None) -> str:
    """A share for people to read.

    Examples
    --------
    >>> percent(0.456), percent(None)
    ('46 %', '–')
    """
    return "–" if share is None else f"{share * 100:.0f} %"


def milliseconds(value: float | None) -> str:
    """A latency for people to read.

    Examples
    --------
    >>> milliseconds(48.3), milliseconds(None)
    ('48 ms', '–')
    """
    return "–" if value is None else f"{value:,.0f} ms"


def clock(seconds: float) -> str:
    """Minutes and seconds.

    Examples
    --------
    >>> clock(62.7)
    '1:02'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _ends(left: Text, right: Text) -> Table:
    """A line with something at both ends."""
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", no_wrap=True)
    line.add_row(left, right)
    return line


def _header(setting: Setting, snapshot: Snapshot) -> RenderableType:
    title = Text(" nearstream demo  ", "bold")
    title.append(f"{setting.shoppers:,} simulated shoppers → {setting.broker} → one worker", "dim")
    return _ends(title, Text(clock(snapshot.elapsed_s), "bold"))


def _footer(setting: Setting) -> RenderableType:
    lines = Table.grid(expand=True)
    hint = Text(" In another terminal  ", "dim")
    hint.append(f"nearstream tail recommendations.v1 --brokers {setting.brokers}", "cyan")
    end = Text(" Metrics  ", "dim").append(setting.metrics_url, "cyan")
    lines.add_row(_ends(hint, Text()))
    lines.add_row(_ends(end, Text("Ctrl-C ends ", "dim")))
    return lines


def _panel(content: RenderableType, title: str) -> Panel:
    return Panel(content, title=f"[bold]{title}", title_align="left", border_style="blue", box=box.ROUNDED)


def _stream(snapshot: Snapshot) -> Panel:
    rows = Table.grid(expand=True)
    rows.add_column(ratio=1, no_wrap=True)
    rows.add_column(justify="right", no_wrap=True, style="bold")
    rows.add_row("events in", f"{snapshot.events_per_s:,.0f} /s")
    rows.add_row("recommendations out", f"{snapshot.recommendations_per_s:,.0f} /s")
    rows.add_row("from event to recommendation", "", style="dim")
    rows.add_row("  half within   (p50)", Text(milliseconds(snapshot.p50_ms), "bold green"))
    rows.add_row("  nearly all in (p99)", Text(milliseconds(snapshot.p99_ms), "bold green"))
    rows.add_row()
    rows.add_row("events so far", f"{snapshot.events:,}", style="dim")
    rows.add_row("recommendations so far", f"{snapshot.recommendations:,}", style="dim")
    return _panel(rows, "The stream")


def _hits(snapshot: Snapshot, width: int, height: int) -> Panel:
    """The curve of the hit-rate, with the three levels named at its right."""
    top = snapshot.oracle or 1.0
    room = max(width - _LEGEND_WIDTH, 1)
    bars = chart(snapshot.curve, room, height, top)
    floor = row_of(snapshot.popularity or 0.0, height, top)
    legend = {
        0: (snapshot.oracle, " best possible", "yellow"),
        floor: (snapshot.popularity, " bestsellers", "dim"),
        min(row_of(snapshot.hit_rate or 0.0, height, top), floor - 1): (snapshot.hit_rate, " Nearstream", "bold green"),
    }
    lines = Table.grid()
    for row, bar in enumerate(bars):
        line = Text(bar, "green")
        share, name, style = legend.get(row, (None, "", ""))
        # The levels to compare with run on as dotted lines where the curve is not.
        line.append(("┈" if row in (0, floor) else " ") * (room - len(bar)), "dim")
        if name:
            line.append(f"{percent(share):>6}", style).append(name, style)
        lines.add_row(line)
    return _panel(lines, "Is the next product in the top 10?")


def _story(story: Story, placement: str, width: int, height: int) -> Panel:
    """What one shopper does and is offered: side by side on wide terminals, else one above the other."""
    content = Table.grid(expand=True)
    content.add_row(Text("likes ", "dim", no_wrap=True, overflow="ellipsis").append(story.tastes, "magenta"))
    room = max(height - 1, 4)
    if width >= _SIDE_BY_SIDE:
        halves = Table.grid(expand=True, padding=(0, 2))
        halves.add_column(ratio=5)
        halves.add_column(ratio=7)
        halves.add_row(_deeds(story.deeds, room - 1), _slate(story.slate, placement, room - 1))
        content.add_row(halves)
    else:
        number = max((room - 2) // 3, 1)
        content.add_row(_deeds(story.deeds, number))
        content.add_row(_slate(story.slate, placement, room - 2 - number))
    return _panel(content, f"One of them: {story.user_id}")


def _deeds(deeds: tuple[Deed, ...], number: int) -> Table:
    rows = _rows("Just now")
    for deed in deeds[:number]:
        mark = f"  ✓ was no. {deed.foreseen} below" if deed.foreseen else ""
        what = Text(deed.name).append(mark, "green")
        rows.add_row(Text(f"{deed.ago_s:3.0f} s", "dim"), Text(f"{deed.action:9}", "dim"), what)
    for _ in range(number - len(deeds)):
        rows.add_row("", "", "")
    return rows


def _slate(slate: tuple[Suggestion, ...], placement: str, number: int) -> Table:
    rows = _rows(f"Nearstream suggests ({placement})")
    for place in slate[:number]:
        rows.add_row(Text(f"{place.rank:3}", "dim"), Text(place.name), Text(place.reason, "dim"))
    return rows


def _rows(title: str) -> Table:
    rows = Table(
        box=None, expand=True, padding=(0, 1, 0, 0), show_header=False, title=f"[bold]{title}", title_justify="left"
    )
    for _ in range(3):
        rows.add_column(no_wrap=True, overflow="ellipsis")
    return rows
