"""``nearstream bench ads-learning``: what ads learn of visitors whose tastes are known, and how true predictions are.

Every visitor likes one category more than the others, and some are fonder of ads than others. The whole topology runs
in memory, and the ads of all campaigns compete for every visit. Clicks are drawn from the id of the decision.
"""

from __future__ import annotations

from random import Random
from time import process_time
from typing import Any

import msgspec
import numpy as np
import orjson

from processors.ads.settings import AdSettings
from processors.common.time import DAY_MS
from processors.common.topics import AD_DECISIONS_TOPIC, CAMPAIGNS_TOPIC
from processors.planes.users_settings import UsersSettings
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings, TopicSettings

_BEGINS_MS = 1_700_006_400_000
_CATEGORIES = ("tents", "lamps", "boats", "books", "shoes", "bikes")
_LIKED, _OTHER = 0.2, 0.02
_BATCH = 100
_LATELY = 3


class AdsLearningResult(msgspec.Struct, kw_only=True):
    """Result, one JSON line.

    Parameters
    ----------
    clicks_by_chance, clicks_of_oracle, last_third
        Expected click-through rates in the last third: of choosing among all ads by chance, of always the best, and of
        what was shown.
    against_chance, against_oracle
        ``last_third`` over both.
    calibration, deciles
        Predicted over actual clicks of the last half, and of its tenths by predicted probability.
    us_per_visit
        CPU of the whole topology, recommendations included.
    """

    visits: int
    shown: int
    clicks_by_chance: float
    clicks_of_oracle: float
    last_third: float
    against_chance: float
    against_oracle: float
    calibration: float
    deciles: tuple[float, ...]
    us_per_visit: float


def run_ads_learning(visits: int = 100_000, users: int = 2_000) -> AdsLearningResult:
    """Let visitors come, be shown ads and click, and compare the clicks with chance and the best possible.

    Parameters
    ----------
    visits
        Number of visits; each asks for an ad.
    users
        Number of visitors, some of whom come more often.
    """
    world = _World(users)
    begun = process_time()
    for begin in range(0, visits, _BATCH):
        world.visit(range(begin, min(begin + _BATCH, visits)))
    taken = process_time() - begun
    truth, predicted, clicked = (
        np.array(column, np.float64) for column in (world.truth, world.predicted, world.clicked)
    )
    half, third = len(truth) // 2, len(truth) // _LATELY
    chance = float(np.mean(world.chances[-third:]))
    best = float(np.mean(world.bests[-third:]))
    lately = float(truth[-third:].mean())
    parts = np.array_split(half + np.argsort(predicted[half:], kind="stable"), 10)
    return AdsLearningResult(
        visits=visits,
        shown=len(truth),
        clicks_by_chance=round(chance, 4),
        clicks_of_oracle=round(best, 4),
        last_third=round(lately, 4),
        against_chance=round(lately / chance, 2),
        against_oracle=round(lately / best, 4),
        calibration=round(float(predicted[half:].sum() / clicked[half:].sum()), 4),
        deciles=tuple(round(float(predicted[part].sum() / max(clicked[part].sum(), 1.0)), 3) for part in parts),
        us_per_visit=round(taken / visits * 1e6, 1),
    )


class _World:
    """All planes in memory, the visitors, and what was shown, predicted and clicked."""

    def __init__(self, users: int) -> None:
        ads = AdSettings(impressions="inferred", log_losers=0.0)
        settings = Settings(users=UsersSettings(ads=ads), topics=TopicSettings(partitions=1))
        self._driver = TopologyDriver(settings, keep=(AD_DECISIONS_TOPIC,))
        self._random, self._users, self._now = Random(9), users, _BEGINS_MS
        self._likes = [self._random.choice(_CATEGORIES) for _ in range(users)]
        self._fondness = [self._random.uniform(0.5, 1.5) for _ in range(users)]
        self.truth, self.predicted, self.clicked = list[float](), list[float](), list[bool]()
        self.chances, self.bests = list[float](), list[float]()
        for category in _CATEGORIES:
            self._put(category)
        self._driver.flush()

    def _put(self, category: str) -> None:
        creatives = [
            {"crid": crid, "title": f"{category} {crid}", "landing_url": "https://shop.example/", "category": category}
            for crid in "ab"
        ]
        fields = {"advertiser": category, "bid": 1.0, "model": "cpc", "budget": 1e8, "pacing": "asap"}
        raw = orjson.dumps({**fields, "creatives": creatives})
        self._driver.pipe(CAMPAIGNS_TOPIC, category.encode(), raw, self._now)

    def visit(self, numbers: range) -> None:
        """Let the visits of these numbers happen: look at something, be shown ads, and click."""
        looks = [self._look(number) for number in numbers]
        self._driver.pipe_batch("events.browse.v1", looks, self._now)
        clicks = []
        for record in self._driver.read(AD_DECISIONS_TOPIC):
            decision = orjson.loads(record.value or b"")
            if "cid" in decision and self._clicks(decision):
                event = {
                    "event_id": f"c {decision['decision_id']}",
                    "user_id": decision["user_id"],
                    "timestamp": self._now,
                }
                event |= {
                    "item_id": decision["cid"],
                    "category": decision["cid"],
                    "decision_id": decision["decision_id"],
                }
                clicks.append((decision["user_id"].encode(), orjson.dumps(event), ()))
        if clicks:
            self._driver.pipe_batch("events.click.v1", clicks, self._now)

    def _look(self, number: int) -> tuple[bytes, bytes, tuple[()]]:
        self._now += DAY_MS // 5_000
        user = int(self._random.random() ** 2 * self._users)
        category = self._likes[user] if self._random.random() < 0.5 else self._random.choice(_CATEGORIES)
        item = f"{category}-{self._random.randrange(20)}"
        event: dict[str, Any] = {"event_id": f"v{number}", "user_id": f"u{user}", "item_id": item, "category": category}
        event |= {"timestamp": self._now, "context": {"placement": "top"}}
        return f"u{user}".encode(), orjson.dumps(event), ()

    def _clicks(self, decision: dict[str, Any]) -> bool:
        user = int(decision["user_id"][1:])
        fond = self._fondness[user]
        # The second of two creatives is half as good.
        chance = (
            fond
            * (_LIKED if decision["cid"] == self._likes[user] else _OTHER)
            * (1.0 if decision["crid"] == "a" else 0.5)
        )
        self.truth.append(chance)
        self.predicted.append(decision["p_click"])
        self.clicked.append(Random(decision["decision_id"]).random() < chance)
        self.bests.append(fond * _LIKED)
        self.chances.append(fond * 0.75 * (_LIKED + (len(_CATEGORIES) - 1) * _OTHER) / len(_CATEGORIES))
        return self.clicked[-1]
