"""How often a user comes back to a category, and when last: what a decayed interest alone does not say.

A share of interests says what a user likes more than other things. How likely something of a category is wanted today
also depends on how many of the user's visits were about it, and on how long ago the last of them was.
"""

import msgspec


class CategoryVisits(msgspec.Struct, array_like=True):
    """Of a user and a category: the last event, in milliseconds since the epoch, and the sessions that had one."""

    last_ms: int
    visits: int = 1


def note_visit(habits: dict[str, CategoryVisits], category: str, at_ms: int, session_start: int) -> None:
    """Take over an event of a category, in place; the first of a session is a visit more.

    Parameters
    ----------
    at_ms, session_start
        When it happened and when the running session began, milliseconds since the epoch. An event from before that
        came late and is no visit more, unless it is the only one.

    Examples
    --------
    >>> habits = {}
    >>> for at_ms, session_start in ((10, 10), (15, 10), (90, 80), (20, 80)):
    ...     note_visit(habits, "tents", at_ms, session_start)
    >>> habits
    {'tents': CategoryVisits(last_ms=90, visits=2)}
    """
    habit = habits.get(category)
    if habit is None:
        habits[category] = CategoryVisits(at_ms)
        return
    habit.visits += at_ms >= session_start > habit.last_ms
    habit.last_ms = max(habit.last_ms, at_ms)
