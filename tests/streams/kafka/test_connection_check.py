"""Why there is no connection is told with its cause, and without secrets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from processors.common.errors import ConfigurationError
from streams.kafka import connection_check
from streams.kafka.admin import administration
from streams.kafka.clients import client_arguments
from streams.kafka.connection_check import connection_problem, require_connection
from streams.kafka.errors import BrokerRefused, BrokerUnavailable
from streams.kafka.tokens import TokenFile, read_token
from streams.settings.sections import KafkaSettings
from tests.streams.kafka.secured_broker import PASSWORD, SecuredBroker, pkcs8, secured_broker, unsecured_token

SASL: dict[str, Any] = {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "shop", "sasl_password": PASSWORD}


@pytest.fixture(scope="module")
def broker(kafka_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with secured_broker(tmp_path_factory.mktemp("secured")) as found:
        yield found


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sasl_password": "wrong"}, "authentication failed for user 'shop' (PLAIN): look at kafka.sasl_username and"),
        ({"sasl_username": "nobody"}, "authentication failed for user 'nobody'"),
        ({"sasl_mechanism": "SCRAM-SHA-256"}, "kafka.sasl_mechanism: SCRAM-SHA-256 is not offered"),
        ({"listener": "expired"}, "the certificate of the broker has expired"),
        ({"listener": "misnamed"}, "the certificate of the broker is for another host name than 127.0.0.1"),
        ({"ssl_cafile": None}, "the certificate of the broker is not trusted (unable to get local issuer certificate)"),
    ],
    ids=str,
)
async def test_who_refuses_is_named_with_the_cause(broker: SecuredBroker, changes: dict[str, Any], says: str) -> None:
    changes = dict(changes)
    if listener := changes.pop("listener", None):
        changes["brokers"] = getattr(broker, listener)
    kafka = broker.settings(**changes)
    problem = await connection_problem(kafka)
    assert problem is not None
    assert (problem.refused, problem.text.startswith(says)) == (True, True), problem
    assert str(problem.error(kafka)) == f"Kafka at {kafka.brokers}: {problem.text}"
    assert PASSWORD not in problem.text


@pytest.mark.kafka
async def test_one_broker_that_takes_the_connection_is_enough(broker: SecuredBroker) -> None:
    assert await connection_problem(broker.settings(brokers=f"127.0.0.1:1,{broker.secure}")) is None
    problem = await connection_problem(broker.settings(brokers=f"127.0.0.1:1,{broker.expired}"))
    assert problem is not None
    assert problem.refused


@pytest.mark.kafka
async def test_who_speaks_another_protocol_is_told_what_may_differ(broker: SecuredBroker) -> None:
    for kafka in (KafkaSettings(brokers=broker.secure), broker.settings(brokers=broker.open)):
        problem = await connection_problem(kafka)
        assert problem is not None
        assert f"speak and ask for the same? kafka.security_protocol is {kafka.security_protocol}" in problem.text


@pytest.mark.kafka
async def test_tokens_are_read_from_their_file_by_both_libraries(broker: SecuredBroker, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(unsecured_token("shop") + "\n")
    kafka = broker.settings(sasl_mechanism="OAUTHBEARER", sasl_oauth_token_file=str(file))
    assert await connection_problem(kafka) is None

    def describe() -> None:
        with administration(kafka) as admin:
            assert admin.describe_cluster()["brokers"]

    await asyncio.to_thread(describe)
    file.write_text(unsecured_token("shop", seconds=-60))
    problem = await connection_problem(kafka)
    assert problem is not None
    assert problem.refused
    assert "OAUTHBEARER" in problem.text


def test_nobody_who_listens_is_no_refusal() -> None:
    with pytest.raises(
        BrokerUnavailable, match=r"^Kafka at 127\.0\.0\.1:1 does not answer: Connection refused\."
    ) as found:
        require_connection(KafkaSettings(brokers="127.0.0.1:1"))
    assert not isinstance(found.value, BrokerRefused)


async def test_a_listener_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_check, "_WITHIN_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        problem = await connection_problem(KafkaSettings(brokers=f"127.0.0.1:{silent.getsockname()[1]}"))
    assert problem is not None
    assert (problem.refused, problem.text) == (False, "nothing came within 0 s")


@pytest.mark.parametrize("missing", ["sasl_username", "sasl_password"])
def test_what_a_mechanism_needs_is_asked_for(missing: str) -> None:
    kafka = KafkaSettings(**{**SASL, missing: None})
    with pytest.raises(
        ConfigurationError, match=f"^kafka.{missing}: missing, expected with kafka.sasl_mechanism PLAIN"
    ):
        client_arguments(kafka)


def test_the_password_of_a_key_file_is_used_and_never_asked_for(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    key.write_bytes(pkcs8(certificate.private_key_pem.bytes(), b"open sesame"))
    kafka = KafkaSettings(security_protocol="SSL", ssl_certfile=str(chain), ssl_keyfile=str(key))
    opened = msgspec.structs.replace(kafka, ssl_keyfile_password="open sesame")
    assert isinstance(client_arguments(opened)["ssl_context"], ssl.SSLContext)
    with pytest.raises(ConfigurationError, match=r"kafka\.ssl_keyfile_password: cannot be loaded"):
        client_arguments(kafka)


@pytest.mark.parametrize(
    ("holds", "why"), [(None, "No such file"), (b" \n", "is empty"), ("schlüssel".encode(), "ASCII")]
)
def test_a_token_that_is_none_names_the_setting_and_not_the_token(
    tmp_path: Path, holds: bytes | None, why: str
) -> None:
    file = tmp_path / "token"
    if holds is not None:
        file.write_bytes(holds)
    with pytest.raises(ConfigurationError, match=f"^kafka.sasl_oauth_token_file: .*{why}") as found:
        client_arguments(
            KafkaSettings(security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", sasl_oauth_token_file=str(file))
        )
    assert "schl" not in str(found.value)


async def test_a_renewed_token_is_used(tmp_path: Path) -> None:
    file = tmp_path / "token"
    provider = TokenFile(str(file))
    for token in ("one", "two"):
        file.write_text(token)
        assert await provider.token() == token == read_token(str(file))
