"""What is wrong with rules is counted, and said once for as long as it lasts."""

import json

import pytest

from processors.common.topics import CATALOG_TOPIC, RULES_TOPIC
from streams.engine.driver import TopologyDriver
from streams.worker.rule_warnings import RuleWarnings
from tests.streams.engine.test_driver import NOW, click, shown, slates


def put(driver: TopologyDriver, topic: str, key: str, second: int, row: dict[str, object] | None) -> None:
    value = None if row is None else json.dumps(row).encode()
    driver.pipe(topic, key.encode(), value, NOW + 1000 * second)
    driver.flush()


def test_findings_are_logged_once_until_they_are_gone_and_come_back(caplog: pytest.LogCaptureFixture) -> None:
    driver = TopologyDriver()
    watch = RuleWarnings(driver.topology.users.read.rules, driver.topology.index)
    click(driver, "u", "tent", 0)
    driver.flush()
    put(driver, RULES_TOPIC, "pin", 1, {"kind": "pin", "items": {"ids": ["tent"]}, "position": 1})
    put(driver, RULES_TOPIC, "no", 2, {"kind": "exclude", "items": {"ids": ["tent"]}})
    put(driver, RULES_TOPIC, "typo", 3, {"kind": "exclude", "items": {"categories": ["tennts"]}})
    expected = {"known": 3, "conflicts": 1, "without_items": 1, "refused": 0}
    assert watch.look(driver.now) == watch.look(driver.now) == expected
    assert caplog.messages == [
        "rules no (exclude) and pin (pin) both name tent: no wins",
        "rule typo matches no item there is",
    ]
    put(driver, RULES_TOPIC, "typo", 4, None)
    assert watch.look(driver.now)["without_items"] == 0
    put(driver, RULES_TOPIC, "typo", 5, {"kind": "exclude", "items": {"categories": ["tennts"]}})
    watch.look(driver.now)
    assert caplog.messages[2:] == ["rule typo matches no item there is"]


def test_an_item_withdrawn_while_it_is_in_a_slate_is_in_no_later_one() -> None:
    driver = TopologyDriver()
    for second, item in enumerate(("tent", "lamp", "stove")):
        click(driver, "guide", item, second)
    driver.flush()
    click(driver, "novice", "tent", 3)
    assert "lamp" in shown(slates(driver)["novice", "discover"])
    put(driver, CATALOG_TOPIC, "lamp", 4, None)
    click(driver, "novice", "tent", 5)
    later = slates(driver)
    assert "lamp" not in shown(later["novice", "discover"]) + shown(later["novice", "home"])
    assert shown(later["novice", "discover"]) == ["stove"]
    click(driver, "guide", "lamp", 6)
    driver.flush()
    click(driver, "novice", "stove", 7)
    again = slates(driver)
    assert "lamp" not in shown(again["novice", "home"]) + shown(again["guide", "home"]), "events do not bring it back"
