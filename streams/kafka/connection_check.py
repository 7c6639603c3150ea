"""Find out why brokers cannot be connected to: the clients of Kafka only say that they cannot.

A connection is opened and authenticated as the clients do it. What certificate, host name, user or mechanism it fails
on is told with the setting to look at, and without any secret.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

from aiokafka import errors
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest

from streams.kafka.clients import client_arguments
from streams.kafka.errors import BrokerRefused, BrokerUnavailable
from streams.settings.sections import KafkaSettings, broker_addresses

_WITHIN_S = 5.0
_CLOSED_WITHIN_S = 0.5
_CERTIFICATE_EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 10, 62, 64
"""OpenSSL's codes of why a certificate was not accepted."""


class Problem(NamedTuple):
    """Why there is no connection.

    Parameters
    ----------
    text
        For people; it names the settings to look at.
    refused
        Whether somebody answers and will not have us: then it is no use to wait.
    """

    text: str
    refused: bool

    def error(self, kafka: KafkaSettings) -> BrokerUnavailable:
        """Return it as an error that names the brokers."""
        if self.refused:
            return BrokerRefused(f"Kafka at {kafka.brokers}: {self.text}")
        return unanswered(kafka, self.text)


def unanswered(kafka: KafkaSettings, why: object) -> BrokerUnavailable:
    """Return the error of brokers that do not answer, with what to look at."""
    reason = str(why).rstrip(". ")
    return BrokerUnavailable(
        f"Kafka at {kafka.brokers} does not answer: {reason}. Is it running? kafka.brokers (or --brokers) says where "
        "it is, kafka.security_protocol and kafka.sasl_* how to connect"
    )


def require_connection(kafka: KafkaSettings) -> None:
    """Make sure that a broker takes a connection; for commands that a person waits for.

    Raises
    ------
    ConfigurationError
        If a setting of the connection makes no sense by itself.
    BrokerRefused
        If a broker answers, and will not have us.
    BrokerUnavailable
        If nothing answers.
    """
    with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop of its own
        problem = thread.submit(asyncio.run, connection_problem(kafka)).result()
    if problem is not None:
        raise problem.error(kafka)


async def connection_problem(kafka: KafkaSettings) -> Problem | None:
    """Connect to the brokers one after the other; :obj:`None` as soon as one takes the connection.

    Takes at most 5 s for each.

    Returns
    -------
    Problem or None
        Of several, one who refuses, as waiting does not help there.

    Raises
    ------
    ConfigurationError
        If a setting of the connection makes no sense by itself.
    """
    addresses = broker_addresses(kafka.brokers)
    arguments = client_arguments(kafka)
    del arguments["bootstrap_servers"]
    found: list[Problem] = []
    for host, port in addresses:
        try:
            async with asyncio.timeout(_WITHIN_S):
                await _try(host, port, arguments)
        except (OSError, errors.KafkaError, TimeoutError, ValueError) as error:
            found.append(_problem(error, kafka, host))
        else:
            return None
    return max(found, key=lambda problem: problem.refused)


async def _try(host: str, port: int, arguments: dict[str, Any]) -> None:
    connection = AIOKafkaConnection(host, port, **arguments)
    try:
        await connection.connect()
        # aiokafka takes any answer to a token for a yes; who was refused is told nothing of the cluster.
        answer = await connection.send(MetadataRequest([]))
        if arguments.get("sasl_mechanism") == "OAUTHBEARER" and not answer.brokers and not answer.cluster_id:
            raise errors.SaslAuthenticationFailed
        if not answer.brokers:
            raise errors.BrokerNotAvailableError
    finally:
        closed = connection.close()
        if closed is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSED_WITHIN_S):
                    await closed


def _problem(error: Exception, kafka: KafkaSettings, host: str) -> Problem:
    for kind, text in _refusals(kafka, host, error):
        if isinstance(error, kind):
            return Problem(text, refused=True)
    if isinstance(error, errors.KafkaConnectionError | ConnectionResetError):
        hint = f"does it speak and ask for the same? kafka.security_protocol is {kafka.security_protocol}"
        return Problem(f"the connection was closed ({hint})", refused=False)
    if isinstance(error, errors.BrokerNotAvailableError):
        return Problem("it knows of no broker that takes work yet", refused=False)
    if isinstance(error, TimeoutError):
        return Problem(f"nothing came within {_WITHIN_S:.0f} s", refused=False)
    return Problem(_reason(error), refused=False)


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else str(error)


def _refusals(kafka: KafkaSettings, host: str, error: Exception) -> Iterator[tuple[type[Exception], str]]:
    """Name the errors of those who answer and refuse, the special ones before the general ones."""
    yield ssl.SSLCertVerificationError, _certificate(error, host)
    yield (
        ssl.SSLError,
        f"TLS failed ({getattr(error, 'reason', None) or error}): does it speak TLS there (kafka.security_protocol is "
        f"{kafka.security_protocol}), and does it want a certificate of the client (kafka.ssl_certfile)?",
    )
    user = f"for user {kafka.sasl_username!r} " if kafka.sasl_username else ""
    look_at = "kafka.sasl_oauth_token_file" if kafka.sasl_mechanism == "OAUTHBEARER" else "kafka.sasl_password"
    failed = f"authentication failed {user}({kafka.sasl_mechanism}): look at kafka.sasl_username and {look_at}"
    yield errors.SaslAuthenticationFailed, failed
    yield errors.UnsupportedSaslMechanismError, f"kafka.sasl_mechanism: {kafka.sasl_mechanism} is not offered ({error})"
    yield errors.IllegalSaslStateError, f"no authentication is expected: {kafka.security_protocol} is not spoken there"
    yield UnicodeError, f"kafka.brokers: {host!r} is no name of a host"
    if kafka.sasl_mechanism.startswith("SCRAM"):
        yield ValueError, f"{failed} ({error})"  # the server has not proved that it knows the password


def _certificate(error: Exception, host: str) -> str:
    code = getattr(error, "verify_code", 0)
    if code == _CERTIFICATE_EXPIRED:
        return "the certificate of the broker has expired"
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        return f"the certificate of the broker is for another host name than {host}"
    return (
        f"the certificate of the broker is not trusted ({getattr(error, 'verify_message', error)}): kafka.ssl_cafile "
        "must name the authority that signed it"
    )
