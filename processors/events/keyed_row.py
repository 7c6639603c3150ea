"""Records of compacted topics that apps write: a key that names one thing, a value that says all of it, or a tombstone.

Rows of the catalogue, rules and campaigns come like that. What is wrong with a key is found here; what the value says
is for the reader of the topic.
"""

from __future__ import annotations

import msgspec

from processors.common.bounds import MAX_ID_CHARACTERS
from processors.common.hashing import partition_of
from processors.events.json_object import Refused, quoted
from processors.events.record import SourceRecord


class KeyWords(msgspec.Struct, frozen=True):
    """What the dead letters of a topic say of keys that cannot be used, as templates for :meth:`str.format`.

    Parameters
    ----------
    missing
        There is no key.
    not_utf8
        The key is not text; ``byte`` is where it stops being so.
    bad_length
        The key has ``length`` characters, too many or none.
    elsewhere
        The key belongs to partition ``home``, the record is on ``partition``. ``key`` is the key itself, ``quoted`` the
        key cut to what a log takes.
    """

    missing: str
    not_utf8: str
    bad_length: str
    elsewhere: str

    @classmethod
    def of(cls, what: str) -> KeyWords:
        """Word the messages for a topic that is keyed by ids.

        Parameters
        ----------
        what
            What the ids are of, such as ``rule``.

        Examples
        --------
        >>> KeyWords.of("rule").missing
        'key: 0 characters, expected 1 to 256: the id of the rule'
        """
        expected = f"expected 1 to {MAX_ID_CHARACTERS}: the id of the {what}"
        return cls(
            missing=f"key: 0 characters, {expected}",
            not_utf8=f"key: not UTF-8, expected the id of the {what}",
            bad_length=f"key: {{length}} characters, {expected}",
            elsewhere=f"key: {{key!r}} belongs to partition {{home}}, the record is on {{partition}}; key records by "
            f"{what}, and let the producer partition as Kafka's own does (murmur2)",
        )


def read_row(
    record: SourceRecord, words: KeyWords, on: tuple[int, int] | None = None, max_bytes: int | None = None
) -> tuple[str, bytes | None]:
    """Read the key of a record, and its value unless that is too large; a value of :obj:`None` is a tombstone.

    Parameters
    ----------
    record
        As it came.
    words
        What is said of a bad key.
    on
        The partition that the record is on, and how many the topic has, where things live on the partition of their
        key; :obj:`None` where a record may be on any.
    max_bytes
        Larger values are refused unread; :obj:`None` where the reader of the value looks after its size.

    Raises
    ------
    Refused
        With ``missing_key``, ``bad_key``, ``wrong_partition`` or ``too_large``.

    Examples
    --------
    >>> from processors.events.record import Record
    >>> read_row(Record("t", 0, 7, 0, b"no-tents", None), KeyWords.of("rule"))
    ('no-tents', None)
    >>> read_row(Record("t", 0, 7, 0, b"no-tents", b"{}"), KeyWords.of("rule"), max_bytes=1)
    Traceback (most recent call last):
    ...
    processors.events.json_object.Refused: value: 2 bytes, expected at most 1
    """
    key = _key_of(record.key, words)
    if on is not None:
        partition, partitions = on
        home = partition_of(key, partitions)
        if home != partition:
            said = words.elsewhere.format(key=key, quoted=quoted(key), home=home, partition=partition)
            raise Refused("wrong_partition", said)
    if record.value is not None and max_bytes is not None and len(record.value) > max_bytes:
        raise Refused("too_large", f"value: {len(record.value)} bytes, expected at most {max_bytes}")
    return key, record.value


def _key_of(raw: bytes | None, words: KeyWords) -> str:
    if raw is None:
        raise Refused("missing_key", words.missing)
    try:
        key = raw.decode()
    except UnicodeDecodeError as error:
        raise Refused("bad_key", words.not_utf8.format(byte=error.start)) from error
    if not 0 < len(key) <= MAX_ID_CHARACTERS:
        raise Refused("bad_key", words.bad_length.format(length=len(key)))
    if "\0" in key:  # what is no row on the topics that workers broadcast on begins with it
        raise Refused("bad_key", f"key: {quoted(key)}, expected an id without the character U+0000")
    return key
