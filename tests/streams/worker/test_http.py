"""What a worker answers over HTTP."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from processors.common.errors import ConfigurationError
from streams.worker.http import serve
from streams.worker.metrics import Metrics


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def nothing() -> dict[str, str]:
    return {}


async def test_checks_answer_with_their_problems_and_metrics_are_refreshed_first(
    session: aiohttp.ClientSession,
) -> None:
    metrics, problems = Metrics(), {"brokers": "no answer"}

    async def refresh() -> None:
        metrics.ready.set(7)

    async with serve("127.0.0.1", 0, metrics.registry, nothing, lambda: problems, refresh) as port:
        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"ok": True, "problems": {}})
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert (answer.status, json.loads(await answer.text())["problems"]) == (503, problems)
        async with session.get(f"http://127.0.0.1:{port}/") as answer:
            assert (answer.status, answer.content_type) == (200, "text/plain")
            paths = [line.split()[0] for line in (await answer.text()).splitlines()]
            assert paths == ["/metrics", "/healthz", "/readyz"]
        async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            assert "nearstream_ready 7.0" in await answer.text()


async def test_a_port_that_is_taken_names_the_setting() -> None:
    async def refresh() -> None:
        return

    registry = Metrics().registry
    async with serve("127.0.0.1", 0, registry, nothing, nothing, refresh) as port:
        with pytest.raises(ConfigurationError, match=rf"worker\.web_port: 127\.0\.0\.1:{port} cannot be served"):
            async with serve("127.0.0.1", port, registry, nothing, nothing, refresh):
                pass
