"""The result of an evaluation as one HTML file: figures, and how they came about over the stream. Nothing to load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from streams.evaluation.svg_charts import Line, line_chart

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --faint: #d8dee6;
  --a: #1f6feb; --b: #d1571c; --c: #6b7684; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --paper: #14181e; --faint: #333b46;
  --a: #6aa6ff; --b: #ff9d5c; --c: #98a4b3; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1400px;
  margin: 2rem auto; padding: 0 1rem; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 1.5rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid var(--faint); }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
figure { margin: 0; } figcaption { font-weight: 600; } svg { width: 100%; height: auto; }
figure ul { list-style: none; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
.key { display: inline-block; width: 1em; height: .25em; margin-right: .5em; vertical-align: middle; }
.grid { stroke: var(--faint); } .tick { fill: var(--ink); font-size: 12px; }
.line { fill: none; stroke-width: 2; } .l0 { stroke: var(--a); } .l1 { stroke: var(--b); }
.l2 { stroke: var(--c); stroke-dasharray: 5 4; }
.k0 { background: var(--a); } .k1 { background: var(--b); } .k2 { background: var(--c); }
"""

_COLUMNS = {"hr10": "HR@10", "hr20": "HR@20", "mrr20": "MRR@20", "ndcg10": "NDCG@10", "ceiling": "ceiling"}
_SEGMENTS = {"full": "whole", "last50": "last half", "last20": "last fifth"}
_VARIANTS = {"all": "all events", "new": "first-time"}


def report(name: str, result: Mapping[str, Any], series: Sequence[Mapping[str, float]]) -> str:
    """Return the report as a page of HTML that loads nothing.

    Parameters
    ----------
    name
        Name of the file with the events.
    result
        Figures that :func:`streams.evaluation.prequential.evaluate_events` returns.
    series
        Points of the charts, in the order of the stream: ``events``, and any of ``hr20``, ``hr20_new``, ``ceiling``,
        ``mrr20``, ``mrr20_new``, ``loss``, ``learned``, ``covisitation``, ``coverage``.
    """
    title = f"{escape(name)}: {result['events']:,} events"
    charts = [
        chart
        for caption, columns, percent in _CHARTS
        if (chart := _chart(caption, columns, series, percent=percent)) is not None
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>Each event is a question first: was its item in the list that would have been shown just "
        f"before? Only then is it learned. {result['refused']:,} refused, {result['events_per_s']:,} events a second."
        f"</p>{_table(result)}<main>{''.join(charts)}</main></body></html>\n"
    )


_CHARTS: tuple[tuple[str, dict[str, str], bool], ...] = (
    ("Hit rate at 20", {"hr20": "all events", "hr20_new": "first-time", "ceiling": "ceiling"}, True),
    ("Mean reciprocal rank at 20", {"mrr20": "all events", "mrr20_new": "first-time"}, False),
    ("Loss of the ranker", {"loss": "negative log-likelihood of the item chosen"}, False),
    ("Reciprocal rank among candidates", {"learned": "learned", "covisitation": "co-visitation alone"}, False),
    ("Share of the known items that have been shown", {"coverage": "coverage"}, True),
)


def _chart(
    caption: str, columns: dict[str, str], series: Sequence[Mapping[str, float]], *, percent: bool
) -> str | None:
    lines = [
        Line(name, [(point["events"], point[column]) for point in series if column in point])
        for column, name in columns.items()
    ]
    lines = [line for line in lines if line.points]
    return line_chart(f"{caption}, over the stream", lines, percent=percent) if lines else None


def _table(result: Mapping[str, Any]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in ("part", "pairs", "events", *_COLUMNS.values()))
    rows = []
    for segment, part in _SEGMENTS.items():
        for variant, pairs in _VARIANTS.items():
            figures = result[segment][variant]
            cells = [part, pairs, f"{figures['n']:,}"]
            cells += [f"{figures[column]:.3f}" if column in figures else "–" for column in _COLUMNS]
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
