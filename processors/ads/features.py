"""What the click model knows of an impression: facts of the moment, of the ad, and of how the ad suits the user.

Three groups of pairs, each a feature of its own. Every fact of the moment with the campaign: who and where it is for.
A few of them with the creative, if the campaign has several; of a single one the campaign says all, and twice the
weights would learn twice as fast. And the circumstances with how the ad suits the user, whatever the campaign, so that
a new one begins with what all others taught.

How an ad suits a user follows from the category it promotes: the share it takes of the user's interests, the share of
the user's sessions that had it, how long ago the last of them was; and from fatigue: how often the campaign was shown
to the user within a day. All but the last are logarithms in steps, since twice as much means the same at every size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from processors.ads.campaign_columns import Columns
from processors.ads.opportunity import Opportunity
from processors.common.arrays import Floats, Hashes, Ints
from processors.common.hashing import hashed
from processors.common.time import HOUR_MS
from processors.models.click_model import paired

_MAX_FATIGUE = 8
"""Impressions within a day from which on more make no difference."""

_CAMPAIGN, _CREATIVE, _SUITS = 0, 1, range(2, 6)
_ANY, _PLACEMENT, _LIKES = 0, 1, 6
_MOMENT, _CIRCUMSTANCES = range(8), range(6)
_PAIRS = (
    *((moment, _CAMPAIGN) for moment in _MOMENT),
    *((moment, _CREATIVE) for moment in (_ANY, _PLACEMENT, _LIKES)),
    *((moment, ad) for moment in _CIRCUMSTANCES for ad in _SUITS),
)
"""Pairs of a fact of the moment and a fact of the ad, by their numbers, that are features."""

_OF_MOMENT, _OF_AD = np.array(_PAIRS, np.int64).T.copy()


def features_of(
    opportunities: Sequence[Opportunity], rows: Ints, campaigns: Ints, creatives: Ints, columns: Columns
) -> Ints:
    """Compute the click model's features of pairs of an opportunity and a creative, shape (pairs, features).

    Complexity: linear in pairs, in opportunities times categories promoted, and in what is kept of each user.

    Parameters
    ----------
    rows, campaigns, creatives
        The opportunity, campaign and creative of each pair, shape (pairs,). Creatives are numbered among those of all
        campaigns.
    """
    moments = np.array([_moment(found) for found in opportunities], np.uint64)
    several = np.diff(columns.creatives.begins)[campaigns] > 1
    ads = np.empty((len(rows), 6), np.uint64)
    ads[:, 0] = columns.campaign_keys[campaigns]
    ads[:, 1] = np.where(several, columns.creatives.keys[creatives], _ALONE)
    ads[:, 2:] = _suits(opportunities, rows, campaigns, creatives, columns)
    return paired(moments, ads, rows, _OF_MOMENT, _OF_AD)


def share_step(shares: Floats) -> Ints:
    """Grade the share of interests that a category takes: 0 for nothing, 8 for all, one less for half.

    Examples
    --------
    >>> share_step(np.array([0.0, 1.0, 0.5, 0.2, 1e-9])).tolist()
    [0, 8, 7, 6, 1]
    """
    return _steps(shares, 8, 1.0)


def habit_step(shares: Floats) -> Ints:
    """Grade the share of sessions that had a category: 0 for none, 17 for all, two less for half of them.

    Examples
    --------
    >>> habit_step(np.array([0.0, 1.0, 0.5, 1e-9])).tolist()
    [0, 17, 15, 1]
    """
    return _steps(shares, 17, 2.0)


def recency_step(hours: Floats) -> Ints:
    """Grade the hours since a category was last visited: 0 for never (infinite), 1 within the hour, 13 for half a year.

    Examples
    --------
    >>> recency_step(np.array([np.inf, 0.1, 2.0, 24.0, 9e9])).tolist()
    [0, 1, 2, 6, 13]
    """
    steps = 1.0 + np.rint(np.log2(np.clip(hours, 1.0, 4096.0)))
    return np.where(np.isfinite(hours), steps, 0.0).astype(np.int64)


def _steps(shares: Floats, most: int, per_half: float) -> Ints:
    with np.errstate(divide="ignore"):
        found = np.clip(np.rint(most + per_half * np.log2(shares)), 1.0, most)
    return np.where(shares > 0.0, found, 0.0).astype(np.int64)


def _moment(found: Opportunity) -> list[int]:
    """Hash the facts of a moment: the first is always there, then the circumstances, then what the user likes."""
    profile, dimensions = found.profile, found.dimensions
    heaviest = max(profile.categories, key=lambda name: (profile.categories[name], name), default="")
    last = profile.item_ids[-1] if profile.item_ids else ""
    texts = (
        "any",
        f"placement:{found.placement}",
        f"device:{dimensions.get('device', '')}",
        f"country:{dimensions.get('country', '')}",
        f"segment:{dimensions.get('segment', '')}",
        f"returns:{profile.sessions > 1}",
        f"likes:{heaviest}",
        f"last:{last}",
    )
    return [hashed(text) for text in texts]


def _suits(
    opportunities: Sequence[Opportunity], rows: Ints, campaigns: Ints, creatives: Ints, columns: Columns
) -> Hashes:
    """Hash the facts of how each pair's ad suits its user, shape (pairs, 4)."""
    category = columns.creatives.category[creatives]
    shares, visits, hours = _known_of(opportunities, columns.creatives.categories)
    facts = [_FATIGUE[_fatigue(opportunities, columns)[rows, campaigns]]]
    for hashes, steps in ((_FITS, share_step(shares)), (_VISITS, habit_step(visits)), (_AGES, recency_step(hours))):
        # An ad of no category is a step of its own, the last.
        facts.append(hashes[np.where(category >= 0, steps[rows, category], -1)])
    return np.stack(facts, axis=1)


def _known_of(opportunities: Sequence[Opportunity], categories: Sequence[str]) -> tuple[Floats, Floats, Floats]:
    """Look up share of interests, share of sessions and hours since, each of shape (opportunities, categories + 1)."""
    shape = (len(opportunities), len(categories) + 1)
    shares, visits, hours = np.zeros(shape), np.zeros(shape), np.full(shape, np.inf)
    columns = {name: column for column, name in enumerate(categories)}
    for row, found in enumerate(opportunities):
        profile = found.profile
        # A category counts as one even if a brand is called the same, as in `share_of`.
        for weights in (profile.brands, profile.categories):
            total = sum(weights.values()) or 1.0
            for name in columns.keys() & weights.keys():
                shares[row, columns[name]] = weights[name] / total
        for name in columns.keys() & profile.category_visits.keys():
            visited = profile.category_visits[name]
            visits[row, columns[name]] = visited.visits / max(profile.sessions, visited.visits)
            hours[row, columns[name]] = max(0.0, (found.at_ms - visited.last_ms) / HOUR_MS)
    return shares, visits, hours


def _fatigue(opportunities: Sequence[Opportunity], columns: Columns) -> Ints:
    """Count how often each campaign was shown to each user within a day, up to 8; shape (opportunities, campaigns)."""
    counts = np.zeros((len(opportunities), len(columns.cids)), np.int64)
    for row, found in enumerate(opportunities):
        shown = found.profile.ads.impressions
        for cid in columns.rows.keys() & shown.keys():
            counts[row, columns.rows[cid]] = min(len(shown[cid].times), _MAX_FATIGUE)
    return counts


def _hashed_steps(name: str, steps: int) -> Hashes:
    return np.array([hashed(f"{name}:{step}") for step in (*range(steps), "none")], np.uint64)


# These names choose the weights in the learned table: with other names the model would begin anew.
_FITS, _VISITS, _AGES = _hashed_steps("fits", 9), _hashed_steps("visits", 18), _hashed_steps("ago", 14)
_FATIGUE = _hashed_steps("tired", _MAX_FATIGUE + 1)
_ALONE = np.uint64(hashed("alone"))
