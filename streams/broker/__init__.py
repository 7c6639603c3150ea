"""Brokers for the demo and the tests, on loopback, stopped for sure afterwards."""

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
