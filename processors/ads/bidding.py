"""What the campaigns that are left bid: the creative of each, drawn by Thompson sampling, and what it is worth."""

from __future__ import annotations

import numpy as np

from processors.ads.campaign_columns import Columns
from processors.ads.creative_sampling import CreativeDraws
from processors.ads.features import features_of
from processors.ads.frame import Bids, Frame, Stage, Worth
from processors.common.arrays import Ints
from processors.models.click_model import sigmoid


def place_bids(frame: Frame) -> Frame:
    """Draw a creative for each pair of opportunity and campaign that is left, and value one impression of it."""
    opportunities, campaigns = np.nonzero(frame.removed == 0)
    if len(opportunities):
        frame.bids = _bids_of(frame, opportunities, campaigns)
        frame.worth = worth_of(frame.bids, frame.columns)
    return frame


def _bids_of(frame: Frame, opportunities: Ints, campaigns: Ints) -> Bids:
    creatives = frame.columns.creatives
    lengths = creatives.begins[campaigns + 1] - creatives.begins[campaigns]
    pairs = np.repeat(np.arange(len(opportunities)), lengths)
    firsts = np.cumsum(lengths) - lengths
    candidates = creatives.begins[campaigns][pairs] + np.arange(len(pairs)) - firsts[pairs]
    rows = opportunities[pairs]
    features = features_of(frame.opportunities, rows, campaigns[pairs], candidates, frame.columns)
    logits, uncertainty = frame.clicks.scored(features)
    # A creative's weight counts as long as nothing is known, and less the more certain the model is.
    preferred = creatives.weights[candidates] * np.minimum(uncertainty / frame.clicks.first_spread(features), 1.0)
    keys, spread = frame.seeds[rows] ^ creatives.keys[candidates], uncertainty * frame.settings.exploration
    draws = CreativeDraws.of(lengths, logits + preferred, spread, keys)
    drawn = firsts + draws.chosen
    return Bids(
        opportunities=opportunities,
        campaigns=campaigns,
        creatives=candidates[drawn],
        clicks=sigmoid(logits),
        expected_click=sigmoid(logits[drawn]),
        expected_purchase=frame.purchases.probability(features[drawn]),
        features=features[drawn],
        ties=frame.seeds[opportunities] ^ frame.columns.campaign_keys[campaigns],
        draws=draws,
    )


def worth_of(bids: Bids, columns: Columns) -> Worth:
    """Value one impression of each bid: what the campaign pays for one event times the probability of the event."""
    campaigns = bids.campaigns
    p_click = np.minimum(bids.expected_click * columns.calibration[campaigns], 1.0)
    p_purchase = np.minimum(bids.expected_purchase * columns.conversions[campaigns], 1.0)
    pays_click, pays_purchase = columns.pays_click[campaigns], columns.pays_purchase[campaigns]
    odds = np.where(pays_purchase, p_click * p_purchase, np.where(pays_click, p_click, 1.0))
    return Worth(p_click, p_purchase, odds, columns.bids[campaigns] * odds)


BID = Stage("bid", place_bids)
