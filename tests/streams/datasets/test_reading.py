"""Whether a file can be believed: what was not read, and what its times say."""

import pytest

from streams.datasets.event_files import FileEvent
from streams.datasets.files import EventFileError
from streams.datasets.reading import Reading

AT = 1_700_000_000_000


def reading_of(*times_ms: int, unread: int = 0) -> Reading:
    reading = Reading()
    for _ in reading.watched(FileEvent("t", b"u", b"", at) for at in times_ms):
        pass
    for number in range(unread):
        reading.refuse("price", number, "price: 'x'")
    return reading


def test_a_stream_in_order_is_good() -> None:
    reading = reading_of(*(AT + n * 1000 for n in range(200)), unread=22)
    reading.check("clicks.csv")
    assert (reading.events, reading.first_ms, reading.last_ms) == (200, AT, AT + 199_000)


def test_more_than_a_tenth_that_cannot_be_read_is_too_much() -> None:
    with pytest.raises(EventFileError, match=r"^clicks.csv: 2 of 19 lines cannot be read, expected a tenth at most$"):
        reading_of(*[AT] * 17, unread=2).check("clicks.csv")
    with pytest.raises(EventFileError, match=r"1 of 1 lines cannot be read, expected a tenth at most$"):
        reading_of(unread=1).check_lines("clicks.csv", "the others were sent")
    with pytest.raises(EventFileError, match=r"a tenth at most; the others were sent$"):
        reading_of(AT, unread=1).check_lines("clicks.csv", "the others were sent")


def test_what_is_wrong_with_a_line_is_said_once() -> None:
    assert reading_of(unread=1).lines() == ["1 line not read for price: line 0: 'x'"]
    assert reading_of(unread=4).lines() == ["4 lines not read for price: line 0: 'x'; line 1: 'x'; line 2: 'x'"]


def test_a_file_without_an_event_is_none() -> None:
    with pytest.raises(EventFileError, match=r"clicks.csv: no event in it"):
        reading_of().check_lines("clicks.csv")


@pytest.mark.parametrize("at", [5, 4_200_000_000_000])
def test_times_before_1990_and_after_2100_are_none(at: int) -> None:
    with pytest.raises(EventFileError, match="2 of 100 times are before 1990 or after 2100"):
        reading_of(*[AT] * 98, at, at).check("clicks.csv", in_order=False)
    reading_of(*[AT] * 99, at).check("clicks.csv", in_order=False)


def test_times_that_run_back_are_refused_unless_the_events_are_sorted() -> None:
    reading = reading_of(AT + 3_600_000, AT, AT + 3_700_000, AT + 3_650_000)
    assert reading.back == 1
    with pytest.raises(EventFileError, match=r"times run back at 1 of 4 events, by up to 60 minutes.*--sort"):
        reading.check("clicks.csv")
    reading.check("clicks.csv", in_order=False)
    assert reading.lines() == ["1 events are earlier than one before them by more than a minute"]
