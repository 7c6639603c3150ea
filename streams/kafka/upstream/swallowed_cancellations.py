"""``asyncio.wait_for``, with which aiokafka waits for answers, swallows a cancellation that comes with the answer.

Until Python 3.12 it returns what it was waiting for then, and the task goes on as if nobody had cancelled it: a
partition would be taken over that the group is waiting for this worker to let go of.
``tests/streams/kafka/upstream/test_swallowed_cancellations.py`` fails when Python no longer does that.
"""

from __future__ import annotations

import asyncio


def raise_if_cancelled() -> None:
    """Raise the cancellation of the calling task if it was swallowed. Call it after talking to the brokers.

    Raises
    ------
    asyncio.CancelledError
        If the task was cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
