"""Holding campaigns back so that the budget lasts.

The share of opportunities that a campaign takes part in follows from its ledger
(:mod:`processors.ads.spending_plan`) and, where its advertiser has less money, from that
(:mod:`processors.ads.advertisers`); which ones is left to chance, drawn from the ids of decision and campaign, so that
a replay decides the same.
"""

from __future__ import annotations

from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.common.compiled import kernel
from processors.common.random import uniform


def remove_paced(frame: Frame) -> Frame:
    """Remove each campaign from so many opportunities, by chance, that its published share is left."""
    keys = frame.seeds[:, None] ^ frame.columns.campaign_keys[None, :]
    chance = uniform(keys.ravel()).reshape(frame.removed.shape)
    _remove_paced(frame.removed, chance, frame.columns.rates, int(NoBid.PACED))
    money = frame.advertisers
    if money.shares.shape[1]:
        _remove_by_advertiser(
            frame.removed, chance, frame.columns.rates, money.numbers, money.paced, money.shares, int(NoBid.PACED)
        )
    return frame


@kernel
def _remove_paced(removed, chance, rates, code):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :func:`remove_paced` does."""
    for row in range(len(removed)):
        for campaign in range(removed.shape[1]):
            if removed[row, campaign] == 0 and chance[row, campaign] >= rates[campaign]:
                removed[row, campaign] = code


@kernel
def _remove_by_advertiser(removed, chance, rates, numbers, paced, shares, code):  # type: ignore[no-untyped-def]  # numba finds the types
    """Remove campaigns for the sake of what their advertiser has left: of those let through, the last by chance."""
    for row in range(len(removed)):
        for campaign in range(removed.shape[1]):
            number = numbers[campaign]
            if removed[row, campaign] != 0 or number < 0 or not paced[campaign]:
                continue
            if chance[row, campaign] >= rates[campaign] * shares[row, number]:
                removed[row, campaign] = code


PACING = Stage("pacing", remove_paced, gives=(NoBid.PACED,), could_win=True)
