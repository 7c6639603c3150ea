"""Requests for an ad: the strict reader and the one that repairs give the same."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processors.events.ad_request import AD_REQUEST, AdRequest, repair_request
from processors.events.json_object import Refused
from processors.events.record import Refusal
from processors.events.repair import IntakeSettings

NOW = 1_700_000_000_000
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)

pixels = st.integers(-1, 10_002) | st.sampled_from([300.0, 2.5, "300", True])
sizes = st.fixed_dictionaries({"w": pixels}, optional={"h": pixels, "wratio": pixels})


def repaired(raw: bytes) -> AdRequest | Refusal:
    try:
        return repair_request(raw, NOW, IntakeSettings())
    except Refused as refused:
        return Refusal(refused.reason, str(refused))


@given(
    st.fixed_dictionaries(
        {"request_id": ids, "user_id": ids, "timestamp": st.integers(NOW - 10**10, NOW + 10**8)},
        optional={
            "placement": ids | st.none(),
            "bidfloor": st.floats(-1.0, 2e9) | st.integers(-1, 3) | st.text(max_size=2) | st.none(),
            "bidfloorcur": st.sampled_from(["EUR", "usd", "", 978, "E" * 257]) | st.none(),
            "channel": ids | st.none(),
            "purposes": st.lists(ids | st.just(""), max_size=4) | st.none(),
            "context": st.dictionaries(st.sampled_from(["page", "placement"]), st.text(max_size=3)) | st.none(),
            "badv": st.lists(ids | st.just(""), max_size=3) | st.none() | st.text(max_size=2),
            "bcat": st.lists(ids | st.integers(), max_size=3) | st.none(),
            "w": pixels | st.none(),
            "h": pixels | st.none(),
            "format": st.lists(sizes | st.integers(), max_size=3) | st.none(),
            "more": st.integers(),
        },
    )
)
def test_the_strict_and_the_repairing_reader_agree(fields: dict[str, Any]) -> None:
    raw = json.dumps(fields).encode()
    try:
        read: AdRequest | Refusal = AD_REQUEST.read(raw, NOW, IntakeSettings())
    except Refused as refused:
        read = Refusal(refused.reason, str(refused))
    assert read == repaired(raw)


def test_what_needs_no_repair_is_read_strictly() -> None:
    raw = b'{"request_id":"r","user_id":"u","timestamp":1700000000000,"context":{"placement":"top"}}'
    read = AD_REQUEST.read(raw, NOW, IntakeSettings())
    assert (read.placement, read.repairs, read.bidfloor) == ("top", (), None)
    assert AD_REQUEST._usable(AD_REQUEST._decode(raw))
    assert (read.badv, read.bcat, read.sizes) == ((), (), ())
    wanted = b',"badv":["a.example"],"bcat":["IAB8"],"w":300,"h":250,"format":[{"w":728,"h":90}]}'
    raw = raw[:-1] + wanted
    assert AD_REQUEST._usable(AD_REQUEST._decode(raw))
    read = AD_REQUEST.read(raw, NOW, IntakeSettings())
    assert (read.badv, read.bcat, read.sizes) == (("a.example",), ("IAB8",), ((728, 90), (300, 250)))
    assert read == repaired(raw)


def test_a_request_names_its_placement_itself_or_in_its_context() -> None:
    start = b'{"request_id":1,"user_id":"u","timestamp":1700000000000,'
    own = repaired(start + b'"placement":"a","context":{"placement":"b"}}')
    assert isinstance(own, AdRequest)
    assert (own.placement, own.repairs) == ("a", ("request_id:number_to_text",))
    of_context = repaired(start + b'"context":{"placement":"b"}}')
    assert isinstance(of_context, AdRequest)
    assert of_context.placement == "b"
    for placement in (b'"placement":""}', b'"channel":"web"}'):
        refused = repaired(start + placement)
        assert isinstance(refused, Refusal)
        assert refused.message.startswith("placement: ")
