"""Gathering: which items could be shown to each user, and what each source says of them.

Every source proposes a block of pairs (:class:`processors.ranking.sources.base.Block`). Pairs that name the same item
for the same user are brought together with one sort of packed integers, after which each value is one column over the
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
    """Asks the sources and brings together what they propose.

    Parameters
    ----------
    settings
        Of the sources.

    Raises
    ------
    ConfigurationError
        If ``off`` names a source that there is not.
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

        Complexity: a sort of the pairs proposed, about 500 integers per user.

        Parameters
        ----------
        profiles, now_ms
            The users, and the moment each slate is for (milliseconds since the epoch).
        read
            The read models.
        wanted
            Slots that are candidates for everybody because rules want them.
        """
        visitors = Visitors.of(profiles, now_ms, read.items)
        blocks = self._proposals(visitors, read, wanted)
        older_rows, older_slots = _older(profiles, read.items)
        return _merged(visitors, blocks, older_rows, older_slots, read.items.capacity)

    def _proposals(self, visitors: Visitors, read: ReadModels, wanted: Ints | None) -> dict[str, Proposal]:
        blocks: dict[str, Proposal] = {}
        at = 0
        for source in self.sources:
            block = source.propose(visitors, read)
            blocks[source.name] = Proposal(at, block, source.columns)
            at += len(block.rows)
        if wanted is not None and len(wanted):
            blocks[RULES] = Proposal(at, for_everybody(wanted, len(visitors)), ())
        return blocks


class Gather(Stage):
    """Ask the sources for candidates.

    Parameters
    ----------
    settings
        How far each source reaches.

    Attributes
    ----------
    columns : tuple of str
        Names of the values that the sources give, in the order of the features.
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

    def why(self, before: Frame, after: Frame, number: int) -> str | None:  # noqa: ARG002  # nothing was there before
        """See :class:`processors.ranking.frame.Stage`; here ``number`` is -1 for an item that is no candidate."""
        return self.removes if number < 0 else None


def _merged(
    visitors: Visitors, blocks: dict[str, Proposal], older_rows: Ints, older_slots: Ints, capacity: int
) -> Candidates:
    """Bring together what the sources propose and what the users have touched."""
    keys = np.concatenate(
        [
            *(part.block.rows * capacity + part.block.slots for part in blocks.values()),
            visitors.rows * capacity + visitors.slots,
            older_rows * capacity + older_slots,
        ]
    )
    bits = len(keys).bit_length()
    packed = np.sort(keys << bits | np.arange(len(keys)))
    order = packed & ((1 << bits) - 1)
    sorted_keys = packed >> bits
    first = run_begins(sorted_keys)
    of_pair = np.empty(len(keys), np.int64)
    of_pair[order] = np.repeat(np.arange(len(first)), run_lengths(first, len(keys)))
    touched = np.zeros(len(first), np.bool_)
    proposed = sum(len(part.block.rows) for part in blocks.values())
    touched[of_pair[proposed:]] = True
    group_keys = sorted_keys[first]
    rows = group_keys // capacity
    return Candidates(
        visitors=visitors,
        rows=rows,
        slots=group_keys - rows * capacity,
        begins=np.searchsorted(rows, np.arange(len(visitors) + 1)),
        values=_values(blocks, of_pair, len(first)),
        proposed=_proposed(blocks, of_pair, len(first)),
        touched=touched,
        history=of_pair[proposed : proposed + len(visitors.rows)],
        starts=np.append(first, len(keys)),
        order=order,
        blocks=blocks,
    )


def _values(blocks: dict[str, Proposal], of_pair: Ints, n: int) -> dict[str, Floats]:
    return {
        name: np.bincount(of_pair[part.at : part.at + len(column)], column, n).astype(np.float64, copy=False)
        for part in blocks.values()
        for name, column in zip(part.columns, part.block.values, strict=True)
    }


def _proposed(blocks: dict[str, Proposal], of_pair: Ints, n: int) -> dict[str, npt.NDArray[np.bool_]]:
    proposed = {}
    for name, part in blocks.items():
        proposed[name] = np.zeros(n, np.bool_)
        proposed[name][of_pair[part.at : part.at + len(part.block.rows)]] = True
    return proposed


def _older(profiles: Sequence[Profile], index: ItemIndex) -> tuple[Ints, Ints]:
    """Rows and slots of items that fell out of the users' detailed history."""
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
