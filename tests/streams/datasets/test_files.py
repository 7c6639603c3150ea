"""Files of events and logs: opening them and counting their lines."""

from pathlib import Path

import pytest

from streams.datasets.files import EventFileError, count_events, opened, show_nothing

HEADER = "user_id,item_id,event_type,timestamp,price,category"


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(EventFileError) as caught:
        count_events(tmp_path / "none.csv")
    assert str(caught.value) == f"{tmp_path / 'none.csv'}: No such file or directory"


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("a.csv", f"{HEADER}\nu,i,view,1,,\nu,i,view,1,,\n", 2),
        ("b.csv", f"{HEADER}\nu,i,view,1,,\nu,i,view,1,,", 2),
        ("c.csv", f"{HEADER}\n", 0),
        ("d.csv", "", 0),
        ("e.jsonl", "{}\n{}\n{}", 3),
    ],
)
def test_events_are_counted_without_being_read(tmp_path: Path, name: str, text: str, count: int) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert count_events(path) == count


def test_damage_met_while_reading_is_named_like_damage_met_when_opening(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv.gz"
    path.write_bytes(b"not gzip at all")
    with pytest.raises(EventFileError, match="is not a whole gzip file"), opened(path) as file:
        file.read()


def test_without_progress_things_are_what_they_were() -> None:
    assert list(show_nothing(iter((1, 2)), 2, "things")) == [1, 2]
