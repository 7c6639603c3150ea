"""The draws of creatives against their own odds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processors.ads.creative_sampling import DRAWS, CreativeDraws


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.integers(0, 2**32))
def test_shares_sum_to_one_and_what_was_drawn_has_one(lengths: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    total = sum(lengths)
    keys = random.integers(0, 2**63, total).astype(np.uint64)
    firsts = np.cumsum([0, *lengths])
    draws = CreativeDraws.of(firsts, random.normal(size=total), np.full(total, 0.5), keys)
    groups = np.arange(len(lengths))[::-1].copy()
    begins, creatives, shares = draws.shares(groups)
    for group, begin, end in zip(groups.tolist(), begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        assert creatives[begin:end].tolist() == list(range(firsts[group], firsts[group + 1]))
        assert shares[begin:end].sum() == 1.0
        assert shares[begin:end][creatives[begin:end] == draws.chosen[group]] >= 1 / DRAWS


def test_of_creatives_that_are_alike_the_first_is_drawn_where_nothing_is_left_to_chance() -> None:
    keys = np.arange(3, dtype=np.uint64)
    draws = CreativeDraws.of(np.array([0, 3]), np.zeros(3), np.zeros(3), keys)
    assert draws.chosen.tolist() == [0]
    assert draws.shares(np.array([0]))[2].tolist() == [1.0, 0.0, 0.0]
