"""An Apache Kafka that asks for certificates, passwords, tokens and rights; some listeners have something wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
)

from streams.broker import ApacheKafka
from streams.broker.process import free_port
from streams.settings.sections import KafkaSettings

PASSWORD = "a secret that must be in no log"  # of a broker that lives as long as a test

_LOGIN = "org.apache.kafka.common.security"
_PLAIN = f'{_LOGIN}.plain.PlainLoginModule required user_shop="{PASSWORD}" user_guest="{PASSWORD}";'
_TOKENS = f'{_LOGIN}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'


@dataclass(frozen=True)
class SecuredBroker:
    """Addresses of the listeners, and the authority that their certificates can be checked with."""

    open: str
    """Without any security, for administrators."""

    secure: str
    expired: str
    misnamed: str
    """SASL_SSL; with a certificate that has expired; with one for another host."""

    authority: Path

    def settings(self, **changes: Any) -> KafkaSettings:
        """Of a user that may do what a worker must."""
        plain = KafkaSettings(
            brokers=self.secure,
            group="nearstream",
            security_protocol="SASL_SSL",
            sasl_username="shop",
            sasl_password=PASSWORD,
            ssl_cafile=str(self.authority),
            session_timeout_s=6,
        )
        return msgspec.structs.replace(plain, **changes)


def unsecured_token(subject: str, seconds: int = 3600) -> str:
    """A token as Kafka's validator for development takes it: signed by nobody."""
    now = datetime.now(UTC).timestamp()
    parts = ({"alg": "none"}, {"sub": subject, "iat": now - 1, "exp": now + seconds})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


@contextmanager
def secured_broker(folder: Path) -> Iterator[SecuredBroker]:
    """Run the broker while the context is open."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    past = datetime.now(UTC) - timedelta(days=1)
    certificates = {
        "secure": authority.issue_cert("127.0.0.1"),
        "expired": authority.issue_cert("127.0.0.1", not_after=past),
        "misnamed": authority.issue_cert("kafka.example"),
    }
    ports = {name: free_port() for name in certificates}
    broker = ApacheKafka()
    plain, controller = broker._properties["listeners"].split(",")
    listeners = [plain, *(f"{name.upper()}://127.0.0.1:{port}" for name, port in ports.items())]
    broker._properties |= {
        "listeners": ",".join([*listeners, controller]),
        "advertised.listeners": ",".join(listeners),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
        + ",".join(f"{name.upper()}:SASL_SSL" for name in ports),
        "sasl.enabled.mechanisms": "PLAIN,OAUTHBEARER",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    for name, certificate in certificates.items():
        store = folder / f"{name}.pem"
        chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
        store.write_bytes(pkcs8(certificate.private_key_pem.bytes()) + chain)
        broker._properties |= {
            f"listener.name.{name}.ssl.keystore.type": "PEM",
            f"listener.name.{name}.ssl.keystore.location": str(store),
            f"listener.name.{name}.plain.sasl.jaas.config": _PLAIN,
            f"listener.name.{name}.oauthbearer.sasl.jaas.config": _TOKENS,
            f"listener.name.{name}.sasl.enabled.mechanisms": "PLAIN,OAUTHBEARER",
        }
    with broker:
        _allow(broker.bootstrap, "User:shop")
        addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        yield SecuredBroker(broker.bootstrap, **addresses, authority=folder / "authority.pem")


def pkcs8(pem: bytes, password: bytes | None = None) -> bytes:
    """A private key in the only form that Kafka reads, with a password if one is given."""
    key = load_pem_private_key(pem, None)
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _allow(bootstrap: str, user: str) -> None:
    """Give a user the rights that the documentation asks for."""
    patterns = (
        (ResourceType.TOPIC, "*", ACLResourcePatternType.LITERAL, ACLOperation.ALL),
        (ResourceType.GROUP, "nearstream", ACLResourcePatternType.LITERAL, ACLOperation.READ),
        (ResourceType.TRANSACTIONAL_ID, "nearstream-", ACLResourcePatternType.PREFIXED, ACLOperation.WRITE),
        (ResourceType.TRANSACTIONAL_ID, "nearstream-", ACLResourcePatternType.PREFIXED, ACLOperation.DESCRIBE),
        (ResourceType.CLUSTER, "kafka-cluster", ACLResourcePatternType.LITERAL, ACLOperation.DESCRIBE),
    )
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_acls(
            [
                ACL(
                    principal=user,
                    host="*",
                    operation=operation,
                    permission_type=ACLPermissionType.ALLOW,
                    resource_pattern=ResourcePattern(kind, name, pattern),
                )
                for kind, name, pattern, operation in patterns
            ]
        )
