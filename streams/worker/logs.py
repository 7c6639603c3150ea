"""Logging of a process: one line per entry, and entries of libraries that repeat themselves are counted instead."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from time import monotonic

QUIET = {
    "aiokafka": logging.ERROR,
    "aiokafka.consumer.group_coordinator": logging.CRITICAL,
    "kafka": logging.CRITICAL,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "streams.worker.faust_app": logging.WARNING,
    "streams.kafka.faust_transport": logging.WARNING,
}
"""Lowest level that is logged, by logger, of libraries that log much about themselves.

Faust logs in the name of the module that subclasses its app and its transport.
"""

ASKED_AGAIN = ("Failed fetch offsets",)
"""How entries of libraries begin that are written as errors, and are part of every start with new topics.

aiokafka asks for the ends of topics that have no leader yet, and asks again until it is told.
"""

REPEAT_AFTER_S = 30.0
_MOST_KINDS = 500


class RepeatFilter(logging.Filter):
    """Lets an entry through if none like it (same logger, same template) came lately, and counts the others.

    Remembers at most 500 kinds of entries; beyond that it begins anew.

    Parameters
    ----------
    own
        Prefixes of the names of loggers whose entries are always let through.
    after_s
        Seconds after which the next entry like it is let through, with the number that were left out.
    clock
        Returns monotonic seconds.
    """

    def __init__(
        self, own: tuple[str, ...], after_s: float = REPEAT_AFTER_S, clock: Callable[[], float] = monotonic
    ) -> None:
        super().__init__()
        self._own, self._after_s, self._clock = own, after_s, clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the entry is to be written."""
        if record.name.startswith(self._own):
            return True
        if str(record.msg).startswith(ASKED_AGAIN):
            return False
        kind, now = (record.name, str(record.msg)[:80]), self._clock()
        since, left_out = self._seen.get(kind, (now - 2 * self._after_s, 0))
        if now - since < self._after_s:
            self._seen[kind] = since, left_out + 1
            return False
        if len(self._seen) >= _MOST_KINDS:
            self._seen.clear()
        self._seen[kind] = now, 0
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more like it left out)", None
        return True


def set_up_logging(level: int = logging.INFO) -> None:
    """Log to standard error, one line per entry, in local time.

    Parameters
    ----------
    level
        Lowest level that is logged. With ``DEBUG`` nothing is filtered, whatever a library logs.
    """
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s %(message)s")
    if level > logging.DEBUG:
        for name, quiet in QUIET.items():
            logging.getLogger(name).setLevel(quiet)
        for handler in logging.getLogger().handlers:
            handler.addFilter(RepeatFilter(own=("streams", "processors", "state")))
