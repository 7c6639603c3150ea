"""What happens when something fails in a worker: the one table that the code follows and other places refer to.

A step of a partition is: compute, publish in one transaction, write the store, acknowledge the source records. Up to
the commit of the transaction nothing has happened; after it the changelog says what has. So every failure is dealt with
by going back to what the changelog says, and no source record is acknowledged before its step has reached the store.

Failures of one partition, by what is raised (:func:`remedy_of`, followed by
:class:`streams.worker.runner.PartitionRunner`):

===========================  =========================================================================================
``DeliveryGap``              Records before a batch did not arrive. The partition is kept; the consumer is told to seek
                             back to the position of the store (:attr:`Remedy.SEEK_BACK`), as often as needed. What
                             retention has deleted meanwhile is stepped over, and counted as lost.
``FencedError``              Another worker has started a publisher for the partition, and the brokers have aborted
                             what this one had in flight. The store is closed and taken over again after a rest
                             (:attr:`Remedy.TAKE_OVER_AGAIN`): by then the group has cancelled this runner, or the
                             other worker was not assigned the partition. During a rebalance it waits for what the
                             group says instead. Each rest is twice as long as the one
                             before, up to a minute, until a commit succeeds (:class:`Rest`).
``StuckTransactionError``    The watchdog (:mod:`streams.worker.watchdog`) has given up a transaction that found no end
                             for 30 s while the brokers answered, or a client has given up waiting for an answer.
                             Treated as fenced: whether it was committed after all is read from the changelog at the
                             next takeover, which waits for brokers that cannot be reached.
``CorruptStoreError``        The files of the store are damaged. They are deleted and made again from the changelog
                             (:attr:`Remedy.REBUILD`), once per partition and process; the second time ends the
                             process, since the disk or something else is at fault.
``NoRoomError``              The disk is full. The store is closed, ``/healthz`` fails at once, and the partition is
                             taken over again every 2 s until that works (:attr:`Remedy.WAIT_FOR_ROOM`): what was
                             published and not stored is read from the changelog.
``CancelledError``           The group takes the partition back, or the worker stops. The store is closed; an open
                             transaction is aborted, and whoever takes the partition over computes the batch again.
anything else                Ends the process (:attr:`Remedy.END`): a source log that is shorter than the position or
                             was recreated, a store of another release, refused credentials, a programming
                             error.
===========================  =========================================================================================

Failures beyond one partition:

===========================  =========================================================================================
refused records              Nothing is raised: they become dead letters.
brokers that are silent      The clients of Kafka try again for as long as it takes. ``/readyz`` says so after 3 s
                             (:mod:`streams.worker.broker_probe`), ``/healthz`` after ``worker.stalled_after_s``. A
                             worker that starts waits for them (:mod:`streams.worker.broker_wait`).
brokers that refuse          Wrong credentials, certificates or rights end the process, which says what was wrong
                             (:mod:`streams.kafka.connection_check`).
a partition that stalls      The watchdog has the consumer seek back every 10 s; ``/healthz`` fails after
                             ``worker.stalled_after_s``, and whoever supervises the process may restart it.
a group it does not get into  ``/healthz`` fails after ``worker.stalled_after_s`` in which the brokers answered and the
                             worker was in no group; after twice as long the watchdog ends the process.
read models without end      Of a worker that reads them before it joins, ``/healthz`` fails once nothing has come for
                             ``worker.stalled_after_s``.
a store in use elsewhere     Another directory is used meanwhile (:mod:`streams.worker.stores`).
read models, probe, Faust    Whatever they raise ends the process; of a broadcast record that no read model can take
                             over, the error names topic, offset and key.
===========================  =========================================================================================

A process ends by :meth:`streams.worker.worker.Worker.run` raising what failed: the error is logged, all partitions are
let go of without acknowledging anything that is not stored, and :mod:`streams.worker.process` exits with a code other
than 0, at the latest after 8 s; with 3 if it was asked to stop and had not let go of its partitions in time. Its
supervisor starts it again, and it takes over from the changelogs.
"""

from __future__ import annotations

from enum import Enum, auto

from processors.common.errors import CorruptStoreError, DeliveryGap, FencedError, NoRoomError, StuckTransactionError

_LONGEST_REST_S = 60.0


class Remedy(Enum):
    """What a runner does about an error; the table of this module says why."""

    SEEK_BACK = auto()
    TAKE_OVER_AGAIN = auto()
    REBUILD = auto()
    WAIT_FOR_ROOM = auto()
    END = auto()


_REMEDIES: dict[type[Exception], Remedy] = {
    DeliveryGap: Remedy.SEEK_BACK,
    FencedError: Remedy.TAKE_OVER_AGAIN,
    StuckTransactionError: Remedy.TAKE_OVER_AGAIN,
    CorruptStoreError: Remedy.REBUILD,
    NoRoomError: Remedy.WAIT_FOR_ROOM,
}


def remedy_of(error: Exception) -> Remedy:
    """Return what is to be done about an error of a partition.

    Examples
    --------
    >>> remedy_of(FencedError("users-3: another worker has taken over"))
    <Remedy.TAKE_OVER_AGAIN: 2>
    >>> remedy_of(ZeroDivisionError())
    <Remedy.END: 5>
    """
    return next((remedy for kind, remedy in _REMEDIES.items() if isinstance(error, kind)), Remedy.END)


class Rest:
    """How long a partition rests before it is taken over again.

    Parameters
    ----------
    session_timeout_s
        Seconds after which the group reassigns the partitions of a worker that is not heard of. Heartbeats go out at
        least four times as often, so half of it is enough for the group to cancel the runner of a worker that was
        frozen.

    Examples
    --------
    >>> rest = Rest(session_timeout_s=30)
    >>> [rest.next_s() for _ in range(4)]
    [15.0, 30.0, 60.0, 60.0]
    >>> rest.reset()
    >>> rest.next_s()
    15.0
    """

    def __init__(self, session_timeout_s: float) -> None:
        self._shortest_s = self._next_s = session_timeout_s / 2

    def next_s(self) -> float:
        """Return the seconds to rest now; the next rest is twice as long, up to a minute."""
        rest_s = self._next_s
        self._next_s = min(2 * rest_s, _LONGEST_REST_S)
        return rest_s

    def reset(self) -> None:
        """Begin with the shortest rest again: to be called after a commit."""
        self._next_s = self._shortest_s
