"""The lines of aiokafka and Faust that the transport relies on, and what it makes of them."""

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.structs import TopicPartition
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.kafka.faust_transport import BatchConsumer
from streams.settings.sections import KafkaSettings, Settings
from streams.worker.faust_app import FaustApp

KEY = TopicPartition("t", 0)
HERE = TP("t", 0)


def test_faust_gets_the_times_that_a_worker_needs() -> None:
    for session_s, request_s in ((10, 20.0), (30, 60.0)):
        conf: Any = FaustApp(Settings(kafka=KafkaSettings(session_timeout_s=session_s))).conf
        assert (conf.broker_session_timeout, conf.broker_request_timeout) == (session_s, request_s)
        assert (conf.broker_commit_interval, conf.autodiscover) == (2.0, False)
        assert min(conf.stream_processing_timeout, conf.broker_commit_livelock_soft_timeout) == 86_400.0


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (Fetcher.fetched_records, "waiter = self._create_fetch_waiter()"),
        (driver.AIOKafkaConsumerThread._fetch_records, "if not self.consumer.flow_active:"),
        (driver.AIOKafkaConsumerThread._fetch_records, "return await fetcher.fetched_records("),
        (driver.Consumer._new_consumer_thread, "return AIOKafkaConsumerThread("),
        (faust_consumer.Consumer.getmany, "yield tp, to_message(tp, record)"),
        (faust_consumer.Consumer.getmany, "if new_generation_id != generation_id:"),
        (faust_consumer.Consumer._filter_committable_offsets, "offset = self._new_offset(tp)"),
    ],
)
def test_upstream_still_has_the_line(function: Any, line: str) -> None:
    assert line in inspect.getsource(function)


def test_the_highest_acknowledged_offset_is_committed() -> None:
    consumer = SimpleNamespace(_acked={HERE: [9, 4, 30]}, _acked_index={HERE: {4, 9, 30}})
    assert BatchConsumer._new_offset(consumer, HERE) == 31  # type: ignore[arg-type]  # only these two are used
    assert (consumer._acked[HERE], consumer._acked_index[HERE]) == ([], set())


def test_nothing_acknowledged_is_nothing_to_commit() -> None:
    assert BatchConsumer._new_offset(SimpleNamespace(_acked={}), HERE) is None  # type: ignore[arg-type]
