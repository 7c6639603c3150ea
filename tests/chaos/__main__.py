"""Run workers on a real Kafka under load, let faults happen to them by a seeded plan, and verify all that was said.

``make chaos ARGS="--faults 20 --seed 1"``. The plan follows from the seed. The verifier replays the topics in the order
that was committed (:mod:`tests.oracle`) and compares recommendations, decisions, signals and every state byte for byte.
What it found is then spoiled on purpose, and the verifier must say so each time (the controls). With ``--safeguards``
workers are run from which one safeguard is taken out, too (:mod:`tests.chaos.without`).
Prints one line of JSON; exits with 1 if anything is lost, doubled or wrong, a control is not detected, or a worker
ended that was not meant to.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from processors.common.topics import DEAD_LETTERS_TOPIC
from streams.settings.sections import Settings
from tests.chaos.faults import FAULTS, Fault, Scene
from tests.chaos.network import kafka_behind
from tests.chaos.silences import Silences
from tests.load import Load, wait_drained, with_ads
from tests.oracle import Account, Differences, account
from tests.support import WorkerProcess, fresh_settings, read_topic

_TOO_LITTLE = "only"

_SEEKING_BACK = "; seeking back"
"""What a worker says each time that it has records delivered again."""


stopping = threading.Event()
"""Set when a run is to end after the present fault: what happened until then is verified."""


def main() -> int:
    """Run, print the verdict, and return the exit code. SIGTERM ends the run after the present fault."""
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=20, help="how many faults happen (default 20)")
    parser.add_argument("--kills", type=int, default=0, help="instead: so many kill -9 of one worker, and nothing else")
    parser.add_argument("--seed", type=int, default=1, help="what the plan follows from (default 1)")
    parser.add_argument("--workers", type=int, default=2, help="workers (default 2)")
    parser.add_argument("--rate", type=float, default=200.0, help="events a second (default 200)")
    parser.add_argument("--poison", type=int, default=3000, help="records that are no events, each time (default 3000)")
    parser.add_argument("--only", choices=[fault.__name__ for fault in FAULTS], help="only this fault")
    parser.add_argument("--between", type=float, default=3.0, help="seconds of work between two faults (default 3)")
    parser.add_argument("--away", type=float, default=0.0, help="seconds a killed broker is away at least (default 0)")
    parser.add_argument("--session", type=int, default=6, help="seconds of the session timeout (default 6)")
    parser.add_argument("--standby", action="store_true", help="workers keep copies of the partitions of others")
    parser.add_argument("--safeguards", action="store_true", help="also run workers without each safeguard")
    asked = parser.parse_args()
    verdict = run(asked)
    if asked.safeguards:
        verdict["controls"] |= {f"without {name}": without(name, asked.seed) for name in ("fence", "order", "gaps")}
        if not all(verdict["controls"].values()):
            verdict["verdict"] = "wrong"
    print(json.dumps(verdict))
    return 0 if verdict["verdict"] == "ok" else 1


TRIED_BY = {
    "fence": ("freeze", 1, 2),
    "order": ("kill_one", 3, 1),
    "gaps": ("restart", 1, 1),
    "nothing": ("restart", 1, 1),
}
"""By safeguard (:mod:`tests.chaos.without`): what happens to workers without it, how often, and to how many workers."""


def without(safeguard: str, seed: int, attempts: int = 3) -> bool:
    """Run workers without a safeguard, let happen what it is there for, and tell whether the verifier notices.

    A fault does not find every worker in the midst of something: it is tried again, with the next seed, when nothing
    came of it.
    """
    only, faults, workers = TRIED_BY[safeguard]
    for attempt in range(attempts):
        asked = argparse.Namespace(
            faults=faults, kills=0, seed=seed + attempt, workers=workers, rate=100.0, poison=0, only=only, between=3.0,
            session=6, standby=False, away=0.0,
        )  # fmt: skip
        verdict = run(asked, ("tests.chaos.without", safeguard))
        print(json.dumps({"without": safeguard} | verdict), file=sys.stderr, flush=True)
        if verdict["wrong"] and not verdict["wrong"].startswith(_TOO_LITTLE):
            return True
    return False


def planned(asked: argparse.Namespace, chance: random.Random) -> list[Fault]:
    """Draw the faults of a run."""
    names = {fault.__name__: fault for fault in FAULTS}
    if asked.kills:
        return [names["kill_one"]] * asked.kills
    if asked.only:
        return [names[asked.only]] * asked.faults
    # Each comes once, as far as there is room, before they come by chance.
    first = chance.sample(list(FAULTS), min(len(FAULTS), asked.faults))
    return first + chance.choices(list(FAULTS), list(FAULTS.values()), k=asked.faults - len(first))


def run(asked: argparse.Namespace, program: Sequence[str] = ("streams.cli",)) -> dict[str, Any]:
    """Let the faults happen to workers that are run by a program, and return the verdict."""
    chance = random.Random(asked.seed)
    verdict: dict[str, Any] = {"seed": asked.seed, "workers": asked.workers, "rate": asked.rate}
    verdict |= {"session_timeout_s": asked.session, "standby": asked.standby}
    broker, networks = kafka_behind(asked.workers, asked.seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(broker)
        for network in networks:
            stack.enter_context(network)
        settings = with_ads(fresh_settings(broker.bootstrap, folder / "state-0", standby=asked.standby))
        kafka = msgspec.structs.replace(settings.kafka, session_timeout_s=asked.session)
        settings = msgspec.structs.replace(settings, kafka=kafka)
        workers = [
            WorkerProcess(_own(settings, folder, n, network.port), folder / f"{n}.log", program)
            for n, network in enumerate(networks)
        ]
        scene = Scene(broker, workers, chance, set(), networks, asked.poison, away_s=asked.away)
        silences = Silences(broker.bootstrap, settings.topics.partitions)
        try:
            with Load(broker.bootstrap, asked.rate, events=10**9) as load:
                happened = _disturb(scene, planned(asked, chance), silences, asked.between)
                load.finish()
            for worker in workers:
                wait_drained(worker, 600)
            for worker in workers:
                worker.stop(30)
        except BaseException:
            for worker in workers:
                print(f"--- {worker.log.name}\n{worker.tail()}", file=sys.stderr, flush=True)
            raise
        finally:
            silences.finish()
            for worker in workers:
                worker.discard()
        exits = sum(one["unplanned_exits"] for one in happened)
        rounds = sum(_text(worker.log).count(_SEEKING_BACK) for worker in workers)
        verdict |= {"events": load.sent, "poisoned": scene.poisoned, "unplanned_exits": exits, "seek_rounds": rounds}
        verdict["dead_letters"] = sum(map(len, read_topic(broker.bootstrap, DEAD_LETTERS_TOPIC)))
        verdict["longest_stop_s"] = round(max(scene.stops_s, default=0.0), 1)
        verdict |= _summary(happened) | _accounted(broker.bootstrap, settings)
    right = not (verdict["wrong"] or verdict["lost"] or verdict["double_counted"] or verdict["wrong_keys"])
    good = right and not exits and all(verdict["controls"].values())
    good = good and verdict["dead_letters"] == verdict["poisoned"]
    return verdict | {"verdict": "ok" if good else "wrong"}


def _disturb(scene: Scene, faults: list[Fault], silences: Silences, between_s: float) -> list[dict[str, Any]]:
    for worker in scene.workers:
        worker.start()
    happened: list[dict[str, Any]] = []
    for fault in faults:
        if stopping.is_set():
            break
        exits = _wait_ready(scene)
        time.sleep(between_s)
        began = time.monotonic()
        fault(scene, scene.chance.choice(scene.workers))
        exits += _wait_ready(scene)
        ready = time.monotonic()
        silences.wait_heard(ready)
        one = {
            "fault": fault.__name__,
            "ready_s": round(ready - began, 1),
            "silent_s": round(silences.longest(began), 1),
            "unplanned_exits": exits,
        }
        if scene.answers_since > began:
            one["back_s"] = round(silences.until_heard(scene.answers_since), 1)
        happened.append(one)
        print(json.dumps(happened[-1]), file=sys.stderr, flush=True)
    return happened


def _wait_ready(scene: Scene) -> int:
    """Wait until all workers are ready; start those again that ended unasked, and count them."""
    exits, deadline = 0, time.monotonic() + 300
    for worker in scene.workers:
        while True:
            try:
                worker.wait_ready(max(1.0, deadline - time.monotonic()))
                break
            except AssertionError:
                if worker.running or time.monotonic() > deadline:
                    raise
                print(worker.tail(), file=sys.stderr)
                exits += worker.pid not in scene.planned
                worker.start()
    return exits


def _summary(happened: list[dict[str, Any]]) -> dict[str, Any]:
    silent = [one["silent_s"] for one in happened]
    back = [one["back_s"] for one in happened if "back_s" in one]
    return {
        **({"back_max_s": max(back)} if back else {}),
        "faults": len(happened),
        "by_fault": dict(Counter(one["fault"] for one in happened)),
        "silence_p50_s": median(silent),
        "silence_max_s": max(silent),
        "silence_max_s_by_fault": {
            name: max(one["silent_s"] for one in happened if one["fault"] == name)
            for name in sorted({one["fault"] for one in happened})
        },
    }


def _accounted(bootstrap: str, settings: Settings) -> dict[str, Any]:
    """Return what the verifier found; a log that no replay can follow is wrong as a whole."""
    try:
        found = account(bootstrap, settings)
    except AssertionError as error:
        return {"commits": 0, "lost": 0, "double_counted": 0, "wrong_keys": 0, "wrong": str(error), "controls": {}}
    return _verified(found)


def _verified(found: Account) -> dict[str, Any]:
    """Return what the verifier found, and whether it finds what is spoiled on purpose."""
    differences = found.differences()
    try:
        found.check()
        wrong = "" if found.commits > 100 else f"{_TOO_LITTLE} {found.commits} commits: the run says little"
    except AssertionError as error:
        wrong = str(error) or repr(error)
    return {
        "commits": found.commits,
        "lost": differences.lost,
        "double_counted": differences.doubled + differences.invented,
        "wrong_keys": differences.wrong_keys,
        "wrong": wrong,
        "controls": {name: _noticed(spoiled, differences) for name, spoiled in _spoiled(found)},
    }


def _noticed(spoiled: Account, differences: Differences) -> bool:
    """Tell whether both ways to verify notice what is spoiled."""
    try:
        spoiled.check()
    except AssertionError:
        return spoiled.differences() != differences
    return False


def _spoiled(found: Account) -> Iterator[tuple[str, Account]]:
    """Yield copies of what was found, each with one thing that is not as it was."""
    yield "one output deleted", replace(found, found_ids=found.found_ids[1:])
    yield "one output doubled", replace(found, found_ids=[*found.found_ids, found.found_ids[0]])
    yield "one decision deleted", replace(found, found_decisions=found.found_decisions[1:])
    for plane, states in found.changelog_states.items():
        for key, value in list(states.items())[:1]:
            other = {**states, key: value[:-1] + bytes([value[-1] ^ 1])}
            yield (
                f"one bit of a state of {plane}",
                replace(found, changelog_states={**found.changelog_states, plane: other}),
            )


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _own(settings: Any, folder: Path, number: int, port: int) -> Any:
    worker = msgspec.structs.replace(settings.worker, state_dir=str(folder / f"state-{number}"))
    kafka = msgspec.structs.replace(settings.kafka, brokers=f"127.0.0.1:{port}")
    return msgspec.structs.replace(settings, worker=worker, kafka=kafka)


if __name__ == "__main__":
    sys.exit(main())
