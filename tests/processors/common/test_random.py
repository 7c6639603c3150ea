"""Random numbers from seeds: in their range, whatever the seed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processors.common.random import normal, uniform

GREATEST = 3_558_559_446_808_474_027
"""A seed whose bits are all ones once they are mixed."""


@given(st.integers(0, 2**64 - 1))
def test_uniform_numbers_lie_between_zero_and_one(seed: int) -> None:
    (found,) = uniform(np.array([seed], np.uint64))
    assert 0.0 < found < 1.0


def test_the_greatest_uniform_number_is_less_than_one() -> None:
    seeds = np.array([GREATEST], np.uint64)
    assert uniform(seeds).tolist() == [1.0 - 2.0**-53]
    assert np.isfinite(normal(seeds)).all()
