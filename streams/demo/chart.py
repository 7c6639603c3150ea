"""Block characters that draw a curve."""

from collections.abc import Sequence
from itertools import pairwise

_BLOCKS = " ▁▂▃▄▅▆▇█"


def resample(points: Sequence[float], width: int) -> list[float]:
    """Reduce points to at most ``width``: the means of equal stretches.

    Examples
    --------
    >>> resample([1.0, 3.0, 5.0, 7.0], width=2)
    [2.0, 6.0]
    >>> resample([1.0, 3.0], width=9)
    [1.0, 3.0]
    """
    number = len(points)
    if number <= width:
        return list(points)
    bounds = [number * column // width for column in range(width + 1)]
    return [sum(points[a:b]) / (b - a) for a, b in pairwise(bounds)]


def chart(points: Sequence[float], width: int, height: int, top: float) -> list[str]:
    """Return the rows of a bar chart, highest first; ``top`` is the value that fills all of them.

    Examples
    --------
    >>> for row in chart([0.1, 0.25, 0.5, 0.75, 1.0], width=5, height=2, top=1.0):
    ...     print(row)
       ▄█
    ▂▄███
    """
    steps = 8 * height
    levels = [min(max(round(value / top * steps), 0), steps) for value in resample(points, width)] if top > 0 else []
    return ["".join(_BLOCKS[min(max(level - 8 * row, 0), 8)] for level in levels) for row in reversed(range(height))]


def row_of(value: float, height: int, top: float) -> int:
    """Return the row of :func:`chart` in which a value ends, counted from above.

    Examples
    --------
    >>> row_of(1.0, height=4, top=1.0), row_of(0.3, height=4, top=1.0), row_of(0.0, height=4, top=1.0)
    (0, 2, 3)
    """
    if top <= 0:
        return height - 1
    return min(max(height - 1 - int(value / top * height), 0), height - 1)
