"""``nearstream send``: one event, or a stream of them from standard input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.common import JsonOption, print_json, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kafka import KafkaProducer

    from streams.cli.event_preparation import Outgoing, Refused
    from streams.settings.sections import Settings

EXAMPLES = """[bold]Examples[/bold]
  nearstream send click --user u1 --item tent-1 --category camping --price 129
  nearstream send purchase --user u1 --item tent-1 --price 129 --quantity 2
  nearstream send request --user u1 --placement top    ask for an ad
  nearstream send slate --user u1 --placement home     ask for a slate
  nearstream send slate --user u1 --placement related --item tent-1
  nearstream send rate --user u1 --item tent-1 --rating 2
  echo '{"type": "view", "user_id": "u1", "item_id": "lamp"}' | nearstream send
  printf 'not json' | nearstream send click --raw      see it in dead-letters.v1
  nearstream send audiences vip.csv                    who is on which list
"""

_JSON_LINES = (".jsonl", ".ndjson", ".json")

TYPES = "browse, view, rate, click, cart, fav, purchase, refund, dismiss, impression, request or slate"
"""The keys of :data:`processors.events.event_types.EVENT_TYPES`, written out so that help need not load that."""


def send(
    context: typer.Context,
    kind: Annotated[
        str | None,
        typer.Argument(metavar="TYPE", help=f"{TYPES}; for input lines that say none. Or audiences, with a FILE."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Who is on which of the shop's lists: CSV of user_id,audience, or JSONL.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    user: Annotated[str | None, typer.Option(help="Who. Without --user, JSON lines are read from input.")] = None,
    item: Annotated[str | None, typer.Option(help="What.")] = None,
    category: Annotated[str | None, typer.Option(help="Category of the item.")] = None,
    brand: Annotated[str | None, typer.Option(help="Brand of the item.")] = None,
    price: Annotated[float | None, typer.Option(help="Price of one.")] = None,
    currency: Annotated[str | None, typer.Option(help="Currency of the price.")] = None,
    quantity: Annotated[float | None, typer.Option(help="How many.")] = None,
    rating: Annotated[float | None, typer.Option(help="How the user rates it, 1 to 5 unless set otherwise.")] = None,
    placement: Annotated[
        str | None, typer.Option(help="Position on the page; needed to ask for an ad or a slate.")
    ] = None,
    session_id: Annotated[str | None, typer.Option("--session", help="Session; guessed from pauses if absent.")] = None,
    event_id: Annotated[
        str | None, typer.Option(help="Id of the event; new if absent. Repeated ids are dropped.")
    ] = None,
    timestamp: Annotated[
        str | None, typer.Option(help="When: ISO-8601 or milliseconds since 1970; now if absent.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Send as it is, without a check: nothing is filled in.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send events to Kafka, checked as a worker would check them.

    Event id and time are filled in, and the user is the key.
    A line of input that is refused is not sent, and the exit code is then 1.

    audiences FILE puts each user of the file on the lists that it names and on
    no others; a user with an empty list is on none.
    """
    settings = settings_of(context)
    if kind == "audiences" or file is not None:
        if file is not None and kind != "audiences":
            raise typer.BadParameter(_how_to_send(file, kind), param_hint="FILE")
        if file is None:
            raise typer.BadParameter("expected both, as in: nearstream send audiences FILE", param_hint="FILE")
        if _send_audiences(settings, file, as_json):
            raise typer.Exit(1)
        return
    event: dict[str, Any] = {
        "event_id": event_id,
        "user_id": user,
        "item_id": item,
        "timestamp": timestamp,
        "session_id": session_id,
    }
    event |= {"category": category, "brand": brand, "price": price, "currency": currency, "quantity": quantity}
    event |= {"rating": rating}
    if kind == "slate":
        event |= {"placement": placement}
    else:
        event |= {"context": None if placement is None else {"placement": placement}}
    if _send_all(settings, _prepared(settings, kind, event, raw), as_json):
        raise typer.Exit(1)


def _prepared(settings: Settings, kind: str | None, options: dict[str, Any], raw: bool) -> Iterator[Outgoing | Refused]:
    """Return the event that the options describe; without any, the events on standard input."""
    from streams.cli.event_preparation import Preparer, event_fields

    preparer, fields = Preparer(settings.users.intake, _topic(kind), raw), event_fields(options)
    if not fields:
        return _lines(preparer)
    if kind is None:
        raise typer.BadParameter(f"say what happened: {TYPES}", param_hint="TYPE")
    return iter([preparer.event(fields, kind)])


def _topic(kind: str | None) -> str | None:
    from processors.events.event_types import EVENT_TYPES

    if kind is not None and kind not in EVENT_TYPES:
        if Path(kind).is_file():
            raise typer.BadParameter(_how_to_send(Path(kind)), param_hint="TYPE")
        raise typer.BadParameter(f"{kind!r}, expected {TYPES}", param_hint="TYPE")
    return EVENT_TYPES[kind] if kind else None


def _how_to_send(file: Path, kind: str | None = None) -> str:
    """Say how the events of a file are sent: it is no argument of this command."""
    from shlex import quote

    name = quote(str(file))
    said = f"events of a file: nearstream replay {name}"
    lines = f"nearstream send {f'{kind} ' if kind else ''}< {name}"
    return f"{said}, or {lines}" if file.name.endswith(_JSON_LINES) else said


def _lines(preparer: Any) -> Iterator[Outgoing | Refused]:
    source = typer.get_binary_stream("stdin")
    if source.isatty():
        raise typer.BadParameter("give --user and --item, or JSON lines on standard input", param_hint="--user")
    for number, line in enumerate(source, 1):
        if line.strip():
            yield preparer.line(line.rstrip(b"\r\n"), number)


def _send_all(settings: Settings, prepared: Iterator[Outgoing | Refused], as_json: bool) -> int:
    """Send each event as it comes, and return how many were refused."""
    from functools import cache

    from streams.cli.connections import producing
    from streams.cli.event_preparation import Outgoing
    from streams.kafka.admin import partition_counts

    @cache
    def partitions(topic: str) -> int:
        return partition_counts(settings.kafka, [topic])[topic]

    refused = 0
    with producing(settings) as producer:
        for event in prepared:
            if isinstance(event, Outgoing):
                _report(event, _append(producer, event, partitions), as_json)
            else:
                refused += 1
                typer.secho(f"{event.where}not sent: {event.why}", fg=typer.colors.RED, err=True)
    return refused


def _send_audiences(settings: Settings, file: Path, as_json: bool) -> int:
    """Send who is on which list, and return how many lines were refused."""
    from processors.common.topics import AUDIENCES_TOPIC
    from streams.cli.audiences import publish
    from streams.cli.connections import producing
    from streams.datasets.audience_files import rows_of
    from streams.kafka.admin import partition_counts

    partitions = partition_counts(settings.kafka, [AUDIENCES_TOPIC])[AUDIENCES_TOPIC]
    with producing(settings) as producer:
        told = publish(producer, settings, rows_of(file), partitions)
    for why in told.refused:
        typer.secho(f"not sent: {why}", fg=typer.colors.RED, err=True)
    if as_json:
        print_json({"topic": AUDIENCES_TOPIC, "sent": told.sent, "refused": len(told.refused)})
    else:
        typer.echo(f"{AUDIENCES_TOPIC}: lists of {told.sent} users sent")
    return len(told.refused)


def _append(producer: KafkaProducer, event: Outgoing, partitions: Callable[[str], int]) -> Sent:
    from processors.common.hashing import partition_of

    count = partitions(event.topic)
    partition = partition_of(event.user_id, count) if event.user_id else None
    key = event.user_id.encode() if event.user_id else None
    appended = producer.send(event.topic, key=key, value=event.value, partition=partition).get()
    return Sent(event.topic, appended.partition, appended.offset, event.event_id, event.user_id)


@dataclass(frozen=True)
class Sent:
    """Where an event was appended."""

    topic: str
    partition: int
    offset: int
    event_id: str | None
    user_id: str | None


def _report(event: Outgoing, sent: Sent, as_json: bool) -> None:
    if as_json:
        print_json(sent)
    else:
        typer.echo(
            f"{sent.topic} partition {sent.partition} offset {sent.offset}  event {sent.event_id or 'without id'}"
        )
    for repair in event.repairs:
        typer.secho(f"{event.where}repaired: {repair}", fg=typer.colors.YELLOW, err=True)
