"""Apache Kafka itself, in KRaft mode, from its jars: the broker of the tests that are about guarantees."""

import base64
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from streams.broker.jars import cached_jars, ensure_jars
from streams.broker.local import LocalBroker
from streams.broker.process import LOOPBACK, ChildProcess, free_port
from streams.kafka.errors import BrokerUnavailable, tail

KAFKA_VERSION = "4.1.0"
_JAVA_NEEDED = 17

_LOG4J = """status = warn
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class ApacheKafka(LocalBroker):
    """Broker and controller in one JVM, on loopback only, with the settings a single node needs.

    The first start on a machine downloads the jars (43 MiB). From then on, on two cores, :meth:`start` takes
    2.3 s, :meth:`restart` 2.2 s and :meth:`start` after :meth:`kill` 4.7 s. It idles at 3 % of a core and
    390 MiB.

    Parameters
    ----------
    version
        Kafka's version, as published on Maven Central.
    heap
        Largest heap of the JVM.
    server_properties
        Settings of the broker that add to the defaults here, or replace them.
    log_dir
        Directory for its data and its log, kept after it stops; a later broker on it finds the data again.

    Examples
    --------
    ::

        with ApacheKafka(server_properties={"num.partitions": "4"}) as kafka:
            print(kafka.bootstrap)  # 127.0.0.1:23456
    """

    name = "Apache Kafka"

    def __init__(
        self,
        *,
        version: str = KAFKA_VERSION,
        heap: str = "1g",
        server_properties: Mapping[str, str] | None = None,
        log_dir: Path | None = None,
    ) -> None:
        super().__init__(log_dir=log_dir)
        self._version = version
        self._heap = heap
        self._properties = default_properties(self.port, free_port()) | dict(server_properties or {})

    def _launch(self, directory: Path) -> ChildProcess:
        java = find_java()
        jars = ensure_jars(self._version)
        properties = self._properties | {"log.dirs": str(directory / "data")}
        (directory / "server.properties").write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
        (directory / "log4j2.properties").write_text(_LOG4J)
        common = [f"-Dlog4j2.configurationFile={directory / 'log4j2.properties'}", "-cp", f"{jars}/*"]
        if not (directory / "data" / "meta.properties").exists():
            _format_storage([java, "-XX:TieredStopAtLevel=1", *common], directory / "server.properties")
        # The parallel collector starts sooner than G1 here, and runs no threads beside the workers'. The second
        # compiler would take half a core while it starts; this broker is for trying and testing, beside what it serves.
        jvm = f"-server -XX:TieredStopAtLevel=1 -Xms256m -Xmx{self._heap}".split()
        jvm += ["-XX:+UseParallelGC", "-XX:+ExitOnOutOfMemoryError"]
        command = [java, *jvm, *common, "kafka.Kafka", str(directory / "server.properties")]
        return ChildProcess(command, directory / "broker.log")


def default_properties(port: int, controller_port: int) -> dict[str, str]:
    """Return the settings of a single node that is broker and controller at once.

    Parameters
    ----------
    port
        Loopback port for clients.
    controller_port
        Loopback port of the controller.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # A broker that was killed may register again only after its former life timed out (9 s by default).
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }


def find_java() -> str:
    """Return the path of a `java` that can run Kafka: that of JAVA_HOME, else the first on the PATH.

    Raises
    ------
    BrokerUnavailable
        If there is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if not java:
        where = f"in JAVA_HOME ({home})" if home else "on the PATH"
        raise BrokerUnavailable(
            f"Apache Kafka needs Java {_JAVA_NEEDED} or newer, and there is no `java` {where}. Install it "
            "(Debian: apt-get install openjdk-17-jre-headless), or use brokers that run already "
            "(NEARSTREAM_TEST_BROKERS=host:port)."
        )
    shown = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    if java_major_version(shown) < _JAVA_NEEDED:
        raise BrokerUnavailable(
            f"Apache Kafka needs Java {_JAVA_NEEDED} or newer, and {java} is not. Install a newer one and "
            f"name it with JAVA_HOME. It said:\n{tail(shown)}"
        )
    return java


def java_major_version(shown: str) -> int:
    """Read the major version from what `java -version` printed; 0 when it isn't there.

    Examples
    --------
    >>> java_major_version('openjdk version "17.0.15" 2025-04-15')
    17
    >>> java_major_version('java version "1.8.0_202"')
    8
    """
    found = re.search(r'version "(?:1\.)?(\d+)', shown)
    return int(found.group(1)) if found else 0


def missing_tools(version: str = KAFKA_VERSION) -> str | None:
    """Say what this machine lacks to run Apache Kafka, or None when it has everything.

    Maven is not missed when the jars are cached already.
    """
    try:
        find_java()
    except BrokerUnavailable as error:
        return str(error)
    if not cached_jars(version).is_dir() and not shutil.which("mvn"):
        return "Apache Kafka's jars are not cached and `mvn` was not found (Debian: apt-get install maven)."
    return None


def _format_storage(java: list[str], properties: Path) -> None:
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    done = subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", str(properties)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BrokerUnavailable(
            f"Apache Kafka could not prepare its storage beside {properties}. If its jars are damaged, "
            f"remove their directory in the cache. Its output:\n{tail(done.stdout)}"
        )
