"""Whether the local stores were made from the changelogs that the brokers have now.

Offsets alone don't tell: a topic that was deleted, created anew and filled again may be longer than what a store has
read of the old one, and restoring would mix the two.
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import msgspec

from processors.errors import ConfigurationError, StateError
from streams.administration import administration, existing_topics
from streams.settings import Settings
from streams.topology import build_topology, changelog_topic

_FILE = "changelogs.json"
_NONE = UUID(int=0)


def state_directory(settings: Settings) -> Path:
    """Directory of the stores, made if it does not exist.

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


def check_lineage(settings: Settings) -> None:
    """Compare the ids of the changelog topics with those that the state directory is made from, and note them.

    Raises
    ------
    StateError
        If a changelog is another topic of the same name: the stores of the directory are of no use with it.
    BrokerUnavailable
        If the brokers cannot be reached.
    """
    compare_lineage(state_directory(settings), changelog_ids(settings))


def compare_lineage(directory: Path, found: dict[str, str], *, note: bool = True) -> None:
    """Compare ids with those noted in a state directory, and note what is new, if wanted.

    Raises
    ------
    StateError
        If one has changed.
    """
    file = directory / _FILE
    noted = msgspec.json.decode(file.read_bytes(), type=dict[str, str]) if file.exists() else {}
    for topic, topic_id in found.items():
        if noted.get(topic, topic_id) != topic_id:
            raise StateError(
                f"{topic} is not the topic that {directory} was made from: it was recreated, or these are other "
                f"brokers. Delete {directory} to follow it, or name another worker.state_dir"
            )
    if note and noted | found != noted:
        # Workers of one machine may share the directory, and none may see half a file.
        written = file.with_suffix(f".{os.getpid()}")
        written.write_bytes(msgspec.json.encode(noted | found))
        written.replace(file)


def changelog_ids(settings: Settings) -> dict[str, str]:
    """Ids of the changelog topics that are there; those of brokers that give none are left out.

    Raises
    ------
    BrokerUnavailable
        If the brokers cannot be reached.
    """
    names = [changelog_topic(plane.name) for plane in build_topology(settings).planes]
    with administration(settings.kafka) as admin:
        metadata = existing_topics(admin, names)
    ids = {name: topic.get("topic_id") for name, topic in metadata.items()}
    return {name: str(topic_id) for name, topic_id in ids.items() if topic_id and topic_id != _NONE}
