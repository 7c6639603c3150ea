"""What the shop allows an ad to promote: what its slates could show to this user, and not what the user just had.

A creative that promotes an item or a category passes the same limits of age and region, the same stock and the same
rules as slates do, with the same treatment of users whose age or region is not known. It is the shop that knows these
things (:class:`Shop`); what the user just had is looked up here. A campaign takes part with the creatives that are
left, and is removed where none is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Protocol

import numpy as np

from processors.ads.campaign import Creative
from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.common.arrays import Ints
from processors.common.compiled import kernel


class Shop(Protocol):
    """Says which creatives the shop does not allow."""

    def forbidden(self, opportunities: Sequence[Opportunity], creatives: Sequence[Creative]) -> Ints | None:
        """Return why creatives must not be shown at each moment: a :class:`processors.ads.no_bid.NoBid`, 0 if nothing.

        Parameters
        ----------
        opportunities
            The moments.
        creatives
            The creatives of all campaigns.

        Returns
        -------
        int64 array of shape (opportunities, creatives) or None
            :obj:`None` if all may be shown.
        """
        ...

    def of_categories(self, creatives: Sequence[Creative], categories: Set[str]) -> Ints:
        """Return the numbers of the creatives that promote an item of some categories, as the shop has it.

        Parameters
        ----------
        categories
            Names, :func:`processors.common.text.folded`.
        """
        ...


class NoShop:
    """A shop without items and rules: it forbids nothing."""

    def of_categories(self, creatives: Sequence[Creative], categories: Set[str]) -> Ints:  # noqa: ARG002
        """Return none, as it has no items."""
        return np.empty(0, np.int64)

    def forbidden(self, opportunities: Sequence[Opportunity], creatives: Sequence[Creative]) -> Ints | None:  # noqa: ARG002
        """Return nothing, whatever is asked."""
        return None


def remove_what_the_shop_forbids(frame: Frame) -> Frame:
    """Note which creatives must not be shown, and remove campaigns that have no other.

    Complexity: what the shop takes; a look at the creatives of each opportunity whose user just had something.
    """
    creatives = frame.columns.creatives
    codes = frame.shop.forbidden(frame.opportunities, creatives.all)
    for row, found in enumerate(frame.opportunities):
        for item, code in _just_had(found, frame.settings.bought_rest_ms).items():
            for creative in creatives.of_item.get(item, ()):
                if codes is None:
                    codes = np.zeros((len(frame.opportunities), len(creatives.all)), np.int64)
                if codes[row, creative] == 0:
                    codes[row, creative] = code
    if codes is not None:
        frame.forbidden = codes
        _remove_where_none_is_left(frame.removed, codes, creatives.begins)
    return frame


def _just_had(found: Opportunity, bought_rest_ms: int) -> Mapping[str, int]:
    """Return the items that an ad must not promote now: the one at hand, and those bought lately."""
    items = {found.item_id: int(NoBid.AT_HAND)} if found.item_id is not None else {}
    profile = found.profile
    if "purchase" in profile.item_actions:
        since = found.at_ms - bought_rest_ms
        for item, action, at_ms in zip(profile.item_ids, profile.item_actions, profile.item_times, strict=True):
            if action == "purchase" and at_ms > since:
                items.setdefault(item, int(NoBid.JUST_BOUGHT))
    return items


@kernel
def _remove_where_none_is_left(removed, codes, begins):  # type: ignore[no-untyped-def]  # numba finds the types
    """Remove campaigns all of whose creatives are forbidden, for the reason of the first one."""
    for row in range(len(removed)):
        for campaign in range(removed.shape[1]):
            if removed[row, campaign] != 0:
                continue
            left = 0
            for creative in range(begins[campaign], begins[campaign + 1]):
                left += codes[row, creative] == 0
            if left == 0:
                removed[row, campaign] = codes[row, begins[campaign]]


SHOP = Stage(
    "shop",
    remove_what_the_shop_forbids,
    gives=(NoBid.OUT_OF_STOCK, NoBid.NOT_ALLOWED, NoBid.RULED_OUT, NoBid.AT_HAND, NoBid.JUST_BOUGHT),
)
