"""For how long a producer waits that meets the markers of its last transaction."""

import inspect

from aiokafka.producer import sender

import streams.kafka.publisher  # noqa: F401  # it installs the rest
from streams.kafka.upstream import transaction_rest


def test_aiokafka_waits_as_long_as_it_is_told() -> None:
    assert sender.BACKOFF_OVERRIDE == transaction_rest.REST_S
    assert "return BACKOFF_OVERRIDE" in inspect.getsource(sender.AddPartitionsToTxnHandler.handle_response)


def test_it_would_wait_for_longer() -> None:
    assert "BACKOFF_OVERRIDE = 0.02" in inspect.getsource(sender)
