"""Peers of the throughput benchmark: plans that cannot work are refused, and one on Quix Streams runs on Kafka."""

from importlib.metadata import PackageNotFoundError

import pytest
from typer.testing import CliRunner

from bench import extra
from bench.cluster import Cluster
from bench.load import load_of
from bench.peer import check_plan, run_peer
from bench.peer_engine import PeerPlan
from processors.common.errors import NearstreamError
from streams.broker import ApacheKafka
from streams.cli.bench import app
from streams.cli.common import GlobalOptions


@pytest.mark.kafka
def test_quix_streams_answers_as_an_in_order_run_does(
    kafka_tools: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    load = load_of(None, 400, users=50, items=100)
    with ApacheKafka().start() as broker:
        cluster = Cluster(broker.bootstrap, "Apache Kafka", tmp_path_factory.mktemp("peer"))
        result = run_peer(cluster, load, PeerPlan(events=200, engine="quix", warm=100, commit_s=0.5))
    assert (result.engine, result.store, result.guarantee) == ("quix", "rocksdb", "exactly_once")
    assert result.commit_s == 0.5
    assert (result.events, result.warm_events, result.recommendations, result.differing) == (200, 100, 600, 0)
    assert result.events_per_s == pytest.approx(200 / result.wall_s, rel=0.1)
    assert 0 < result.cpu_s < result.wall_s * 4


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def version_of(package: str) -> str:
        if package in ("quixstreams", "implicit"):
            raise PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(extra, "version", version_of)


def test_what_is_not_installed_is_named(without_extra: None) -> None:
    with pytest.raises(NearstreamError, match=r"quixstreams is not installed: pip install 'nearstream\[bench\]'"):
        check_plan(PeerPlan(engine="quix"), 30_000)
    check_plan(PeerPlan(engine="faust"), 30_000)
    done = CliRunner().invoke(app, ["peers", __file__], obj=GlobalOptions())
    assert str(done.exception) == "implicit is not installed: pip install 'nearstream[bench]'"


def test_events_that_all_warm_up_are_refused() -> None:
    with pytest.raises(NearstreamError, match=r"the first 500 only warm up.*--peer-warm"):
        check_plan(PeerPlan(warm=500), 500)
    check_plan(PeerPlan(warm=500), 501)


def test_the_command_line_hands_over_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = []

    def refuse(plan: PeerPlan, _events: int) -> None:
        plans.append(plan)
        raise NearstreamError("enough")

    monkeypatch.setattr("bench.throughput.check_plan", refuse)
    options = ["throughput", "--events", "50", "--peer", "--peer-engine", "quix", "--peer-events", "200"]
    for more in ([], ["--peer-warm", "7", "--peer-store", "rocksdb", "--peer-commit", "1"]):
        done = CliRunner().invoke(app, [*options, *more], obj=GlobalOptions())
        assert isinstance(done.exception, NearstreamError)
    assert plans == [PeerPlan(200, "memory", "quix"), PeerPlan(200, "rocksdb", "quix", 7, 1.0)]
