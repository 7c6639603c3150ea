"""Names as people write them: which of them are the same."""

from __future__ import annotations

from functools import lru_cache
from unicodedata import normalize


@lru_cache(65_536)
def folded(name: str) -> str:
    r"""Return what all spellings of a name have in common: without regard to case and Unicode form (NFKC).

    Examples
    --------
    >>> folded("CAFE\u0301") == folded("Café") == folded("café")
    True
    """
    return normalize("NFKC", normalize("NFKC", name).casefold())
