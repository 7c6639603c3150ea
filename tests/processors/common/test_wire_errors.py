"""What is said of a field that a message does not have."""

from collections.abc import Iterable
from difflib import get_close_matches

import pytest

from processors.ads.campaign import read_campaign
from processors.common import wire_errors
from processors.common.wire_errors import taken_for
from processors.events.reader import RecordReader
from processors.events.record import Refusal
from processors.ranking.rules import read_rule

MISSING = "missing, expected a non-empty text of at most 256 characters"

CREATIVE = b'"creatives":[{"crid":"a","title":"A","landing_url":"https://shop.example"%s}]'


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (b'"modle":"cpm"', "unknown field modle: did you mean model?"),
        (b'"countries":["DE"]', "countries belongs in target or in exclude"),
        (b'"hours":[7]', "hours belongs in dayparts"),
        (b'"target":{"contries":["DE"]}', "unknown field contries in target: did you mean countries?"),
        (b'"target":{"bid":2}', "bid belongs outside of target"),
        (b'"target":{"per_day":2}', "per_day belongs in frequency"),
        (b'"contries":["DE"]', "unknown field contries: did you mean countries in target?"),
        (
            b'"target":{"advertizer":1}',
            "unknown field advertizer in target: did you mean advertiser, outside of t",
        ),
        (b'"exclude":{"interests":[{"share":1}]}', "unknown field share in exclude.interests; there are name, "),
        (CREATIVE % b',"titel":"B"', "unknown field titel in creatives: did you mean title?"),
        (b'"zzz":1', "unknown field zzz; there are advertiser, creatives, bid, budget, "),
        (b'"a`b":1', "unknown field a`b; there are advertiser, "),
    ],
)
def test_a_field_of_a_campaign(fields: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=r"unknown field|belongs") as caught:
        read_campaign(b'{"advertiser":"shop",%s}' % fields)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("cid", "cid is the key of the record, and no field of its value"),
        ("start", "unknown field start: did you mean starts_at?"),
        ("end", "unknown field end: did you mean ends_at?"),
        ("Bid", "unknown field Bid: did you mean bid?"),
        ("cpc", "unknown field cpc; there are advertiser, "),
    ],
)
def test_what_only_looks_alike_is_not_said_to_be_meant(field: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"cid is|unknown field") as caught:
        read_campaign(b'{"advertiser":"shop","%s":1}' % field.encode())
    assert str(caught.value).startswith(said)


def test_a_long_name_is_cut() -> None:
    with pytest.raises(ValueError, match=r"^unknown field k{61}\.\.\.; there are kind, ") as caught:
        read_rule(b'{"%s":1}' % (b"k" * 100_000))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            b'"event_id":"e","user_id":"u","itm_id":"i"',
            f"item_id: {MISSING}; itm_id is no field: did you mean item_id?",
        ),
        (
            b'"event_id":"e","userId":"u","item_id":"i"',
            f"user_id: {MISSING}; userId is no field: did you mean user_id?",
        ),
        (b'"event_id":"e","user_id":"u","thing":"i"', f"item_id: {MISSING}"),
    ],
)
def test_a_field_of_an_event(fields: bytes, said: str) -> None:
    refused = RecordReader().read(b"{%s}" % fields, "click", at_ms=1_700_000_000_000)
    assert refused == Refusal("missing_field", said)


def test_a_time_of_an_event() -> None:
    raw = b'{"event_id":"e","user_id":"u","item_id":"i","timestmp":5}'
    refused = RecordReader().read(raw, "click", at_ms=1_700_000_000_000)
    assert isinstance(refused, Refusal)
    assert refused.message.endswith("; timestmp is no field: did you mean timestamp?")


def test_names_made_to_resemble_a_missing_field_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[int]()

    def compare(name: str, fields: Iterable[str], n: int, cutoff: float) -> list[str]:
        compared.append(len(list(fields)))
        return get_close_matches(name, fields, n=n, cutoff=cutoff)

    monkeypatch.setattr(wire_errors, "get_close_matches", compare)
    assert taken_for("item_id", [*(f"di_meti{n}" for n in range(30)), "itm_id"]) == ""
    assert taken_for("item_id", [*(f"field_{n}" for n in range(25)), "user_id", "itm_id"]).endswith("item_id?")
    assert max(compared) <= 4
