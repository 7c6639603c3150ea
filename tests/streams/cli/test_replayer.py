"""When the events of a file are sent."""

import time
from pathlib import Path

import pytest

from streams.cli.file_options import EventFile
from streams.cli.replayer import Replay
from streams.settings.sections import Settings

HEADER = "user_id,item_id,type,timestamp"
TIMES = ("1970-01-01", "2025-06-02T10:15:00Z", "9999-12-31", "2025-06-02T10:15:01Z")


@pytest.mark.parametrize("now", [False, True])
def test_a_wrong_clock_keeps_no_other_event_up(tmp_path: Path, now: bool) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text("\n".join([HEADER, *(f"u,i,click,{at}" for at in TIMES)]))
    replay = Replay(Settings(), EventFile(path), speed=100.0, now=now)
    sent = [event.time_ms for event in replay._paced(replay._pace(), time.monotonic())]
    assert sent[3] - sent[1] == 1000
    assert not now or abs(sent[3] - time.time() * 1000) < 5000
