"""Gathering: the sources propose items to each user, and what they propose is merged into candidates.

Every source proposes pairs of user and item (:class:`processors.ranking.sources.base.ProposedPairs`). Pairs of the same
user and item are merged by one sort of packed integers, after which each value of a source is one column over the
candidates. There is no loop over users or items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from processors.common.arrays import Floats, Ints, run_begins, run_lengths
from processors.common.errors import ConfigurationError
from processors.common.hashing import FINGERPRINT_BYTES
from processors.items.index import ItemIndex
from processors.ranking.candidates import RULES, Candidates, Proposal
from processors.ranking.frame import Frame, Stage
from processors.ranking.read_models import ReadModels
from processors.ranking.sources import ALL, Source, SourceSettings, Visitors, with_settings
from processors.ranking.sources.base import for_everybody
from processors.users.profile import Profile


class Gatherer:
    """Asks the sources for items and merges what they propose into candidates.

    Parameters
    ----------
    settings
        Which sources are off, and how many items the others propose.

    Attributes
    ----------
    sources : list of Source
        Sources that are not off.
    columns : tuple of str
        Names of their values, in the order of :attr:`processors.ranking.candidates.Candidates.values`.

    Raises
    ------
    ConfigurationError
        If ``off`` names a source that does not exist.
    """

    def __init__(self, settings: SourceSettings) -> None:
        names = [source.name for source in ALL]
        for name in settings.off:
            if name not in names:
                raise ConfigurationError(
                    f"users.ranking.sources.off: no source {name!r}, expected some of {', '.join(names)}"
                )
        self.sources: list[Source] = [
            with_settings(source, settings) for source in ALL if source.name not in settings.off
        ]
        self.columns = tuple(name for source in self.sources for name in source.columns)

    def gather(
        self, profiles: Sequence[Profile], now_ms: Sequence[int], read: ReadModels, wanted: Ints | None = None
    ) -> Candidates:
        """Find the candidates of at most :data:`processors.ranking.candidates.MAX_ROWS` users.

        Complexity: a sort of all pairs, about 500 integers per user.

        Parameters
        ----------
        profiles, now_ms
            The users, and the moment each slate is for (milliseconds since the epoch).
        read
            The read models.
        wanted
            Slots of items that are candidates for everybody, whatever the sources propose.
        """
        visitors = Visitors.of(profiles, now_ms, read.items)
        proposals = self._proposals(visitors, read, wanted)
        older_rows, older_slots = _older(profiles, read.items)
        return _merged(visitors, proposals, older_rows, older_slots, read.items.capacity)

    def _proposals(self, visitors: Visitors, read: ReadModels, wanted: Ints | None) -> dict[str, Proposal]:
        """Ask all sources, and number their pairs through."""
        proposals: dict[str, Proposal] = {}
        first = 0
        for source in self.sources:
            pairs = source.propose(visitors, read)
            proposals[source.name] = Proposal(first, pairs, source.columns)
            first += len(pairs.rows)
        if wanted is not None and len(wanted):
            proposals[RULES] = Proposal(first, for_everybody(wanted, len(visitors)), ())
        return proposals


class Gather(Stage):
    """Ask the sources for candidates: only what a source proposes to a user, or a rule to everybody, can be shown.

    Parameters
    ----------
    settings
        Which sources are off, and how many items the others propose.

    Attributes
    ----------
    columns : tuple of str
        Names of the sources' values, in the order of the features.
    """

    name = "gather"
    shared = True
    removes = "no source proposes it for this user"

    def __init__(self, settings: SourceSettings) -> None:
        self._gatherer = Gatherer(settings)
        self.columns = self._gatherer.columns

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.candidates = self._gatherer.gather(frame.profiles, frame.now_ms, frame.read, frame.wanted)
        frame.ties = frame.read.items.attributes.tie[frame.candidates.slots]
        frame.kept = np.ones(len(frame.candidates), np.bool_)
        return frame


def _merged(
    visitors: Visitors, proposals: dict[str, Proposal], older_rows: Ints, older_slots: Ints, capacity: int
) -> Candidates:
    """Merge what the sources propose and what the users have touched into candidates, each once."""
    keys = np.concatenate(
        [
            *(part.pairs.rows * capacity + part.pairs.slots for part in proposals.values()),
            visitors.rows * capacity + visitors.slots,
            older_rows * capacity + older_slots,
        ]
    )
    bits = len(keys).bit_length()
    packed = np.sort(keys << bits | np.arange(len(keys)))
    order = packed & ((1 << bits) - 1)
    sorted_keys = packed >> bits
    first = run_begins(sorted_keys)
    candidate_of = np.empty(len(keys), np.int64)
    candidate_of[order] = np.repeat(np.arange(len(first)), run_lengths(first, len(keys)))
    touched = np.zeros(len(first), np.bool_)
    proposed = sum(len(part.pairs.rows) for part in proposals.values())
    touched[candidate_of[proposed:]] = True
    group_keys = sorted_keys[first]
    rows = group_keys // capacity
    return Candidates(
        visitors=visitors,
        rows=rows,
        slots=group_keys - rows * capacity,
        begins=np.searchsorted(rows, np.arange(len(visitors) + 1)),
        values=_values(proposals, candidate_of, len(first)),
        proposed=_proposed(proposals, candidate_of, len(first)),
        touched=touched,
        history=candidate_of[proposed : proposed + len(visitors.rows)],
        pair_begins=np.append(first, len(keys)),
        pair_order=order,
        proposals=proposals,
    )


def _values(proposals: dict[str, Proposal], candidate_of: Ints, n: int) -> dict[str, Floats]:
    """Add up each value over the pairs of each of ``n`` candidates, given the candidate of each pair."""
    return {
        name: np.bincount(candidate_of[part.first : part.first + len(column)], column, n).astype(np.float64, copy=False)
        for part in proposals.values()
        for name, column in zip(part.columns, part.pairs.values, strict=True)
    }


def _proposed(proposals: dict[str, Proposal], candidate_of: Ints, n: int) -> dict[str, npt.NDArray[np.bool_]]:
    """Tell, per source, which of ``n`` candidates it proposed, given the candidate of each pair."""
    proposed = {}
    for name, part in proposals.items():
        proposed[name] = np.zeros(n, np.bool_)
        proposed[name][candidate_of[part.first : part.first + len(part.pairs.rows)]] = True
    return proposed


def _older(profiles: Sequence[Profile], index: ItemIndex) -> tuple[Ints, Ints]:
    """Find row and slot of the items that a profile keeps only a fingerprint of, since they were touched long ago."""
    rows: list[int] = []
    slots: list[int] = []
    for row, profile in enumerate(profiles):
        ring = profile.older_items
        if ring:
            marks = (ring[at : at + FINGERPRINT_BYTES] for at in range(0, len(ring), FINGERPRINT_BYTES))
            found = [slot for slot in map(index.slot_of_fingerprint, marks) if slot >= 0]
            slots.extend(found)
            rows.extend([row] * len(found))
    return np.array(rows, np.int64), np.array(slots, np.int64)
