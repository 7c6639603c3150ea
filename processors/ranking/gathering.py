"""Gathering: the sources propose items to each user, and what they propose is merged into candidates.

Every source proposes pairs of user and item (:class:`processors.ranking.sources.base.ProposedPairs`). Pairs of the same
user and item are one candidate: a hash table finds it, one user after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from processors.common.arrays import Ints
from processors.common.compiled import kernel
from processors.common.errors import ConfigurationError
from processors.common.hashing import FINGERPRINT_BYTES
from processors.items.index import ItemIndex
from processors.ranking.candidates import OLDER, RECENT, RULES, Candidates, Proposal
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
        Names of their values, in the order of :attr:`processors.ranking.candidates.Candidates.amounts`.

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

        Complexity: one look into a hash table per pair, about 500 per user.

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
        return _merged(visitors, list(proposals.values()), _older(profiles, read.items), self.columns, proposals)

    def _proposals(self, visitors: Visitors, read: ReadModels, wanted: Ints | None) -> dict[str, Proposal]:
        """Ask all sources, and number their pairs through."""
        asked = [(source.name, source.columns, source.propose(visitors, read)) for source in self.sources]
        if wanted is not None and len(wanted):
            asked.append((RULES, (), for_everybody(wanted, len(visitors))))
        proposals: dict[str, Proposal] = {}
        first = 0
        for number, (name, columns, pairs) in enumerate(asked):
            proposals[name] = Proposal(number, first, pairs, columns)
            first += len(pairs.rows)
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
    visitors: Visitors,
    parts: list[Proposal],
    older: tuple[Ints, Ints],
    columns: tuple[str, ...],
    proposals: dict[str, Proposal],
) -> Candidates:
    """Merge what the sources propose and what the users have touched into candidates, each once."""
    all_rows = [*(part.pairs.rows for part in parts), visitors.rows, older[0]]
    all_slots = [*(part.pairs.slots for part in parts), visitors.slots, older[1]]
    lists = np.array(
        [
            *((len(part.pairs.rows), len(part.columns), 1 << part.number) for part in parts),
            (len(visitors.rows), 0, RECENT),
            (len(older[0]), 0, OLDER),
        ],
        np.int64,
    )
    of_pair, begins, found_rows, found_slots = _numbered(
        np.concatenate(all_rows), np.concatenate(all_slots), lists, len(visitors)
    )
    flat = np.concatenate([part.pairs.values.reshape(-1) for part in parts if part.columns] or [_NO_VALUES])
    amounts, found_marks = _added(of_pair, flat, lists, len(found_rows))
    recent = len(of_pair) - len(older[0]) - len(visitors.rows)
    return Candidates(
        visitors=visitors,
        rows=found_rows,
        slots=found_slots,
        begins=begins,
        amounts=amounts,
        columns=columns,
        marks=found_marks,
        history=of_pair[recent : recent + len(visitors.rows)].astype(np.int64),
        of_pair=of_pair,
        proposals=proposals,
    )


_NO_VALUES = np.empty(0)


@kernel
def _numbered(rows, slots, lists, users):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return the candidate number of each pair, where each user begins, and rows and slots of the candidates.

    The pairs come one list after another, each sorted by user; ``lists`` has the length of each list first.
    """
    most, of_user = 1, np.zeros(users, np.int64)
    for at in range(len(rows)):
        of_user[rows[at]] += 1
    for user in range(users):
        most = max(most, of_user[user])
    size = 2
    while size < 2 * most:
        size *= 2
    # A hash table with open addressing: an entry counts if its owner is the user at hand, so nothing is ever emptied.
    owner, keys, numbers = np.full(size, -1, np.int32), np.empty(size, np.int64), np.empty(size, np.int32)
    of_pair, begins = np.empty(len(rows), np.int32), np.zeros(users + 1, np.int64)
    found_rows, found_slots, n = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64), 0
    cursor, ends = np.zeros(len(lists), np.int64), np.cumsum(lists[:, 0])
    cursor[1:] = ends[:-1]
    for user in range(users):
        for part in range(len(cursor)):
            at = cursor[part]
            while at < ends[part] and rows[at] == user:
                slot = slots[at]
                entry = (slot * 2654435761) & (size - 1)
                while owner[entry] == user and keys[entry] != slot:
                    entry = (entry + 1) & (size - 1)
                if owner[entry] != user:
                    owner[entry], keys[entry], numbers[entry] = user, slot, n
                    found_rows[n], found_slots[n] = user, slot
                    n += 1
                of_pair[at] = numbers[entry]
                at += 1
            cursor[part] = at
        begins[user + 1] = n
    return of_pair, begins, found_rows[:n].copy(), found_slots[:n].copy()


@kernel
def _added(of_pair, flat, lists, n):  # type: ignore[no-untyped-def]  # numba finds the types
    """Add up the values of each candidate's pairs, and mark who named it.

    ``flat`` has the values of one list after another; ``lists`` the length of each list, how many values each of its
    pairs has, and its mark.
    """
    amounts, found = np.zeros((lists[:, 1].sum(), n)), np.zeros(n, np.uint32)
    pair, value, column = 0, 0, 0
    for length, width, mark in lists:
        for at in range(pair, pair + length):
            candidate = of_pair[at]
            found[candidate] |= np.uint32(mark)
            for within in range(width):
                amounts[column + within, candidate] += flat[value]
                value += 1
        pair += length
        column += width
    return amounts, found


def _older(profiles: Sequence[Profile], index: ItemIndex) -> tuple[Ints, Ints]:
    """Find row and slot of the items that a profile keeps only a fingerprint of, since they were touched long ago."""
    lengths = [len(profile.older_items) // FINGERPRINT_BYTES for profile in profiles]
    slots = index.slots_of_fingerprints(b"".join(profile.older_items for profile in profiles))
    known = slots >= 0
    return np.repeat(np.arange(len(profiles)), lengths)[known], slots[known]
