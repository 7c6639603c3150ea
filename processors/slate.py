"""Slates: the best candidates per user and placement, with a reason for each, as messages.

The score is a blend with fixed weights; each co-visitation source is first divided by the user's best candidate in it,
so that the weights mean the same for a user with one visit and one with sixty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

SOURCES=('a','b','recent','x');MAX_ROWS=512
from processors.candidates import Candidates,Floats,Ints
from processors.sources import SourceSettings as CandidateSettings

from processors.item_index import ItemIndex
from processors.profile import Profile

_NEVER = -np.inf
_TIE = 1e-9


class Placement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place in the app that shows a slate.

    Parameters
    ----------
    name
        As in the messages.
    only_new
        Leave out everything the user has touched.
    size
        Items in the slate, at most.
    """

    name: str
    only_new: bool = False
    size: int = 20


class RankingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Placements and the weights of the blend, in the order of :data:`processors.candidates.SOURCES`."""

    placements: tuple[Placement, ...] = (Placement("home"), Placement("discover", only_new=True))
    together: float = 1.0
    next: float = 0.5
    recent: float = 0.6
    popular: float = 0.02
    candidates: CandidateSettings = CandidateSettings()

    @property
    def model_version(self) -> str:
        """Names the logic and its weights: two slates with the same version were ranked alike."""
        return f"blend-1:{self.together:g},{self.next:g},{self.recent:g},{self.popular:g}"


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an item is in a slate. ``item_id`` is the user's own item that led to it."""

    kind: str
    item_id: str | None = None
    text: str | None = None


class SlateItem(msgspec.Struct, frozen=True):
    """One place of a slate."""

    item_id: str
    rank: int
    score: float
    source: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Slates:
    """Slates of several users for one placement, as arrays of shape (users, size).

    ``slots`` is -1 beyond the end of a slate; ``sources`` are indices into :data:`SOURCES`; ``because`` is the slot of
    the recent item behind a co-visitation candidate, else -1.
    """

    slots: Ints
    scores: Floats
    sources: Ints
    because: Ints

    def items(self, row: int, index: ItemIndex) -> list[SlateItem]:
        """The slate of one user."""
        ids, found = index.ids, []
        columns = (self.slots[row], self.scores[row], self.sources[row], self.because[row])
        for rank, (slot, score, source, because) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True), 1
        ):
            if slot < 0:
                break
            reason = _reason(source, ids[because] if because >= 0 else None)
            found.append(SlateItem(ids[slot], rank, score, SOURCES[source], (reason,)))
        return found


def _reason(source: int, because: str | None) -> Reason:
    if source == 0:
        return Reason("viewed_together", because, f"Often viewed together with {because}")
    if source == 1:
        return Reason("viewed_next", because, f"Often viewed right after {because}")
    return _VIEWED if source == SOURCES.index("recent") else _TRENDING


_VIEWED = Reason("viewed_before", None, "You looked at this before")
_TRENDING = Reason("trending", None, "Popular right now")


class Ranker:
    """Ranks for many users at once.

    Parameters
    ----------
    settings
        Placements and weights.
    """

    def __init__(self, settings: RankingSettings) -> None:
        self.settings = settings
        self._weights = np.array([settings.together, settings.next, settings.recent, settings.popular])

    def rank(self, profiles: Sequence[Profile], index: ItemIndex) -> list[Slates]:
        """Slates per placement, in the order of the settings; rows as in ``profiles``.

        Deterministic in profiles and published item views alone: ties are broken by a hash of the item id.
        """
        parts = [
            self._rank_part(profiles[at : at + MAX_ROWS], index) for at in range(0, max(1, len(profiles)), MAX_ROWS)
        ]
        if len(parts) == 1:
            return parts[0]
        return [_stack([part[n] for part in parts]) for n in range(len(self.settings.placements))]

    def _rank_part(self, profiles: Sequence[Profile], index: ItemIndex) -> list[Slates]:
        candidates = gather_candidates(profiles, index, self.settings.candidates)
        shares = candidates.values * self._weights
        if len(shares):
            row_starts = np.flatnonzero(np.diff(candidates.rows, prepend=-1))
            best = np.maximum.reduceat(candidates.values[:, :2], row_starts)
            of_row = np.repeat(np.arange(len(row_starts)), np.diff(row_starts, append=len(shares)))
            shares[:, :2] /= np.where(best > 0.0, best, 1.0)[of_row]
        scores = shares.sum(axis=1)
        scores = np.where(scores > 0.0, scores + index.tie[candidates.slots] * _TIE, _NEVER)
        return [
            self._slates(
                candidates,
                shares,
                np.where(candidates.touched, _NEVER, scores) if placement.only_new else scores,
                len(profiles),
                placement.size,
                index,
            )
            for placement in self.settings.placements
        ]

    def _slates(
        self, candidates: Candidates, shares: Floats, scores: Floats, users: int, size: int, index: ItemIndex
    ) -> Slates:
        chosen, kept = _top(candidates.rows, scores, users, size)
        flat = np.flatnonzero(kept.ravel())
        picked = chosen.ravel()[flat]
        slots = np.full(users * size, -1, np.int64)
        sources, because = slots.copy(), slots.copy()
        score = np.zeros(users * size)
        slots[flat] = candidates.slots[picked]
        score[flat] = np.round(scores[picked], 6)
        source = np.argmax(shares[picked], axis=1) if len(picked) else picked
        sources[flat] = source
        explained = source < 2
        because[flat[explained]] = _strongest_link(candidates, picked[explained], source[explained], index)
        shape = (users, size)
        return Slates(slots.reshape(shape), score.reshape(shape), sources.reshape(shape), because.reshape(shape))


def _stack(parts: list[Slates]) -> Slates:
    return Slates(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("slots", "scores", "sources", "because"))
    )


def _top(rows: Ints, scores: Floats, users: int, size: int) -> tuple[Ints, "np.ndarray"]:
    """Candidate numbers of each user's ``size`` best, best first, and which of those places are filled."""
    lengths = np.bincount(rows, minlength=users)
    starts = np.cumsum(lengths) - lengths
    width = max(int(lengths.max(initial=0)), size)
    table = np.full((users, width), _NEVER)
    table[rows, np.arange(len(rows)) - starts[rows]] = scores
    best = np.argpartition(-table, size - 1, axis=1)[:, :size] if width > size else np.tile(np.arange(size), (users, 1))
    values = np.take_along_axis(table, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    values = np.take_along_axis(values, order, axis=1)
    return np.take_along_axis(best, order, axis=1) + starts[:, None], values > _NEVER


def _strongest_link(candidates: Candidates, picked: Ints, source: Ints, index: ItemIndex) -> Ints:
    """Slot of the recent item that contributed most to each picked candidate, in the source it is shown for."""
    if not len(picked):
        return picked
    begins = candidates.starts[picked]
    lengths = candidates.starts[picked + 1] - begins
    owner = np.repeat(np.arange(len(picked)), lengths)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    pairs = candidates.order[begins[owner] + offset]
    linked = pairs < len(candidates.links)
    owner, pairs = owner[linked], pairs[linked]
    values = np.where(source[owner] == 0, candidates.together[pairs], candidates.next[pairs])
    order = np.lexsort((index.tie[candidates.links[pairs]], values, owner))
    last = np.flatnonzero(np.diff(owner[order], append=len(picked)))
    found: Ints = candidates.links[pairs[order[last]]]
    return found
