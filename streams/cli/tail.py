"""``nearstream tail``: what arrives on a topic, as it arrives."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.common import JsonOption, print_json, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kafka import KafkaConsumer

    from streams.settings.sections import Settings

EXAMPLES = """[bold]Examples[/bold]
  nearstream tail recommendations.v1 --user u1          one user's, as they come
  nearstream tail recommendations.v1 --from-beginning   all that there are
  nearstream tail dead-letters.v1 --from-beginning      what was refused
  nearstream tail events.click.v1 --seconds 60 --json | wc -l      count clicks
"""

_POLL_MS = 250


def tail(
    context: typer.Context,
    topic: Annotated[str, typer.Argument(help="Topic, such as recommendations.v1; `nearstream topics` lists them.")],
    user: Annotated[
        str | None, typer.Option(help="Only records with this key, from the one partition they are on.")
    ] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Start with the oldest record.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many records.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so many seconds.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a topic until Ctrl-C: committed records only, so just what an app sees."""
    from itertools import islice

    from streams.cli.connections import consuming
    from streams.cli.records import print_record, record_fields

    settings = settings_of(context)
    deadline = None if seconds is None else monotonic() + seconds
    partitions = _partitions(settings, topic, user)
    with consuming(settings) as consumer:
        _start(consumer, topic, partitions, from_beginning)
        if not as_json:
            typer.secho(f"following {topic}, Ctrl-C ends", dim=True, err=True)
        nothing = True
        for record in islice(_records(consumer, user, deadline), limit):
            nothing = False
            if as_json:
                print_json(record_fields(record))
            else:
                print_record(record)
    if nothing:
        typer.echo(_nothing(user, from_beginning), err=True)


def _nothing(user: str | None, from_beginning: bool) -> str:
    """Say that there was no record."""
    what = "no record" if user is None else f"no record with the key {user}"
    return what if from_beginning else f"{what} has come; --from-beginning shows those that were there before"


def _partitions(settings: Settings, topic: str, user: str | None) -> list[int]:
    from processors.common.hashing import partition_of
    from streams.kafka.admin import partition_counts

    count = partition_counts(settings.kafka, [topic])[topic]
    return list(range(count)) if user is None else [partition_of(user, count)]


def _start(consumer: KafkaConsumer, topic: str, partitions: list[int], from_beginning: bool) -> None:
    from kafka import TopicPartition

    assigned = [TopicPartition(topic, partition) for partition in partitions]
    consumer.assign(assigned)
    (consumer.seek_to_beginning if from_beginning else consumer.seek_to_end)(*assigned)
    for partition in assigned:
        # A seek takes effect at the first fetch; what is appended from here on must be seen.
        consumer.position(partition)


def _records(consumer: KafkaConsumer, user: str | None, deadline: float | None) -> Iterator[Any]:
    key = None if user is None else user.encode()
    while deadline is None or monotonic() < deadline:
        left_ms = _POLL_MS if deadline is None else int(max(deadline - monotonic(), 0) * 1000)
        found = consumer.poll(timeout_ms=min(_POLL_MS, left_ms))
        records = [record for batch in found.values() for record in batch if key is None or is_of_user(record, key)]
        yield from sorted(records, key=lambda record: record.timestamp)


def is_of_user(record: Any, user: bytes) -> bool:
    """Tell whether a record is a user's: keyed by the user, or by user and placement as answers beside an item are."""
    import msgspec

    key = record.key or b""
    if key == user or not key.startswith(user + b"/"):
        return bool(key == user)
    try:
        fields = msgspec.json.decode(record.value or b"")
    except msgspec.MsgspecError:
        return False
    return isinstance(fields, dict) and fields.get("user_id") == user.decode()
