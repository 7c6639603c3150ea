"""Check that the local stores were made from the topics that the brokers have now.

Offsets alone are not enough: a topic that was deleted, created again and filled may be longer than what a store has
read of the old one, and restoring would mix the two, or take new events for repeated ones. So the ids that the brokers
give to topics are noted in the state directory and compared. For a directory that is new there are no ids to compare;
then only a topic that is shorter than what was applied of it can be recognized.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from uuid import UUID

import msgspec

from processors.common.errors import ConfigurationError, StateError
from processors.common.topics import SIGNALS_TOPIC, changelog_topic
from streams.engine.topology import build_topology
from streams.kafka.admin import administration, existing_topics
from streams.settings.sections import Settings

_FILE = "changelogs.json"
_NONE = UUID(int=0)


def state_directory(settings: Settings) -> Path:
    """Return the directory of the stores, and make it if it does not exist.

    Raises
    ------
    ConfigurationError
        If it cannot be made.
    """
    directory = Path(settings.worker.state_dir)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"worker.state_dir: {directory} cannot be made: {error.strerror}") from error
    return directory


def check_topic_ids(settings: Settings) -> None:
    """Compare the ids of changelogs and source topics with those noted in the state directory, and note new ones.

    Raises
    ------
    StateError
        If one is another topic of the same name: the stores of the directory are of no use with it.
    BrokerUnavailable
        If the brokers cannot be reached.
    """
    compare_topic_ids(state_directory(settings), topic_ids(settings), changelogs(settings))


def check_source_end(settings: Settings, topic: str, partition: int, offset: int, end: int) -> None:
    """Make sure that a source topic is not shorter than what has been applied of it.

    Parameters
    ----------
    settings
        State directory, for the advice in the message.
    topic, partition
        What to check.
    offset, end
        Offset up to which it has been applied, and the offset at which it ends (both exclusive).

    Raises
    ------
    StateError
        If it is shorter.
    """
    if offset > end:
        raise StateError(
            f"{topic}[{partition}] ends at {end}, but it has been applied up to {offset}: the topic was recreated or "
            f"cut, and what is new on it would be taken for repeated. {_source_advice(settings.worker.state_dir)}"
        )


def _source_advice(directory: Path | str) -> str:
    return (
        f"Restore the topic, or start anew: delete {directory} of every worker, the changelog topics and "
        f"{SIGNALS_TOPIC}"
    )


def compare_topic_ids(
    directory: Path, found: dict[str, str], changelogs: Collection[str], *, note: bool = True
) -> None:
    """Compare ids of topics with those noted in a state directory.

    Parameters
    ----------
    directory
        State directory.
    found
        Id of each topic, as the brokers have it.
    changelogs
        Names of those topics that are changelogs; the others are source topics, for which the advice is another.
    note
        Whether ids of topics that the directory has none of are noted there.

    Raises
    ------
    StateError
        If one has changed.
    """
    file = directory / _FILE
    noted = msgspec.json.decode(file.read_bytes(), type=dict[str, str]) if file.exists() else {}
    for topic, topic_id in found.items():
        if noted.get(topic, topic_id) != topic_id:
            follow = f"Delete {directory} to follow it, or name another worker.state_dir"
            raise StateError(
                f"{topic} is not the topic that {directory} was made from: it was recreated, or these are other "
                f"brokers. {follow if topic in changelogs else _source_advice(directory)}"
            )
    if note and noted | found != noted:
        # Workers of one machine may share the directory, and none may read half a file.
        written = file.with_suffix(f".{os.getpid()}")
        written.write_bytes(msgspec.json.encode(noted | found))
        written.replace(file)


def changelogs(settings: Settings) -> list[str]:
    """Return the names of the changelog topics of all planes."""
    return [changelog_topic(plane.name) for plane in build_topology(settings).planes]


def topic_ids(settings: Settings) -> dict[str, str]:
    """Return the ids of changelogs and source topics, by name. Some brokers give topics no id; those are left out.

    Raises
    ------
    BrokerUnavailable
        If the brokers cannot be reached.
    """
    sources = [topic for plane in build_topology(settings).planes for topic in plane.source_topics]
    with administration(settings.kafka) as admin:
        metadata = existing_topics(admin, [*changelogs(settings), *sources])
    ids = {name: topic.get("topic_id") for name, topic in metadata.items()}
    return {name: str(topic_id) for name, topic_id in ids.items() if topic_id and topic_id != _NONE}
