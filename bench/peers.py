"""``nearstream bench peers``: the ranking against models that are refitted, and others that learn event by event.

Nearstream and its peers go over the same events in one run, and are judged by the protocol of ``evaluate`` on the same
ones: every k-th, because asking all of them costs more than learning. Peers that are fitted to data are fitted anew on
all of it so far each time a tenth of the stream has passed. No broker needed.
"""

from __future__ import annotations

from pathlib import Path
from time import process_time

import msgspec

from bench.peer_models import PEERS, Peer
from processors.evaluation.prequential import Prequential
from processors.events.event import ITEM_TOPICS
from streams.datasets.event_files import FileEvent, read_events
from streams.evaluation.prequential import System
from streams.settings.sections import Settings


class PeerFigures(msgspec.Struct):
    """Hit rate and mean reciprocal rank at 20 over the last half: of all events, and of first-time ones.

    ``ahead`` says whether Nearstream's figures are all higher, ``cpu_s`` is the time of learning, refitting and lists.
    """

    name: str
    hr20: float
    mrr20: float
    hr20_new: float
    mrr20_new: float
    cpu_s: float
    ahead: bool | None = None


class PeersResult(msgspec.Struct):
    """Result, one JSON line; Nearstream comes first."""

    data: str
    events: int
    judged: int
    refits: int
    systems: list[PeerFigures]


REFITS = 10


def run_peers(data: Path, events: int | None = None, every: int = 5) -> PeersResult:
    """Compare the ranking with its peers on a file.

    Parameters
    ----------
    data
        The event file.
    events
        Most events that are read; by default all.
    every
        One in so many events is judged.
    """
    stream = [event for event in read_events(data, events) if event.topic in ITEM_TOPICS]
    comparison = _Comparison(Settings())
    for number, event in enumerate(stream):
        if number and number * REFITS // len(stream) > (number - 1) * REFITS // len(stream):
            comparison.refit()
        comparison.take(event, judged=number % every == 0)
    return comparison.result(data.name, len(stream))


class _Compared:
    """A peer, with the judge of its lists and the CPU-seconds that it took."""

    def __init__(self, peer: Peer) -> None:
        self.peer, self.judge, self.cpu_s = peer, Prequential(), 0.0


class _Comparison:
    """Nearstream and its peers on the same stream."""

    def __init__(self, settings: Settings) -> None:
        self._system, self._judge, self._cpu_s = System(settings), Prequential(), 0.0
        self._peers = [_Compared(peer()) for peer in PEERS]
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._names: list[str] = []
        self._refits = 0

    def refit(self) -> None:
        """Have every peer learn anew."""
        self._refits += 1
        for compared in self._peers:
            started = process_time()
            compared.peer.refit()
            compared.cpu_s += process_time() - started

    def take(self, event: FileEvent, judged: bool) -> None:
        """Judge the lists of all, if it is this event's turn, then have all learn it."""
        user, item = event.key.decode(), self._system.item_of(event)
        who = self._users.setdefault(user, len(self._users))
        started = process_time()
        if judged:
            self._system.ask([event], self._judge)
        else:
            self._judge.see(user, item)
        self._system.learn([event])
        self._cpu_s += process_time() - started
        if item not in self._items:
            self._items[item] = len(self._names)
            self._names.append(item)
        for compared in self._peers:
            started = process_time()
            if judged:
                names = [self._names[number] for number in compared.peer.listed(who)]
                compared.judge.score(user, item, names, names)
            else:
                compared.judge.see(user, item)
            compared.peer.learn(who, self._items[item], event.time_ms)
            compared.cpu_s += process_time() - started

    def result(self, name: str, events: int) -> PeersResult:
        """Return the figures of all."""
        first = _figures("nearstream", self._judge, self._cpu_s)
        others = [_figures(compared.peer.name, compared.judge, compared.cpu_s) for compared in self._peers]
        for other in others:
            other.ahead = all(
                getattr(first, field) > getattr(other, field) for field in ("hr20", "mrr20", "hr20_new", "mrr20_new")
            )
        return PeersResult(name, events, len(self._judge), self._refits, [first, *others])


def _figures(name: str, judge: Prequential, cpu_s: float) -> PeerFigures:
    half = judge.result()["last50"]
    found, new = half["all"], half["new"]
    return PeerFigures(
        name=name,
        hr20=round(found.get("hr20", 0.0), 4),
        mrr20=round(found.get("mrr20", 0.0), 4),
        hr20_new=round(new.get("hr20", 0.0), 4),
        mrr20_new=round(new.get("mrr20", 0.0), 4),
        cpu_s=round(cpu_s, 1),
    )
