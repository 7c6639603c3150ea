"""Bearer tokens for OAUTHBEARER, read from a file that whoever issues them keeps up to date.

Kubernetes' projected service account tokens and the agents of most identity providers write such files. It is read
again for every connection, so that a renewed token is used without a restart.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiokafka.abc import AbstractTokenProvider as AsyncTokenProvider
from aiokafka.errors import KafkaConnectionError
from kafka.net.sasl.oauth import AbstractTokenProvider

from processors.common.errors import ConfigurationError


def read_token(path: str) -> str:
    """Return the token that a file holds, without the white space around it.

    Raises
    ------
    ConfigurationError
        If the file cannot be read or is empty; what it holds is in no message.
    """
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not ASCII"
        raise ConfigurationError(f"kafka.sasl_oauth_token_file: {path}: {why}") from None
    if not token:
        raise ConfigurationError(f"kafka.sasl_oauth_token_file: {path} is empty, expected a token")
    return token


class TokenFile(AsyncTokenProvider):  # type: ignore[misc]  # the library has no types
    """Gives aiokafka the token of a file."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def token(self) -> str:
        """Return the token that the file holds now.

        Raises
        ------
        KafkaConnectionError
            If it cannot be read for a second, as while it is replaced: the clients try again later.
        """
        for wait_s in (0.2, 0.8, None):
            try:
                return await asyncio.to_thread(read_token, self._path)
            except ConfigurationError as error:
                if wait_s is None:
                    raise KafkaConnectionError(str(error)) from error
                await asyncio.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")


class BlockingTokenFile(AbstractTokenProvider):  # type: ignore[misc]  # the library has no types
    """Gives kafka-python the token of a file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def token(self) -> str:
        """Return the token that the file holds now."""
        return read_token(self._path)
