"""The report is well-formed, loads nothing, and says what the result says."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from processors.common.errors import NearstreamError
from streams.cli import app
from streams.datasets.event_files import FileEvent
from streams.evaluation.html_report import report
from streams.evaluation.prequential import evaluate_events
from streams.evaluation.svg_charts import Line, line_chart
from tests.support import event

NOW = 1_700_000_000_000
_VOID = {"meta", "line", "br"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and keeps attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.cells: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        assert self.open == [], "not all tags are closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


def stream(n: int) -> list[FileEvent]:
    found = []
    for number in range(n):
        user, item, at = f"u{number % 7}", f"item {(number // 7 + number % 3) % 9}", NOW + 1000 * number
        found.append(FileEvent("events.click.v1", user.encode(), event(number, user, item, at), at))
    return found


def test_the_report_says_what_the_result_says(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    result = evaluate_events(stream(1200), html=file, name="<clicks> & more")
    text = file.read_text()
    page = Page(text)
    assert "<clicks>" not in text
    assert "&lt;clicks&gt; &amp; more: 1,200 events" in text
    last = result["last50"]["all"]
    row = page.cells.index("last half")
    shown = page.cells[row + 2 : row + 8]
    expected = [f"{last[name]:.3f}" for name in ("hr10", "hr20", "mrr20", "ndcg10", "ceiling")]
    assert shown == [f"{last['n']:,}", *expected]
    assert page.tags.count("svg") == 5, "one chart of each kind"
    assert 0.5 < result["coverage"] <= 1.0


def test_the_report_loads_nothing(tmp_path: Path) -> None:
    evaluate_events(stream(30), html=tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name in ("src", "href", "xlink:href", "srcset")]
    assert "url(" not in (tmp_path / "report.html").read_text()


def test_a_chart_describes_itself() -> None:
    chart = line_chart("Loss & more", [Line("a < b", [(0, 2.0), (5, 1.0)])])
    Page(chart)
    assert "<title>Loss &amp; more</title>" in chart
    assert "a &lt; b goes from 2 to 1" in chart
    with pytest.raises(ValueError, match="nothing to draw"):
        line_chart("empty", [Line("a", [])])


def test_points_lie_where_their_values_are() -> None:
    chart = line_chart("c", [Line("a", [(0, 0.0), (10, 1.0)])])
    first, last = (tuple(map(float, point.split(","))) for point in chart.split('points="')[1].split('"')[0].split())
    assert first == (52.0, 226.0)
    assert last == (628.0, 12.0)


def test_a_stream_of_nothing_has_a_report() -> None:
    figures = {"n": 0}
    segment = {"all": figures, "new": figures}
    result = {"events": 0, "refused": 0, "events_per_s": 0, "full": segment, "last50": segment, "last20": segment}
    page = Page(report("none", result, []))
    assert page.cells.count("–") == 30


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(NearstreamError, match="cannot be written"):
        evaluate_events(stream(2), html=tmp_path / "no" / "report.html")


def test_the_command_writes_the_report_but_not_over_the_events(tmp_path: Path) -> None:
    events, out = tmp_path / "e.jsonl", tmp_path / "r.html"
    lines = [
        {"event_id": f"{n}", "user_id": "u", "item_id": f"i{n % 3}", "timestamp": NOW + n, "type": "click"}
        for n in range(5)
    ]
    events.write_text("\n".join(map(json.dumps, lines)))
    done = CliRunner().invoke(app, ["evaluate", str(events), "--html", str(out)])
    assert (done.exit_code, "5 events" in out.read_text()) == (0, True)
    refused = CliRunner().invoke(app, ["evaluate", str(events), "--html", str(events)])
    assert refused.exit_code == 2
