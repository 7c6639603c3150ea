"""The idiomatic Faust app (:mod:`bench.idiomatic_faust`) as a peer.

Its answers depend on the timer by which it sorts what is popular, so they are counted and not compared.
"""

from __future__ import annotations

from bench.cluster import log_ends
from bench.idiomatic_faust import PREFIX, RECOMMENDATIONS, SIGNALS
from bench.load import LoadEvent, append
from bench.peer_engine import Engine
from processors.events.event import EVENT_TOPICS
from streams.engine.topology import TopicSpec

_CHANGELOGS = ("idiomatic-items-changelog", "idiomatic-profiles-changelog")


class FaustEngine(Engine):
    """The Faust app: a topic per kind of event, at least once."""

    name = "Faust"
    package = "faust-streaming"
    module = "bench.idiomatic_faust"
    arguments = ("worker", "--loglevel", "warn")
    guarantee = "at_least_once"
    answers = RECOMMENDATIONS

    def environment(self) -> dict[str, str]:
        """Return where tables are kept, and how many partitions there are."""
        return {"IDIOMATIC_STORE": f"{self.store}://", "IDIOMATIC_PARTITIONS": str(self.settings.topics.partitions)}

    def topics(self) -> list[TopicSpec]:
        """Return topics of events, answers and signals, and changelogs of tables."""
        names = [*(PREFIX + topic for topic in EVENT_TOPICS), RECOMMENDATIONS, SIGNALS]
        return [TopicSpec(name) for name in names] + [TopicSpec(name, compacted=True) for name in _CHANGELOGS]

    async def feed(self, events: list[LoadEvent]) -> None:
        """Append events, each to the topic of its kind."""
        await append(self.settings, events, PREFIX)

    async def drained(self, events: int) -> bool:
        """Tell whether every event has its answers, and the changelog of items a record for every signal."""
        ends = await log_ends(self.settings, [RECOMMENDATIONS, SIGNALS, _CHANGELOGS[0]])
        counts = {name: sum(end for (topic, _), end in ends.items() if topic == name) for name, _ in ends}
        return counts[RECOMMENDATIONS] >= 2 * events and counts[_CHANGELOGS[0]] >= counts[SIGNALS]
