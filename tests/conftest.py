"""What the tests share: a Kafka broker, the event files, and a plain account of what was skipped."""

import os
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import iscoroutinefunction
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

from streams.broker import ApacheKafka, BrokerUnavailable, answers, missing_tools
from streams.worker.process_tuning import tune_process

tune_process()

MEASURED_EXAMPLES = 30
"""Of each property, so many examples count for the coverage."""

CHECKOUT = Path(__file__).resolve().parent.parent

# Timing never decides a test: machines are busy at times.
settings.register_profile("nearstream", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nearstream")


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap address of a Kafka with transactions, shared by all tests: name topics and groups uniquely.

    The brokers named in NEARSTREAM_TEST_BROKERS, else Apache Kafka started here.
    """
    named = os.environ.get("NEARSTREAM_TEST_BROKERS")
    if named:
        if not answers(named):
            pytest.fail(f"NEARSTREAM_TEST_BROKERS={named} does not answer: start it, or unset the variable")
        yield named
        return
    _skip_without_kafka_tools()
    try:
        broker = ApacheKafka().start()
    except BrokerUnavailable as error:
        pytest.skip(str(error))
    with broker:
        yield broker.bootstrap


@pytest.fixture(scope="session")
def kafka_tools() -> None:
    """For tests that start an Apache Kafka of their own."""
    _skip_without_kafka_tools()


def _skip_without_kafka_tools() -> None:
    missing = missing_tools()
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real event files: NEARSTREAM_DATA, else ../shared/data beside the checkout."""
    named = os.environ.get("NEARSTREAM_DATA")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no event files in {folder}: name their folder with NEARSTREAM_DATA")
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that need Kafka, and say which stay in one process: all of these, and else those of a file.

    Only the chaos runs are apart: they have brokers of their own and take whatever time they get.
    """
    for item in items:
        if {"kafka", "kafka_tools"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")
        apart = "chaos" in item.path.parts
        together = "kafka" if item.get_closest_marker("kafka") and not apart else str(item.path)
        item.add_marker(pytest.mark.xdist_group(together))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run where groups are not kept: tests that share a broker would run beside each other."""
    grouped = getattr(session.config.option, "loadgroup", False)
    if grouped and not all("@" in item.nodeid for item in session.items):
        raise pytest.UsageError("pytest-xdist does not keep groups together: use the pytest that pyproject.toml names")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Count lines where that tells something: counting doubles what a test takes.

    Long simulations run no lines that others do not. Of a property, the first examples run nearly all that it reaches.
    """
    measured = Coverage.current()
    if measured is None:
        return (yield)
    if item.get_closest_marker("unmeasured"):
        measured.stop()
    try:
        with _first_examples_measured(item):
            return (yield)
    finally:
        if Coverage.current() is not measured:
            measured.start()


@contextmanager
def _first_examples_measured(item: pytest.Item) -> Iterator[None]:
    """Stop to count lines once a property has been tried with some examples."""
    handle = getattr(getattr(item, "obj", None), "hypothesis", None)
    if handle is None or iscoroutinefunction(handle.inner_test):
        yield
        return
    test, tried = handle.inner_test, count()

    @wraps(test)
    def counted(*args: Any, **kwargs: Any) -> Any:
        measured = Coverage.current() if next(tried) >= MEASURED_EXAMPLES else None
        if measured is not None:
            measured.stop()
        return test(*args, **kwargs)

    handle.inner_test = counted
    try:
        yield
    finally:
        handle.inner_test = test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    required = os.environ.get("NEARSTREAM_REQUIRE_KAFKA") == "1"
    if required and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("kafka"):
        report.outcome = "failed"
        report.longrepr = f"NEARSTREAM_REQUIRE_KAFKA=1, and this test was skipped: {_why_skipped(report)}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped: dict[str, list[str]] = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        skipped[_why_skipped(report)].append(report.nodeid)
    if not skipped:
        return
    terminalreporter.section("tests that did not run, and why")
    for reason, tests in skipped.items():
        terminalreporter.line(f"{len(tests)} skipped: {reason}")
        for test in tests:
            terminalreporter.line(f"    {test}")


def _why_skipped(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")
