"""How long ago something was viewed or bought, and of which category it was, as campaigns ask for it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.ads.audience import Audience
from processors.ads.campaign import read_campaign
from processors.ads.conditions import checks_of, questions_of
from processors.ads.doubts import doubts_of, lacking_of, names_items
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.ads.user_facts import Questions
from processors.common.time import DAY_MS, HOUR_MS
from processors.events.event import Event
from processors.items.index import ItemIndex
from processors.items.view import ItemView
from processors.users.profile import Profile
from processors.users.profile_keeper import ProfileKeeper
from processors.users.settings import ProfileSettings
from tests.processors.ads.shop import NOW, Shop, campaign, creative

NOBODY = ": it is shown to nobody"


def with_rows(shop: Shop, **categories: str) -> Shop:
    """A shop whose catalogue says of which category items are."""
    for item, category in categories.items():
        shop.driver.pipe("catalog.items.v1", item.encode(), json.dumps({"category": category}).encode(), NOW)
    return shop


def told(shop: Shop, after_ms: int = 1000, **fields: Any) -> Any:
    """What a request gets of a campaign: its id, or why not."""
    shop.put("c", campaign(**fields))
    decision = shop.request(after_ms=after_ms)
    return decision.get("cid") or decision["nbr"]


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ({"viewed_items": ["tent"], "viewed_within_days": 3.1}, True),
        ({"viewed_items": ["tent"], "viewed_within_days": 2.9}, False),
        ({"viewed_items": ["tent"]}, True),
        ({"viewed_items": ["lamp", "boat"], "viewed_within_days": 2.1}, True),
        ({"viewed_items": ["boat"], "viewed_within_days": 3650}, False),
        ({"viewed_categories": ["Tents"], "viewed_within_days": 3.1}, True),
        ({"viewed_categories": ["TENTS"], "viewed_within_days": 2.9}, False),
        ({"viewed_categories": ["lamps"], "viewed_within_days": 2.1}, True),
        ({"viewed_categories": ["lamps"], "viewed_within_days": 1.9}, False),
        ({"viewed_categories": ["boats"], "viewed_within_days": 3650}, False),
        ({"viewed_categories": ["lamps"], "viewed_items": ["tent"], "viewed_within_days": 3.1}, True),
        ({"viewed_categories": ["lamps"], "viewed_items": ["tent"], "viewed_within_days": 2.9}, False),
    ],
)
def test_only_views_within_the_window_count(target: dict[str, Any], shown: bool) -> None:
    """The tent's category is in its event, the lamp's in the catalogue alone."""
    shop = with_rows(Shop(), lamp="Lamps")
    shop.send("events.click.v1", "u", item_id="tent", category="tents")
    shop.send("events.click.v1", "u", DAY_MS, item_id="lamp")
    assert told(shop, 2 * DAY_MS, target=target) == ("c" if shown else NoBid.NOT_MEANT)
    expected = NoBid.EXCLUDED if shown and len(target) == 2 else "c"
    if len(target) == 2:
        assert told(shop, 0, exclude=target) == expected


def test_a_view_is_as_old_as_the_latest_of_its_kind() -> None:
    shop = Shop()
    shop.put("c", campaign(target={"viewed_items": ["tent"], "viewed_within_days": 1}))
    for _ in range(3):
        shop.send("events.click.v1", "u", 5 * DAY_MS, item_id="tent")
    assert shop.request(after_ms=DAY_MS)["cid"] == "c", "just within"
    assert shop.request(after_ms=1)["nbr"] == NoBid.NOT_MEANT
    shop.send("events.impression.v1", "u", items=["tent"])
    assert shop.request()["nbr"] == NoBid.NOT_MEANT, "to be shown something is no view"


def test_who_viewed_long_ago_and_not_since_can_be_sought() -> None:
    window = {"viewed_categories": ["tents"], "viewed_within_days": 30}
    recent = {"viewed_categories": ["tents"], "viewed_within_days": 7}
    shop = Shop()
    shop.put("c", campaign(target=window, exclude=recent))
    shop.send("events.click.v1", "u", category="tents")
    answers = [shop.request(after_ms=days * DAY_MS) for days in (6, 2, 23)]
    assert [told.get("cid") or told["nbr"] for told in answers] == [NoBid.EXCLUDED, "c", NoBid.NOT_MEANT]


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ({"bought_items": ["tent"]}, True),
        ({"bought_items": ["mat"]}, False),
        ({"bought_items": ["tent"], "bought_within_days": 3.1}, True),
        ({"bought_items": ["tent"], "bought_within_days": 2.9}, False),
        ({"bought_categories": ["TENTS"]}, True),
        ({"bought_categories": ["mats"]}, False),
        ({"bought_categories": ["lamps", "mats"]}, True),
        ({"bought_categories": ["lamps"], "bought_within_days": 2.1}, True),
        ({"bought_categories": ["lamps"], "bought_within_days": 1.9}, False),
        ({"bought_categories": ["boats"]}, False),
    ],
)
def test_purchasers_are_sought_and_left_out_by_item_and_by_category(target: dict[str, Any], shown: bool) -> None:
    """The tent's category is in its event, the lamp's in the catalogue alone; the mat was only looked at."""
    shop = with_rows(Shop(), lamp="Lamps", mat="mats")
    shop.send("events.purchase.v1", "u", item_id="tent", category="Tents", price=50)
    shop.send("events.purchase.v1", "u", DAY_MS, item_id="lamp")
    shop.send("events.click.v1", "u", item_id="lamp")
    shop.send("events.click.v1", "u", item_id="mat")
    assert told(shop, 2 * DAY_MS, target=target) == ("c" if shown else NoBid.NOT_MEANT)
    assert told(shop, 0, exclude=target) == (NoBid.EXCLUDED if shown else "c")


def test_what_was_brought_back_was_not_bought() -> None:
    shop = with_rows(Shop(), tent="tents")
    for _ in range(2):
        shop.send("events.purchase.v1", "u", 10 * DAY_MS, item_id="tent", price=50)
    lately = {"bought_categories": ["tents"], "bought_within_days": 5}
    assert told(shop, target=lately) == "c"
    shop.send("events.purchase.v1", "u", item_id="tent", action="refund")
    assert told(shop, target=lately) == NoBid.NOT_MEANT, "the earlier one is left"
    assert told(shop, target={"bought_items": ["tent"], "bought_within_days": 11}) == "c"
    assert told(shop, target={"bought_categories": ["tents"]}) == "c"
    shop.send("events.purchase.v1", "u", item_id="tent", action="refund")
    for field, name in (("bought_items", "tent"), ("bought_categories", "tents")):
        assert told(shop, target={field: [name]}) == NoBid.NOT_MEANT
        assert told(shop, exclude={field: [name]}) == "c"


def test_purchases_that_an_older_release_noted_are_known_but_not_when_they_were() -> None:
    shop = with_rows(Shop(partitions=1), tent="tents")
    shop.send("events.purchase.v1", "u", item_id="tent", price=50)
    profile = shop.profile("u")
    profile.payments.times = []
    store = shop.driver.processors["users"][0].store
    store.commit(store.encode({"u": profile}, shop.driver.processors["users"][0].position), 99)
    assert told(shop, target={"bought_categories": ["tents"]}) == "c"
    assert told(shop, target={"bought_items": ["tent"], "bought_within_days": 3650}) == NoBid.NOT_MEANT
    shop.send("events.purchase.v1", "u", item_id="tent", price=50)
    assert told(shop, target={"bought_items": ["tent"], "bought_within_days": 1}) == "c"


@pytest.mark.parametrize("target", [{"bought_items": ["tent"]}, {"viewed_items": ["tent"], "viewed_within_days": 9}])
def test_who_does_not_agree_to_be_known_is_not_looked_at(target: dict[str, Any]) -> None:
    shop = Shop()
    shop.send("events.purchase.v1", "u", item_id="tent")
    for side in ("target", "exclude"):
        shop.put("c", campaign(**{side: target}))
        assert shop.request(purposes=["store"])["nbr"] == NoBid.NO_CONSENT


def test_the_reasons_say_what_it_was_and_nothing_that_is_too_long_ago() -> None:
    shop = with_rows(Shop(), lamp="lamps")
    shop.send("events.click.v1", "u", item_id="boat", category="boats")
    shop.send("events.purchase.v1", "u", 5 * DAY_MS, item_id="tent", category="tents")
    shop.send("events.purchase.v1", "u", item_id="lamp")
    window = {"viewed_within_days": 2, "bought_within_days": 2}
    target = {"viewed_items": ["boat", "lamp"], "viewed_categories": ["boats", "Tents"], **window}
    shop.put("c", campaign(target=target | {"bought_items": ["mat", "tent"], "bought_categories": ["LAMPS"]}))
    reasons = [(one["kind"], one["value"]) for one in shop.request()["reasons"]]
    assert reasons == [
        ("viewed_item", "lamp"), ("viewed_category", "Tents"), ("bought_item", "tent"), ("bought_category", "LAMPS"),
    ]  # fmt: skip


def test_an_opportunity_that_was_made_elsewhere_is_given_the_items() -> None:
    """As forecasts make them."""
    shop = with_rows(Shop(), lamp="lamps")
    shop.send("events.purchase.v1", "u", item_id="lamp")
    shop.put("c", campaign(target={"bought_categories": ["lamps"]}))
    ads = shop.driver.topology.users.ads
    found = Opportunity("d", "u", shop.profile("u"), shop.now, "top", {"placement": "top"})
    ((decision, _),) = ads.decide([found], ads.begin())
    assert decision.cid == "c"


# What cannot be meant


@pytest.mark.parametrize("side", ["target", "exclude"])
@pytest.mark.parametrize(
    ("window", "bounded"),
    [
        ("viewed_within_days", "viewed_categories or viewed_items"),
        ("bought_within_days", "bought_categories or bought_items"),
    ],
)
def test_a_window_of_nothing_is_refused(side: str, window: str, bounded: str) -> None:
    raw = campaign(**{side: {window: 7, "devices": ["phone"]}})
    with pytest.raises(ValueError, match=rf"{side}\.{window}: 7\.0, expected {bounded} beside it, which it bounds"):
        read_campaign(json.dumps(raw).encode())


@pytest.mark.parametrize("days", [0, -1, 3651, "a week"])
def test_windows_have_bounds(days: Any) -> None:
    raw = campaign(target={"viewed_items": ["tent"], "viewed_within_days": days})
    with pytest.raises(ValueError, match=r"\$\.target\.viewed_within_days"):
        read_campaign(json.dumps(raw).encode())


def doubts(target: dict[str, Any], exclude: dict[str, Any] | None = None, **fields: Any) -> tuple[str, ...]:
    return doubts_of(read_campaign(json.dumps(campaign(target=target, exclude=exclude or {}, **fields)).encode()))


@pytest.mark.parametrize(
    ("wanted", "unwanted", "doubtful"),
    [(30, 7, False), (None, 7, False), (7, 7, True), (7, 30, True), (7, None, True), (None, None, True)],
)
@pytest.mark.parametrize(("kind", "field"), [("viewed", "items"), ("bought", "categories"), ("bought", "items")])
def test_both_sides_may_name_the_same_if_the_target_looks_further_back(
    kind: str, field: str, wanted: int | None, unwanted: int | None, doubtful: bool
) -> None:
    sides = [
        {f"{kind}_{field}": ["a"], **({} if days is None else {f"{kind}_within_days": days})}
        for days in (wanted, unwanted)
    ]
    said = f"{kind}_{field}: exclude has all that target has, a{NOBODY}"
    assert doubts(*sides) == ((said,) if doubtful else ())


def test_purchasers_who_are_left_out_cannot_be_sought() -> None:
    fields: dict[str, Any] = {"creatives": [creative(item_id="tent")], "exclude_purchasers": True}
    (said,) = doubts({"bought_items": ["tent"]}, **fields)
    assert said == f"exclude_purchasers: target.bought_items has only what it promotes, tent{NOBODY}"
    assert doubts({"bought_items": ["tent", "lamp"]}, **fields) == ()
    shop = Shop()
    shop.send("events.purchase.v1", "u", item_id="tent")
    assert told(shop, target={"bought_items": ["tent"]}, **fields) == NoBid.EXCLUDED


def test_bought_items_that_the_shop_lacks_are_named() -> None:
    items = ItemIndex()
    items.apply("tent", view_of(None))
    found = read_campaign(json.dumps(campaign(exclude={"bought_items": ["tent", "moon"]})).encode())
    assert names_items(found)
    assert doubts_of(found, lacking_of(items)) == ("exclude.bought_items: the catalogue lacks moon",)


# What campaigns that use none of it ask


def test_campaigns_without_windows_ask_what_they_asked_before() -> None:
    plain = Audience(viewed_categories=("Tents",), viewed_items=("tent",), visitors="new")
    asked = [check.question for clause in checks_of(plain) for check in clause]
    assert asked == [("sessions", ""), ("viewed_category", "tents"), ("viewed_item", "tent")]
    assert checks_of(Audience()) == []


# Against a plain account


ITEMS = {"a": "tents", "b": "tents", "c": "lamps", "d": None}
"""Of the first two events say the category, in two spellings; of the third the catalogue does, of the last nobody."""

acts = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["view", "purchase", "refund", "dismiss"]), st.integers(0, 60)),
    max_size=25,
)


def view_of(category: str | None) -> ItemView:
    return ItemView((0.0, 0.0, 0.0), 1, 0, 0, [], b"", b"", category=category)


@given(acts, st.sampled_from([0.25, 1.0, 3.0, 10.0]))
def test_windows_hold_what_a_plain_account_says(did: list[tuple[str, str, int]], days: float) -> None:
    items, keeper, profile = ItemIndex(), ProfileKeeper(ProfileSettings()), Profile()
    for item, category in ITEMS.items():
        items.apply(item, view_of(category))
    at_ms, viewed, bought = NOW, dict[str, int](), dict[str, list[int]]()
    for number, (item, action, hours) in enumerate(did):
        at_ms += hours * HOUR_MS
        keeper.learn(profile, act(number, item, action, at_ms))
        if action in ("view", "purchase"):
            viewed[item] = at_ms
        if action == "purchase":
            bought.setdefault(item, []).append(at_ms)
        elif action == "refund" and bought.get(item):
            bought[item].pop()
    latest = {item: times[-1] for item, times in bought.items() if times}
    both = {"items": tuple(ITEMS), "categories": ("TENTS", "lamps")}
    fields = {f"{kind}_{name}": names for kind in ("viewed", "bought") for name, names in both.items()}
    audience = msgspec.convert({**fields, "viewed_within_days": days, "bought_within_days": days}, Audience)
    since_ms = at_ms - days * DAY_MS
    for kind, times in (("viewed", viewed), ("bought", latest)):
        recent = {item for item, time_ms in times.items() if time_ms >= since_ms}
        assert answered(audience, kind, "item", profile, at_ms, items) == recent
        assert answered(audience, kind, "category", profile, at_ms, items) == {ITEMS[item] for item in recent} - {None}
    ever = Audience(bought_categories=("tents", "lamps"))
    assert answered(ever, "bought", "category", profile, at_ms, items) == {ITEMS[item] for item in latest} - {None}


def act(number: int, item: str, action: str, at_ms: int) -> Event:
    return Event(
        event_id=f"e{number}",
        user_id="u",
        item_id=item,
        time_ms=at_ms,
        kind="browse" if action in ("view", "dismiss") else "purchase",
        action=action,
        category={"a": "tents", "b": "Tents"}.get(item),
    )


def answered(audience: Audience, kind: str, about: str, profile: Profile, at_ms: int, items: ItemIndex) -> set[str]:
    """What of the things that an audience names the checks of one kind find."""
    clauses = checks_of(audience)
    questions: Questions = questions_of([clauses])
    answers = questions.answered([Opportunity("d", "u", profile, at_ms, "top", {}, items=items)])[0]
    checks = [check for clause in clauses for check in clause if check.question[0] == f"{kind}_{about}_ms"]
    assert checks
    return {
        check.question[1] for check in checks if check.low <= answers[questions.columns[check.question]] <= check.high
    }
