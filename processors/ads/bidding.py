"""What the campaigns that are left bid: the creative of each, drawn by Thompson sampling, and what it is worth."""

from __future__ import annotations

import numpy as np

from processors.ads.campaign_columns import Columns
from processors.ads.creative_sampling import CreativeDraws
from processors.ads.features import FEATURES, Facts
from processors.ads.frame import Bids, Frame, Stage, Worth
from processors.ads.goal_worth import GoalWorth
from processors.common.arrays import Hashes, Ints
from processors.common.compiled import kernel
from processors.common.random import normal, uniform
from processors.models.click_model import sigmoid


def place_bids(frame: Frame) -> Frame:
    """Draw a creative for each pair of opportunity and campaign that is left, and value one impression of it."""
    opportunities, campaigns = _remaining(frame.removed)
    if len(opportunities):
        frame.bids = _bids_of(frame, opportunities, campaigns)
        frame.worth = worth_of(frame.bids, frame.columns, frame.goal_worth)
    return frame


def _bids_of(frame: Frame, opportunities: Ints, campaigns: Ints) -> Bids:
    creatives, settings = frame.columns.creatives, frame.settings
    begins, groups, candidates = _candidates(opportunities, campaigns, creatives.begins, frame.forbidden)
    facts = Facts.of(frame.opportunities, frame.columns)
    logits, spread = facts.scored(frame.clicks, opportunities, campaigns, groups, candidates)
    keys = frame.seeds[opportunities[groups]] ^ creatives.keys[candidates]
    # A creative's weight counts as long as nothing is known, and less the more certain the model is.
    preferred = creatives.weights[candidates] * np.minimum(spread / frame.clicks.first_spread(FEATURES), 1.0)
    draws = CreativeDraws.of(begins, logits + preferred, spread * settings.exploration, keys)
    drawn, clicks = candidates[draws.chosen], sigmoid(logits)
    doubts = settings.exploration * np.sqrt(frame.columns.doubts[campaigns])
    # Not hypot, whose last bit differs between processors.
    spreads = np.sqrt(draws.spread * draws.spread + doubts[groups] * doubts[groups])
    noise = normal(keys[draws.chosen]) * spreads[draws.chosen]
    purchases, _ = facts.scored(frame.purchases, opportunities, campaigns, np.arange(len(drawn)), drawn)
    return Bids(
        opportunities=opportunities,
        campaigns=campaigns,
        creatives=drawn,
        clicks=clicks,
        logits=logits,
        spreads=spreads,
        expected_click=clicks[draws.chosen],
        drawn_click=sigmoid(logits[draws.chosen] + noise),
        expected_purchase=sigmoid(purchases),
        ties=_lots(frame.seeds[opportunities] ^ frame.columns.campaign_keys[campaigns]),
        draws=draws,
        candidates=candidates,
        facts=facts,
    )


def worth_of(bids: Bids, columns: Columns, goals: GoalWorth | None = None) -> Worth:
    """Value one impression of each bid: what the campaign pays for one event times the probability of the event.

    The probability is that of the draw: a campaign of which little is known bids more at times, and finds out what it
    is worth, instead of resting for good after a few showings that nobody clicked. What it expects to pay follows from
    the mean. To a campaign of the house, which pays nothing, an impression is worth the probability of a click: the
    house shows what its users like best.

    Parameters
    ----------
    goals
        What a purchase may cost campaigns with a goal: an impression is worth no more to them than that times the
        probability of a purchase.
    """
    allowed = np.full(len(bids.creatives), np.inf) if goals is None else goals.allowed[bids.creatives]
    expected = (bids.campaigns, bids.expected_click, bids.expected_purchase, bids.drawn_click)
    factors = (columns.calibration, columns.conversions)
    paid = (columns.pays_click, columns.pays_purchase, columns.stakes, columns.bids, allowed)
    return Worth(*_worth(*expected, *factors, *paid))


def _lots(seeds: Hashes) -> Hashes:
    """Return a lot for each bid, by which equal bids are told apart.

    Mixed once more: of hashes that differ by the same bits in all bids, some would win more often than others.
    """
    lots: Hashes = (uniform(seeds) * _LOTS).astype(np.uint64)
    return lots


_LOTS = 2.0**53


@kernel
def _remaining(removed):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return the pairs of opportunity and campaign that are left, by opportunity and then campaign."""
    count = 0
    for row in range(len(removed)):
        for campaign in range(removed.shape[1]):
            count += removed[row, campaign] == 0
    rows, campaigns = np.empty(count, np.int64), np.empty(count, np.int64)
    at = 0
    for row in range(len(removed)):
        for campaign in range(removed.shape[1]):
            if removed[row, campaign] == 0:
                rows[at], campaigns[at] = row, campaign
                at += 1
    return rows, campaigns


@kernel
def _candidates(opportunities, campaigns, begins, forbidden):  # type: ignore[no-untyped-def]  # numba finds the types
    """Lay out the creatives of each bid: where those of each begin, the bid of each, and its number among all.

    Those that are ``forbidden`` at the opportunity are left out; without rows in it none is.
    """
    firsts = np.zeros(len(campaigns) + 1, np.int64)
    for bid in range(len(campaigns)):
        firsts[bid + 1] = firsts[bid] + begins[campaigns[bid] + 1] - begins[campaigns[bid]]
    bids, creatives = np.empty(firsts[-1], np.int64), np.empty(firsts[-1], np.int64)
    some, at = len(forbidden) > 0, 0
    for bid in range(len(campaigns)):
        for creative in range(begins[campaigns[bid]], begins[campaigns[bid] + 1]):
            if some and forbidden[opportunities[bid], creative] != 0:
                continue
            bids[at], creatives[at] = bid, creative
            at += 1
        firsts[bid + 1] = at
    return firsts, bids[:at], creatives[:at]


@kernel
def _worth(  # type: ignore[no-untyped-def]  # numba finds the types
    campaigns, expected_click, expected_purchase, drawn_click, calibration, conversions, pays_click, pays_purchase,
    stakes, bids, allowed,
):  # fmt: skip
    """Return the figures of :func:`worth_of`, one of each per bid."""
    p_click, p_purchase = np.empty(len(campaigns)), np.empty(len(campaigns))
    odds, values = np.empty(len(campaigns)), np.empty(len(campaigns))
    most, click_worth = np.empty(len(campaigns)), np.empty(len(campaigns))
    for bid in range(len(campaigns)):
        campaign = campaigns[bid]
        p_click[bid] = min(expected_click[bid] * calibration[campaign], 1.0)
        p_purchase[bid] = min(expected_purchase[bid] * conversions[campaign], 1.0)
        drawn = min(drawn_click[bid] * calibration[campaign], 1.0)
        most[bid], click_worth[bid], click = bids[campaign], np.inf, drawn
        if pays_purchase[campaign]:
            odds[bid], drawn = p_click[bid] * p_purchase[bid], drawn * p_purchase[bid]
        elif pays_click[campaign]:
            odds[bid] = p_click[bid]
        else:
            odds[bid], drawn = 1.0, 1.0
        values[bid] = stakes[campaign] * drawn
        if allowed[bid] < np.inf:
            click_worth[bid] = allowed[bid] * p_purchase[bid]
            values[bid] = min(values[bid], click_worth[bid] * click)
            if pays_purchase[campaign]:
                most[bid] = min(most[bid], allowed[bid])
            elif pays_click[campaign]:
                most[bid] = min(most[bid], click_worth[bid])
    return p_click, p_purchase, odds, values, most, click_worth


BID = Stage("bid", place_bids)
