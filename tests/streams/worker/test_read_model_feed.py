"""What the feed of the read models does with a record that none of them can take over."""

from typing import Any, cast

import pytest

from processors.common.errors import StateError
from processors.events.record import Record
from streams.engine.topology import build_topology
from streams.settings.sections import Settings
from streams.worker.read_model_feed import ReadModelFeed


@pytest.mark.parametrize("value", [b"\xc1", b"\x93\x01"])
def test_a_record_that_no_read_model_can_take_over_is_named(value: bytes) -> None:
    feed = ReadModelFeed.__new__(ReadModelFeed)
    feed._topology = build_topology(Settings())
    record = Record("broadcast.items", 3, 17, 0, b"tent", value)
    with pytest.raises(
        StateError, match=r"broadcast\.items\[3\], offset 17, key b'tent': no read model can take it over"
    ):
        feed._apply([cast(Any, record)])
