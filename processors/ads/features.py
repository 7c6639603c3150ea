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
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from processors.ads.campaign_columns import Columns
from processors.ads.opportunity import Opportunity
from processors.ads.user_facts import shares_of
from processors.common.arrays import Floats, Hashes, Ints
from processors.common.compiled import kernel
from processors.common.hashing import hashed
from processors.common.time import HOUR_MS
from processors.models.click_model import ClickModel, PairSums, paired

_MAX_FATIGUE = 8
"""Impressions within a day from which on more make no difference."""

_LEVELS = _MAX_FATIGUE + 1

_CAMPAIGN, _CREATIVE, _FATIGUE, _SUITS = 0, 1, 2, range(3, 6)
_ANY, _PLACEMENT, _LIKES = 0, 1, 6
_MOMENT, _CIRCUMSTANCES = range(8), range(6)
_PAIRS = (
    *((moment, _CAMPAIGN) for moment in _MOMENT),
    *((moment, _CREATIVE) for moment in (_ANY, _PLACEMENT, _LIKES)),
    *((moment, ad) for moment in _CIRCUMSTANCES for ad in (_FATIGUE, *_SUITS)),
)
"""Pairs of a fact of the moment and a fact of the ad, by their numbers, that are features."""

FEATURES = len(_PAIRS)
"""Number of features of an ad at a moment."""

_OF_MOMENT, _OF_AD = np.array(_PAIRS, np.int64).T.copy()


def _pairs_of(*facts: int) -> tuple[Ints, Ints]:
    """Return the pairs with some facts of the ad, which are counted from 0 on: what :func:`paired` asks for."""
    found = [(moment, facts.index(ad)) for moment, ad in _PAIRS if ad in facts]
    of_moment, of_ad = np.array(found, np.int64).T.copy()
    return of_moment, of_ad


_OF_CAMPAIGN, _OF_CREATIVE = _pairs_of(_CAMPAIGN), _pairs_of(_CREATIVE)
_OF_FATIGUE, _OF_SUITS = _pairs_of(_FATIGUE), _pairs_of(*_SUITS)


@dataclass(frozen=True)
class Facts:
    """What the click model is told of the moments of a batch, and of how ads suit their users.

    Attributes
    ----------
    moments
        Hashed facts of each moment, shape (opportunities, 8).
    tired
        How often each campaign was shown to each user within a day, up to 8; shape (opportunities, campaigns).
    suits, suited
        Hashed facts of how a category suits a user, and the opportunity of each; shapes (kinds, 3) and (kinds,). A
        user has one kind for all categories that nothing is known of, one for ads of no category, and one for each
        category that something is known of.
    kinds
        Which of these each category promoted is, the last column for ads of no category; shape (opportunities,
        categories + 1).
    columns
        The campaigns.
    """

    moments: Hashes
    tired: Ints
    suits: Hashes
    suited: Ints
    kinds: Ints
    columns: Columns

    @classmethod
    def of(cls, opportunities: Sequence[Opportunity], columns: Columns) -> Self:
        """Look up what is known. Complexity: linear in opportunities times campaigns, and in what is kept of users."""
        moments = np.array([_moment(found) for found in opportunities], np.uint64)
        return cls(moments, _fatigue(opportunities, columns), *_suits(opportunities, columns), columns)

    def features(self, rows: Ints, campaigns: Ints, creatives: Ints) -> Ints:
        """Compute the click model's features of pairs of an opportunity and a creative, shape (pairs, features).

        Parameters
        ----------
        rows, campaigns, creatives
            The opportunity, campaign and creative of each pair, shape (pairs,). Creatives are numbered among those of
            all campaigns.
        """
        ads = np.empty((len(rows), 6), np.uint64)
        ads[:, _CAMPAIGN] = self.columns.campaign_keys[campaigns]
        ads[:, _CREATIVE] = self.columns.creatives.facts[creatives]
        ads[:, _FATIGUE] = _TIRED[self.tired[rows, campaigns]]
        ads[:, 3:] = self.suits[self.kinds[rows, self.columns.creatives.category[creatives]]]
        return paired(self.moments, ads, rows, _OF_MOMENT, _OF_AD)

    def scored(
        self, model: ClickModel, rows: Ints, campaigns: Ints, groups: Ints, creatives: Ints
    ) -> tuple[Floats, Floats]:
        """Return log odds of creatives and their standard deviation, as the features of each have it.

        What creatives of a campaign, of a category or of equal fatigue share is added up once.

        Complexity: linear in creatives and kinds of suiting.

        Parameters
        ----------
        rows, campaigns
            The opportunity and the campaign of each group of creatives, shape (groups,).
        groups, creatives
            The group of each creative, and its number; shape (creatives,).
        """
        opportunities, columns = np.arange(len(self.moments)), self.columns
        campaign_facts, creative_facts = columns.campaign_keys[campaigns], columns.creatives.facts[creatives]
        levels = np.repeat(opportunities, _LEVELS), np.tile(_TIRED, len(opportunities))
        sums = [
            model.pair_sums(self.moments, of_rows, np.ascontiguousarray(facts).reshape(len(of_rows), -1), *pairs)
            for of_rows, facts, pairs in (
                (rows, campaign_facts, _OF_CAMPAIGN),
                (rows[groups], creative_facts, _OF_CREATIVE),
                (*levels, _OF_FATIGUE),
                (self.suited, self.suits, _OF_SUITS),
            )
        ]
        where = (rows, campaigns, groups, columns.creatives.category[creatives], self.tired, self.kinds)
        weights, variances = zip(*sums, strict=True)
        return model.scored(PairSums(_added(*where, *weights), _added(*where, *variances)))


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


def _moment(found: Opportunity) -> tuple[int, ...]:
    """Hash the facts of a moment: the first is always there, then the circumstances, then what the user likes."""
    profile, known = found.profile, found.dimensions.get
    _, heaviest = max(zip(profile.categories.values(), profile.categories, strict=True), default=(0.0, ""))
    last = profile.item_ids[-1] if profile.item_ids else ""
    circumstances = (found.placement, known("device", ""), known("country", ""), known("segment", ""))
    return (*_circumstances(*circumstances, profile.sessions > 1), hashed(f"likes:{heaviest}"), hashed(f"last:{last}"))


@lru_cache(4096)
def _circumstances(placement: str, device: str, country: str, segment: str, returns: bool) -> tuple[int, ...]:
    """Hash the circumstances of a moment. Results for the latest ones are cached: most moments are alike."""
    texts = (
        "any",
        f"placement:{placement}",
        f"device:{device}",
        f"country:{country}",
        f"segment:{segment}",
        f"returns:{returns}",
    )
    return tuple(map(hashed, texts))


def _suits(opportunities: Sequence[Opportunity], columns: Columns) -> tuple[Hashes, Ints, Ints]:
    """Hash how the categories promoted suit each user: suits, suited and kinds of :class:`Facts`."""
    promoted, of_user = columns.creatives.category_numbers, [_known_of(found, columns) for found in opportunities]
    lengths = np.array([2 + len(known) for known in of_user])
    firsts = np.cumsum(lengths) - lengths
    kinds = np.repeat(firsts[:, None], len(promoted) + 1, axis=1)
    kinds[:, -1] += 1
    suits = np.empty((int(lengths.sum()), 3), np.uint64)
    suits[firsts], suits[firsts + 1] = _OF_UNKNOWN, _OF_NONE
    figures = []
    for row, (first, known) in enumerate(zip(firsts.tolist(), of_user, strict=True)):
        for number, (name, of_category) in enumerate(known.items(), first + 2):
            kinds[row, promoted[name]] = number
            figures.append((number, *of_category))
    if figures:
        numbers, shares, visits, hours = np.array(figures).T
        hashes = [_FITS[share_step(shares)], _VISITS[habit_step(visits)], _AGES[recency_step(hours)]]
        suits[numbers.astype(np.int64)] = np.stack(hashes, axis=1)
    return suits, np.repeat(np.arange(len(opportunities)), lengths), kinds


def _known_of(found: Opportunity, columns: Columns) -> dict[str, tuple[float, float, float]]:
    """Look up share of interests, share of sessions and hours since, of those categories promoted that are known."""
    profile, promoted = found.profile, columns.creatives.category_numbers.keys()
    known = {name: (share, 0.0, np.inf) for name, share in shares_of(profile, promoted).items()}
    for name in promoted & profile.category_visits.keys():
        visited = profile.category_visits[name]
        habit = visited.visits / max(profile.sessions, visited.visits)
        hours = max(0.0, (found.at_ms - visited.last_ms) / HOUR_MS)
        known[name] = known.get(name, _UNKNOWN)[0], habit, hours
    return known


def _fatigue(opportunities: Sequence[Opportunity], columns: Columns) -> Ints:
    """Count how often each campaign was shown to each user within a day, up to 8; shape (opportunities, campaigns)."""
    counts = np.zeros((len(opportunities), len(columns.cids)), np.int64)
    for row, found in enumerate(opportunities):
        for cid, shown in found.profile.ads.impressions.items():
            campaign = columns.rows.get(cid)
            if campaign is not None:
                counts[row, campaign] = min(len(shown.times), _MAX_FATIGUE)
    return counts


@kernel
def _added(rows, campaigns, groups, categories, tired, kinds, by_campaign, by_creative, by_level, by_kind):  # type: ignore[no-untyped-def]  # numba finds the types
    """Add up the sums that each creative has a part in."""
    found = np.empty(len(groups))
    for at in range(len(groups)):
        group = groups[at]
        row, campaign = rows[group], campaigns[group]
        level, kind = row * _LEVELS + tired[row, campaign], kinds[row, categories[at]]
        found[at] = by_campaign[group] + by_creative[at] + by_level[level] + by_kind[kind]
    return found


def _hashed_steps(name: str, steps: int) -> Hashes:
    return np.array([hashed(f"{name}:{step}") for step in (*range(steps), "none")], np.uint64)


# These names choose the weights in the learned table: with other names the model would begin anew.
_FITS, _VISITS, _AGES = _hashed_steps("fits", 9), _hashed_steps("visits", 18), _hashed_steps("ago", 14)
_TIRED = _hashed_steps("tired", _LEVELS)[:-1]

_UNKNOWN = (0.0, 0.0, np.inf)
"""Share of interests, share of sessions and hours since, of a category that nothing is known of."""

_OF_UNKNOWN = np.array([_FITS[0], _VISITS[0], _AGES[0]], np.uint64)
_OF_NONE = np.array([_FITS[-1], _VISITS[-1], _AGES[-1]], np.uint64)
"""How a category that nothing is known of suits a user, and an ad of no category: a step of its own, the last."""
