"""What the README and the guides show works as it stands there."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from processors.ads.campaign import read_campaign
from processors.ads.doubts import doubts_of
from processors.ads.messages import AdDecision
from processors.common.topics import CATALOG_TOPIC
from processors.events.ad_request import AdRequest
from processors.events.event_types import EVENT_TYPES
from processors.events.reader import RecordReader
from processors.events.record import Record, Refusal
from processors.items.state import ItemSettings, ItemState
from processors.items.view import Attributes
from processors.planes.items import ItemsPlane
from processors.ranking.messages import Recommendation
from streams.datasets.layouts import LAYOUTS, REQUIRED
from streams.engine import TopologyDriver
from streams.operations.campaign_files import read_file

_ROOT = Path(__file__).resolve().parent.parent
README, FILES, *_GUIDES = (
    (_ROOT / page).read_text(encoding="utf-8")
    for page in ("README.md", "docs/files.md", "docs/events.md", "docs/catalogue.md", "docs/ads.md")
)
SHOWN = "\n".join((README, FILES, *_GUIDES))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", SHOWN, re.DOTALL | re.MULTILINE)


def test_the_example_in_python_recommends_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    *_, last = capsys.readouterr().out.splitlines()
    message = msgspec.json.decode(last, type=Recommendation)
    assert (message.user_id, message.items[0].item_id) == ("bob", "lamp")
    assert message.items[0].reasons[0].text == "Often viewed together with tent"


def test_the_event_is_taken_as_it_is() -> None:
    event = RecordReader().read(_block("brand", "event_id"), "click", at_ms=1_748_859_300_250)
    assert not isinstance(event, Refusal)
    assert (event.time_ms, event.repairs) == (1_748_859_300_250, ())


def test_the_impression_is_taken_as_it_is() -> None:
    seen = RecordReader().read(_block("items", "event_id"), "impression", at_ms=1_748_859_303_000)
    assert not isinstance(seen, Refusal)
    assert seen.repairs == ()


def test_the_recommendation_has_the_form_of_one() -> None:
    assert msgspec.json.decode(_block("caused_by"), type=Recommendation).caused_by.event_id == "7f9c"


def nothing_known(keys: Sequence[str], /) -> list[ItemState | None]:
    return [None for _ in keys]


def test_the_row_of_the_catalogue_is_taken_as_it_is() -> None:
    row, settings = _block("embedding"), ItemSettings(embedding_size=4)
    plane = ItemsPlane(settings)
    step = plane.step(nothing_known, [Record(CATALOG_TOPIC, 0, 0, 0, b"trail-shoe-3", row)], 0)
    assert dict(step.outcomes) == {(CATALOG_TOPIC, "accepted"): 1}
    named = set(msgspec.json.decode(row))
    assert named == {"item_id", "published_at", *Attributes.__struct_fields__} - {"published_ms"}


def test_every_type_and_column_of_event_files_is_named() -> None:
    files = FILES
    assert all(f"{name}" in files for name in (*REQUIRED, *LAYOUTS))
    assert [kind for kind in EVENT_TYPES if f"`{kind}`" not in files] == []


def _block(*fields: str) -> bytes:
    """The text of the example that has these fields."""
    (found,) = [block for block in blocks("json") if set(fields) <= set(msgspec.json.decode(block))]
    return found.encode()


def _example(field: str) -> dict[str, Any]:
    """The example that has a field."""
    found = msgspec.json.decode(_block(field))
    assert isinstance(found, dict)
    return found


def test_the_ad_request_is_taken_as_it_is_and_the_decision_has_the_form_of_one() -> None:
    request = RecordReader().read(msgspec.json.encode(_example("bidfloor")), "request", at_ms=1_748_859_300_250)
    assert isinstance(request, AdRequest)
    assert (request.bidfloor, request.bidfloorcur, request.repairs) == (2.5, None, ())
    decision = _example("charge")
    assert set(decision) <= set(AdDecision.__struct_fields__)
    assert decision["price"] == pytest.approx(1000.0 * decision["charge"] * decision["p_click"])


def test_the_least_campaign_can_be_loaded_and_leaves_no_doubt(tmp_path: Path) -> None:
    (example,) = blocks("toml")
    file = tmp_path / "first.toml"
    file.write_text(example)
    ((cid, value),) = read_file(file, "EUR").items()
    campaign = read_campaign(value)
    assert (cid, campaign.pacing, campaign.model) == ("first", "asap", "cpm")
    assert doubts_of(campaign) == ()


def test_the_first_clicks_bring_the_sock_and_the_first_request_an_ad(tmp_path: Path) -> None:
    driver, at = TopologyDriver(), 1_700_000_000_000
    clicks = re.findall(r"^nearstream send click --user (\w+) --item (\S+)$", SHOWN, re.MULTILINE)
    for number, (user, item) in enumerate(clicks):
        moment = at + 1000 * number  # one command after another
        event = {"event_id": f"e{number}", "user_id": user, "item_id": item, "timestamp": moment}
        driver.pipe("events.click.v1", user.encode(), msgspec.json.encode(event), moment)
    driver.advance(at + 10_000)
    shown = driver.recommend_ids(["ada"], [at + 10_000])[0][0]
    assert "wool-sock-1" in shown
    file = tmp_path / "first.toml"
    file.write_text(blocks("toml")[0])
    for cid, value in read_file(file, "EUR").items():
        driver.pipe("catalog.campaigns.v1", cid.encode(), value, at + 20_000)
    driver.advance(at + 30_000)
    request = {"request_id": "r", "user_id": "ada", "placement": "top", "timestamp": at + 30_000}
    driver.pipe("ads.requests.v1", b"ada", msgspec.json.encode(request), at + 30_000)
    (decided,) = driver.read("ad-decisions.v1")
    assert msgspec.json.decode(decided.value or b"", type=AdDecision).cid == "first"
