"""aiokafka waits 20 ms before it begins a transaction anew that met the markers of the last one, which take about 2 ms.

``tests/streams/kafka/upstream/test_transaction_rest.py`` fails when it waits otherwise.
"""

from aiokafka.producer import sender

REST_S = 0.003
"""Seconds to wait instead."""


def install() -> None:
    """Have all producers of this process wait for :data:`REST_S`."""
    sender.BACKOFF_OVERRIDE = REST_S
