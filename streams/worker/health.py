"""Whether a worker is ready and well: the answers of ``/readyz`` and ``/healthz``."""

from __future__ import annotations

from time import monotonic

from streams.worker.broker_probe import BrokerProbe
from streams.worker.broker_wait import BrokerWait
from streams.worker.lags import Lags, Runners
from streams.worker.membership import Membership
from streams.worker.read_model_feed import ReadModelFeed
from streams.worker.watchdog import Watchdog


class Health:
    """Names what keeps a worker from being ready, and what has not been well for too long.

    Parameters
    ----------
    stalled_after_s
        Seconds after which a partition without progress, or brokers that are silent, count as unhealthy.
    runners
        What the worker runs now.
    lags
        Positions and lags of its partitions.
    watchdog
        Knows since when they have made no progress.
    feed
        Knows whether the read models are complete.
    probe
        Knows whether the brokers answer.
    membership
        Knows whether the worker is in the group.
    wait
        Knows what the worker waits for before it starts.
    """

    def __init__(
        self,
        stalled_after_s: float,
        runners: Runners,
        lags: Lags,
        watchdog: Watchdog,
        feed: ReadModelFeed,
        probe: BrokerProbe,
        membership: Membership,
        wait: BrokerWait,
    ) -> None:
        self._stalled_after_s, self._runners = stalled_after_s, runners
        self._lags, self._watchdog, self._feed, self._probe = lags, watchdog, feed, probe
        self._membership, self._wait = membership, wait

    def unready(self) -> dict[str, str]:
        """Name what keeps the worker from being ready; empty if it is.

        No answer from the brokers, read models incomplete, not in the group, partitions being restored. A worker that
        the group has no partitions for is ready: it stands by.
        """
        silence = self._wait.waits_for or self._probe.problem
        problems = {"brokers": silence} if silence else {}
        if not self._feed.complete.is_set():
            problems["read model"] = "still being read"
        if not self._membership.joined:
            problems["group"] = "not joined yet"
        for (plane, partition), runner in self._runners.items():
            if runner.processor is None:
                problems[f"{plane}-{partition}"] = runner.trouble or "being restored"
        return problems

    def unhealthy(self) -> dict[str, str]:
        """Name what has not been well for longer than a worker needs to get over it; empty if nothing.

        Silent brokers, once there were any, a group that does not take the worker in, read models of which nothing
        comes any more though the worker joins after them, and partitions that are not taken over, or have work and make
        no progress. A worker for which this lasts should be restarted. What somebody must do something about, such as a
        full disk, is named at once.
        """
        limit_s = self._stalled_after_s
        problems = {}
        if self._probe.silent_s > limit_s and (silence := self._probe.problem):
            problems["brokers"] = silence
        elif self._feed.stuck_s > limit_s:
            problems["read model"] = f"incomplete, and nothing read for {self._feed.stuck_s:.0f} s"
        if self._membership.out_s > limit_s:
            problems["group"] = f"not joined for {self._membership.out_s:.0f} s"
        return problems | self._not_taken_over(limit_s) | self._stalled(limit_s) | self._troubled()

    def _troubled(self) -> dict[str, str]:
        return {
            f"{plane}-{partition}": runner.trouble
            for (plane, partition), runner in self._runners.items()
            if runner.trouble is not None
        }

    def _not_taken_over(self, limit_s: float) -> dict[str, str]:
        waiting = {
            f"{plane}-{partition}": monotonic() - runner.progressed_at
            for (plane, partition), runner in self._runners.items()
            if runner.processor is None
        }
        return {name: f"not taken over for {s:.0f} s" for name, s in waiting.items() if s > limit_s}

    def _stalled(self, limit_s: float) -> dict[str, str]:
        problems, now = {}, monotonic()
        for tp, lag in self._lags.now().items():
            runner, since = self._lags.runner(tp), self._watchdog.stalled_since(tp)
            if lag > 0 and runner is not None and since is not None:
                commit_age_s = now - runner.committed_at
                if commit_age_s > limit_s and now - since > limit_s:
                    problems[f"{tp.topic}[{tp.partition}]"] = f"no progress for {commit_age_s:.0f} s"
        return problems
