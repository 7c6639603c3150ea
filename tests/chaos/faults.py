"""What can happen to workers and their broker, each as one function that makes it happen and waits until it has."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kafka import KafkaProducer

from bench.load import MALFORMED
from streams.broker import ApacheKafka
from tests.chaos.network import Network
from tests.support import WorkerProcess


@dataclass
class Scene:
    """What faults happen to."""

    broker: ApacheKafka
    workers: list[WorkerProcess]
    chance: random.Random
    planned: set[int]
    """Process ids that were meant to end."""

    networks: list[Network]
    """The network between each worker and the broker."""

    poison: int = 3000
    """How many records that are no events each such fault sends."""

    poisoned: int = 0

    away_s: float = 0.0
    """How long a broker that is killed is away at least."""

    answers_since: float = 0.0
    """Monotonic seconds since when the broker answers again."""

    stops_s: list[float] = field(default_factory=list)
    """How long workers took to end that were asked to."""

    def end(self, worker: WorkerProcess, how: int) -> None:
        """End a worker, and make sure that it has."""
        self.planned.add(worker.pid)
        if how == signal.SIGKILL:
            worker.kill()
        else:
            asked = time.monotonic()
            code = worker.stop(30)
            self.stops_s.append(time.monotonic() - asked)
            assert code == 0, f"stopped with {code}: {worker.tail()}"

    def network(self, worker: WorkerProcess) -> Network:
        return self.networks[self.workers.index(worker)]

    def state_dir(self, worker: WorkerProcess) -> Path:
        return Path(worker.settings.worker.state_dir)


def kill_one(scene: Scene, worker: WorkerProcess) -> None:
    """Kill a worker and start it again after up to 5 s."""
    scene.end(worker, signal.SIGKILL)
    time.sleep(scene.chance.uniform(0, 5))
    worker.start()


def kill_while_starting(scene: Scene, worker: WorkerProcess) -> None:
    """Kill a worker twice, the second time within the first seconds of its new life."""
    scene.end(worker, signal.SIGKILL)
    worker.start()
    time.sleep(scene.chance.uniform(0.5, 6))
    scene.end(worker, signal.SIGKILL)
    worker.start()


def kill_all(scene: Scene, _: WorkerProcess) -> None:
    """Kill all workers at once."""
    for worker in scene.workers:
        scene.end(worker, signal.SIGKILL)
    for worker in scene.workers:
        worker.start()


def restart(scene: Scene, worker: WorkerProcess) -> None:
    """Ask a worker to stop, as for a new version, and start it again."""
    scene.end(worker, signal.SIGTERM)
    worker.start()


def freeze(scene: Scene, worker: WorkerProcess) -> None:
    """Stop a worker for longer than its session: others take over, and then it wakes up."""
    os.kill(worker.pid, signal.SIGSTOP)
    time.sleep(worker.settings.kafka.session_timeout_s + 4)
    # A machine that is busy takes longer, and a worker that wakes before would meet nobody.
    others = [other for other in scene.workers if other is not worker]
    deadline = time.monotonic() + 60
    while others and sum(map(_committing, others)) < worker.settings.topics.partitions and time.monotonic() < deadline:
        time.sleep(0.2)
    assert worker.process_state() == "T", "it was not stopped"
    os.kill(worker.pid, signal.SIGCONT)


def kill_broker(scene: Scene, _: WorkerProcess) -> None:
    """Kill the broker, and bring it back after up to 15 s, or after as long as it was asked for."""
    scene.broker.kill()
    assert scene.broker.pid is None
    time.sleep(max(scene.chance.uniform(0, 15), scene.away_s))
    scene.broker.start()
    scene.answers_since = time.monotonic()


def wipe(scene: Scene, worker: WorkerProcess) -> None:
    """Lose the disk of a worker."""
    scene.end(worker, signal.SIGKILL)
    shutil.rmtree(scene.state_dir(worker))
    worker.start()


def flip_bits(scene: Scene, worker: WorkerProcess) -> None:
    """Flip a bit in one file of every store of a worker."""
    _damage(scene, worker, lambda data, at: data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])


def cut_files(scene: Scene, worker: WorkerProcess) -> None:
    """Cut one file of every store of a worker short."""
    _damage(scene, worker, lambda data, at: data[:at])


def put_old_files_back(scene: Scene, worker: WorkerProcess) -> None:
    """Start a worker on a copy of its disk that is some seconds old."""
    folder = scene.state_dir(worker)
    copy = folder.with_name(f"{folder.name}-copy")
    scene.end(worker, signal.SIGKILL)
    shutil.copytree(folder, copy)
    worker.start()
    worker.wait_ready(120)
    time.sleep(3)
    scene.end(worker, signal.SIGKILL)
    shutil.rmtree(folder)
    copy.rename(folder)
    worker.start()


def poison(scene: Scene, _: WorkerProcess) -> None:
    """Send records that are no events, as fast as it goes."""
    producer = KafkaProducer(bootstrap_servers=scene.broker.bootstrap, linger_ms=5)
    for n in range(scene.poison):
        producer.send("events.click.v1", key=b"u%d" % (n % 3000), value=scene.chance.choice(MALFORMED))
    producer.flush()
    producer.close()
    scene.poisoned += scene.poison


def cut_off(scene: Scene, worker: WorkerProcess) -> None:
    """Let nothing pass between a worker and the broker for up to a minute: the group gives its partitions away."""
    network = scene.network(worker)
    network.cut()
    time.sleep(scene.chance.uniform(5, 60))
    network.mend()


def slow_network(scene: Scene, worker: WorkerProcess) -> None:
    """Have everything between a worker and the broker take 100 to 300 ms for a while."""
    network = scene.network(worker)
    network.delay_s = 0.1, 0.3
    time.sleep(15)
    network.delay_s = 0.0, 0.0


def reset_connections(scene: Scene, worker: WorkerProcess) -> None:
    """Reset connections between a worker and the broker, one in a hundred pieces of data, for a while."""
    network = scene.network(worker)
    network.resets = 0.01
    time.sleep(15)
    network.resets = 0.0


def leave_half_open(scene: Scene, worker: WorkerProcess) -> None:
    """Have the broker's side of all connections go away without a word to the worker."""
    assert scene.network(worker).leave_half_open() > 0, "there was no connection"
    time.sleep(5)


def fill_disk(scene: Scene, worker: WorkerProcess) -> None:
    """Leave the files of a worker no room to grow for a while. It must say so within 5 s, and must not end."""
    _wait_until_it_writes(worker)
    before = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    try:
        _wait_for_health(worker, 503, seconds=5 if _holds_partitions(worker) else 0)
        time.sleep(scene.chance.uniform(1, 10))
        assert worker.running, worker.tail()
    finally:
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, before)
    _wait_for_health(worker, 200, seconds=30)


def _wait_until_it_writes(worker: WorkerProcess) -> None:
    """Wait until a worker commits: what happened before may still keep it from that, and then no disk is full."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and _holds_partitions(worker) and not _committing(worker):
        time.sleep(0.2)


def _committing(worker: WorkerProcess) -> int:
    """Count the partitions of users of which a worker has committed something within a second."""
    of_users = [
        line
        for line in _metrics(worker)
        if line.startswith("nearstream_commit_age_seconds{") and 'plane="users"' in line
    ]
    return sum(float(line.split()[1]) < 1.0 for line in of_users)


def _holds_partitions(worker: WorkerProcess) -> bool:
    return any(line.startswith("nearstream_store_bytes{") for line in _metrics(worker))


def _metrics(worker: WorkerProcess) -> list[str]:
    """Return the lines of a worker's metrics; one that is too busy to answer is asked again, for a minute."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{worker.web_port()}/metrics", timeout=5) as answer:
                return list(answer.read().decode().splitlines())
        except TimeoutError:
            if time.monotonic() > deadline:
                raise


def _wait_for_health(worker: WorkerProcess, status: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{worker.web_port()}/healthz", timeout=5) as answer:
                found = answer.status
        except urllib.error.HTTPError as error:
            found = error.code
        except TimeoutError:  # too busy to answer
            continue
        if found == status:
            return
        time.sleep(0.2)
    assert not seconds, f"health is not {status} after {seconds} s: {worker.tail()}"


def _damage(scene: Scene, worker: WorkerProcess, how: Callable[[bytes, int], bytes]) -> None:
    scene.end(worker, signal.SIGKILL)
    for store in sorted(scene.state_dir(worker).glob("*-*")):
        files = [path for path in sorted(store.iterdir()) if path.is_file() and path.stat().st_size]
        if files:
            file = scene.chance.choice(files)
            data = file.read_bytes()
            file.write_bytes(how(data, scene.chance.randrange(len(data))))
    worker.start()


Fault = Callable[[Scene, WorkerProcess], None]

FAULTS: dict[Fault, int] = {
    kill_one: 6,
    kill_while_starting: 3,
    kill_all: 2,
    restart: 4,
    freeze: 2,
    kill_broker: 2,
    wipe: 1,
    flip_bits: 1,
    cut_files: 1,
    put_old_files_back: 1,
    poison: 1,
    cut_off: 1,
    slow_network: 1,
    reset_connections: 1,
    leave_half_open: 1,
    fill_disk: 1,
}
"""All faults, and how often each comes beside the others."""
