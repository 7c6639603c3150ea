"""kill -9, and then: nothing lost, nothing doubled, every state as a replay of the committed order gives it."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer

from processors.simulator import Simulator, build_catalogue
from state.rocks import RocksStore
from streams.settings import Settings
from streams.topology import build_topology
from tests.oracle import Account, account, same_bytes, states_of
from tests.support import WorkerProcess, fresh_settings

EVENTS = 60_000


class Load:
    """Simulated shoppers at a steady rate in the background."""

    def __init__(self, bootstrap: str, rate: float, events: int = EVENTS) -> None:
        self.sent, self._rate, self._bootstrap, self._events = 0, rate, bootstrap, events
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        producer = KafkaProducer(bootstrap_servers=self._bootstrap, linger_ms=5)
        simulator = Simulator(11, shoppers=2000, catalogue=build_catalogue(11, 1000))
        begun, events = time.monotonic(), simulator.events(int(time.time() * 1000), self._rate, self._events)
        for event in events:
            ahead = self.sent / self._rate - (time.monotonic() - begun)
            if ahead > 0.02:
                time.sleep(ahead)
            import msgspec

            producer.send(event.topic, key=event.key.encode(), value=msgspec.json.encode(event.value()))
            self.sent += 1
            if self._stop.is_set():
                break
        producer.flush()
        producer.close()

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def finish(self) -> None:
        self._stop.set()
        self._thread.join(60)

    def __exit__(self, *_: object) -> None:
        self.finish()


def wait_drained(worker: WorkerProcess, seconds: float = 120) -> None:
    """Wait until the worker says that it lags behind nothing, twice in a row."""
    import urllib.request

    deadline, quiet = time.monotonic() + seconds, 0
    while quiet < 3:
        assert time.monotonic() < deadline, f"not drained in time: {worker.tail()}"
        assert worker.running, worker.tail()
        time.sleep(0.5)
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.web_port()}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        lags = [float(line.rpartition(" ")[2]) for line in lines if line.startswith("nearstream_lag_records{")]
        quiet = quiet + 1 if len(lags) >= 20 and not any(lags) else 0


def check_rocks(settings: Settings, expected: Account) -> None:
    """The files of the stores, after a clean stop, hold the same."""
    for plane in build_topology(settings).planes:
        found = {}
        for partition in range(settings.topics.partitions):
            store = RocksStore(Path(settings.worker.state_dir) / f"{plane.name}-{partition}", plane.state_type)
            found.update(states_of(store))
            store.close()
        same_bytes(expected.expected_states[plane.name], found, f"{plane.name} files")


@pytest.fixture(scope="module")
def killed(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Settings, Account]]:
    """A run with four kills under load: one in the first second, one while it restores, two in between."""
    folder = tmp_path_factory.mktemp("killed")
    settings = fresh_settings(kafka, folder / "state")
    random_ = random.Random(5)
    worker = WorkerProcess(settings, folder / "worker.log")
    with Load(kafka, rate=2500) as load:
        try:
            worker.start()
            worker.wait_ready()
            for pause in (0.2, random_.uniform(1.5, 4), None, random_.uniform(1.5, 4)):
                time.sleep(random_.uniform(0.8, 1.5) if pause is None else pause)
                assert load.sent < EVENTS - 1000, "no work was left at a kill"
                worker.kill()
                worker.start()
                if pause is not None and pause > 1:
                    worker.wait_ready()
            worker.wait_ready()
            load.finish()
            wait_drained(worker)
            assert worker.stop() == 0, worker.tail()
        finally:
            worker.discard()
    yield kafka, settings, account(kafka, settings)


def test_nothing_is_lost_doubled_or_wrong_after_kills(killed: tuple[str, Settings, Account]) -> None:
    _, settings, found = killed
    assert found.takeovers >= 4 * 8, "the kills did not make anyone take over"
    assert found.commits > 100
    assert len(found.found_ids) > 1000
    found.check()
    check_rocks(settings, found)


@pytest.mark.parametrize("harm", ["lost", "doubled", "invented", "state", "signal"])
def test_the_verifier_sees_what_is_wrong(killed: tuple[str, Settings, Account], harm: str) -> None:
    from copy import deepcopy

    found = deepcopy(killed[2])
    if harm == "lost":
        found.found_ids.pop(len(found.found_ids) // 2)
    elif harm == "doubled":
        found.found_ids.append(found.found_ids[7])
    elif harm == "invented":
        found.found_ids.append("events.click.v1/0/999999999/home")
    elif harm == "state":
        key = next(iter(found.changelog_states["items"]))
        found.changelog_states["items"][key] += b"\x00"
    else:
        found.found_signals.popitem()
    with pytest.raises(AssertionError):
        found.check()


def test_a_zombie_cannot_write(kafka: str, tmp_path: Path) -> None:
    """A worker is stopped for longer than its session, another takes over, the first wakes up."""
    settings = fresh_settings(kafka, tmp_path / "a")
    import msgspec

    other = msgspec.structs.replace(
        settings, worker=msgspec.structs.replace(settings.worker, state_dir=str(tmp_path / "b"))
    )
    first, second = WorkerProcess(settings, tmp_path / "a.log"), WorkerProcess(other, tmp_path / "b.log")
    with Load(kafka, rate=1000) as load, first, second:
        first.wait_ready()
        second.wait_ready()
        time.sleep(3)
        first.signal(signal.SIGSTOP)
        assert Path(f"/proc/{first.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        time.sleep(settings.kafka.session_timeout_s + 5)
        os.kill(first.pid, signal.SIGCONT)
        time.sleep(6)
        first.discard()
        load.finish()
        time.sleep(settings.kafka.session_timeout_s + 3)
        second.wait_ready()
        wait_drained(second)
        assert second.stop() == 0
    account(kafka, settings).check()
