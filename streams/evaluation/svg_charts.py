"""Line charts as inline SVG: no script, no font, nothing to load; light or dark as the page is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 34
_TICKS = 4


@dataclass(frozen=True)
class Line:
    """A named line: ``points`` are (x, y) with x rising; the name is shown in the legend."""

    name: str
    points: Sequence[tuple[float, float]]


def line_chart(title: str, lines: Sequence[Line], *, percent: bool = False) -> str:
    """Return a chart as a ``<figure>`` with a legend and a description for those who do not see it.

    Parameters
    ----------
    title
        What the chart shows.
    lines
        At most three lines; both axes begin at 0.
    percent
        Whether values are shares, to be shown in percent.

    Raises
    ------
    ValueError
        If there is no point at all.

    Examples
    --------
    >>> chart = line_chart("Hit rate", [Line("all", [(0, 0.1), (10, 0.3)])], percent=True)
    >>> chart.count("<polyline"), "30 %" in chart
    (1, True)
    """
    points = [point for line in lines for point in line.points]
    if not points:
        raise ValueError(f"{title}: nothing to draw")
    last = max(x for x, _ in points) or 1.0
    top = _rounded(max(max(y for _, y in points), 1e-9))
    parts = [*_grid(top, percent), *_axis(last), *_polylines(lines, last, top)]
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(_description(lines, percent))}</desc>{''.join(parts)}</svg>"
        f"<ul>{_legend(lines, percent)}</ul></figure>"
    )


def _polylines(lines: Sequence[Line], last: float, top: float) -> list[str]:
    """Return the lines as SVG; ``last`` and ``top`` are the values at the ends of the axes."""
    width, height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    parts = []
    for number, line in enumerate(lines):
        pixels = ((_LEFT + x / last * width, HEIGHT - _BOTTOM - y / top * height) for x, y in line.points)
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
        parts.append(f'<polyline class="line l{number}" points="{drawn}"/>')
    return parts


def _legend(lines: Sequence[Line], percent: bool) -> str:
    return "".join(
        f'<li><span class="key k{number}"></span>{escape(line.name)}: {_shown(line.points[-1][1], percent)}</li>'
        for number, line in enumerate(lines)
        if line.points
    )


def _description(lines: Sequence[Line], percent: bool) -> str:
    return "; ".join(
        f"{line.name} goes from {_shown(line.points[0][1], percent)} to {_shown(line.points[-1][1], percent)}"
        for line in lines
        if line.points
    )


def _grid(top: float, percent: bool) -> list[str]:
    bottom = HEIGHT - _BOTTOM
    height = bottom - _TOP
    parts = []
    for tick in range(_TICKS + 1):
        y = bottom - height * tick / _TICKS
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = _shown(top * tick / _TICKS, percent)
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return parts


def _axis(last: float) -> list[str]:
    texts = []
    for tick in range(_TICKS + 1):
        x = _LEFT + (WIDTH - _LEFT - _RIGHT) * tick / _TICKS
        anchor, text = "end" if tick == _TICKS else "middle", f"{last * tick / _TICKS:,.0f}"
        texts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 14}" text-anchor="{anchor}">{text}</text>')
    return texts


def _rounded(value: float) -> float:
    """Round up to the next of 1, 2, 2.5, 5 times a power of ten.

    Examples
    --------
    >>> _rounded(0.31), _rounded(4.0)
    (0.5, 5.0)
    """
    power = 1.0
    while power > value:
        power /= 10.0
    while power * 10.0 < value:
        power *= 10.0
    return next(power * step for step in (1.0, 2.0, 2.5, 5.0, 10.0) if power * step >= value * (1 - 1e-9))


def _shown(value: float, percent: bool) -> str:
    if percent:
        return f"{100 * value:.3g} %"
    return f"{value:.3g}"
