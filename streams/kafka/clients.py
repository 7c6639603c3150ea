"""Arguments with which clients of kafka-python and aiokafka reach the brokers of the settings."""

import asyncio
import socket
import ssl
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

from aiokafka.errors import KafkaConnectionError

from processors.common.errors import ConfigurationError
from streams.kafka.tokens import TokenFile, read_token
from streams.kafka.upstream import reconnect_rest
from streams.settings.sections import KafkaSettings, Settings

reconnect_rest.install()

_AGAIN_S = 1.0

REQUEST_MS = 15_000
"""Milliseconds after which a request counts as lost, and its connection is made anew. Without an answer to wait for, a
connection whose other end has gone without a word (half-open) looks like one on which nothing happens."""


def bootstrap_servers(kafka: KafkaSettings) -> list[str]:
    """Return the addresses of the brokers as a list.

    Examples
    --------
    >>> bootstrap_servers(KafkaSettings(brokers="a:1, b:2"))
    ['a:1', 'b:2']
    """
    return [broker.strip() for broker in kafka.brokers.split(",") if broker.strip()]


def member_name(settings: Settings) -> str:
    """Return the client id of a worker in its group: the same after a restart on the same host and state directory.

    Examples
    --------
    >>> member_name(Settings()) == member_name(Settings())
    True
    """
    place = f"{socket.gethostname()}\0{Path(settings.worker.state_dir).resolve()}"
    return f"nearstream-{blake2b(place.encode(), digest_size=4).hexdigest()}"


def ssl_context(kafka: KafkaSettings) -> ssl.SSLContext | None:
    """Return the TLS context of the settings; :obj:`None` for plain text.

    Raises
    ------
    ConfigurationError
        If a certificate or key cannot be read.
    """
    if not kafka.security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile)
        if kafka.ssl_certfile:
            # Without a password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile, kafka.ssl_keyfile_password or "")
    except (OSError, ssl.SSLError) as error:
        names = "kafka.ssl_cafile, kafka.ssl_certfile, kafka.ssl_keyfile or kafka.ssl_keyfile_password"
        raise ConfigurationError(f"{names}: cannot be loaded: {error}") from error
    return context


def client_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the keyword arguments of aiokafka's clients; those of kafka-python take them but for the token's provider.

    Raises
    ------
    ConfigurationError
        If a certificate, key or token cannot be read, or what the mechanism needs is missing.

    Examples
    --------
    >>> client_arguments(KafkaSettings())
    {'bootstrap_servers': ['127.0.0.1:9092'], 'security_protocol': 'PLAINTEXT'}
    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": bootstrap_servers(kafka),
        "security_protocol": kafka.security_protocol,
    }
    context = ssl_context(kafka)
    if context is not None:
        arguments["ssl_context"] = context
    if kafka.security_protocol.startswith("SASL"):
        arguments |= _sasl_arguments(kafka)
    return arguments


def _sasl_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    if kafka.sasl_mechanism == "OAUTHBEARER":
        path = _required(kafka, "sasl_oauth_token_file")
        read_token(path)
        return {"sasl_mechanism": kafka.sasl_mechanism, "sasl_oauth_token_provider": TokenFile(path)}
    return {
        "sasl_mechanism": kafka.sasl_mechanism,
        "sasl_plain_username": _required(kafka, "sasl_username"),
        "sasl_plain_password": _required(kafka, "sasl_password"),
    }


def _required(kafka: KafkaSettings, name: str) -> str:
    value: str | None = getattr(kafka, name)
    if not value:
        raise ConfigurationError(f"kafka.{name}: missing, expected with kafka.sasl_mechanism {kafka.sasl_mechanism}")
    return value


class Startable(Protocol):
    """A client of aiokafka."""

    async def start(self) -> None:
        """Connect."""


async def start_client(client: Startable) -> None:
    """Start a client of aiokafka; while none of the brokers can be reached, try again every second until cancelled.

    A client does not tell brokers that refuse its credentials from those that are away: workers ask before, and the
    probe asks again (:mod:`streams.kafka.connection_check`).

    Raises
    ------
    KafkaError
        If the brokers answer and refuse.
    """
    while True:
        try:
            await client.start()
        except KafkaConnectionError:
            await asyncio.sleep(_AGAIN_S)
        else:
            return
