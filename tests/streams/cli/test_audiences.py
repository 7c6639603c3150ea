"""``nearstream send audiences``: a record per user of a file, checked as a worker would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from processors.common.hashing import partition_of
from processors.common.topics import AUDIENCES_TOPIC
from streams.cli import app
from streams.cli.audiences import publish
from streams.datasets.audience_files import Row, rows_of
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings, TopicSettings

NOWHERE = {"NEARSTREAM_KAFKA__BROKERS": "127.0.0.1:1", "COLUMNS": "200"}


class Appended:
    def __init__(self) -> None:
        self.records: list[tuple[str, bytes, bytes | None, int]] = []
        self.awaited = 0

    def send(self, topic: str, key: bytes, value: bytes | None, partition: int) -> Appended:
        self.records.append((topic, key, value, partition))
        return self

    def get(self) -> None:
        self.awaited += 1


def test_what_is_sent_is_taken_in_by_a_worker(tmp_path: Path) -> None:
    file = tmp_path / "lists.csv"
    file.write_text("user_id,audience\nada,vip\nbob,news\nada,news\ncleo,\n" + "".join(f"u,{n}\n" for n in range(65)))
    producer: Any = Appended()
    told = publish(producer, Settings(), rows_of(file), 4)
    assert told.sent == len(producer.records) == producer.awaited == 3
    assert told.refused == [f"{file}, line 6: too_many: audiences: 65 names, expected a list of at most 64 names"]
    driver = TopologyDriver(Settings(topics=TopicSettings(partitions=4)))
    for topic, key, value, partition in producer.records:
        assert (topic, partition) == (AUDIENCES_TOPIC, partition_of(key.decode(), 4))
        driver.pipe(topic, key, value, 1_700_000_000_000, partition=partition)
    assert driver.read("dead-letters.v1") == []
    assert {user: state.lists for user, state in driver.state("users").items()} == {
        "ada": ["news", "vip"],
        "bob": ["news"],
    }


def test_every_record_is_waited_for_and_few_at_a_time() -> None:
    producer: Any = Appended()
    rows = (Row(f"line {n}", f"u{n}", None) for n in range(2500))
    waited = []

    def watched() -> Any:
        for row in rows:
            waited.append(len(producer.records) - producer.awaited)
            yield row

    assert publish(producer, Settings(), watched(), 4).sent == producer.awaited == 2500
    assert max(waited) < 1000


def test_users_without_a_name_and_lines_that_are_none_are_not_sent() -> None:
    producer: Any = Appended()
    told = publish(producer, Settings(), ["line 1: no good", Row("line 2", "", None), Row("line 3", "u", b"[]")], 4)
    assert (told.sent, producer.records) == (0, [])
    assert told.refused == [
        "line 1: no good",
        "line 2: bad_key: key: 0 characters, expected 1 to 256: the id of the user",
        "line 3: not_an_object: value: [], expected a JSON object",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["audiences"], "nearstream send audiences FILE"),
        (["click", "FILE"], "events of a file: nearstream replay "),
        (["audiences", "nowhere.csv"], "does not exist"),
    ],
)
def test_audiences_come_with_a_file_and_nothing_else_does(tmp_path: Path, arguments: list[str], expected: str) -> None:
    file = tmp_path / "lists.csv"
    file.write_text("ada,vip\n")
    given = [str(file) if argument == "FILE" else argument for argument in arguments]
    result = CliRunner().invoke(app, ["send", *given], env=NOWHERE)
    assert result.exit_code == 2
    assert expected in result.stderr
