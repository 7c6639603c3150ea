"""The base of every broker that Nearstream starts itself: start, wait until it answers, stop."""

import atexit
import contextlib
import socket
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from streams.broker.process import LOOPBACK, ChildProcess, TemporaryDirectory, free_port, is_listening
from streams.kafka.errors import BrokerUnavailable, file_tail


def answers(bootstrap: str, timeout: float = 5.0) -> bool:
    """Tell whether a Kafka broker answers a metadata request at these addresses and accepts work.

    Parameters
    ----------
    bootstrap
        Comma-separated `host:port` addresses.
    timeout
        Seconds to wait for an answer.
    """
    # kafka-python 3.0 leaks a socket for every connection that is refused, so it gets to see none.
    listening = [address for address in bootstrap.split(",") if _accepts(address.strip(), timeout)]
    if not listening:
        return False
    milliseconds = int(timeout * 1000)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=listening,
            request_timeout_ms=milliseconds,
            bootstrap_timeout_ms=milliseconds,
        )
    except (KafkaError, OSError):
        return False
    with contextlib.closing(admin):
        try:
            brokers = admin.describe_cluster()["brokers"]
        except (KafkaError, OSError):
            return False
    return any(not broker.get("is_fenced") for broker in brokers)


def _accepts(address: str, timeout: float) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout).close()
    except (OSError, ValueError):
        return False
    return True


class LocalBroker(ABC):
    """A single broker on loopback, in a process of its own, which always ends with its context.

    It is ready when :meth:`start` returns. Its data are in a temporary directory that is removed with it, unless
    ``log_dir`` names one to keep.

    Parameters
    ----------
    log_dir
        Directory for its data and its log, kept after it stops; a later broker on it finds the data again.
    """

    name = "the broker"
    start_timeout = 60.0

    def __init__(self, *, log_dir: Path | None = None) -> None:
        self._port = free_port()
        self._kept_dir = log_dir
        self._temporary: TemporaryDirectory | None = None
        self._process: ChildProcess | None = None

    @property
    def port(self) -> int:
        """The loopback port clients connect to, the same for the life of this object."""
        return self._port

    @property
    def bootstrap(self) -> str:
        """Address for clients, such as ``127.0.0.1:23456``."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        """Process id of the broker; :obj:`None` if it does not run."""
        return self._process.pid if self._process and self._process.exit_code is None else None

    def start(self) -> Self:
        """Start the broker and wait until it answers. Do nothing if it runs already.

        Raises
        ------
        BrokerUnavailable
            If the broker cannot be started; nothing is left running then.
        """
        if self.pid is not None:
            return self
        if is_listening(self._port):
            # Without this, somebody else's broker on the port would be taken for ours.
            raise BrokerUnavailable(f"{self.name} cannot start: something listens on {self.bootstrap} already.")
        atexit.register(self.stop)
        try:
            self._process = self._launch(self._directory())
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the broker, by force if it takes more than ten seconds, and remove its temporary directory."""
        self._end_process(force=False)
        if self._temporary:
            self._temporary.cleanup()
            self._temporary = None
        atexit.unregister(self.stop)

    def kill(self) -> None:
        """Kill the broker as a crash would. Its data stay, so that :meth:`start` brings it back as it was."""
        self._end_process(force=True)

    def restart(self) -> None:
        """Stop the broker and start it again on the same port; what it keeps on disk is there again."""
        self._end_process(force=False)
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @abstractmethod
    def _launch(self, directory: Path) -> ChildProcess:
        """Start the process; raise BrokerUnavailable when something it needs is missing."""

    def _directory(self) -> Path:
        if self._kept_dir:
            self._kept_dir.mkdir(parents=True, exist_ok=True)
            return self._kept_dir.absolute()
        if not self._temporary:
            self._temporary = TemporaryDirectory("nearstream-broker-")
        return self._temporary.path

    def _end_process(self, *, force: bool) -> None:
        if self._process:
            if force:
                self._process.kill()
            else:
                self._process.stop()
            self._process = None

    def _wait_until_ready(self, process: ChildProcess) -> None:
        deadline = time.monotonic() + self.start_timeout
        while time.monotonic() < deadline:
            if process.exit_code is not None:
                raise BrokerUnavailable(
                    f"{self.name} ended while starting (exit code {process.exit_code}). If a port was taken, "
                    f"starting anew picks others. The end of its log:\n{file_tail(process.log)}"
                )
            if answers(self.bootstrap):
                return
            time.sleep(0.05)
        raise BrokerUnavailable(
            f"{self.name} did not answer on {self.bootstrap} within {self.start_timeout:.0f} s. "
            f"Is the machine very busy? The end of its log:\n{file_tail(process.log)}"
        )
