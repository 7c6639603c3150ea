"""Apache Kafka's jars, resolved by Maven once and cached outside the checkout."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.kafka.errors import BrokerUnavailable, tail

# Kafka logs through slf4j, whose binding its published pom leaves to the distribution.
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>nearstream</groupId><artifactId>kafka-broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version>
    </dependency>
  </dependencies>
</project>
"""
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_DOWNLOAD_TIMEOUT = 900


def cached_jars(version: str) -> Path:
    """Return the directory that holds, or will hold, the jars of one Kafka version."""
    root = os.environ.get("NEARSTREAM_CACHE")
    cache = Path(root).expanduser() if root else Path.home() / ".cache" / "nearstream"
    return cache.absolute() / f"kafka-{version}"


def ensure_jars(version: str) -> Path:
    """Return the directory with the jars of one Kafka version, downloading them if they are not there.

    The directory appears whole or not at all, so an interrupted download is never taken for a complete one.
    Processes that ask at the same time wait for the one that downloads.

    Raises
    ------
    BrokerUnavailable
        If Maven is missing or the download fails.
    """
    jars = cached_jars(version)
    if jars.is_dir():
        return jars
    try:
        jars.parent.mkdir(parents=True, exist_ok=True)
        with _locked(jars.with_name(f"{jars.name}.lock")):
            if not jars.is_dir():
                _download(version, jars)
    except OSError as error:
        raise BrokerUnavailable(
            f"Cannot write Kafka's jars to {jars.parent}: {error}. Name another directory with NEARSTREAM_CACHE."
        ) from error
    return jars


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(version: str, destination: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{destination.name}-", dir=destination.parent) as name:
        work = Path(name)
        (work / "pom.xml").write_text(_POM.format(version=version))
        _run_maven(version, work)
        (work / "jars").rename(destination)


def _run_maven(version: str, work: Path) -> None:
    maven = shutil.which("mvn")
    if not maven:
        raise BrokerUnavailable(
            "Maven is needed once, to download Apache Kafka, and `mvn` was not found. Install it (Debian: "
            "apt-get install maven), or use brokers that run already (NEARSTREAM_TEST_BROKERS=host:port)."
        )
    command = [maven, "-q", "-B", "-f", str(work / "pom.xml"), _COPY]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={work / 'jars'}"]
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=_DOWNLOAD_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerUnavailable(
            f"Maven did not download Apache Kafka {version} within {_DOWNLOAD_TIMEOUT} s. "
            "Try again: it goes on where it stopped."
        ) from error
    if done.returncode != 0:
        raise BrokerUnavailable(
            f"Maven could not download Apache Kafka {version}. Check the network and ~/.m2/settings.xml, "
            f"then try again. The end of its output:\n{tail(done.stdout)}"
        )
