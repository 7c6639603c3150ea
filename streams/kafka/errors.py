"""Errors of brokers, and excerpts of their logs for the messages."""

from pathlib import Path

from processors.common.errors import NearstreamError


class BrokerUnavailable(NearstreamError):
    """No broker could be started or reached. The message says why, and what to do next."""


class BrokerRefused(BrokerUnavailable):
    """A broker answers, and will not have us: waiting does not help. The message says why, without any secret."""


def tail(text: str, lines: int = 20) -> str:
    r"""Return the last lines of a text, indented so that they stand apart in a message.

    Examples
    --------
    >>> tail("a\nb\nc\n", lines=2)
    '  b\n  c'
    """
    return "\n".join(f"  {line}" for line in text.rstrip().splitlines()[-lines:])


def file_tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log file, or say that there is none."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        return f"  (no log: {error})"
    return tail(text, lines) or "  (its log is empty)"
