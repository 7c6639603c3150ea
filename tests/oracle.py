"""An independent account of what a worker should have done: replay the topics in the order that was committed.

Reads the logs with a plain consumer, takes from the changelog's position records which offsets each micro-batch held,
and runs the topology driver over exactly those. What the driver then holds and has published is what the worker must
hold and have published, key by key and byte by byte.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from processors.ads.campaign import Campaign, Creative, Frequency
from processors.ads.decision import AuctionResult
from processors.ads.messages import LoggedDecision
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.common.time import MONTH_MS, WEEK_MS
from processors.common.topics import (
    AD_DECISIONS_TOPIC,
    CAMPAIGN_SIGNALS_TOPIC,
    DECISION_LOG_TOPIC,
    RECOMMENDATIONS_TOPIC,
    SIGNALS_TOPIC,
    changelog_topic,
)
from processors.users.ad_history import Model
from state.position import Position
from state.store import MARKER_KEY, POSITION_KEY, ChangelogRecord, MemoryStore, PartitionStore
from streams.engine.driver import TopologyDriver
from streams.engine.partition import LINK_HEADER
from streams.engine.source_batch import SourceBatch
from streams.settings.sections import Settings
from tests.support import read_topic


class DecidedBefore:
    """Decides what was decided, by the log: decisions follow from read models, and become part of the profiles."""

    def __init__(self, log: Sequence[Any]) -> None:
        self._log = {found.decision_id: found for found in map(msgspec.json.Decoder(LoggedDecision).decode, log)}

    def decide(self, opportunities: Sequence[Opportunity], _: Mapping[str, float]) -> list[AuctionResult]:
        # What is not in the log was decided when there was no campaign.
        logged = [self._log.get(found.decision_id) for found in opportunities]
        return [AuctionResult(nbr=NoBid.NO_CAMPAIGN) if found is None else self._of(found) for found in logged]

    @staticmethod
    def _of(logged: LoggedDecision) -> AuctionResult:
        if logged.cid is None or logged.crid is None:
            nbr = None if logged.nbr is None else NoBid(logged.nbr)
            return AuctionResult(
                logged.able, nbr=nbr, opportunities=logged.opportunities, held_out=logged.held_out, bids=logged.bids
            )
        creative = Creative(logged.crid, "as shown", "https://shop.example", item_id=logged.item_id)
        campaign = Campaign(
            logged.advertiser or "",
            (creative,),
            1.0,
            1.0,
            model=msgspec.convert(logged.model, Model),
            frequency=Frequency(
                cool_down_ms=logged.cool_down_ms,
                per_week=1 if logged.caps_ms == WEEK_MS else None,
                per_month=1 if logged.caps_ms == MONTH_MS else None,
            ),
            holdout=logged.holdout,
        )
        return AuctionResult(
            logged.able,
            opportunities=logged.opportunities,
            cid=logged.cid,
            campaign=campaign,
            creative=creative,
            price=logged.charge or 0.0,
            cost=logged.cost,
            expected_click=logged.expected_click or 0.0,
            expected_purchase=logged.expected_purchase or 0.0,
            features=logged.features,
            p_click=logged.p_click or 0.0,
            p_conversion=logged.p_conversion or 0.0,
            purchase_value=logged.purchase_value or 0.0,
            value_share=logged.value_share,
            bids=logged.bids,
            pursuit=logged.pursuit,
        )


_OFFSET = attrgetter("offset")
_SIGNALS = (SIGNALS_TOPIC, CAMPAIGN_SIGNALS_TOPIC)


class Differences(NamedTuple):
    """How many messages and states are not as the replay has them."""

    lost: int
    doubled: int
    invented: int
    wrong_keys: int


@dataclass
class Account:
    """What was found on the topics, and what the replay expects there."""

    expected_ids: list[str]
    found_ids: list[str]
    expected_states: dict[str, dict[str, bytes]]
    changelog_states: dict[str, dict[str, bytes]]
    expected_signals: dict[Any, bytes]
    found_signals: dict[Any, bytes]
    expected_decisions: list[str]
    found_decisions: list[str]
    commits: int
    takeovers: int

    def check(self) -> None:
        """Everything agrees: nothing lost, nothing doubled, no state off by a byte."""
        same_ids(self.expected_ids, self.found_ids, "recommendations")
        same_ids(self.expected_decisions, self.found_decisions, "ad decisions")
        assert self.found_signals == self.expected_signals, (
            f"signals differ: {_first_difference(self.expected_signals, self.found_signals)}"
        )
        for plane, expected in self.expected_states.items():
            same_bytes(expected, self.changelog_states[plane], f"{plane} changelog")

    def differences(self) -> Differences:
        """Count what :meth:`check` would find."""
        expected = Counter([*self.expected_ids, *self.expected_decisions, *self.expected_signals])
        found = Counter([*self.found_ids, *self.found_decisions, *self.found_signals])
        wrong = sum(value != self.found_signals.get(link, value) for link, value in self.expected_signals.items())
        for plane, states in self.expected_states.items():
            held = self.changelog_states[plane]
            wrong += sum(states.get(key) != held.get(key) for key in states.keys() | held.keys())
        return Differences(
            lost=len(expected.keys() - found.keys()),
            doubled=sum(times - 1 for times in found.values()),
            invented=len(found.keys() - expected.keys()),
            wrong_keys=wrong,
        )


def _first_difference(expected: Mapping[Any, bytes], found: Mapping[Any, bytes]) -> str:
    """Name the first message that is not as expected."""
    wrong = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    return f"{len(wrong)} of {len(expected)}, such as {wrong[0]}" if wrong else "none"


def same_ids(expected: Sequence[str], found: Sequence[str], what: str) -> None:
    doubled = [name for name, n in Counter(found).items() if n > 1]
    assert not doubled, f"{len(doubled)} {what} doubled, such as {doubled[:3]}"
    lost = set(expected) - set(found)
    assert not lost, f"{len(lost)} {what} lost, such as {sorted(lost)[:3]}"
    invented = set(found) - set(expected)
    assert not invented, f"{len(invented)} {what} nobody asked for, such as {sorted(invented)[:3]}"


def same_bytes(expected: dict[str, bytes], found: dict[str, bytes], what: str) -> None:
    wrong = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
    assert not wrong, f"{what}: {len(wrong)} of {len(expected)} keys differ, such as {sorted(wrong)[:3]}"


def account(bootstrap: str, settings: Settings) -> Account:
    """Read everything and replay it."""
    driver = TopologyDriver(settings, keep=(RECOMMENDATIONS_TOPIC, AD_DECISIONS_TOPIC, *_SIGNALS))
    decisions = [record for log in read_topic(bootstrap, DECISION_LOG_TOPIC) for record in log]
    driver.topology.users.ads.decider = DecidedBefore([record.value for record in decisions])
    commits = takeovers = 0
    changelogs: dict[str, dict[str, bytes]] = {}
    for plane in driver.topology.planes:
        logs = {topic: read_topic(bootstrap, topic) for topic in plane.source_topics}
        changelogs[plane.name] = {}
        for partition, records in enumerate(read_topic(bootstrap, changelog_topic(plane.name))):
            takeovers += sum(record.key == MARKER_KEY for record in records)
            commits += _replay(driver, plane.name, partition, _positions(records), logs)
            store = MemoryStore(plane.state_type)
            store.restore([ChangelogRecord(record.key, record.value) for record in records], len(records))
            changelogs[plane.name].update(states_of(store))
    found = [record for log in read_topic(bootstrap, RECOMMENDATIONS_TOPIC) for record in log]
    signals = [record for topic in _SIGNALS for log in read_topic(bootstrap, topic) for record in log]
    told = [record for log in read_topic(bootstrap, AD_DECISIONS_TOPIC) for record in log]
    return Account(
        expected_ids=_ids(driver.read(RECOMMENDATIONS_TOPIC)),
        found_ids=_ids(found),
        expected_states={
            plane: {key: value for p in processors for key, value in states_of(p.store).items()}
            for plane, processors in driver.processors.items()
        },
        changelog_states=changelogs,
        expected_signals=_by_link([record for topic in _SIGNALS for record in driver.read(topic)]),
        expected_decisions=_ids(driver.read(AD_DECISIONS_TOPIC)),
        found_decisions=_ids(told),
        found_signals=_by_link(signals),
        commits=commits,
        takeovers=takeovers,
    )


def states_of(store: PartitionStore[Any]) -> dict[str, bytes]:
    """Encoded states of a store, by key."""
    return {key[1:].decode(): value for key, value in store.scan() if key[:1] == b"\x01"}


def _positions(records: Sequence[Any]) -> list[Position]:
    decode = msgspec.msgpack.Decoder(Position).decode
    return [decode(record.value[1:]) for record in records if record.key == POSITION_KEY]


def _replay(
    driver: TopologyDriver, plane: str, partition: int, positions: list[Position], logs: dict[str, list[list[Any]]]
) -> int:
    offsets = dict.fromkeys(logs, 0)
    if positions:
        driver.processors[plane][partition].begin(positions[0].incarnation)
    numbers = [position.number for position in positions]
    assert numbers == list(range(1, len(numbers) + 1)), (
        f"the changelog of {plane}-{partition} lacks micro-batches: was it compacted? {_first_jump(numbers)}"
    )
    for position in positions:
        batches = []
        for topic, start in offsets.items():
            end = position.offsets[topic]
            log = logs[topic][partition]
            first, behind = (bisect_left(log, offset, key=_OFFSET) for offset in (start, end))
            batches.append(SourceBatch(topic, start, end, log[first:behind]))
        driver.process(plane, partition, batches, at=0)
        offsets = dict(position.offsets)
        found = driver.processors[plane][partition].position
        assert found == position, f"{plane}-{partition} took another way: {_difference(found, position)}"
    return len(positions)


def _first_jump(numbers: list[int]) -> str:
    """Name the first number of a micro-batch that does not follow the one before."""
    before, after = next((a, b) for a, b in pairwise([0, *numbers]) if b != a + 1)
    return f"{after} comes after {before}, of {len(numbers)}"


def _difference(replayed: Position, committed: Position) -> str:
    """Name the fields of two positions that differ, as the replay has them and as they were committed."""
    names = [name for name in Position.__struct_fields__ if getattr(replayed, name) != getattr(committed, name)]
    return "; ".join(f"{name} {getattr(replayed, name)!r}, not {getattr(committed, name)!r}" for name in names)


def _ids(records: Sequence[Any]) -> list[str]:
    """Ids of messages; of tombstones for users who have expired, their number by user."""
    ids, gone = list[str](), Counter[bytes]()
    for record in records:
        if record.value is None:
            gone[record.key] += 1
            ids.append(f"{record.key!r} gone {gone[record.key]}")
        else:
            fields = msgspec.json.decode(record.value)
            ids.append(fields.get("recommendation_id") or fields["decision_id"])
    return ids


def _by_link(records: Sequence[Any]) -> dict[Any, bytes]:
    links = {}
    for record in records:
        link = next(value for name, value in record.headers if name == LINK_HEADER)
        assert (record.topic, record.partition, link) not in links, "a chained message came twice"
        links[record.topic, record.partition, link] = record.value
    return links
