"""Off-policy evaluation of our own decisions: what is logged of creatives, and whether what rests on it is right."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_index import CampaignIndex
from processors.ads.campaign_view import CampaignView
from processors.ads.messages import LoggedDecision, messages_of
from processors.ads.opportunity import Opportunity
from processors.ads.pipeline import AdPipeline
from processors.ads.settings import AdSettings
from processors.common.errors import FeedbackError
from processors.evaluation.off_policy import evaluate
from processors.evaluation.policies import fixed, uniform
from processors.models.click_model import ClickModel
from processors.users.profile import Profile
from streams.cli import app
from streams.datasets.decision_log import Outcomes, joined, read_decisions
from streams.datasets.open_bandit import Log
from tests.processors.ads.shop import Shop, campaign, creative
from tests.support import fresh_settings, produce_batch

RATES = {"a": 0.4, "b": 0.3, "c": 0.2}
"""How often each creative is clicked."""

SEEDS, DECISIONS, BATCH = 100, 100, 20

runner = CliRunner()


def learned(seed: int) -> Log:
    """What the decider logs while it learns which creative is clicked."""
    book, clicks, outcomes = CampaignIndex(), ClickModel(), Outcomes()
    creatives = tuple(Creative(crid, crid, "https://shop.example/") for crid in RATES)
    book.apply("c", CampaignView(Campaign("shop", creatives, 1.0, 1e9), left=1e9, left_today=1e9))
    decider = AdPipeline(AdSettings(log_losers=0.0), book, clicks, ClickModel())
    random, profile = np.random.default_rng(seed), Profile()
    told: list[LoggedDecision] = []
    for begin in range(0, DECISIONS, BATCH):
        asked = [Opportunity(f"{seed}/{n:04}", "u", profile, n, "top", {}) for n in range(begin, begin + BATCH)]
        for found, decided in zip(asked, decider.decide(asked), strict=True):
            logged = messages_of(found, decided, "EUR", 1000)[1]
            told.append(logged)
            clicks.learn(logged.features, float(clicks.probability(np.array([logged.features]))[0]))
            if random.random() < RATES[str(logged.crid)]:
                outcomes.note("events.click.v1", {"decision_id": logged.decision_id})
                clicks.learn(logged.features, -1.0)
    return joined((("", msgspec.to_builtins(logged)) for logged in told), outcomes)


@cache
def logs() -> tuple[Log, ...]:
    return tuple(learned(seed) for seed in range(SEEDS))


@pytest.mark.parametrize("policy", ["uniform", "a", "b", "c"])
def test_intervals_hold_the_truth_on_the_log_of_a_decider_that_learns(policy: str) -> None:
    truth = RATES.get(policy, sum(RATES.values()) / len(RATES))
    held, values = Counter[str](), []
    for log in logs():
        wanted = uniform(log.feedback) if policy == "uniform" else fixed(log.feedback, "abc".index(policy))
        found = evaluate(log.feedback, wanted).estimates
        held.update(name for name, one in found.items() if one.low <= truth <= one.high)
        values.append(found["dr"].value)
    assert min(held[name] for name in ("ips", "snips", "dr")) >= 90
    assert np.mean(values) == pytest.approx(truth, abs=0.04)


def test_the_decider_learned_something_meanwhile() -> None:
    """Or the test before says nothing of logs that change."""
    shares = [log.feedback.logging for log in logs()]
    first, last = (np.mean([one[rows].mean(axis=0) for one in shares if one is not None], axis=0) for rows in _ENDS)
    assert first.tolist() == pytest.approx([1 / 3] * 3, abs=0.05)
    assert last[0] > 0.5 > 0.2 > last[2]


_ENDS = (slice(BATCH), slice(-BATCH, None))


def shop(**fields: Any) -> Shop:
    found = Shop()
    found.put("c", campaign(**{"creatives": [creative(crid) for crid in "ab"], **fields}))
    return found


def test_the_odds_of_every_creative_are_logged() -> None:
    ours = shop()
    decision = ours.ask()
    (logged,) = ours.read("decision-log.v1")
    odds = {one["crid"]: one for one in logged["creatives"]}
    assert list(odds) == ["a", "b"]
    assert sum(one["propensity"] for one in odds.values()) == 1.0
    assert odds[decision["crid"]]["propensity"] == logged["propensity"] == decision["propensity"]
    assert odds[decision["crid"]]["p_click"] == logged["p_click"]


def test_the_odds_say_how_often_each_creative_is_chosen() -> None:
    ours = shop(creatives=[creative("a", weight=3.0), creative("b")])
    for n in range(200):
        ours.ask(f"u{n}")
    logged = ours.read("decision-log.v1")
    chosen = sum(one["crid"] == "a" for one in logged)
    expected = sum(one["creatives"][0]["propensity"] for one in logged)
    assert chosen == pytest.approx(expected, abs=25)
    assert expected > 100
    # How often a creative is preferred says nothing of how often it is clicked.
    assert len({odds["p_click"] for one in logged for odds in one["creatives"]}) == 1


def test_nothing_is_logged_where_there_was_no_choice() -> None:
    ours = shop(creatives=[creative()])
    ours.ask()
    assert "creatives" not in ours.read("decision-log.v1")[0]


class Files:
    """A log and its outcomes as files."""

    def __init__(self, folder: Path) -> None:
        self.log, self.outcomes = folder / "log.jsonl", folder / "events.jsonl"

    def write(self, decisions: list[Any], events: list[Any]) -> Files:
        for file, lines in ((self.log, decisions), (self.outcomes, events)):
            file.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in lines))
        return self

    def read(self, campaign_id: str | None = None) -> Log:
        return read_decisions(self.log, self.outcomes, campaign_id)


def decision(number: int, crid: str = "a", cid: str = "c", **fields: Any) -> dict[str, Any]:
    plain = {
        "decision_id": f"d{number}",
        "user_id": "ada",
        "placement": "top",
        "at": f"2025-06-02T10:{number // 60:02}:{number % 60:02}.000Z",
        "candidates": [],
        "cid": cid,
        "crid": crid,
        "creatives": [
            {"crid": "a", "propensity": 0.75, "p_click": 0.1},
            {"crid": "b", "propensity": 0.25, "p_click": 0.2},
        ],
    }
    return {**plain, **fields}


def click(number: int) -> dict[str, Any]:
    return {"type": "click", "user_id": "ada", "item_id": "tent", "decision_id": f"d{number}"}


def seen(number: int) -> dict[str, Any]:
    return {"type": "impression", "user_id": "ada", "item_id": "tent", "decision_id": f"d{number}"}


def test_decisions_and_clicks_become_a_log(tmp_path: Path) -> None:
    log = Files(tmp_path).write([decision(2, "b"), decision(1), decision(3)], [click(2)]).read()
    assert (log.actions, log.rows) == (("c/a", "c/b"), ["d1", "d2", "d3"])
    assert log.feedback.rewards.tolist() == [0.0, 1.0, 0.0]
    assert log.feedback.propensities.tolist() == [0.75, 0.25, 0.75]
    assert log.feedback.predicted is not None
    assert log.feedback.predicted[0].tolist() == [0.1, 0.2]
    assert log.counts == {"decisions": 3, "shown": 3, "with_a_choice": 3, "rows": 3, "clicked": 1}


def test_decisions_that_were_not_seen_do_not_count_if_it_is_told_which_were(tmp_path: Path) -> None:
    events = [seen(1), click(2), {"type": "browse", "user_id": "ada", "item_id": "tent"}]
    log = Files(tmp_path).write([decision(n) for n in range(4)], events).read()
    assert log.rows == ["d1", "d2"]


def test_what_dismisses_an_ad_is_no_click(tmp_path: Path) -> None:
    log = Files(tmp_path).write([decision(0), decision(1)], [click(0), {**click(1), "action": "dismiss"}]).read()
    assert log.feedback.rewards.tolist() == [1.0, 0.0]


def test_creatives_are_judged_within_the_campaign_that_won(tmp_path: Path) -> None:
    files = Files(tmp_path).write(
        [decision(0), decision(1, cid="e"), decision(2, creatives=[]), {**decision(3), "cid": None, "crid": None}],
        [click(0), click(1)],
    )
    log = files.read()
    assert log.feedback.available is not None
    assert log.feedback.available.tolist() == [[True, True, False, False], [False, False, True, True]]
    assert (log.counts["decisions"], log.counts["shown"], log.counts["with_a_choice"]) == (4, 3, 2)
    assert (files.read("e").actions, files.read("e").rows) == (("e/a", "e/b"), ["d1"])


def test_a_decision_that_comes_twice_counts_once(tmp_path: Path) -> None:
    assert Files(tmp_path).write([decision(0), decision(0)], [click(0)]).read().rows == ["d0"]


def test_records_as_tail_prints_them_are_read(tmp_path: Path) -> None:
    tailed = [{"topic": "decision-log.v1", "partition": 0, "offset": n, "value": decision(n)} for n in range(2)]
    event = {key: value for key, value in click(1).items() if key != "type"}
    log = Files(tmp_path).write(tailed, [{"topic": "events.click.v1", "offset": 0, "value": event}]).read()
    assert log.feedback.rewards.tolist() == [0.0, 1.0]


SHARES: Any = decision(0)["creatives"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"creatives": [{**SHARES[0], "propensity": 0.5}, SHARES[1]]},
            "expected propensities from 0 to 1 with the sum 1",
        ),
        ({"creatives": [SHARES[0], SHARES[0]]}, "creatives: ['a', 'a'], expected each once"),
        ({"crid": "z"}, "crid: 'z', expected one of creatives, a, b"),
        (
            {"creatives": [{**SHARES[0], "propensity": 0.0}, {**SHARES[1], "propensity": 1.0}]},
            "propensity: 0.0, expected above 0",
        ),
        ({"creatives": [{**SHARES[0], "propensity": "often"}]}, "Expected `float`, got `str`"),
        ({"creatives": [{**SHARES[0], "p_click": 7.0}, SHARES[1]]}, "p_click: [7.0, 0.2], expected probabilities"),
        ({"decision_id": 7}, "Expected `str`, got `int` - at `$.decision_id`"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_with_its_line(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    files = Files(tmp_path).write([decision(0), decision(1, **fields)], [click(0)])
    with pytest.raises(FeedbackError) as refused:
        files.read()
    assert str(refused.value).startswith(f"{files.log}, line 2: ")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "line 2: "),
        ([1], "line 2: line: [1], expected a JSON object"),
        ({"type": "wink", "decision_id": "d0"}, "line 2: type: 'wink', expected one of browse"),
    ],
)
def test_an_outcome_that_makes_no_sense_is_refused_with_its_line(tmp_path: Path, bad: Any, message: str) -> None:
    files = Files(tmp_path).write([decision(0)], [click(0), bad])
    with pytest.raises(FeedbackError) as refused:
        files.read()
    assert str(refused.value).startswith(f"{files.outcomes}, ")
    assert message in str(refused.value)


def test_outcomes_of_other_decisions_are_not_enough(tmp_path: Path) -> None:
    with pytest.raises(FeedbackError, match="nothing to evaluate by: 1 decisions, 1 shown, 1 with a choice, 1 rows"):
        Files(tmp_path).write([decision(0)], [click(7)]).read()


def test_the_command_on_our_own_log(tmp_path: Path) -> None:
    decisions = [decision(n, "b" if n % 4 == 3 else "a") for n in range(80)]
    files = Files(tmp_path).write(decisions, [click(n) for n in range(3, 80, 8)])
    arguments = ["ope", str(files.log), "--outcomes", str(files.outcomes)]
    done = runner.invoke(app, [*arguments, "--policy", "fixed:c/b", "--policy", "uniform", "--json"])
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    only, both = (one["estimates"]["snips"]["value"] for one in result["policies"])
    assert (only, both) == (0.5, 0.25)
    assert result["log"]["clicked"] == 10
    alone = runner.invoke(app, arguments[:2], env={"COLUMNS": "200", "TERM": "dumb"})
    assert "needed: a decision log does not say what was clicked" in alone.stderr


def test_a_shop_with_ads_is_evaluated_by_its_own_messages(tmp_path: Path) -> None:
    ours, events = shop(), []
    for n in range(60):
        told = ours.ask(f"u{n}")
        events.append({"type": "impression", "decision_id": told["decision_id"]})
        if told["crid"] == "a":
            events.append({"type": "click", "decision_id": told["decision_id"]})
    log = Files(tmp_path).write(ours.read("decision-log.v1"), events).read()
    assert evaluate(log.feedback, fixed(log.feedback, 0)).estimates["snips"].value == 1.0
    assert evaluate(log.feedback, fixed(log.feedback, 1)).estimates["snips"].value == 0.0


@pytest.mark.kafka
def test_the_topics_of_a_running_system_are_read(kafka: str, tmp_path: Path) -> None:
    settings = fresh_settings(kafka, tmp_path)

    def publish(topic: str, partition: int, *messages: dict[str, Any] | bytes) -> None:
        values = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in messages]
        produce_batch(kafka, topic, partition, [(b"ada", value, ()) for value in values])

    env = {"NEARSTREAM_KAFKA__BROKERS": kafka, "NEARSTREAM_KAFKA__GROUP": settings.kafka.group}
    nothing = runner.invoke(app, ["ope"], env=env)
    assert (nothing.exit_code, "nothing to evaluate by: 0 decisions" in nothing.stderr) == (1, True)
    for partition in (0, 3):
        mine = [decision(n + partition, "a" if n < 40 else "b") for n in range(0, 80, 4)]
        publish("decision-log.v1", partition, *mine)
    publish("events.impression.v1", 1, *map(seen, range(80)))
    publish("events.click.v1", 2, b"nonsense", *map(click, range(40, 80)))
    done = runner.invoke(app, ["ope", "-", "--policy", "fixed:c/b", "--policy", "fixed:c/a", "--json"], env=env)
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["log"] == {"decisions": 40, "shown": 40, "with_a_choice": 40, "rows": 40, "clicked": 20}
    assert [one["estimates"]["snips"]["value"] for one in result["policies"]] == [1.0, 0.0]
