"""Who and which moments a campaign is for, and whom it excludes."""

from __future__ import annotations

import numpy as np

from processors.ads.campaign_index import DIMENSIONS
from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.ads.user_facts import any_of


def remove_not_targeted(frame: Frame) -> Frame:
    """Remove campaigns whose target does not match the moment or what the user did.

    Exclusions by a targeting dimension, such as a device, count here and not in :func:`remove_excluded`: the index
    answers for both at once.

    Complexity: one look-up per opportunity, and a column per campaign that targets what users did.
    """
    allowed = [frame.index.allowing_all(tuple(map(found.dimensions.get, DIMENSIONS))) for found in frame.opportunities]
    frame.remove(~np.array(allowed, np.bool_), NoBid.NOT_MEANT)
    for campaign in frame.columns.targets_history.tolist():
        matching = list(frame.facts.matching(frame.columns.views[campaign].campaign.target))
        frame.remove_campaign(campaign, ~np.logical_and.reduce(matching), NoBid.NOT_MEANT)
    return frame


def remove_excluded(frame: Frame) -> Frame:
    """Remove campaigns that exclude users for what they did, or for having bought what the campaign promotes."""
    for number in frame.columns.excludes_history.tolist():
        campaign = frame.columns.views[number].campaign
        if campaign.exclude.uses_history:
            frame.remove_campaign(number, any_of(frame.facts.matching(campaign.exclude)), NoBid.EXCLUDED)
        promoted = sorted({creative.item_id for creative in campaign.creatives if creative.item_id})
        if campaign.exclude_purchasers and promoted:
            frame.remove_campaign(number, any_of(map(frame.facts.bought, promoted)), NoBid.EXCLUDED)
    return frame


TARGETING = Stage("targeting", remove_not_targeted, gives=(NoBid.NOT_MEANT,))
EXCLUSION = Stage("exclusion", remove_excluded, gives=(NoBid.EXCLUDED,))
