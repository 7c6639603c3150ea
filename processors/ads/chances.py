"""How likely each ad was shown: the auctions of a batch held once more for each of many draws.

A creative is drawn by how uncertain its worth is, and a campaign bids what the draw says, so that what is shown depends
on the draws of all that compete. Draw 0 is the one that counted. All draws are alike and any of them could have been
that one: given the draws, the share of those in which an ad wins is exactly the probability that it was shown.
"""

from __future__ import annotations

import math

import numpy as np

from processors.ads.frame import Frame
from processors.common.arrays import Floats, Ints
from processors.common.compiled import kernel
from processors.common.random import normal

DRAWS = 16
"""Draws that chances are counted from."""

_FAR = 3.5
"""Standard deviations that no draw is further off, but for one in two thousand."""


def chances_of(frame: Frame, won: Ints) -> tuple[Floats, Ints, Ints, Floats]:
    """Find how likely each winning ad was shown, and how its campaign's creatives share that.

    Complexity: per draw, a look at the creatives of those bids that could win at all.

    Parameters
    ----------
    frame
        After the auctions.
    won
        Numbers of the winning bids, by opportunity.

    Returns
    -------
    chances : float64 array of shape (won,)
        Share of the draws in which the ad of each wins.
    begins : int64 array of shape (won + 1,)
        Where the creatives of each begin in the next two, and the end of the last.
    members : int64 array
        The creatives that could have been drawn for each, counted in the flat arrays of the draws.
    shares : float64 array
        Of the draws that the campaign wins, which share is with each of them; those of each sum to 1.
    """
    bids, draws, columns = frame.bids, frame.bids.draws, frame.columns
    spread, values, floors = draws.spread, frame.auctions.values, frame.auctions.floors
    tiers = columns.tiers[bids.campaigns]
    factors = (
        bids.campaigns, columns.calibration, frame.worth.p_purchase, columns.pays_click, columns.pays_purchase,
        columns.stakes, frame.worth.click_worth,
    )  # fmt: skip
    contenders, firsts = _contenders(
        won, bids.opportunities, values, floors, tiers, draws.begins, bids.logits, bids.spreads, *factors, _FAR
    )
    begins, creatives, seeds = draws.redrawn(contenders, DRAWS)
    noise = normal(seeds)
    ends, members, counts, wins = _counted(
        won, contenders, firsts, begins, creatives, noise, draws.mean, bids.logits, spread, bids.spreads, floors,
        tiers, bids.ties, draws.begins, draws.chosen, *factors, DRAWS,
    )  # fmt: skip
    return wins / DRAWS, ends, members, counts


@kernel
def _value(logit, bid, campaigns, calibration, p_purchase, pays_click, pays_purchase, most, click_worth):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return what one impression is worth to a bid whose creative has some log odds of a click."""
    campaign, odds, click = campaigns[bid], 1.0, 1.0
    if pays_click[campaign] or pays_purchase[campaign] or click_worth[bid] < np.inf:
        click = min(calibration[campaign] / (1.0 + math.exp(-min(max(logit, -23.0), 23.0))), 1.0)
    if pays_click[campaign] or pays_purchase[campaign]:
        odds = click
    if pays_purchase[campaign]:
        odds *= p_purchase[bid]
    value = most[campaign] * odds
    return min(value, click_worth[bid] * click) if click_worth[bid] < np.inf else value


@kernel
def _contenders(  # type: ignore[no-untyped-def]  # numba finds the types
    won, opportunities, values, floors, tiers, begins, logits, spread, campaigns, calibration, p_purchase, pays_click,
    pays_purchase, most, click_worth, far,
):  # fmt: skip
    """Return the bids that could win some draw, by winner, and where those of each winner begin."""
    found, firsts, n = np.empty(len(values), np.int64), np.zeros(len(won) + 1, np.int64), 0
    high = np.empty(len(values))
    for at in range(len(won)):
        row = opportunities[won[at]]
        begin, end = won[at], won[at] + 1
        while begin > 0 and opportunities[begin - 1] == row:
            begin -= 1
        while end < len(values) and opportunities[end] == row:
            end += 1
        least, top = 0.0, -1
        for bid in range(begin, end):
            highest, lowest = -np.inf, np.inf
            for creative in range(begins[bid], begins[bid + 1]):
                highest = max(highest, logits[creative] + far * spread[creative])
                lowest = min(lowest, logits[creative] - far * spread[creative])
            high[bid] = _value(
                highest, bid, campaigns, calibration, p_purchase, pays_click, pays_purchase, most, click_worth
            )
            low = _value(lowest, bid, campaigns, calibration, p_purchase, pays_click, pays_purchase, most, click_worth)
            tier = tiers[bid]
            if values[bid] > 0.0 and low >= floors[bid] and tier >= top:
                least = max(least, low) if tier == top else low
                top = tier
        for bid in range(begin, end):
            tier = tiers[bid]
            enough = max(least, floors[bid]) if tier == top else floors[bid]
            # What has won belongs to them however unlikely its draw was, or that of the tier above it.
            if bid == won[at] or (values[bid] > 0.0 and tier >= top and high[bid] >= enough):
                found[n] = bid
                n += 1
        firsts[at + 1] = n
    return found[:n], firsts


@kernel
def _counted(  # type: ignore[no-untyped-def]  # noqa: C901  # numba finds the types
    won, contenders, firsts, begins, creatives, noise, mean, logits, spread, spreads, floors, tiers, ties, groups,
    chosen, campaigns, calibration, p_purchase, pays_click, pays_purchase, most, click_worth, draws,
):  # fmt: skip
    """Hold the auctions for all draws, and count the wins of each winner's ad and of its campaign's creatives."""
    ends = np.zeros(len(won) + 1, np.int64)
    for at in range(len(won)):
        ends[at + 1] = ends[at] + groups[won[at] + 1] - groups[won[at]]
    members, counts, wins = np.empty(ends[-1], np.int64), np.zeros(ends[-1]), np.zeros(len(won))
    for at in range(len(won)):
        for number in range(ends[at + 1] - ends[at]):
            members[ends[at] + number] = groups[won[at]] + number
        for draw in range(draws):
            winner, highest, shown = -1, 0.0, -1
            for number in range(firsts[at], firsts[at + 1]):
                bid, drawn, best = contenders[number], -1, -np.inf
                for place in range(begins[number], begins[number + 1]):
                    creative = creatives[place]
                    score = mean[creative] + noise[draw * len(creatives) + place] * spread[creative]
                    if score > best:
                        drawn, best = place, score
                creative = creatives[drawn]
                logit = logits[creative] + noise[draw * len(creatives) + drawn] * spreads[creative]
                value = _value(
                    logit, bid, campaigns, calibration, p_purchase, pays_click, pays_purchase, most, click_worth
                )
                if value < floors[bid] or value <= 0.0:
                    continue
                if winner >= 0 and tiers[bid] < tiers[winner]:
                    continue
                higher = winner < 0 or tiers[bid] > tiers[winner]
                if higher or value > highest or (value == highest and ties[bid] < ties[winner]):
                    winner, highest, shown = bid, value, creative
            if winner == won[at]:
                counts[ends[at] + shown - groups[winner]] += 1.0
                wins[at] += shown == chosen[winner]
        total = 0.0
        for place in range(ends[at], ends[at + 1]):
            total += counts[place]
        for place in range(ends[at], ends[at + 1]):
            counts[place] = counts[place] / total if total > 0.0 else 0.0
    return ends, members, counts, wins
