"""Which ad is shown, of all that could be: eligibility, caps, pacing, what a showing is worth, an auction, a creative.

Each campaign bids what a showing is worth to it: its bid times the probability that what it pays for happens. The
highest wins and pays what it had to beat, the second value or the floor. Chance (pacing, creatives) is drawn from the
id of the decision, so a replay decides the same.

References
----------
W. Vickrey, "Counterspeculation, auctions, and competitive sealed tenders", Journal of Finance 16, 1961.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from processors.ads.book import CampaignBook, Columns
from processors.ads.campaign import Campaign, Creative
from processors.ads.click_model import ClickTable, Hasher, Hashes, crossed, sigmoid
from processors.ads.codes import NoBid
from processors.ads.targeting import Opportunity, removed_by, share_of
from processors.bounds import Entries, Milliseconds, Share
from processors.exploration import uniform
from processors.runs import run_begins
from processors.sources.base import Flags, Floats, Ints

_DRAWS = 32


class AdSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How ads are decided for.

    Parameters
    ----------
    currency
        Of all campaigns: bids in several could not be compared.
    floors
        Least price of one showing by placement; ``floor`` for others.
    on
        Kinds of events that are opportunities, if they name a placement.
    expires_ms
        How long a decision holds.
    impressions
        ``explicit`` counts what the app says was seen, ``inferred`` every decision as seen; never both.
    click_credit_ms, view_credit_ms, purchase_credit_ms
        How long after it was seen a click counts, after it was seen a purchase without a click, after a click a
        purchase.
    decisions, campaigns
        Kept of each user.
    """

    currency: str = "EUR"
    floor: float = 0.0
    floors: dict[str, float] = msgspec.field(default_factory=dict)
    on: tuple[str, ...] = ("browse",)
    expires_ms: Milliseconds = 600_000
    impressions: Literal["explicit", "inferred"] = "explicit"
    click_credit_ms: Milliseconds = 1_800_000
    view_credit_ms: Milliseconds = 86_400_000
    purchase_credit_ms: Milliseconds = 604_800_000
    decisions: Entries = 24
    campaigns: Entries = 200
    exploration: Share = 1.0


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a campaign in a decision: its value for a showing, or why it had no part (``nbr``)."""

    cid: str
    nbr: int = 0
    crid: str | None = None
    p_click: float = 0.0
    value: float = 0.0


@dataclass(frozen=True)
class Decided:
    """A decision. Without a winner, ``nbr`` says why.

    Attributes
    ----------
    campaign, creative
        What won.
    price
        Charged if what the campaign pays for happens.
    propensity
        Probability with which this creative of the campaign was chosen.
    features
        Hashed, of the click model.
    """

    candidates: tuple[Candidate, ...]
    nbr: NoBid | None = None
    cid: str = ""
    campaign: Campaign | None = None
    creative: Creative | None = None
    price: float = 0.0
    p_click: float = 0.0
    p_conversion: float = 0.0
    propensity: float = 1.0
    features: tuple[int, ...] = ()


class Decider:
    """Decides for many opportunities at once.

    Parameters
    ----------
    settings
        Of the ads.
    book, clicks
        The read models of campaigns and of clicks; the decider only reads them.
    """

    def __init__(self, settings: AdSettings, book: CampaignBook, clicks: ClickTable) -> None:
        self.settings, self.book, self.clicks = settings, book, clicks
        self._hash = Hasher()

    def decide(self, opportunities: Sequence[Opportunity]) -> list[Decided]:
        """One decision for each opportunity, in their order.

        Deterministic in opportunities and read models; it makes no difference what else is decided for.
        """
        if not len(self.book):
            return [Decided((), NoBid.NO_CAMPAIGN) for _ in opportunities]
        columns = self.book.columns
        removed = removed_by(opportunities, self.book)
        seeds = np.array([self._hash(found.decision_id) for found in opportunities], np.uint64)
        self._cap(removed, opportunities, columns)
        self._pace(removed, seeds, columns)
        rows, numbers = np.nonzero(removed == 0)
        choices = self._choose(opportunities, rows, numbers, seeds, columns)
        return [
            self._settle(found, removed[row], _of_row(choices, rows == row), columns)
            for row, found in enumerate(opportunities)
        ]

    def _cap(self, removed: Ints, opportunities: Sequence[Opportunity], columns: Columns) -> None:
        for row, number in zip(*np.nonzero(removed == 0), strict=True):
            campaign = columns.views[number].campaign
            found = opportunities[row]
            code = found.profile.ads.capped(columns.cids[number], campaign.advertiser, campaign.frequency, found.at_ms)
            if code is not None:
                removed[row, number] = code

    def _pace(self, removed: Ints, seeds: Hashes, columns: Columns) -> None:
        keys = np.array([self._hash(cid) for cid in columns.cids], np.uint64)
        chance = uniform((seeds[:, None] ^ keys[None, :]).ravel()).reshape(removed.shape)
        removed[(chance >= columns.rates) & (removed == 0)] = NoBid.PACED

    def _choose(
        self, opportunities: Sequence[Opportunity], rows: Ints, numbers: Ints, seeds: Hashes, columns: Columns
    ) -> _Choices:
        """The creative of each pair of opportunity and campaign, by Thompson sampling, and what it is worth."""
        creatives = [columns.views[number].campaign.creatives for number in numbers.tolist()]
        owner = np.repeat(np.arange(len(rows)), [len(part) for part in creatives])
        flat = [creative for part in creatives for creative in part]
        if not flat:
            return _NO_CHOICES
        of_row = rows[owner]
        moments = np.array([self._moment(found) for found in opportunities], np.uint64)[of_row]
        facts = np.array(
            [
                self._creative(columns.cids[numbers[pair]], creative, opportunities[rows[pair]])
                for pair, creative in zip(owner.tolist(), flat, strict=True)
            ],
            np.uint64,
        )
        features = crossed(moments, facts)
        logits, spread = self.clicks.logits(features), self.clicks.spread(features)
        keys = seeds[of_row] ^ facts[:, 0]
        noise = np.stack([_normal(keys + np.uint64(draw)) for draw in range(_DRAWS)])
        drawn = logits + np.log([creative.weight for creative in flat]) + noise * spread * self.settings.exploration
        begins = run_begins(owner)
        best = np.maximum.reduceat(drawn, begins, axis=1)[:, owner]
        wins = drawn == best
        picked = np.flatnonzero(wins[0])
        picked = picked[run_begins(owner[picked])]
        calibrated = sigmoid(logits[picked]) * columns.calibration[numbers]
        return _Choices(
            numbers,
            [flat[at] for at in picked.tolist()],
            np.minimum(calibrated, 1.0),
            wins.mean(axis=0)[picked],
            features[picked],
        )

    def _moment(self, found: Opportunity) -> list[int]:
        """Hashed facts of a moment; the first is always there."""
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
        return [self._hash(text) for text in texts]

    def _creative(self, cid: str, creative: Creative, found: Opportunity) -> list[int]:
        """Hashed facts of a creative before a user."""
        shown = found.profile.ads.shown.get(cid)
        tired = min(len(shown.times), 8) if shown else 0
        fits = round(8 * share_of(found.profile, creative.category)) if creative.category else -1
        texts = (f"creative:{cid}/{creative.crid}", f"campaign:{cid}", f"fits:{fits}", f"tired:{tired}")
        return [self._hash(text) for text in texts]

    def _settle(self, found: Opportunity, removed: Ints, choices: _Choices, columns: Columns) -> Decided:
        """The auction of one opportunity."""
        candidates = {
            number: Candidate(columns.cids[number], int(code)) for number, code in enumerate(removed.tolist()) if code
        }
        conversions = np.array([columns.views[n].conversion for n in choices.numbers.tolist()], np.float64)
        odds = np.where(columns.pays_purchase[choices.numbers], choices.p_click * conversions, choices.p_click)
        odds = np.where((columns.pays_click | columns.pays_purchase)[choices.numbers], odds, 1.0)
        values = columns.bids[choices.numbers] * odds
        order = sorted(range(len(values)), key=lambda at: (-values[at], columns.cids[choices.numbers[at]]))
        above = [at for at in order if values[at] >= found.floor and values[at] > 0.0]
        for at in order:
            code = 0 if above and at == above[0] else NoBid.OUTBID if at in above else NoBid.BELOW_FLOOR
            number = int(choices.numbers[at])
            candidates[number] = Candidate(
                columns.cids[number],
                int(code),
                choices.creatives[at].crid,
                round(float(choices.p_click[at]), 8),
                round(float(values[at]), 8),
            )
        told = tuple(candidates[number] for number in sorted(candidates))
        if not above:
            return Decided(told, _commonest(told))
        winner = above[0]
        beaten = max(found.floor, float(values[above[1]]) if len(above) > 1 else 0.0)
        number = int(choices.numbers[winner])
        return Decided(
            told,
            cid=columns.cids[number],
            campaign=columns.views[number].campaign,
            creative=choices.creatives[winner],
            price=round(min(beaten / float(odds[winner]), float(columns.bids[number])), 6),
            p_click=round(float(choices.p_click[winner]), 8),
            p_conversion=round(float(conversions[winner]), 8),
            propensity=round(float(choices.propensities[winner]), 6),
            features=tuple(choices.features[winner].tolist()),
        )


@dataclass(frozen=True)
class _Choices:
    """Of pairs of an opportunity and a campaign: the campaign, its creative, and what was expected of it."""

    numbers: Ints
    creatives: list[Creative]
    p_click: Floats
    propensities: Floats
    features: Ints


_NO_CHOICES = _Choices(np.empty(0, np.int64), [], np.empty(0), np.empty(0), np.empty((0, 1), np.int64))


def _of_row(choices: _Choices, those: Flags) -> _Choices:
    if not len(choices.numbers):
        return choices
    at = np.flatnonzero(those)
    return _Choices(
        choices.numbers[at],
        [choices.creatives[pair] for pair in at.tolist()],
        choices.p_click[at],
        choices.propensities[at],
        choices.features[at],
    )


def _commonest(candidates: Sequence[Candidate]) -> NoBid:
    """Why there is no ad: the reason of the campaigns that came furthest."""
    return NoBid(max((_FURTHEST.index(candidate.nbr), candidate.nbr) for candidate in candidates)[1])


_FURTHEST = [code.value for code in NoBid if code != NoBid.DAILY_USER_CAP]
_FURTHEST.insert(_FURTHEST.index(NoBid.FREQUENCY_CAP), NoBid.DAILY_USER_CAP.value)


def _normal(seeds: Hashes) -> Floats:
    """Standard normal numbers, one per seed (Box and Muller)."""
    radius = np.sqrt(-2.0 * np.log(uniform(seeds)))
    found: Floats = radius * np.cos(2.0 * np.pi * uniform(seeds ^ np.uint64(0xD1B54A32D192ED03)))
    return found
