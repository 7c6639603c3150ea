"""What the tests with a real broker share: fresh topics, records in one batch, worker processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.codec import gzip_encode, zstd_encode
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from streams.engine.topology import topic_specs
from streams.kafka.topics import ensure_topics
from streams.settings.sections import KafkaSettings, Settings, TopicSettings, WorkerSettings

Headers = tuple[tuple[str, bytes], ...]
SourceRecord = tuple[bytes | None, bytes | None, Headers]


def fresh_settings(bootstrap: str, state_dir: Path, partitions: int = 4, **worker: Any) -> Settings:
    """Settings with a group of their own, and all topics of Nearstream new and empty on the broker."""
    settings = Settings(
        kafka=KafkaSettings(brokers=bootstrap, group=f"test-{uuid4().hex[:8]}", session_timeout_s=6),
        topics=TopicSettings(partitions=partitions),
        worker=WorkerSettings(state_dir=str(state_dir), web_port=0, **worker),
    )
    delete_topics(settings)
    ensure_topics(settings)
    return settings


def delete_topics(settings: Settings) -> None:
    names = {spec.name for spec in topic_specs(settings)}
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka.brokers)
    try:
        present = names & set(admin.list_topics())
        if present:
            admin.delete_topics(sorted(present))
        deadline = time.monotonic() + 30
        while names & set(admin.list_topics()):
            assert time.monotonic() < deadline, "topics were not deleted in time"
            time.sleep(0.1)
    finally:
        admin.close()


def produce_batch(bootstrap: str, topic: str, partition: int, records: Sequence[SourceRecord]) -> int:
    """Append records as one batch, so that one fetch brings them all; their append time."""

    async def produce() -> int:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=2**24, max_request_size=2**25)
        await producer.start()
        try:
            batch = producer.create_batch()
            for key, value, headers in records:
                assert batch.append(timestamp=None, key=key, value=value, headers=list(headers)) is not None
            metadata = await (await producer.send_batch(batch, topic, partition=partition))
            return int(metadata.timestamp)
        finally:
            await producer.stop()

    return asyncio.run(produce())


def record_batch(records: Sequence[SourceRecord], codec: int = 0) -> bytes:
    """Records as one batch in Kafka's format; the codec is Kafka's number of it."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=2**24,
    )
    for n, (key, value, headers) in enumerate(records):
        builder.append(n, 1_700_000_000_000 + n, key, value, list(headers))
    return bytes(builder.build())


def misnamed(records: Sequence[SourceRecord], codec: int = 0) -> bytes:
    """The same batch, but headers called ``@@@@`` have a name of as many bytes that is not UTF-8."""
    data = bytearray(record_batch(records))
    body = bytes(data[61:]).replace(b"@@@@", b"\xff\xfe\xff\xfe")
    data[61:] = {0: bytes, 1: gzip_encode, 4: zstd_encode}[codec](body)
    data[8:12] = (len(data) - 12).to_bytes(4, "big")
    data[22] = codec
    data[17:21] = calc_crc32c(bytes(data[21:])).to_bytes(4, "big")
    return bytes(data)


def read_topic(bootstrap: str, topic: str) -> list[list[Any]]:
    """All committed records of a topic, per partition."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=2**23,
    )
    try:
        partitions = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        records: list[list[Any]] = [[] for _ in partitions]
        deadline = time.monotonic() + 60
        while any(consumer.position(tp) < ends[tp] for tp in partitions):
            assert time.monotonic() < deadline, f"{topic} was not read on in time"
            for tp, found in consumer.poll(timeout_ms=200).items():
                records[tp.partition].extend(found)
                deadline = time.monotonic() + 60
        return records
    finally:
        consumer.close()


def event(n: int | str, user: str, item: str, time_ms: int, **fields: Any) -> bytes:
    """A valid event as JSON."""
    return msgspec.json.encode({"event_id": f"e{n}", "user_id": user, "item_id": item, "timestamp": time_ms, **fields})


class WorkerProcess:
    """A worker as users run it: a process of its own, killed for sure at the end."""

    def __init__(self, settings: Settings, log: Path, program: Sequence[str] = ("streams.cli",)) -> None:
        self.settings, self.log, self._program = settings, log, program
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        toml = self.log.with_suffix(".toml")
        toml.write_text(_toml(msgspec.to_builtins(self.settings)), encoding="utf-8")
        command = [sys.executable, "-m", *self._program, "--settings", str(toml), "worker"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NEARSTREAM_")}
        self._log_start = len(self.log.read_text()) if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.running, f"the worker ended: {self.tail()}"
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.web_port()}/readyz", timeout=1)
                return
            time.sleep(0.1)
        raise AssertionError(f"the worker was not ready in time: {self.tail()}")

    def wait_logged(self, text: str, seconds: float = 60) -> None:
        """Wait until the present process has logged the text."""
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text()[self._log_start :]:
            assert time.monotonic() < deadline, f"not logged in time: {text}: {self.tail()}"
            assert self.running, f"the worker ended: {self.tail()}"
            time.sleep(0.02)

    def web_port(self) -> int:
        """Port of the present process, from its log; 0 as long as it has none."""
        log = self.log.read_text()[self._log_start :]
        lines = [line for line in log.splitlines() if "metrics and health on http" in line]
        return int(lines[-1].rpartition(":")[2]) if lines else 0

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def process_state(self) -> str:
        """As in ``/proc``: R running, S sleeping, T stopped."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def kill(self) -> None:
        """SIGKILL, and make sure that it is gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait(10) == -signal.SIGKILL, "the worker had ended before it was killed"

    def stop(self, seconds: float = 20) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(seconds)

    def wait(self, seconds: float) -> int:
        """Its exit code, once it has ended by itself."""
        assert self._process is not None
        return self._process.wait(seconds)

    def discard(self) -> None:
        if self.running and self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def __enter__(self) -> "WorkerProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


def _toml(tree: dict[str, Any], path: str = "") -> str:
    """The few shapes of TOML that settings are made of."""
    plain = {name: value for name, value in tree.items() if not isinstance(value, dict) and value is not None}
    lines = [f"[{path}]"] if path else []
    lines += [f"{name} = {_inline(value)}" for name, value in plain.items()]
    for name, value in tree.items():
        if isinstance(value, dict):
            lines.append(_toml(value, f"{path}.{name}" if path else name))
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_inline(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)


def flip_a_bit(file: Path, share: float) -> None:
    """Damage a file at a share of its length."""
    data = bytearray(file.read_bytes())
    data[int((len(data) - 1) * share)] ^= 0x40
    file.write_bytes(data)


def chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]
