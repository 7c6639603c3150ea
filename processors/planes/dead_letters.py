"""Dead letters: refused records with their original bytes, and the error headers that Kafka Streams writes."""

from hashlib import sha256

import msgspec

from processors.common.topics import DEAD_LETTERS_TOPIC
from processors.events.record import Origin, SourceRecord
from processors.planes.base import Output

Headers = tuple[tuple[str, bytes], ...]


def dead_letter(
    record: SourceRecord, origin: Origin, reason: str, message: str, partition: int, max_bytes: int
) -> Output:
    """Make the dead letter of a refused record.

    A dead letter larger than ``max_bytes`` is cut: headers and key if they take more than a quarter of that, then the
    value. The header ``nearstream.cut`` names the parts cut, and two more give size and SHA-256 of the original value.

    Parameters
    ----------
    record
        The refused record; its key, value and headers are kept as they came.
    origin
        Where it was first appended.
    reason
        Reason code of :data:`processors.events.repair.REASONS`, :data:`processors.items.catalogue.CATALOG_REASONS` or
        :data:`processors.events.audience_upload.AUDIENCE_REASONS`.
    message
        Text that names field, value and expectation.
    partition
        Partition of the dead-letter topic to send it to.
    max_bytes
        Largest record batch that the topic accepts.

    Examples
    --------
    >>> from processors.events.record import Record
    >>> record = Record("t", 0, 7, 0, b"k", b"<html>")
    >>> letter = dead_letter(record, Origin.of(record), "not_json", "value: not JSON", 0, 2**20)
    >>> letter.value, letter.headers[0]
    (b'<html>', ('__streams.errors.exception', b'not_json'))
    """
    errors = (
        ("__streams.errors.exception", reason.encode()),
        ("__streams.errors.message", message.encode(errors="backslashreplace")),
        ("__streams.errors.topic", origin.topic.encode()),
        ("__streams.errors.partition", str(origin.partition).encode()),
        ("__streams.errors.offset", str(origin.offset).encode()),
    )
    letter = Output(DEAD_LETTERS_TOPIC, partition, record.key, record.value, (*record.headers, *errors))
    return letter if letter.batch_bytes() <= max_bytes else _cut(letter, errors, max_bytes)


def _cut(letter: Output, errors: Headers, max_bytes: int) -> Output:
    """Cut a dead letter to the size that the topic accepts, and mark it with the headers that say so."""
    key, value, headers = letter.key or b"", letter.value or b"", letter.headers[: -len(errors)]
    quarter = max_bytes // 4
    marks: Headers = (
        ("nearstream.cut", b"headers,key,value"),
        ("nearstream.value.bytes", str(len(value)).encode()),
        ("nearstream.value.sha256", sha256(value).hexdigest().encode()),
    )
    cut = []
    if Output("", 0, None, None, headers).batch_bytes() > quarter:
        cut, headers = ["headers"], ()
    if len(key) > quarter:
        cut, key = [*cut, "key"], key[:quarter]
    room = max(0, max_bytes - Output("", 0, key, None, (*headers, *errors, *marks)).batch_bytes())
    if len(value) > room:
        cut, value = [*cut, "value"], value[:room]
    marks = (("nearstream.cut", ",".join(cut).encode()), *marks[1:])
    return msgspec.structs.replace(
        letter,
        key=None if letter.key is None else key,
        value=None if letter.value is None else value,
        headers=(*headers, *errors, *marks),
    )
