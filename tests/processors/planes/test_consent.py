"""Nothing is done that a user did not agree to: all sets of purposes, for all kinds of records."""

import json
from itertools import chain, combinations
from typing import Any

import pytest

from processors.events.consent import PURPOSES, UNNAMED_BUT_TARGET, ConsentSettings, take_purposes
from processors.users.profile import Profile
from tests.processors.ads.shop import TOPICS, Shop, campaign

SETS = [frozenset(some) for some in chain.from_iterable(combinations(PURPOSES, n) for n in range(6))]


class Watched(Shop):
    """A shop with a campaign for people who like tents, and a user who does."""

    topics = (*TOPICS, "internal.item-signals", "internal.training")

    def __init__(self) -> None:
        super().__init__(partitions=1)
        self.put("c", campaign(target={"interests": [{"name": "tents"}]}))
        for n in range(3):
            self.send("events.click.v1", "u", item_id=f"tent {n}", category="tents")
        self.forget()

    def forget(self) -> None:
        for topic in self.topics:
            self.driver.read(topic)

    def stored(self, user: str = "u") -> Profile | None:
        return self.driver.processors["users"][0].store.read([user])[0]


@pytest.fixture
def shop() -> Watched:
    return Watched()


@pytest.mark.parametrize("agreed", SETS, ids=lambda agreed: "+".join(sorted(agreed)) or "nothing")
@pytest.mark.parametrize("topic", ["events.browse.v1", "events.click.v1", "events.purchase.v1"])
def test_an_event_does_what_its_user_agreed_to_and_no_more(shop: Watched, topic: str, agreed: frozenset[str]) -> None:
    before = json.dumps(str(shop.stored()))
    fields: dict[str, Any] = {"item_id": "lamp", "category": "lamps", "purposes": sorted(agreed)}
    shop.send(topic, "u", context={"placement": "top"}, **fields)
    changed = json.dumps(str(shop.stored())) != before
    assert changed == ("store" in agreed)
    assert bool(shop.driver.read("internal.item-signals")) == ({"store", "learn"} <= agreed)
    assert bool(shop.driver.read("recommendations.v1")) == ({"store", "recommend"} <= agreed)
    if not {"store", "learn"} <= agreed:
        assert not shop.driver.read("internal.training")
    decisions = shop.read("ad-decisions.v1")
    assert bool(decisions) == (topic == "events.browse.v1")
    assert all(("cid" in told) == ({"store", "target"} <= agreed) for told in decisions)


@pytest.mark.parametrize("agreed", SETS, ids=lambda agreed: "+".join(sorted(agreed)) or "nothing")
def test_an_impression_is_charged_only_if_it_may_be_measured(shop: Watched, agreed: frozenset[str]) -> None:
    decision = shop.request()
    assert decision["cid"] == "c"
    fields = {"decision_id": decision["decision_id"], "items": ["banner"], "purposes": sorted(agreed)}
    shop.send("events.impression.v1", "u", **fields)
    assert (shop.ledger().shown > 0) == ({"store", "measure"} <= agreed)
    stored = shop.stored()
    assert stored is not None
    assert (stored.unclicked.ids == ["banner"]) == ("store" in agreed)


@pytest.mark.parametrize("agreed", SETS, ids=lambda agreed: "+".join(sorted(agreed)) or "nothing")
def test_a_request_for_an_ad_knows_the_user_only_to_target(shop: Watched, agreed: frozenset[str]) -> None:
    before = str(shop.stored())
    told = shop.request(purposes=sorted(agreed))
    assert ("cid" in told) == ("target" in agreed)
    assert (str(shop.stored()) != before) == ("target" in agreed)


def test_a_stranger_who_agrees_to_nothing_is_not_stored(shop: Watched) -> None:
    shop.send("events.click.v1", "stranger", purposes=[])
    assert shop.stored("stranger") is None


TC_STRING = "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"


@pytest.mark.parametrize(
    ("fields", "purposes"),
    [
        ({}, None),
        ({"purposes": ["store"]}, ("store",)),
        ({"purposes": ["store", "target"], "gpc": True}, ("store",)),
        ({"gpc": "1"}, UNNAMED_BUT_TARGET),
        ({"gpc": False}, None),
        ({"tc_string": 7}, ()),
        ({"tc_string": TC_STRING}, ()),
        ({"purposes": ["learn"], "tc_string": "nonsense"}, ("learn",)),
        ({"gpp": f"DBABMA~{TC_STRING}"}, ()),
        ({"gpp": f"DBACNYA~{TC_STRING}~1YNN", "gpp_sid": [6]}, None),
        ({"gpp": "DBABTA~1YYN"}, UNNAMED_BUT_TARGET),
        ({"gpp": "DBABTA~1YYN", "purposes": ["store", "target"]}, ("store",)),
        ({"gpp": "DBABTA~1YYN", "gpp_sid": [2]}, None),
        ({"gpp": "DBABTA~1YYN", "gpp_sid": "2"}, UNNAMED_BUT_TARGET),
        ({"gpp": "nonsense"}, ()),
        ({"gpp": 7}, ()),
        ({"gpp": "nonsense", "purposes": ["learn", "target"]}, ("learn",)),
    ],
)
def test_what_a_record_says_of_consent(fields: dict[str, Any], purposes: tuple[str, ...] | None) -> None:
    assert take_purposes(dict(fields), []) == purposes


def test_who_takes_back_target_agrees_to_no_more_than_who_says_nothing() -> None:
    for purpose in PURPOSES:
        assert not ConsentSettings("required").allows(UNNAMED_BUT_TARGET, purpose)
        assert ConsentSettings("assumed").allows(UNNAMED_BUT_TARGET, purpose) == (purpose != "target")


def test_what_says_nothing_is_taken_as_the_settings_say() -> None:
    assert ConsentSettings("assumed").allows(None, *PURPOSES)
    assert not ConsentSettings("required").allows(None, "store")
