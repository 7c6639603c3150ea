"""Brokers for the demo, the tests and the benchmarks, on loopback, always stopped afterwards."""

from streams.broker.kafka import KAFKA_VERSION, ApacheKafka, missing_tools
from streams.broker.local import LocalBroker, answers
from streams.broker.tansu import Tansu
from streams.kafka.errors import BrokerUnavailable

__all__ = [
    "KAFKA_VERSION",
    "ApacheKafka",
    "BrokerUnavailable",
    "LocalBroker",
    "Tansu",
    "answers",
    "missing_tools",
]
