"""Keys hash as the Kafka clients hash them, and a ring of fingerprints is a bounded first-in-first-out set."""

from collections import deque

import aiokafka.partitioner
import kafka.partitioner.default
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.hashing import FINGERPRINT_BYTES, FingerprintRing, fingerprint, murmur2, partition_of

# Few different bytes, so that a mark is often found across two of its neighbours.
marks = st.lists(st.sampled_from([0, 1]), min_size=FINGERPRINT_BYTES, max_size=FINGERPRINT_BYTES).map(bytes)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_what_the_java_client_tests_for(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected & 0xFFFFFFFF


@given(st.binary(max_size=64))
def test_murmur2_agrees_with_kafka_python(key: bytes) -> None:
    assert murmur2(key) == kafka.partitioner.default.murmur2(key) & 0xFFFFFFFF


@given(st.binary(max_size=64))
def test_murmur2_agrees_with_aiokafka(key: bytes) -> None:
    assert murmur2(key) == aiokafka.partitioner.murmur2(key) & 0xFFFFFFFF


@given(st.text(max_size=32), st.integers(1, 64))
def test_a_key_goes_to_the_partition_that_a_producer_sends_it_to(key: str, partitions: int) -> None:
    partitioner = aiokafka.partitioner.DefaultPartitioner()
    expected = partitioner(key.encode(), list(range(partitions)), [])
    assert partition_of(key, partitions) == expected


def test_fingerprints_are_the_same_in_every_process() -> None:
    assert fingerprint("item-1").hex() == "e4eb9d5aadb5a874"


@given(st.lists(marks, max_size=40), st.integers(1, 12), marks)
def test_a_ring_holds_exactly_the_latest_entries(added: list[bytes], capacity: int, sought: bytes) -> None:
    ring, expected = b"", deque[bytes](maxlen=capacity)
    for mark in added:
        ring = FingerprintRing.add(ring, mark, capacity)
        expected.append(mark)
    assert ring == b"".join(expected)
    assert FingerprintRing.contains(ring, sought) == (sought in expected)


def test_a_mark_that_only_appears_across_two_entries_is_not_in_the_ring() -> None:
    assert not FingerprintRing.contains(b"aaaabbbb" + b"ccccdddd", b"bbbbcccc")


def test_a_mark_is_found_behind_its_own_appearance_across_two_entries() -> None:
    assert FingerprintRing.contains(b"aaaabbbb" + b"ccccdddd" + b"bbbbcccc", b"bbbbcccc")


def test_a_ring_without_capacity_stays_empty() -> None:
    assert FingerprintRing.add(b"", fingerprint("a"), 0) == b""
