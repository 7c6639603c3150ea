"""What a partition takes of what arrives after it had its topics sought: nothing twice, nothing in between left out."""

from collections import deque
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from processors.common.errors import DeliveryGap
from streams.worker.record_buffer import RecordBuffer
from tests.streams.engine.test_partition import apply, batch, processor, seen


def record_buffer(records: int = 10**6) -> RecordBuffer:
    return RecordBuffer(records, 10**9, pause=lambda _: None, resume=lambda _: None)


def waiting(target: RecordBuffer) -> list[tuple[str, int, int]]:
    return [(taken.topic, taken.start, taken.end) for taken, _ in target.take(10**6, 10**9)]


def put(target: RecordBuffer, topic: str, start: int, end: int) -> None:
    target.put(batch(topic, start, end), lambda: None)


def test_what_was_fetched_before_a_seek_is_dropped_until_what_was_sought_arrives() -> None:
    target = record_buffer()
    target.seek({"a": 5})
    for start in (20, 25, 9):
        put(target, "a", start, start + 5)
    put(target, "a", 5, 8)
    put(target, "a", 8, 9)
    put(target, "a", 20, 25)  # nothing is on its way any more: this one is a gap
    assert waiting(target) == [("a", 5, 8), ("a", 8, 9), ("a", 20, 25)]


def test_what_is_dropped_is_neither_counted_nor_acknowledged() -> None:
    acknowledged: list[int] = []
    target = record_buffer()
    target.seek({"a": 5})
    target.put(batch("a", 6, 9), lambda: acknowledged.append(9))
    assert (target.records, target.size_bytes, bool(target), acknowledged) == (0, 0, False, [])


def test_a_batch_that_has_more_than_what_was_sought_is_what_was_sought() -> None:
    target = record_buffer()
    target.seek({"a": 5})
    put(target, "a", 3, 7)
    put(target, "a", 7, 9)
    assert waiting(target) == [("a", 3, 7), ("a", 7, 9)]


def test_what_lies_before_what_was_sought_is_not_it() -> None:
    target = record_buffer()
    target.seek({"a": 5})
    put(target, "a", 3, 5)
    put(target, "a", 8, 9)
    assert waiting(target) == [("a", 3, 5)]


def test_no_more_records_are_taken_than_asked_for() -> None:
    acknowledged: list[str] = []
    target = record_buffer()
    target.put(batch("a", 0, 700), lambda: acknowledged.append("a"))
    target.put(batch("b", 0, 3), lambda: acknowledged.append("b"))
    taken = []
    while target:
        part = target.take(100, 10**9)
        assert 0 < sum(len(one.records) for one, _ in part) <= 100
        taken += part
        for _, acknowledge in part:
            acknowledge()
    assert [record.offset for one, _ in taken if one.topic == "a" for record in one.records] == [*range(700)]
    of_a = [one for one, _ in taken if one.topic == "a"]
    assert all(before.end == after.start for before, after in pairwise(of_a))
    assert (acknowledged, target.records, target.size_bytes) == (["a", "b"], 0, 0)


def test_each_topic_waits_for_its_own() -> None:
    target = record_buffer()
    target.seek({"a": 5, "b": 0})
    put(target, "b", 0, 2)
    put(target, "a", 7, 9)
    put(target, "b", 2, 3)
    put(target, "c", 40, 41)
    assert waiting(target) == [("b", 0, 2), ("b", 2, 3), ("c", 40, 41)]


def test_seeking_forgets_what_waits_and_has_paused_topics_go_on() -> None:
    said: list[str] = []
    target = RecordBuffer(
        2, 1000, pause=lambda topic: said.append(f"pause {topic}"), resume=lambda topic: said.append(topic)
    )
    put(target, "a", 0, 3)
    target.seek({"a": 0})
    assert (waiting(target), target.records, said) == ([], 0, ["pause a", "a"])


def test_a_topic_does_not_drop_for_ever() -> None:
    target = record_buffer()
    target.seek({"a": 5})
    for start in range(10, 310):
        put(target, "a", start, start + 1)
    assert waiting(target) == [("a", start, start + 1) for start in range(210, 310)]


class Line:
    """A log, a consumer that fetches from it, and what is on its way from there to a partition."""

    def __init__(self, length: int) -> None:
        self.length, self.next = length, 0
        self.way: deque[tuple[int, int]] = deque()
        self.buffer, self.processor = record_buffer(), processor()
        self.gaps = self.lost = 0
        self.seek()

    def seek(self) -> None:
        self.next = self.processor.position.offsets.setdefault("a", 0)
        self.buffer.seek({"a": self.next})

    def fetch(self, records: int) -> None:
        end = min(self.length, self.next + records)
        if end > self.next:
            self.way.append((self.next, end))
            self.next = end

    def lose(self) -> None:
        if self.way:
            self.way.popleft()
            self.lost += 1

    def arrive(self) -> None:
        if self.way:
            put(self.buffer, "a", *self.way.popleft())

    def work(self, records: int) -> None:
        try:
            apply(self.processor, *(taken for taken, _ in self.buffer.take(records, 10**9)))
        except DeliveryGap:
            self.gaps += 1
            self.seek()

    def finish(self) -> None:
        while self.processor.position.offsets["a"] < self.length:
            if self.next == self.length and not self.way and not self.buffer:
                self.seek()  # as the watchdog does for a partition that stands still
            self.fetch(7)
            self.arrive()
            self.work(10)


STEPS = st.tuples(st.sampled_from(["fetch", "fetch", "arrive", "work", "lose"]), st.integers(1, 9))


@given(steps=st.lists(STEPS, max_size=120))
def test_however_deliveries_and_losses_interleave_each_record_counts_once_and_each_loss_is_mended_once(
    steps: list[tuple[str, int]],
) -> None:
    line = Line(60)
    for what, records in steps:
        if what in ("fetch", "work"):
            getattr(line, what)(records)
        else:
            getattr(line, what)()
    line.finish()
    assert seen(line.processor) == [f"a{n}" for n in range(60)]
    assert line.gaps <= line.lost
