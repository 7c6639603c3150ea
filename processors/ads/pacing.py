"""Holding campaigns back so that the budget lasts.

The share of opportunities that a campaign takes part in follows from its ledger (:mod:`processors.ads.ledger`); which
ones is left to chance, drawn from the ids of decision and campaign, so that a replay decides the same.
"""

from __future__ import annotations

from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.common.random import uniform


def remove_paced(frame: Frame) -> Frame:
    """Remove each campaign from so many opportunities, by chance, that its published share is left."""
    keys = frame.seeds[:, None] ^ frame.columns.campaign_keys[None, :]
    chance = uniform(keys.ravel()).reshape(frame.removed.shape)
    frame.remove(chance >= frame.columns.rates, NoBid.PACED)
    return frame


PACING = Stage("pacing", remove_paced, gives=(NoBid.PACED,), could_win=True)
