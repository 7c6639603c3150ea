"""Expiry of idle states: a step now and then looks at the next few states of its partition.

Which states a step looks at, and what time it is, follow from the position and the events alone, so that a replay
deletes the same ones at the same places. With four steps or more a second a partition looks at 1.4 million states in a
day, with few steps at a few hundred in each.
"""

from collections.abc import Container
from typing import TypeVar

import msgspec

from processors.planes.base import Plane, has_expired
from state.position import Position
from state.store import PartitionStore

State = TypeVar("State", bound=msgspec.Struct)

EVERY_MS = 250
"""Least time between two looks, in milliseconds of the partition's clock."""

_FEWEST, _MOST = 4, 512
_ONE_MORE_MS = 3 * 60_000
"""States of one look: so many at least and at most, and time since the last look that adds one, in milliseconds."""


def idle_keys(
    plane: Plane[State], store: PartitionStore[State], position: Position, changed: Container[str]
) -> list[str]:
    """Look at the next few states, if it is time, and return the keys of those that have expired.

    Complexity: reads and decodes 4 states, up to 512 where there was no step for a day, however many there are.

    Parameters
    ----------
    plane
        Says which states expire (:func:`processors.planes.base.has_expired`).
    store
        The states as they are committed.
    position
        Has the clock; what was looked at is noted in it.
    changed
        Keys of states that the step at hand changes: these are not idle.
    """
    passed_ms = position.clock_ms - position.swept_ms
    if not plane.expire_after_ms or passed_ms < EVERY_MS:
        return []
    count = min(_FEWEST + passed_ms // _ONE_MORE_MS, _MOST)
    found = store.after(position.swept, count)
    position.swept, position.swept_ms = found[-1][0] if len(found) == count else "", position.clock_ms
    return [key for key, state in found if key not in changed and has_expired(plane, state, position.clock_ms)]
