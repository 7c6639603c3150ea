"""Settings of the ranking that make no sense are refused."""

import msgspec
import pytest

from processors.ranking.settings import Placement


@pytest.mark.parametrize("size", [0, 101])
def test_a_placement_of_no_use_is_refused(size: int) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"size|Expected `int`"):
        msgspec.convert({"name": "home", "size": size}, Placement)
