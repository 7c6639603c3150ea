"""Hashes that must agree across processes: Kafka's default partitioner, and short fingerprints of ids."""

from functools import lru_cache
from hashlib import blake2b

FINGERPRINT_BYTES = 8
"""Length of a fingerprint."""
_MAX_REMEMBERED = 65_536


def murmur2(data: bytes) -> int:
    """Compute Kafka's 32-bit murmur2, with which the Java client and kafka-python choose partitions.

    Parameters
    ----------
    data
        The record key.

    Returns
    -------
    int
        Unsigned 32-bit hash.

    References
    ----------
    A. Appleby's MurmurHash2 with the seed of ``org.apache.kafka.common.utils.Utils.murmur2``.

    Examples
    --------
    >>> murmur2(b"21") == (-973932308 & 0xFFFFFFFF)
    True
    """
    length, m, mask = len(data), 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ length
    body = length & ~3
    for i in range(0, body, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if length > body:
        h = (h ^ int.from_bytes(data[body:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


@lru_cache(_MAX_REMEMBERED)
def partition_of(key: str, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner gives a key. Results for the latest keys are cached.

    Parameters
    ----------
    key
        User or item id; encoded as UTF-8.
    partitions
        Number of partitions of the topic, at least 1.

    Examples
    --------
    >>> partition_of("shopper-0042", 1)
    0
    """
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


@lru_cache(_MAX_REMEMBERED)
def fingerprint(text: str) -> bytes:
    """Return eight bytes that stand for an id where only equality matters.

    Two of *n* ids share one with probability about ``n**2 / 2**65``.

    Examples
    --------
    >>> len(fingerprint("item-1")), fingerprint("item-1") == fingerprint("item-2")
    (8, False)
    """
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=FINGERPRINT_BYTES).digest()


class FingerprintRing:
    """Operations on a ring: a bounded first-in-first-out set of fingerprints, kept as plain bytes.

    A ring of 128 in a profile takes 1 KiB, and decoding the profile makes no objects for it.
    """

    @staticmethod
    def contains(ring: bytes, mark: bytes) -> bool:
        """Tell whether the ring holds the fingerprint. Linear in the ring, at the speed of C.

        Examples
        --------
        >>> ring = FingerprintRing.add(b"", fingerprint("a"), 2)
        >>> FingerprintRing.contains(ring, fingerprint("a"))
        True
        """
        at = ring.find(mark)
        while at >= 0 and at % FINGERPRINT_BYTES:
            at = ring.find(mark, at + 1)
        return at >= 0

    @staticmethod
    def without(ring: bytes, mark: bytes) -> bytes:
        """Return the ring without the fingerprint.

        Examples
        --------
        >>> ring = fingerprint("a") + fingerprint("b")
        >>> FingerprintRing.without(ring, fingerprint("a")) == fingerprint("b")
        True
        """
        size = FINGERPRINT_BYTES
        return b"".join(part for at in range(0, len(ring), size) if (part := ring[at : at + size]) != mark)

    @staticmethod
    def add(ring: bytes, mark: bytes, capacity: int) -> bytes:
        """Return the ring with the fingerprint as its newest entry; the oldest go beyond ``capacity`` entries.

        Examples
        --------
        >>> ring = b""
        >>> for name in "abc":
        ...     ring = FingerprintRing.add(ring, fingerprint(name), 2)
        >>> len(ring) // 8, FingerprintRing.contains(ring, fingerprint("a"))
        (2, False)
        """
        ring += mark
        excess = len(ring) - capacity * FINGERPRINT_BYTES
        return ring[excess:] if excess > 0 else ring


@lru_cache(_MAX_REMEMBERED)
def hashed(text: str) -> int:
    """Return the fingerprint of a text as a whole number. Results for the latest texts are cached.

    Examples
    --------
    >>> hashed("tent") == hashed("tent") != hashed("lamp")
    True
    """
    return int.from_bytes(fingerprint(text), "little")
