"""A forecast covers what happens on the day after, counted there; it says so where too little is known."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from processors.ads.ad_server import AdServer
from processors.ads.campaign import read_campaign
from processors.ads.campaign_view import CampaignView
from processors.ads.decision import Candidate
from processors.ads.forecast import Forecast, Sample, forecast_of, forecasting
from processors.ads.lift import Interval
from processors.ads.messages import LoggedDecision
from processors.ads.settings import AdSettings
from processors.common.time import DAY_MS, stamp
from processors.models.interest_groups import InterestGroups
from processors.users.profile import Profile
from streams.cli.forecast import _print
from tests.processors.ads.shop import NOW, Shop, campaign

CAMPAIGN = campaign(
    bid=900.0,
    budget=900_000.0,
    target={"countries": ["DE"]},
    dayparts={"hours": [*range(4, 24)], "timezone": "UTC"},
    frequency={"per_day": 3},
)


def view_of(**fields: Any) -> CampaignView:
    return CampaignView(read_campaign(msgspec.json.encode({**CAMPAIGN, **fields})))


def server_of(**settings: Any) -> AdServer:
    return AdServer(forecasting(msgspec.convert(settings, AdSettings)), InterestGroups(), 1)


class World(NamedTuple):
    """What the log and the profiles say of some days, and what happened on the day after."""

    logged: list[LoggedDecision]
    profiles: dict[str, Profile]
    truth: dict[str, float]


def world(seed: int, days: int, users: int = 120) -> World:
    """Users of two countries who come as they like; rivals that pay more at one placement, for some of the users."""
    random = np.random.default_rng(seed)
    rates, countries = random.gamma(2.0, 1.5, users), random.choice(["DE", "FR"], users, p=[0.7, 0.3])
    shop = Shop(partitions=1, impressions="inferred", log_losers=1.0, floor=200.0)
    shop.put("rich", campaign(bid=1500.0, budget=9e5, target={"placements": ["top"]}, frequency={"per_day": 2}))
    shop.put("poor", campaign(bid=400.0, budget=9e5))
    midnight = NOW - NOW % DAY_MS
    logged: list[LoggedDecision] = []
    profiles: dict[str, Profile] = {}
    for day in range(days + 1):
        if day == days:
            shop.now = midnight + day * DAY_MS
            logged = [msgspec.convert(entry, LoggedDecision) for entry in shop.read("decision-log.v1")]
            states = shop.driver.state("users")
            profiles = {
                user: msgspec.msgpack.decode(msgspec.msgpack.encode(states[user]), type=Profile) for user in states
            }
            shop.put("new", CAMPAIGN)
        visits = np.repeat(np.arange(users), random.poisson(rates))
        moments = np.sort(random.integers(0, DAY_MS, len(visits)))
        for user, moment in zip(random.permutation(visits).tolist(), moments.tolist(), strict=True):
            shop.now = max(shop.now, midnight + day * DAY_MS + moment)
            placement = "top" if random.random() < 0.5 else "side"
            shop.ask(f"u{user}", placement, after_ms=1, country=str(countries[user]))
    entries = shop.read("decision-log.v1")
    able = [e for e in entries for c in e["candidates"] if c["cid"] == "new" and c.get("loss", 0) in (0, 100, 102)]
    won = [entry for entry in entries if entry.get("cid") == "new"]
    truth = {
        "users": len({entry["user_id"] for entry in able}),
        "opportunities": len(able),
        "won": len(won),
        "cost": sum(entry["cost"] for entry in won),
    }
    return World(logged, profiles, truth)


def forecast(found: World, most: int = 100_000, **fields: Any) -> Forecast:
    sample = Sample(most)
    sample.add(found.logged)
    return forecast_of("new", view_of(**fields), sample, found.profiles, server_of(floor=200.0))


def covers(interval: Interval | None, true: float) -> bool:
    assert interval is not None
    assert interval.low <= interval.estimate <= interval.high
    return interval.low <= true <= interval.high


@pytest.mark.slow
@pytest.mark.unmeasured
def test_a_forecast_covers_what_is_counted_on_the_day_after() -> None:
    covered, close = Counter[str](), Counter[str]()
    for seed in range(2):
        found = world(seed, days=2 + seed)
        whole, half = forecast(found), forecast(found, most=len(found.logged) * 2 // 3)
        assert whole.too_little == half.too_little == ""
        assert (whole.share, half.share) == (1.0, 0.5)
        assert [step.stage for step in whole.steps] == ["targeting", "dayparts", "frequency", "auction"]
        assert found.truth["won"] < 0.9 * found.truth["opportunities"], "rivals are worth more at times"
        for name, true in found.truth.items():
            covered[name] += covers(getattr(whole, name), true) + covers(getattr(half, name), true)
            close[name] += abs(getattr(whole, name).estimate / true - 1.0) < 0.35
    assert min(covered.values()) >= 3, covered
    assert min(close.values()) == 2, close


def log(count: int, hours: float = 30.0, worth: float = 300.0, user: str = "u") -> list[LoggedDecision]:
    """Decisions evenly over some hours, of ads of which a thousand impressions were worth so much."""
    won = (Candidate("rival", value=worth),)
    return [
        LoggedDecision(
            f"d{n}",
            f"{user}{n}",
            "top",
            stamp(NOW + round(n * hours * 3_600_000 / count)),
            won,
            cid="rival",
            charge=0.1,
        )
        for n in range(count)
    ]


def plain(logged: list[LoggedDecision], profiles: dict[str, Profile] | None = None, **fields: Any) -> Forecast:
    anybody = {"target": {}, "dayparts": {}, "frequency": {}, **fields}
    return forecast(World(logged, profiles or {}, {}), **anybody)


def test_it_wins_where_it_is_worth_more_than_the_ad_that_was_shown_and_pays_that() -> None:
    low, high = plain(log(200, worth=300.0)), plain(log(200, worth=1000.0))
    assert low.won is not None
    assert low.cost is not None
    assert low.won.estimate > 150
    assert low.cost.estimate == pytest.approx(0.3 * low.won.estimate)
    assert high.won is not None
    assert high.won.estimate == 0.0
    assert [(step.stage, step.loss) for step in high.steps] == [("auction", 102)]
    below = plain(log(200, worth=0.0), bid=100.0)
    assert [(step.stage, step.loss) for step in below.steps] == [("auction", 100)]


def test_what_an_older_release_logged_was_worth_is_of_one_impression() -> None:
    older = [msgspec.structs.replace(one, charge=None) for one in log(200, worth=0.3)]
    assert plain(older) == plain(log(200, worth=300.0))


def test_it_is_forecast_as_if_it_ran_and_had_money() -> None:
    dates: dict[str, Any] = {"starts_at": "2031-01-01T00:00:00Z", "paused": True, "budget": 2.0, "budget_daily": 1.0}
    found = plain(log(200), **dates)
    assert found.won is not None
    assert found.won.estimate > 150
    assert found.budget_daily == 1.0


def test_it_says_of_how_many_decisions_it_does_not_know_what_was_demanded(capsys: pytest.CaptureFixture[str]) -> None:
    """The log does not have what requests set themselves, and events set nothing."""
    shop = Shop(partitions=1)
    shop.put("c", campaign())
    shop.request(bidfloor=3.0, badv=["mill.example"], bcat=["Boats"], format=[{"w": 300, "h": 250}])
    (raw,) = (record.value or b"" for record in shop.driver.read("decision-log.v1"))
    assert not any(word in raw for word in (b"bidfloor", b"mill.example", b"Boats", b"300")), (
        "if it had, it would be used"
    )
    asked = [msgspec.structs.replace(one, request_id="r" if n % 2 else None) for n, one in enumerate(log(300))]
    some, none = plain(asked), plain(log(300))
    assert 0 < some.requests <= 150
    assert msgspec.structs.replace(some, requests=0) == none
    _print(some, "EUR")
    told = capsys.readouterr().out
    assert f"{some.requests} of them were asked for by requests" in told
    assert "floor, page, blocked advertisers and categories, sizes" in told
    _print(none, "EUR")
    assert "requests" not in capsys.readouterr().out


def test_its_own_caps_count_and_nobody_s_profile_is_changed() -> None:
    logged = [msgspec.structs.replace(one, user_id=f"u{n % 20}") for n, one in enumerate(log(200))]
    profiles = {f"u{n}": Profile() for n in range(20)}
    found = plain(logged, profiles, frequency={"per_day": 3})
    assert found.users is not None
    assert found.won is not None
    assert (found.users.estimate, found.won.estimate) == (20.0, 60.0)
    assert [step.stage for step in found.steps] == ["frequency"]
    assert set(map(msgspec.json.encode, profiles.values())) == {msgspec.json.encode(Profile())}


def test_too_little_is_said_where_too_little_is_known() -> None:
    for logged, target in (([], {}), (log(500, hours=20.0), {}), (log(500), {"countries": ["DE"]})):
        found = plain(logged, target=target)
        assert found.too_little
        assert found.users is found.opportunities is found.won is found.cost is None
    assert [step.stage for step in plain(log(500), target={"countries": ["DE"]}).steps] == ["targeting"]


def test_users_who_are_held_out_of_another_campaign_cannot_be_won() -> None:
    logged = [msgspec.structs.replace(one, candidates=(), cid=None, held_out="rival") for one in log(200)]
    found = plain(logged)
    assert found.won is not None
    assert found.won.estimate == 0.0


def test_who_must_not_be_known_is_reached_only_by_what_need_not_know() -> None:
    logged = [msgspec.structs.replace(one, user_id="") for one in log(200)]
    anybody, capped = plain(logged), plain(logged, frequency={"per_day": 3})
    assert anybody.users is not None
    assert anybody.users.estimate > 150
    assert [step.stage for step in capped.steps] == ["consent"]


def test_a_sample_has_all_decisions_of_its_users() -> None:
    sample = Sample(most=100)
    logged = [msgspec.structs.replace(one, user_id=f"u{n % 40}") for n, one in enumerate(log(200))]
    sample.add(logged)
    users = {one.user_id for one in sample.decisions}
    assert sample.share == 0.5
    assert sample.decisions == [one for one in logged if one.user_id in users]


@pytest.mark.parametrize(
    ("rival", "own", "worth", "won", "loss"),
    [
        (5, 5, 1000.0, False, 102),
        (6, 5, 300.0, False, 530),
        (5, 6, 1000.0, True, None),
        (0, 5, 0.0, True, None),
    ],
)
def test_tiers_count_as_in_the_auction(rival: int, own: int, worth: float, won: bool, loss: int | None) -> None:
    logged = [msgspec.structs.replace(one, priority=rival) for one in log(200, worth=worth)]
    found = plain(logged, priority=own)
    assert found.won is not None
    assert found.cost is not None
    assert (found.won.estimate > 150) is won
    assert [step.loss for step in found.steps] == ([] if loss is None else [loss])
    assert found.cost.estimate == pytest.approx(0.2 * found.won.estimate), "the floor, for having beaten a lower tier"


def test_the_house_is_forecast_where_nobody_paid() -> None:
    own = {"advertiser": "shop", "house": True, "creatives": CAMPAIGN["creatives"]}
    view = CampaignView(read_campaign(msgspec.json.encode(own)))
    sold, unsold = log(100), [msgspec.structs.replace(one, cid=None, candidates=(), nbr=509) for one in log(200)[1::2]]
    sample = Sample()
    sample.add([*sold, *(msgspec.structs.replace(one, decision_id=f"x{one.decision_id}") for one in unsold)])
    found = forecast_of("own", view, sample, {}, server_of(floor=200.0))
    assert found.won is not None
    assert found.opportunities is not None
    assert found.won.estimate == pytest.approx(found.opportunities.estimate / 2, rel=0.1)
    assert [(step.loss, step.removed) for step in found.steps] == [(530, found.decisions // 2)]


def test_what_waits_for_approval_is_forecast_as_if_it_had_it() -> None:
    ads = [{**one, "status": "pending"} for one in CAMPAIGN["creatives"]]
    assert plain(log(200), creatives=ads) == plain(log(200))
    rejected = plain(log(200), creatives=[{**one, "status": "rejected"} for one in ads])
    assert [step.loss for step in rejected.steps] == [202]
