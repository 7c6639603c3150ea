"""Chance in the compiled loop is the same as everywhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.random import uniform
from processors.ranking.exploration import _uniform


@pytest.mark.filterwarnings("ignore:overflow")
@given(st.integers(0, 2**64 - 1))
def test_a_number_drawn_in_the_loop_is_the_one_that_the_seed_gives(seed: int) -> None:
    assert _uniform(np.uint64(seed)) == uniform(np.array([seed], np.uint64))[0]
