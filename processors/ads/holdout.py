"""Who is held out of a campaign: users to whom it is never shown, to find its lift (:mod:`processors.ads.lift`)."""

from __future__ import annotations

import numpy as np

from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.common.hashing import hashed
from processors.common.random import uniform


def is_held_out(cid: str, user_id: str, share: float) -> bool:
    """Tell whether a campaign that holds out a share of the users holds out this one; always the same.

    Examples
    --------
    >>> sum(is_held_out("spring", f"user {n}", 0.1) for n in range(10_000))
    979
    """
    return bool(uniform(np.array([hashed(f"holdout:{cid}/{user_id}")], np.uint64))[0] < share)


def hold_out(frame: Frame) -> Frame:
    """Let those who are held out see nothing, where the campaign that holds them out has won.

    Users who must not be known, or whose purchases must not be measured, take no part.

    Complexity: a hash for each opportunity that a campaign with a holdout has won.
    """
    winners, columns = frame.auctions.winners, frame.columns
    if not columns.holdouts.any():
        return frame
    for row in np.flatnonzero(winners >= 0).tolist():
        campaign = int(frame.bids.campaigns[winners[row]])
        share, found = float(columns.holdouts[campaign]), frame.opportunities[row]
        if share > 0.0 and found.measured and is_held_out(columns.cids[campaign], found.user_id, share):
            winners[row] = -1
            frame.removed[row, campaign] = int(NoBid.HELD_OUT)
            frame.held_out[row] = columns.cids[campaign]
    return frame


HOLDOUT = Stage("holdout", hold_out, gives=(NoBid.HELD_OUT,), could_win=True)
