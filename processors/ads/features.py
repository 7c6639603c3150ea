"""What the click model knows of a showing: facts of the moment, of the ad, and of how the ad suits the user.

Three groups of pairs, each a feature of its own. Every fact of the moment with the campaign: who and where it is for.
A few of them with the creative, if the campaign has several; of a single one the campaign says all, and twice the
weights would learn twice as fast. And the circumstances with how the ad suits the user, whatever the campaign, so that
a new one begins with what all others taught.

How an ad suits a user is told by the category it promotes: the share it takes of the user's interests, the share of
the user's sessions that had it, how long ago the last of them was; and by how often the campaign was shown to the user
within a day. All are logarithms in steps, since twice as much means the same at every size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from processors.ads.campaign_index import Columns
from processors.ads.opportunity import Opportunity
from processors.common.arrays import Floats, Hashes, Ints
from processors.common.hashing import hashed
from processors.common.time import HOUR_MS
from processors.models.click_model import paired

_TIRED = 8
_CAMPAIGN, _CREATIVE, _SUITS = 0, 1, range(2, 6)
_ANY, _PLACEMENT, _LIKES = 0, 1, 6
_MOMENT, _CIRCUMSTANCES = range(8), range(6)
_PAIRS = (
    *((moment, _CAMPAIGN) for moment in _MOMENT),
    *((moment, _CREATIVE) for moment in (_ANY, _PLACEMENT, _LIKES)),
    *((moment, ad) for moment in _CIRCUMSTANCES for ad in _SUITS),
)
"""Numbers of facts of the moment and of the ad that are features together."""

_OF_MOMENT, _OF_AD = np.array(_PAIRS, np.int64).T


def features_of(
    opportunities: Sequence[Opportunity], rows: Ints, numbers: Ints, creatives: Ints, columns: Columns
) -> Ints:
    """Numbers of the click model's features, shape (pairs, features).

    Parameters
    ----------
    rows, numbers, creatives
        Of each pair: which opportunity, campaign and creative. Shape (pairs,).

    Complexity: linear in pairs, in opportunities times categories promoted, and in what is kept of each user.
    """
    moments = np.array([_moment(found) for found in opportunities], np.uint64)[rows]
    several = np.diff(columns.creatives.begins)[numbers] > 1
    ads = np.empty((len(rows), 6), np.uint64)
    ads[:, 0] = columns.campaign_keys[numbers]
    ads[:, 1] = np.where(several, columns.creatives.keys[creatives], _ALONE)
    ads[:, 2:] = _suits(opportunities, rows, numbers, creatives, columns)
    return paired(moments[:, _OF_MOMENT], ads[:, _OF_AD])


def share_step(shares: Floats) -> Ints:
    """How much of a user's interests a category takes, by its logarithm: 0 for nothing, 8 for all, one less for half.

    Examples
    --------
    >>> share_step(np.array([0.0, 1.0, 0.5, 0.2, 1e-9])).tolist()
    [0, 8, 7, 6, 1]
    """
    return _steps(shares, 8, 1.0)


def habit_step(shares: Floats) -> Ints:
    """How many of a user's sessions had a category: 0 for none, 17 for all, two less for half of them.

    Examples
    --------
    >>> habit_step(np.array([0.0, 1.0, 0.5, 1e-9])).tolist()
    [0, 17, 15, 1]
    """
    return _steps(shares, 17, 2.0)


def recency_step(hours: Floats) -> Ints:
    """How long ago a user last cared for a category: 0 for never (infinite), 1 within the hour, 13 for half a year.

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
    """Hashed facts of a moment: the first is always there, then the circumstances, then what the user likes."""
    profile, places = found.profile, found.places
    heaviest = max(profile.categories, key=lambda name: (profile.categories[name], name), default="")
    last = profile.item_ids[-1] if profile.item_ids else ""
    texts = (
        "any",
        f"placement:{found.placement}",
        f"device:{places.get('device', '')}",
        f"country:{places.get('country', '')}",
        f"segment:{places.get('segment', '')}",
        f"returns:{profile.sessions > 1}",
        f"likes:{heaviest}",
        f"last:{last}",
    )
    return [hashed(text) for text in texts]


def _suits(
    opportunities: Sequence[Opportunity], rows: Ints, numbers: Ints, creatives: Ints, columns: Columns
) -> Hashes:
    """Hashed facts of how each pair's ad suits its user, shape (pairs, 4)."""
    category = columns.creatives.category[creatives]
    shares, visits, hours = _known_of(opportunities, columns.creatives.categories)
    facts = [_TIRES[_tired(opportunities, columns)[rows, numbers]]]
    for names, steps in ((_FITS, share_step(shares)), (_VISITS, habit_step(visits)), (_AGES, recency_step(hours))):
        # An ad of no category is a step of its own, the last.
        facts.append(names[np.where(category >= 0, steps[rows, category], -1)])
    return np.stack(facts, axis=1)


def _known_of(opportunities: Sequence[Opportunity], categories: Sequence[str]) -> tuple[Floats, Floats, Floats]:
    """Of users and categories: share of interests, share of sessions, hours since. Shape (users, categories + 1)."""
    shape = (len(opportunities), len(categories) + 1)
    shares, visits, hours = np.zeros(shape), np.zeros(shape), np.full(shape, np.inf)
    places = {name: number for number, name in enumerate(categories)}
    for row, found in enumerate(opportunities):
        profile = found.profile
        # A category counts as one even if a brand is called the same, as in `share_of`.
        for weights in (profile.brands, profile.categories):
            total = sum(weights.values()) or 1.0
            for name in places.keys() & weights.keys():
                shares[row, places[name]] = weights[name] / total
        for name in places.keys() & profile.habits.keys():
            habit = profile.habits[name]
            visits[row, places[name]] = habit.visits / max(profile.sessions, habit.visits)
            hours[row, places[name]] = max(0.0, (found.at_ms - habit.last_ms) / HOUR_MS)
    return shares, visits, hours


def _tired(opportunities: Sequence[Opportunity], columns: Columns) -> Ints:
    """How often each campaign was shown to each user within a day, up to 8."""
    tired = np.zeros((len(opportunities), len(columns.cids)), np.int64)
    for row, found in enumerate(opportunities):
        for cid in columns.places.keys() & found.profile.ads.shown.keys():
            tired[row, columns.places[cid]] = min(len(found.profile.ads.shown[cid].times), _TIRED)
    return tired


def _named(what: str, steps: int) -> npt.NDArray[np.uint64]:
    return np.array([hashed(f"{what}:{step}") for step in (*range(steps), "none")], np.uint64)


_FITS, _VISITS, _AGES = _named("fits", 9), _named("visits", 18), _named("ago", 14)
_TIRES = _named("tired", _TIRED + 1)
_ALONE = np.uint64(hashed("alone"))
