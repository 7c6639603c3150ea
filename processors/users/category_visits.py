"""Visits to categories: in how many sessions a user touched items of a category, and when last.

The decayed interest in a category says what a user likes more than other things. How likely the user wants something of
a category today also depends on how many sessions were about it, and on how long ago the last of them was.
"""

import msgspec


class CategoryVisits(msgspec.Struct, array_like=True):
    """Visits of one user to one category.

    Parameters
    ----------
    last_ms
        Time of the latest event with the category, milliseconds since the epoch.
    visits
        Sessions with at least one such event.
    """

    last_ms: int
    visits: int = 1


def count_visit(visits: dict[str, CategoryVisits], category: str, at_ms: int, session_start: int) -> None:
    """Count an event with a category, in place. Only the first of a session is a further visit.

    Parameters
    ----------
    visits
        The user's visits by category. It grows by each category that is new to it: the caller bounds it.
    category
        The event's category.
    at_ms
        Time of the event, milliseconds since the epoch.
    session_start
        When the running session began, milliseconds since the epoch. An event from before that arrived late and is no
        further visit.

    Examples
    --------
    >>> visits = {}
    >>> for at_ms, session_start in ((10, 10), (15, 10), (90, 80), (20, 80)):
    ...     count_visit(visits, "tents", at_ms, session_start)
    >>> visits
    {'tents': CategoryVisits(last_ms=90, visits=2)}
    """
    known = visits.get(category)
    if known is None:
        visits[category] = CategoryVisits(at_ms)
        return
    known.visits += at_ms >= session_start > known.last_ms
    known.last_ms = max(known.last_ms, at_ms)
