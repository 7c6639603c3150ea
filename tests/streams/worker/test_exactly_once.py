"""kill -9, and then: nothing lost, nothing doubled, every state as a replay of the committed order gives it."""

import os
import random
import signal
import time
from copy import deepcopy
from pathlib import Path

import msgspec
import pytest

from processors.ads.ledger import Ledger
from state.rocks import RocksStore
from streams.engine.topology import build_topology
from streams.settings.sections import Settings
from tests.load import EVENTS, Load, wait_drained, with_ads
from tests.oracle import Account, account, same_bytes, states_of
from tests.support import WorkerProcess, fresh_settings

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

decode_campaign = msgspec.msgpack.Decoder(Ledger).decode


def check_rocks(settings: Settings, expected: Account) -> None:
    """The files of the stores, after a clean stop, hold the same."""
    for plane in build_topology(settings).planes:
        found = {}
        for partition in range(settings.topics.partitions):
            store = RocksStore(Path(settings.worker.state_dir) / f"{plane.name}-{partition}", plane.state_type)
            found.update(states_of(store))
            store.close()
        same_bytes(expected.expected_states[plane.name], found, f"{plane.name} files")


KILLS = ("just ready", "restoring", "at work", "at work")


def wait_for_kill(moment: str, worker: WorkerProcess, random_: random.Random) -> None:
    """Let the worker come to the moment at which it is to be killed."""
    if moment == "restoring":
        # The first partition is taken over, the others are not.
        worker.wait_logged("changelog records in")
        return
    worker.wait_ready()
    time.sleep(0.05 if moment == "just ready" else random_.uniform(0.5, 3))


@pytest.fixture(scope="module")
def killed(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Settings, Account]:
    """A run under load with kills when just ready, while taking over, and at random moments of work."""
    folder = tmp_path_factory.mktemp("killed")
    settings = with_ads(fresh_settings(kafka, folder / "state"))
    random_ = random.Random(5)
    worker = WorkerProcess(settings, folder / "worker.log")
    with Load(kafka, rate=150) as load:
        try:
            worker.start()
            for moment in KILLS:
                wait_for_kill(moment, worker, random_)
                assert load.sent < EVENTS - 1000, "no work was left at a kill"
                worker.kill()
                worker.start()
            worker.wait_ready()
            load.finish()
            wait_drained(worker)
            assert worker.stop() == 0, worker.tail()
        finally:
            worker.discard()
    return kafka, settings, account(kafka, settings)


def test_nothing_is_lost_doubled_or_wrong_after_kills(killed: tuple[str, Settings, Account]) -> None:
    _, settings, found = killed
    assert found.takeovers > len(KILLS) * 8, "the kills did not make anyone take over"
    assert found.commits > 5 * len(KILLS)
    assert len(found.found_ids) > 1000
    assert len(found.found_decisions) > 500
    ledgers = {key: decode_campaign(state[1:]) for key, state in found.expected_states["campaigns"].items()}
    assert sum(ledger.spent for ledger in ledgers.values()) > 0.0
    assert sum(ledger.clicks for ledger in ledgers.values()) > 0
    for ledger in ledgers.values():
        assert ledger.campaign is not None
        assert ledger.spent <= ledger.campaign.budget
    found.check()
    check_rocks(settings, found)


@pytest.mark.parametrize("harm", ["lost", "doubled", "invented", "state", "signal", "decision"])
def test_the_verifier_sees_what_is_wrong(killed: tuple[str, Settings, Account], harm: str) -> None:
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
    elif harm == "decision":
        found.found_decisions.pop()
    else:
        found.found_signals.popitem()
    with pytest.raises(AssertionError):
        found.check()


def test_a_zombie_cannot_write(kafka: str, tmp_path: Path) -> None:
    """A worker is stopped for longer than its session, another takes over, the first wakes up."""
    settings = fresh_settings(kafka, tmp_path / "a")
    other = msgspec.structs.replace(
        settings, worker=msgspec.structs.replace(settings.worker, state_dir=str(tmp_path / "b"))
    )
    first, second = WorkerProcess(settings, tmp_path / "a.log"), WorkerProcess(other, tmp_path / "b.log")
    with Load(kafka, rate=200) as load, first, second:
        first.wait_ready()
        second.wait_ready()
        time.sleep(2)
        first.signal(signal.SIGSTOP)
        deadline = time.monotonic() + 5
        while first.process_state() != "T":
            assert time.monotonic() < deadline, "the worker was not stopped"
            time.sleep(0.01)
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
