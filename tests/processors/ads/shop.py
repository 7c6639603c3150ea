"""A shop with ads, run through the topology driver: what tests of ads share."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from processors.ads.campaign_view import CampaignView
from processors.ads.settings import AdSettings
from processors.common.money import MoneySettings
from processors.planes.users_settings import UsersSettings
from processors.users.profile import Profile
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings, TopicSettings, WorkerSettings

NOW = 1_700_000_000_000
"""A Tuesday, 22:13 UTC."""

TOPICS = ("ad-decisions.v1", "decision-log.v1", "dead-letters.v1", "recommendations.v1")


def creative(crid: str = "a", **fields: Any) -> dict[str, Any]:
    return {"crid": crid, "title": f"Ad {crid}", "landing_url": f"https://shop.example/{crid}", **fields}


def campaign(**fields: Any) -> dict[str, Any]:
    """A campaign for everybody that spends as it can; fields replace its own."""
    plain = {"advertiser": "shop", "bid": 1000.0, "budget": 100.0, "pacing": "asap", "creatives": [creative()]}
    return {**plain, **fields}


class Shop:
    """The driver, and what came out of it."""

    topics: tuple[str, ...] = TOPICS

    def __init__(
        self, partitions: int = 2, currency: str = "EUR", rates: dict[str, float] | None = None, **ads: Any
    ) -> None:
        settings = Settings(
            money=MoneySettings(currency=currency, rates=rates or {}),
            users=UsersSettings(ads=msgspec.convert(ads, AdSettings)),
            topics=TopicSettings(partitions=partitions),
            worker=WorkerSettings(broadcast_interval_ms=0),
        )
        self.driver = TopologyDriver(settings, keep=self.topics)
        self.now = NOW
        self._n = 0

    def put(self, cid: str, value: dict[str, Any] | None) -> None:
        """Publish or withdraw a campaign."""
        raw = None if value is None else json.dumps(value).encode()
        self.driver.pipe("catalog.campaigns.v1", cid.encode(), raw, self.now)

    def send(self, topic: str, user: str, after_ms: int = 1000, **fields: Any) -> str:
        """Send an event a while after the last; its id."""
        self.now += after_ms
        self._n += 1
        value = {"event_id": f"e{self._n}", "user_id": user, "timestamp": self.now, "item_id": "mat", **fields}
        if topic == "events.impression.v1" and "items" in fields:
            del value["item_id"]
        self.driver.pipe(topic, user.encode(), json.dumps(value).encode(), self.now)
        return f"e{self._n}"

    def ask(self, user: str = "u", placement: str = "top", after_ms: int = 1000, **context: str) -> dict[str, Any]:
        """Let a user browse at a placement; the decision."""
        self.send("events.browse.v1", user, after_ms, context={"placement": placement, **context})
        return self.read("ad-decisions.v1")[-1]

    def request(self, user: str = "u", after_ms: int = 1000, **fields: Any) -> dict[str, Any]:
        """Ask for an ad; the answer."""
        self.now += after_ms
        self._n += 1
        value = {"request_id": f"r{self._n}", "user_id": user, "timestamp": self.now, "placement": "top", **fields}
        self.driver.pipe("ads.requests.v1", user.encode(), json.dumps(value).encode(), self.now)
        return self.read("ad-decisions.v1")[-1]

    def see(self, decision: dict[str, Any], after_ms: int = 1000) -> None:
        """Let the ad be seen."""
        self.send("events.impression.v1", decision["user_id"], after_ms, decision_id=decision["decision_id"])

    def click(self, decision: dict[str, Any], after_ms: int = 1000, **fields: Any) -> None:
        """Let the ad be clicked."""
        self.send("events.click.v1", decision["user_id"], after_ms, decision_id=decision["decision_id"], **fields)

    def read(self, topic: str) -> list[dict[str, Any]]:
        """Messages since the last time."""
        return [json.loads(record.value or b"null") for record in self.driver.read(topic)]

    def profile(self, user: str) -> Profile:
        """The user's profile."""
        found = [p.store.read([user])[0] for p in self.driver.processors["users"]]
        (profile,) = (profile for profile in found if profile is not None)
        assert isinstance(profile, Profile)
        return profile

    def view(self, cid: str = "c") -> CampaignView:
        """What every worker knows of a campaign."""
        return self.driver.topology.users.ads.campaigns.views[cid]

    def ledger(self, cid: str = "c") -> Any:
        """The campaign's state."""
        found = [p.store.read([cid])[0] for p in self.driver.processors["campaigns"]]
        return next(state for state in found if state is not None)
