"""The auction against a plain account of it, and the draws against their own odds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processors.ads.auction import auction
from processors.ads.creative_sampling import DRAWS, CreativeDraws

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


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.integers(0, 2**32))
def test_shares_sum_to_one_and_what_was_drawn_has_one(lengths: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    total = sum(lengths)
    keys = random.integers(0, 2**63, total).astype(np.uint64)
    draws = CreativeDraws.of(np.array(lengths), random.normal(size=total), np.full(total, 0.5), keys)
    groups = np.arange(len(lengths))[::-1]
    begins, shares = draws.shares(groups)
    for group, begin, end in zip(groups.tolist(), begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        assert shares[begin:end].sum() == 1.0
        assert shares[begin + draws.chosen[group]] >= 1 / DRAWS


def test_of_creatives_that_are_alike_the_first_is_drawn_where_nothing_is_left_to_chance() -> None:
    keys = np.arange(3, dtype=np.uint64)
    draws = CreativeDraws.of(np.array([3]), np.zeros(3), np.zeros(3), keys)
    assert draws.chosen.tolist() == [0]
    assert draws.shares(np.array([0]))[1].tolist() == [1.0, 0.0, 0.0]
