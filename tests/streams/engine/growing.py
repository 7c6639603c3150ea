"""Count what ranking for a user and taking in an event do, with few and many items, users and campaigns.

``python -m tests.streams.engine.growing`` prints it as one JSON line: by name, a pair of :class:`tests.work.Work`.
It is a process of its own so that what other tests left in memory makes no difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count

import orjson

from bench.campaigns import campaigns_of, records_of
from bench.growth import Run, copy_states, grown
from bench.micro_batches import SIZE, STEP_MS, batch_of, pipe
from processors.items.view import ItemView, Listing
from processors.ranking.frame import Frame, Stage
from processors.ranking.pipeline import RankingPipeline, stages_of
from processors.ranking.rules import Items, Rule
from processors.users.profile import Profile
from streams.engine.driver import TopologyDriver
from tests.work import Work, small_pages, work_of

FEW, MANY = 2_000, 200_000
FEW_CAMPAIGNS, MANY_CAMPAIGNS = 20, 1_000
_EVENTS = 1_000
_ONE_LISTED_IN = 10
_BRAND = "Pacer"


class Walk(Stage):
    """A stage that makes a pass over all items, which no stage may."""

    name = "walk"

    def __init__(self, walk: Callable[[Frame], object]) -> None:
        self._walk = walk

    def apply(self, frame: Frame) -> Frame:
        self._walk(frame)
        return frame


WALKS: dict[str, Callable[[Frame], object]] = {
    "computes": lambda frame: frame.read.items.popularity.visits > 0.0,
    "reads": lambda frame: frame.read.items.popularity.visits.max(),
    "loops": lambda frame: "" in frame.read.items.ids,
}
"""Passes over all items, by what they do."""


def measured() -> dict[str, tuple[Work, Work]]:
    """Return what is done with few and with many, by name."""
    touches = small_pages()
    run = grown(_EVENTS, FEW, FEW)
    run.take(SIZE)
    driver, user = run.driver, _longest(run)
    calls = {"rank": _ranking(driver, user), "event": _event(driver, user)}
    calls |= {name: _ranking(driver, user, Walk(walk)) for name, walk in WALKS.items()}
    calls["rule"] = _with_rule(driver, calls["rank"])

    def works(*names: str) -> list[Work]:
        return [work_of(calls[name], touches=touches) for name in names]

    def with_campaigns(number: int) -> Work:
        _add_campaigns(driver, number)
        return work_of(calls["event"], touches=False)

    ranked = works("rank", "event", "rule", *WALKS)
    _add_items(driver)
    with_items = works("rank", "event", "rule", *WALKS)
    copy_states(driver, "users", [f"user {n}" for n in range(FEW, MANY)])
    with_users = works("event")
    names = ("rank with items", "event with items", "rank with items and a rule", *WALKS)
    found = dict(zip(names, zip(ranked, with_items, strict=True), strict=True))
    found["event with users"] = with_items[1], with_users[0]
    found["event with campaigns"] = with_campaigns(FEW_CAMPAIGNS), with_campaigns(MANY_CAMPAIGNS)
    return found


def _longest(run: Run) -> str:
    """Return the user with the longest history."""
    profiles: dict[str, Profile] = run.driver.state("users")
    return max(profiles, key=lambda user: len(profiles[user].item_ids))


def _ranking(driver: TopologyDriver, user: str, *more: Stage) -> Callable[[], object]:
    profile: Profile = driver.state("users")[user]
    settings, read, now = driver.settings.users.ranking, driver.topology.users.read, driver.now
    ranking = RankingPipeline(settings, (*stages_of(settings), *more))
    return lambda: ranking.rank([profile], [profile.last_seen], read, now)


def _with_rule(driver: TopologyDriver, ranking: Callable[[], object]) -> Callable[[], object]:
    """Return a call that ranks while a rule shows everybody items that it names neither by id nor by category."""
    rules, rule = driver.topology.users.read.rules, Rule("include", Items(brands=(_BRAND,)))

    def rank() -> None:
        rules.apply("include", rule)
        ranking()
        rules.apply("include", None)

    return rank


def _event(driver: TopologyDriver, user: str) -> Callable[[], object]:
    """Return a call that takes in another look of a user at the same item, by all planes."""
    numbers, item = count(), driver.topology.index.ids[0]

    def take() -> None:
        at = driver.now + STEP_MS
        fields = {"event_id": f"look {next(numbers)}", "user_id": user, "item_id": item, "timestamp": at}
        value = orjson.dumps({**fields, "context": {"placement": "home"}})
        driver.pipe("events.browse.v1", user.encode(), value, at)
        driver.flush()

    return take


def _add_items(driver: TopologyDriver) -> None:
    """Add items to index and store until there are many, all of less interest than those that are there."""
    index = driver.topology.index
    categories = [index.category_name(slot) for slot in range(FEW)]
    names = [f"item {n}" for n in range(len(index), MANY)]
    for n, name in enumerate(names):
        listing = None if n % _ONE_LISTED_IN else Listing()
        category = categories[n % len(categories)]
        index.apply(name, ItemView((0.0, 0.0, 0.0), 1, 1, 1, [], b"", b"", category, None, 10.0, listing, 1))
    copy_states(driver, "items", names)


def _add_campaigns(driver: TopologyDriver, number: int) -> None:
    pipe(driver, batch_of(records_of(campaigns_of(number, FEW))), driver.now + STEP_MS)
    driver.flush()


if __name__ == "__main__":
    print(json.dumps(measured()))
