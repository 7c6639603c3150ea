"""Notice partitions that make no progress though they have work, and have them read again."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic

from faust.types import TP

from processors.common.errors import NearstreamError
from streams.worker.broker_probe import BrokerProbe
from streams.worker.lags import Lags
from streams.worker.membership import Membership
from streams.worker.runner import PartitionRunner

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
_STALL_S = 10.0
_STUCK_S = 30.0
_LATE_S = 0.5


class Watchdog:
    """Looks at every partition each 2 s, and acts on one that has lagged without progress for 10 s.

    What it does depends on what the runner is doing: nothing at all, then records were lost on the way and are read
    again; publishing for more than 30 s, then the transaction is given up; anything else is only logged. It does so
    every 10 s for as long as the stall lasts. Time in which the brokers are silent, or in which the worker was too busy
    to wake the watchdog in time, does not count.

    Parameters
    ----------
    lags
        Positions and lags of the partitions to watch.
    probe
        Tells whether the brokers answer.
    membership
        Tells whether the worker is in the group.
    stalled_after_s
        Seconds after which a worker that is not in the group is unhealthy. After twice as long it ends: a rebalance
        may wait a minute for a member that hangs.
    """

    def __init__(self, lags: Lags, probe: BrokerProbe, membership: Membership, stalled_after_s: float) -> None:
        self._lags, self._probe, self._membership = lags, probe, membership
        self._longest_out_s = 2 * stalled_after_s
        self._progress: dict[TP, tuple[int, float]] = {}
        self._reread_at: dict[TP, float] = {}
        self._busy_at = self._silent_at = 0.0

    async def run(self) -> None:
        """Watch until cancelled.

        Raises
        ------
        StateError
            If a log turns out to be another one than the position was read from.
        NearstreamError
            If the group does not take the worker in, though the brokers answer.
        """
        while True:
            asleep_since = monotonic()
            await asyncio.sleep(_LOOK_EVERY_S)
            self.woke(late_s=monotonic() - asleep_since - _LOOK_EVERY_S)
            await self.look()

    def forget(self) -> None:
        """Forget what was seen so far: to be called when partitions are assigned anew."""
        self._progress.clear()
        self._reread_at.clear()

    def stalled_since(self, tp: TP) -> float | None:
        """Return the monotonic seconds at which a partition last moved or had no lag; :obj:`None` if never seen.

        To be read again counts as no progress: what does not help must show on ``/healthz`` in the end.
        """
        known = self._progress.get(tp)
        return None if known is None else known[1]

    def woke(self, late_s: float) -> None:
        """Note how many seconds late the watchdog woke.

        An event loop that is late is a busy one, whose records wait to be handled; none are lost.
        """
        if late_s > _LATE_S:
            self._busy_at = monotonic()

    async def look(self) -> None:
        """Look at every partition once, and at whether the worker is in the group at all."""
        if self._probe.problem:
            self._membership.excuse()
        elif self._membership.out_s > self._longest_out_s:
            raise NearstreamError(
                f"not in the group for {self._membership.out_s:.0f} s though the brokers answer: ending, so that a "
                "start can try again"
            )
        for tp, lag in self._lags.now().items():
            await self._look_at(tp, lag)

    async def _look_at(self, tp: TP, lag: int) -> None:
        offset, now = self._lags.offset(tp) or 0, monotonic()
        known, since = self._progress.get(tp, (-1, now))
        if offset != known or lag == 0:
            self._progress[tp] = offset, now
            return
        if self._probe.problem:
            self._silent_at = now
        since = max(since, self._busy_at, self._silent_at)
        runner = self._lags.runner(tp)
        if runner is None or now - max(since, self._reread_at.get(tp, since)) <= _STALL_S:
            return
        self._reread_at[tp] = now
        begun = runner.publishing_since
        if begun is not None and now - max(begun, since) > _STUCK_S:
            runner.give_up_publishing()
        elif not runner.idle:
            logger.warning("%s[%d] stands at %d with %d records to go: %s", *tp, offset, lag, runner.activity)
        else:
            logger.warning("%s[%d] stands at %d with %d records to go; reading it again", *tp, offset, lag)
            await self._reread(tp, runner)

    async def _reread(self, tp: TP, runner: PartitionRunner) -> None:
        try:
            async with asyncio.timeout(_STALL_S):
                await runner.reseek()
        except TimeoutError:
            # Other partitions may be in need of the watchdog, and this one is looked at again.
            logger.warning("%s[%d] could not be read again: no answer from the brokers in %.0f s", *tp, _STALL_S)
