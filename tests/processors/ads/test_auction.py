"""The auction against a plain account of it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processors.ads.auction import auction

amounts = st.floats(0.0, 10.0)
bids = st.lists(st.tuples(st.integers(0, 5), amounts), max_size=30).map(lambda found: sorted(found, key=lambda b: b[0]))


@given(bids, st.lists(amounts, min_size=6, max_size=6), st.lists(amounts, min_size=30, max_size=30))
def test_the_highest_wins_and_has_to_beat_the_second_or_the_floor(
    found: list[tuple[int, float]], floors: list[float], own: list[float]
) -> None:
    rows, values = np.array([row for row, _ in found], np.int64), np.array([value for _, value in found], np.float64)
    least = np.array([max(floors[row], mine) for (row, _), mine in zip(found, own, strict=False)])
    winners, beaten = auction(rows, values, least, np.arange(len(rows), dtype=np.uint64), len(floors))
    for row in range(len(floors)):
        mine = [(value, -n) for n, (at, value) in enumerate(found) if at == row and value >= least[n] and value > 0.0]
        if not mine:
            assert (winners[row], beaten[row]) == (-1, 0.0)
            continue
        best = max(mine)
        assert winners[row] == -best[1]
        assert beaten[row] == max([least[winners[row]], *(value for value, n in mine if n != best[1])])
