"""The index of campaigns: how many it holds, and who allows which value."""

from datetime import UTC, datetime

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processors.ads.audience import Audience
from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_columns import columns_of
from processors.ads.campaign_index import DIMENSIONS, CampaignIndex
from processors.ads.campaign_view import CampaignView
from processors.users.ad_history import Model

CREATIVES = (Creative("a", "A", "https://shop.example/"),)


def test_an_index_holds_so_many_campaigns_whatever_their_order() -> None:
    view = CampaignView(Campaign("shop", CREATIVES, 1.0, 100.0))
    for order in np.random.default_rng(1).permuted(np.tile(np.arange(5), (4, 1)), axis=1).tolist():
        index = CampaignIndex(max_campaigns=3)
        for number in order:
            index.apply(f"c{number}", view)
            index.hold(f"c{number}", 1.0)
        assert (list(index.columns.cids), index.left_out) == (["c0", "c1", "c2"], 2)
        assert (index.left(np.array([0.0])) <= 0.0).tolist() == [[True, True, True]]
        index.apply("c4", None)
        assert index.left_out == 1


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4), st.integers(1, 3)), max_size=40))
def test_places_go_to_those_that_run_and_bid_most_and_are_taken_as_soon_as_they_are_free(
    changes: list[tuple[int, int, int]],
) -> None:
    index, known = CampaignIndex(max_campaigns=4), dict[str, tuple[bool, float, str]]()
    index.advance(5000.0)
    for number, kind, bid in changes:
        cid = f"c{number}"
        if kind == 0:
            index.apply(cid, None)
            known.pop(cid, None)
            continue
        ended = datetime.fromtimestamp(5, UTC) if kind == 1 else None
        campaign = Campaign("shop", CREATIVES, 1000.0 * bid, 1e6, ends_at=ended, paused=kind == 2)
        index.apply(cid, CampaignView(campaign))
        known[cid] = kind in (1, 2), -bid, cid
        taking_part = sorted(known, key=known.__getitem__)[:4]
        assert list(index.columns.cids) == sorted(taking_part)
        assert index.left_out == sum(not known[one][0] for one in known.keys() - set(taking_part))


def test_campaigns_that_end_give_their_places_to_others_though_nobody_publishes_anything() -> None:
    index = CampaignIndex(max_campaigns=2)
    ended = datetime.fromtimestamp(5, UTC)
    for number in range(2):
        index.apply(f"ends {number}", CampaignView(Campaign("shop", CREATIVES, 1000.0, 1e6, ends_at=ended)))
        index.apply(f"runs {number}", CampaignView(Campaign("shop", CREATIVES, 10.0, 1e6)))
    index.advance(4000.0)
    assert list(index.columns.cids) == ["ends 0", "ends 1"]
    index.advance(6000.0)
    assert list(index.columns.cids) == ["runs 0", "runs 1"]


def test_bids_of_different_models_are_compared_by_what_they_come_to() -> None:
    index = CampaignIndex(max_campaigns=1)
    models: tuple[tuple[str, Model, float], ...] = (
        ("shown", "cpm", 2.0),
        ("clicked", "cpc", 0.5),
        ("bought", "cpa", 8.0),
    )
    for cid, model, bid in models:
        index.apply(cid, CampaignView(Campaign("shop", CREATIVES, bid, 100.0, model=model)))
    assert list(index.views) == ["clicked"], "0.005 an impression, against 0.002 and 0.004"


def test_what_is_published_of_a_campaign_changes_its_row_and_nothing_else() -> None:
    """Money is published all the time: what the campaigns are must not be laid out anew for it."""
    views = {f"c{n}": CampaignView(Campaign("shop", CREATIVES, 1.0, 100.0)) for n in range(3)}
    index = CampaignIndex(max_campaigns=3)
    for cid, view in views.items():
        index.apply(cid, view)
    columns = index.columns
    budgeted = Campaign("shop", CREATIVES, 1.0, 100.0)
    views["c1"] = CampaignView(budgeted, 0.5, 7.0, 4.0, 9, calibration=1.5, conversion=0.5)
    index.apply("c1", views["c1"])
    index.apply("c9", views["c1"])  # left out
    assert index.columns is columns
    anew = columns_of(views)
    for name in ("left_today", "left_next_day", "day_ends", "rates", "calibration", "conversions"):
        assert getattr(columns, name).tolist() == getattr(anew, name).tolist()
    assert (columns.views, columns.left_today[1], columns.left_next_day[1]) == (anew.views, 4.0, 7.0)
    index.apply("c9", None)
    index.apply("c1", msgspec.structs.replace(views["c1"], campaign=msgspec.structs.replace(budgeted, paused=True)))
    assert index.columns.paused.tolist() == [False, True, False]


def test_every_dimension_is_matched_against_a_field_of_its_own() -> None:
    fields = ("countries", "regions", "cities", "devices", "channels", "languages", "placements", "segments")
    index = CampaignIndex()
    for number, field in enumerate(fields):
        audience = msgspec.structs.replace(Audience(), **{field: ("here",)})
        index.apply(f"c{number}", CampaignView(Campaign("shop", CREATIVES, 1.0, 1.0, target=audience)))
    for number, dimension in enumerate(DIMENSIONS):
        allowing = index.allowing(dimension, "elsewhere").tolist()
        assert allowing == [other != number for other in range(len(fields))]
    assert index.allowing_all(("Here",) * len(DIMENSIONS)).all()
    assert not index.allowing_all((None,) * len(DIMENSIONS)).any()


def test_a_change_of_a_campaign_is_seen_at_once() -> None:
    index = CampaignIndex()
    for devices, allowed in (("phone", True), ("tablet", False)):
        target = Audience(devices=(devices,))
        index.apply("c", CampaignView(Campaign("shop", CREATIVES, 1.0, 1.0, target=target)))
        assert index.allowing("device", "phone").tolist() == [allowed]
