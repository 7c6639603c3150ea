"""When workers answer, as an app sees it: for how long partitions are silent, and when they are heard of again."""

from __future__ import annotations

import itertools
import threading
import time

from kafka import KafkaConsumer, TopicPartition

from tests.load import SOON_MS


class Silences:
    """Notes when recommendations are committed, by partition."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self._times: dict[int, list[float]] = {number: [] for number in range(partitions)}
        self._bootstrap = bootstrap
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def longest(self, since: float) -> float:
        """Longest time without a commit of some partition, from a moment on."""
        worst = 0.0
        for times in self._times.values():
            moments = [since, *(at for at in times if at > since), time.monotonic()]
            worst = max(worst, max(b - a for a, b in itertools.pairwise(moments)))
        return worst

    def until_heard(self, since: float) -> float:
        """Seconds from a moment on until every partition has committed something that is heard of."""
        return max(next((at for at in times if at > since), time.monotonic()) for times in self._times.values()) - since

    def wait_heard(self, since: float, seconds: float = 60.0) -> None:
        """Wait until every partition has committed something after a moment: until then it is silent."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not all(times and times[-1] > since for times in self._times.values()):
            time.sleep(0.1)

    def finish(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap, isolation_level="read_committed", reconnect_backoff_max_ms=SOON_MS
        )
        consumer.assign([TopicPartition("recommendations.v1", number) for number in self._times])
        while not self._stop.is_set():
            for tp in consumer.poll(200):
                self._times[tp.partition].append(time.monotonic())
        consumer.close()
