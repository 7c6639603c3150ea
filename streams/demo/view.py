"""Drawing a snapshot in a terminal of any size."""

from __future__ import annotations

from rich import box
from rich.console import RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.demo.chart import chart, row_of
from streams.demo.snapshot import AdFigures, DemoInfo, ShopperAction, Snapshot, Story, Suggestion

_STREAM_WIDTH = 32
_LEGEND_WIDTH = 21
_SIDE_BY_SIDE = 110
_NARROWEST, _LOWEST = 64, 18
_ADS_HEIGHT, _WITH_ADS, _BAR = 8, 34, 20
HELD_UP_S = 1.0
"""From when on it is said that the shoppers were held up."""

_IN_SECONDS_MS = 9_999.5


def draw(info: DemoInfo, snapshot: Snapshot, width: int, height: int) -> RenderableType:
    """Draw the screen; on a terminal that is too small for it, a status line.

    Parameters
    ----------
    info, snapshot
        What to show.
    width, height
        Size of the terminal, in characters.
    """
    if width < _NARROWEST or height < _LOWEST:
        return Text(status_line(snapshot))
    top = 11 if height >= 32 else 7
    bottom = len(commands(info)) + 1
    screen = Layout()
    figures = Layout(size=top)
    figures.split_row(
        Layout(_stream(snapshot), size=_STREAM_WIDTH),
        Layout(_hits(snapshot, width - _STREAM_WIDTH - 4, top - 2)),
    )
    ads = [Layout(_ads(snapshot.ads), size=_ADS_HEIGHT)] if snapshot.ads and height >= _WITH_ADS else []
    room = height - top - bottom - 3 - _ADS_HEIGHT * len(ads)
    screen.split_column(
        Layout(_header(info, snapshot), size=1),
        figures,
        *ads,
        Layout(_story(snapshot.story, info.placement, width, room)),
        Layout(_footer(info), size=bottom),
    )
    return screen


def status_line(snapshot: Snapshot) -> str:
    """Return a snapshot as one line."""
    return (
        f"{clock(snapshot.elapsed_s):>5}  events {snapshot.events:,} ({snapshot.events_per_s:.0f}/s)"
        f"  recommendations {snapshot.recommendations:,} ({snapshot.recommendations_per_s:.0f}/s)"
        f"  p50 {milliseconds(snapshot.p50_ms)}  p99 {milliseconds(snapshot.p99_ms)}"
        f"  hit-rate {percent(snapshot.hit_rate)}"
        f" (best possible {percent(snapshot.oracle)}, bestsellers {percent(snapshot.popularity)})"
        f"{_ads_in_short(snapshot.ads)}"
    )


def _ads_in_short(ads: AdFigures | None) -> str:
    if ads is None or ads.rate is None:
        return ""
    return f"  ads {ads.filled:,}, clicked {percent(ads.rate)} (by chance {percent(ads.chance)})"


def percent(share: float | None) -> str:
    """Format a share for people to read.

    Examples
    --------
    >>> percent(0.456), percent(None)
    ('46 %', '–')
    """
    return "–" if share is None else f"{share * 100:.0f} %"


def milliseconds(value: float | None) -> str:
    """Format a latency for people to read.

    Examples
    --------
    >>> milliseconds(48.3), milliseconds(23_521.0), milliseconds(None)
    ('48 ms', '23.5 s', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.0f} ms" if value < _IN_SECONDS_MS else f"{value / 1000:.1f} s"


def clock(seconds: float) -> str:
    """Format seconds as minutes and seconds.

    Examples
    --------
    >>> clock(62.7)
    '1:02'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _ends(left: Text, right: Text) -> Table:
    """Return a line with something at both ends."""
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", no_wrap=True)
    line.add_row(left, right)
    return line


def _header(info: DemoInfo, snapshot: Snapshot) -> RenderableType:
    title = Text(" nearstream demo  ", "bold")
    title.append(f"{info.shoppers:,} simulated shoppers → {info.broker} → one worker", "dim")
    return _ends(title, Text(clock(snapshot.elapsed_s), "bold"))


def commands(info: DemoInfo) -> list[str]:
    """Return what to type in another terminal to join in: see one's own recommendations, and cause some."""
    at = f"--brokers {info.brokers}"
    return [
        *([info.activate] if info.activate else []),
        f"nearstream tail recommendations.v1 --user me {at}",
        f"nearstream send view --user me --item {info.example_item} {at}",
    ]


def _footer(info: DemoInfo) -> RenderableType:
    rows = Table.grid(expand=True)
    rows.add_column(no_wrap=True, overflow="ellipsis", style="cyan")
    for command in commands(info):
        # No margin: on 80 columns the whole command must be there to be copied.
        rows.add_row(command)
    rows.add_row(_ends(Text(info.metrics_url, "cyan"), Text("Ctrl-C ends", "dim")))
    return rows


def _panel(content: RenderableType, title: str) -> Panel:
    return Panel(content, title=f"[bold]{title}", title_align="left", border_style="blue", box=box.ROUNDED)


def _stream(snapshot: Snapshot) -> Panel:
    rows = Table.grid(expand=True)
    rows.add_column(ratio=1, no_wrap=True)
    rows.add_column(justify="right", no_wrap=True, style="bold")
    # Shoppers wait where the machine does not keep up with them.
    rows.add_row(
        "events in (slowed)" if snapshot.held_s > HELD_UP_S else "events in", f"{snapshot.events_per_s:,.0f} /s"
    )
    rows.add_row("recommendations out", f"{snapshot.recommendations_per_s:,.0f} /s")
    rows.add_row("time between them")
    rows.add_row("  half within (p50)", Text(milliseconds(snapshot.p50_ms), "bold green"))
    rows.add_row("  99 % within (p99)", Text(milliseconds(snapshot.p99_ms), "bold green"))
    rows.add_row()
    rows.add_row("events so far", f"{snapshot.events:,}", style="dim")
    rows.add_row("recommendations", f"{snapshot.recommendations:,}", style="dim")
    return _panel(rows, "The stream")


def _hits(snapshot: Snapshot, width: int, height: int) -> Panel:
    """Draw the curve of the hit rate, with the three levels named at its right."""
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


def _ads(ads: AdFigures) -> Panel:
    """Draw spend against budget, clicks and best creative of each campaign, and how well ads are chosen."""
    rows = Table.grid(expand=True, padding=(0, 1))
    rows.add_column(width=24, no_wrap=True, overflow="ellipsis")
    rows.add_column(ratio=1, no_wrap=True)
    rows.add_column(width=18, no_wrap=True, justify="right")
    rows.add_column(width=14, no_wrap=True, justify="right")
    rows.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for one in ads.campaigns:
        share = min(one.spent / one.budget, 1.0) if one.budget else 0.0
        bar = Text("█" * round(share * _BAR), "green").append("░" * (_BAR - round(share * _BAR)), "dim")
        clicked = percent(one.clicked / one.shown) if one.shown else "–"
        best = f"most: {one.best} {percent(one.best_rate)}" if one.best_rate is not None else ""
        rows.add_row(one.cid, bar, f"{one.spent:.2f} of {one.budget:.0f} EUR", f"clicked {clicked}", best)
    line = Text(f"clicked {percent(ads.rate)}", "bold green").append(
        f"   by chance {percent(ads.chance)}, best possible {percent(ads.best)}   {ads.last}", "default not bold"
    )
    line.no_wrap, line.overflow = True, "ellipsis"
    content = Table.grid(expand=True)
    content.add_row(rows)
    content.add_row(line)
    return _panel(content, f"Ads: {ads.decided_per_s:,.0f} decisions a second")


def _story(story: Story, placement: str, width: int, height: int) -> Panel:
    """Draw what one shopper does and is offered: side by side on wide terminals, else one above the other."""
    content = Table.grid(expand=True)
    content.add_row(Text("likes ", "dim", no_wrap=True, overflow="ellipsis").append(story.tastes, "magenta"))
    room = max(height - 2, 4)
    if width >= _SIDE_BY_SIDE:
        halves = Table.grid(expand=True, padding=(0, 1))
        halves.add_column(ratio=1)
        halves.add_column(ratio=1)
        halves.add_row(_actions(story.actions, room), _slate_with_room(story.slate, placement, room // 2))
        content.add_row(halves)
    else:
        number = room // 3
        content.add_row(_actions(story.actions, number))
        content.add_row(_slate(story.slate, placement, room - 1 - number))
    return _panel(content, f"One of them: {story.user_id}")


def _actions(actions: tuple[ShopperAction, ...], number: int) -> Table:
    rows = _rows("Just now", "  (✓ no. 3: it was suggested, as third)", (5, 9, None, 8))
    for action in actions[:number]:
        mark = f"✓ no. {action.foreseen}" if action.foreseen else ""
        rows.add_row(
            f"{action.ago_s:3.0f} s", action.action, Text(action.name, "default not dim"), Text(mark, "green not dim")
        )
    for _ in range(number - len(actions)):
        rows.add_row()
    return rows


def _slate(slate: tuple[Suggestion, ...], placement: str, number: int) -> Table:
    """Draw the slate, one line per item."""
    rows = _rows("Nearstream suggests", f"  ({placement})", (2, 30, None))
    for item in slate[:number]:
        rows.add_row(f"{item.rank:2}", Text(item.name, "default not dim"), Text(item.reason))
    return rows


def _slate_with_room(slate: tuple[Suggestion, ...], placement: str, number: int) -> Table:
    """Draw the slate with the reason below each name."""
    rows = _rows("Nearstream suggests", f"  ({placement})", (2, None))
    for item in slate[:number]:
        rows.add_row(f"{item.rank:2}", Text(item.name, "default not dim"))
        rows.add_row("", Text(item.reason))
    return rows


def _rows(title: str, aside: str, widths: tuple[int | None, ...]) -> Table:
    """Return a table of dim text under a title; a column without a width takes what is left."""
    rows = Table(
        box=None,
        expand=True,
        padding=(0, 1, 0, 0),
        show_header=False,
        title=Text(title, "bold").append(aside, "dim not bold"),
        title_justify="left",
        title_style="",
        style="dim",
    )
    for width in widths:
        rows.add_column(no_wrap=True, overflow="ellipsis", width=width, ratio=None if width else 1)
    return rows
