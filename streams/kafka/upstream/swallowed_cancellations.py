"""aiokafka's clients swallow a cancellation of whoever stops them, where it comes while they wait for a task of theirs.

They cancel that task and suppress what comes of it, whoever was cancelled. The task that was stopping them goes on then
as if nothing had happened: a partition would be taken over that the group is waiting for this worker to let go of.
``tests/streams/kafka/upstream/test_swallowed_cancellations.py`` fails when they no longer do that.
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
