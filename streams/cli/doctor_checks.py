"""The checks of ``nearstream doctor``."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Literal

from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError

from processors.common.errors import NearstreamError
from processors.common.topics import changelog_topic
from state.peek import changelog_offsets
from streams.cli.transaction_probe import fencing_problem
from streams.engine.topology import build_topology, topic_specs
from streams.kafka.admin import administration
from streams.kafka.errors import BrokerRefused, BrokerUnavailable
from streams.kafka.topics import TIMESTAMP_TYPE, TopicState, describe_topics
from streams.settings.sections import Settings
from streams.worker.topic_identity import changelogs, compare_topic_ids, topic_ids

_GIB = 2**30
_LOW_SPACE, _NO_SPACE = 1 * _GIB, _GIB // 8
_LONG_LAG = 10_000
_HTTP_TIMEOUT_S = 2.0
_COORDINATOR_TIMEOUT_S = 10.0
_COORDINATOR_COMES = (CoordinatorNotAvailableError, NotCoordinatorError, CoordinatorLoadInProgressError)
_NO_BROKERS = "docker compose up -d kafka starts one here; nearstream demo needs none."


@dataclass(frozen=True)
class Check:
    """What a check found.

    Parameters
    ----------
    name
        What was checked, in a word.
    status
        ``ok``, ``warn`` (it works, but look at it) or ``fail`` (it cannot work).
    message
        What was found.
    advice
        What to do; empty if nothing is to be done.
    """

    name: str
    status: Literal["ok", "warn", "fail"]
    message: str
    advice: str = ""


def run_checks(settings: Settings) -> Iterator[Check]:
    """Run all checks and yield each as it is done. Those that need brokers are left out if there are none."""
    brokers = _checked("brokers", check_brokers, settings)
    yield brokers
    if brokers.status != "fail":
        yield _checked("topics", check_topics, settings)
        yield _checked("transactions", check_transactions, settings)
    yield check_state_directory(settings)
    if brokers.status != "fail":
        yield _checked("changelog", check_changelogs, settings)
    yield check_worker(settings)
    if brokers.status != "fail":
        yield _checked("lag", check_lag, settings)


def _checked(name: str, check: Callable[[Settings], Check], settings: Settings) -> Check:
    try:
        return check(settings)
    except NearstreamError as error:
        unanswered = isinstance(error, BrokerUnavailable) and not isinstance(error, BrokerRefused)
        return Check(name, "fail", str(error), _NO_BROKERS if unanswered and name == "brokers" else "")


def check_brokers(settings: Settings) -> Check:
    """Check that the brokers answer, and that there are enough for the replication."""
    with administration(settings.kafka) as admin:
        brokers = admin.describe_cluster()["brokers"]
        versions = {admin.get_broker_version_data(broker["broker_id"]).broker_version for broker in brokers}
    speaks = ", ".join(".".join(map(str, version)) for version in sorted(versions))
    message = f"{len(brokers)} at {settings.kafka.brokers}, speaking the protocol of Kafka {speaks}"
    wanted = settings.topics.replication
    if wanted > len(brokers):
        advice = f"Start {wanted - len(brokers)} more, or lower topics.replication."
        return Check("brokers", "fail", f"{message}: too few for topics.replication = {wanted}", advice)
    return Check("brokers", "ok", message)


def check_topics(settings: Settings) -> Check:
    """Check that the topics exist, with the right partitions, cleanup policies and timestamp types."""
    states = describe_topics(settings)
    missing = [state.name for state in states if state.state == "missing"]
    differences = [difference for state in states for difference in state.differences]
    if missing:
        advice = "nearstream topics --create, or start a worker: it creates them."
        return Check("topics", "fail", f"{len(missing)} of {len(states)} are missing: {', '.join(missing)}", advice)
    if not differences:
        return Check("topics", "ok", f"all {len(states)} are there, {settings.topics.partitions} partitions each")
    message = "; ".join(map(str, differences))
    if any(difference.what == "partitions" for difference in differences):
        return Check(
            "topics", "fail", message, "Set topics.partitions to what the topics have; it cannot change later."
        )
    advice = "kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config NAME=EXPECTED"
    serious = any(difference.what in ("cleanup.policy", TIMESTAMP_TYPE) for difference in differences)
    return Check("topics", "fail" if serious else "warn", message, advice)


def check_transactions(settings: Settings) -> Check:
    """Check that a producer fences an earlier one with its transactional id, as a worker's successor must."""
    if settings.worker.processing_guarantee == "at_least_once":
        return Check("transactions", "ok", "not used: worker.processing_guarantee is at_least_once")
    existing = [state.name for state in describe_topics(settings) if state.partitions]
    if not existing:
        return Check("transactions", "warn", "not checked: that needs a topic", "nearstream topics --create")
    problem = fencing_problem(settings, existing[0])
    if problem:
        advice = "Use Apache Kafka, or set worker.processing_guarantee = 'at_least_once' (duplicates after a crash)."
        return Check("transactions", "fail", problem, advice)
    return Check("transactions", "ok", "a probe was fenced by its successor")


def check_state_directory(settings: Settings) -> Check:
    """Check that the state directory can be written, and has space."""
    path = Path(settings.worker.state_dir).absolute()
    where = next(folder for folder in (path, *path.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=where):
            free = shutil.disk_usage(where).free
    except OSError as error:
        advice = "Give the worker's user the right to write there, or set worker.state_dir."
        return Check("state", "fail", f"{path} cannot be written: {error.strerror}", advice)
    message = f"{path}, {free / _GIB:.1f} GiB free"
    if free < _LOW_SPACE:
        advice = "Make room, or set worker.state_dir to a larger disk."
        return Check("state", "fail" if free < _NO_SPACE else "warn", message, advice)
    return Check("state", "ok", message if where == path else f"{message} (not there yet: a worker makes it)")


def check_changelogs(settings: Settings) -> Check:
    """Check that the local stores were made from these changelogs, and have not read beyond their ends.

    A worker refuses to start otherwise.
    """
    compare_topic_ids(Path(settings.worker.state_dir), topic_ids(settings), changelogs(settings), note=False)
    # Stores before topics: a worker that runs adds to both, to the topics first.
    stores = changelog_offsets(_store_paths(settings))
    ends = {
        (state.name, partition): end
        for state in describe_topics(settings)
        for partition, (_, end) in enumerate(state.offsets or ((0, 0),) * settings.topics.partitions)
    }
    beyond = []
    for path, offset in stores.items():
        topic, partition = _changelog(path)
        # A store of a partition that there is not is left over from other settings: nobody opens it.
        end = ends.get((topic, partition), offset)
        if offset > end:
            beyond.append(f"{path.name} has read {topic}[{partition}] up to {offset}, but that ends at {end}")
    if beyond:
        advice = f"The topic was made anew: restore it, or delete {settings.worker.state_dir} to follow it."
        return Check("changelog", "fail", "; ".join(beyond), advice)
    return Check("changelog", "ok", f"{len(stores)} local stores, all made from it")


def _store_paths(settings: Settings) -> list[Path]:
    names = {spec.name for spec in topic_specs(settings)}
    paths = sorted(Path(settings.worker.state_dir).glob("*-*"))
    return [path for path in paths if _changelog(path)[0] in names]


def _changelog(path: Path) -> tuple[str, int]:
    """Return the changelog topic and partition of a store in a directory.

    Examples
    --------
    >>> _changelog(Path("nearstream-data/users-3")), _changelog(Path("nearstream-data/notes-old"))
    (('internal.changelog.users', 3), ('', 0))
    """
    plane, _, partition = path.name.rpartition("-")
    return (changelog_topic(plane), int(partition)) if partition.isdecimal() else ("", 0)


def check_worker(settings: Settings) -> Check:
    """Check whether the worker of these settings is ready, if it runs on this machine."""
    host, port = settings.worker.web_host, settings.worker.web_port
    if port == 0:
        return Check("worker", "ok", "not checked: worker.web_port is 0, so its port is not known")
    address = f"http://{'127.0.0.1' if host in ('', '0.0.0.0') else host}:{port}/readyz"
    try:
        with urllib.request.urlopen(address, timeout=_HTTP_TIMEOUT_S):
            return Check("worker", "ok", f"{address} says it is ready")
    except urllib.error.HTTPError as error:
        with error:
            return Check("worker", "warn", f"{address}: {_problems(error.read())}", "Wait, then see the worker's log.")
    except OSError as error:
        return Check("worker", "warn", f"{address}: {_reason(error)}", "nearstream worker starts one.")


def check_lag(settings: Settings) -> Check:
    """Check that the workers keep up with what is sent."""
    sources = {topic for plane in build_topology(settings).planes for topic in plane.source_topics}
    states = [state for state in describe_topics(settings) if state.name in sources]
    with administration(settings.kafka) as admin:
        committed = _committed(admin, settings.kafka.group)
    lag = sum(lag_of(state, committed) for state in states)
    message = f"{lag:,} records of group {settings.kafka.group} wait in {len(states)} topics"
    if not committed and lag:
        return Check("lag", "warn", f"{message}, and it has committed nothing yet", "nearstream worker starts one.")
    if lag > _LONG_LAG:
        advice = f"Start more workers: up to {settings.topics.partitions}, one per partition, share the work."
        return Check("lag", "warn", message, advice)
    return Check("lag", "ok", message)


def lag_of(state: TopicState, committed: dict[tuple[str, int], int]) -> int:
    """Count the records of a topic behind the committed offsets.

    In a partition without a committed offset all records count.

    Examples
    --------
    >>> lag_of(TopicState("t", "ok", offsets=((0, 10), (5, 9))), {("t", 0): 8})
    6
    """
    return sum(
        max(end - max(committed.get((state.name, partition), start), start), 0)
        for partition, (start, end) in enumerate(state.offsets)
    )


def _committed(admin: KafkaAdminClient, group: str) -> dict[tuple[str, int], int]:
    deadline = monotonic() + _COORDINATOR_TIMEOUT_S
    while True:
        try:
            found: dict[Any, Any] = admin.list_group_offsets(group)[group]
            return {(tp.topic, tp.partition): offset.offset for tp, offset in found.items()}
        except _COORDINATOR_COMES:
            # Brokers that never had a group make their offsets topic when first asked, and then elect who leads it.
            if monotonic() > deadline:
                raise
            sleep(0.2)


def _reason(error: OSError) -> str:
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "strerror", None) or cause)


def _problems(body: bytes) -> str:
    try:
        problems = json.loads(body)["problems"]
        return "; ".join(f"{name}: {how}" for name, how in problems.items())
    except (ValueError, LookupError, TypeError, AttributeError):
        return "it is not ready"
