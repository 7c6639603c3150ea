"""Metrics, health and readiness of a worker over HTTP. Nothing here shows data of users."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from processors.common.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from prometheus_client import CollectorRegistry

Check = Callable[[], dict[str, str]]
"""Returns what is wrong, by name of what it is wrong with; empty if nothing is."""

_PATHS = """/metrics  figures for Prometheus
/healthz  whether the worker is alive
/readyz   whether the worker is ready
"""


@asynccontextmanager
async def serve(
    host: str,
    port: int,
    registry: CollectorRegistry,
    unhealthy: Check,
    unready: Check,
    refresh: Callable[[], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve ``/metrics``, ``/healthz`` and ``/readyz``, and their list at ``/``, while the context is open.

    Parameters
    ----------
    host, port
        Address to listen at; port 0 takes a free one.
    registry
        Metrics to serve.
    unhealthy, unready
        What keeps the worker from being alive, from being ready: called at each request, answered with status 503.
    refresh
        Called before the metrics are read, to bring gauges up to date.

    Yields
    ------
    int
        The port that is listened at.

    Raises
    ------
    ConfigurationError
        If the port is taken or the address is not of this machine.
    """
    runner = web.AppRunner(_application(registry, unhealthy, unready, refresh), access_log=None)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _application(
    registry: CollectorRegistry, unhealthy: Check, unready: Check, refresh: Callable[[], Awaitable[None]]
) -> web.Application:
    async def metrics(_: web.Request) -> web.Response:
        await refresh()
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def answering(check: Check) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(_: web.Request) -> web.Response:
            problems = check()
            return web.json_response({"ok": not problems, "problems": problems}, status=503 if problems else 200)

        return handler

    async def paths(_: web.Request) -> web.Response:
        return web.Response(text=_PATHS)

    app = web.Application(client_max_size=1024)
    app.router.add_get("/", paths)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", answering(unhealthy))
    app.router.add_get("/readyz", answering(unready))
    return app


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise ConfigurationError(
            f"worker.web_port: {host}:{port} cannot be served ({os.strerror(error.errno or 0).lower()}): each "
            "worker needs a port of its own, or 0 for any that is free"
        ) from error
