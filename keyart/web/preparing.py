"""Answers that are prepared while nobody asks: the look-alikes of the films that are known best."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

# Whoever watches the server asks these, again and again.
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
# So long nobody has asked anything before it begins, or goes on.
_QUIET_S = 1.0
# Of work, for one state: a large catalog that films are added to should not keep a processor busy all day.
_MOST_S = 60.0


@dataclass(frozen=True)
class Preparation:
    """What to prepare, and when."""

    # Lists the addresses to ask, the most important first; called in a thread.
    paths: Callable[[], Sequence[str]]
    # Names the state that the answers depend on.
    state: Callable[[], object]
    is_ready: Callable[[], bool]
    # Before the addresses.
    root_path: str = ""


class PreparingMiddleware:
    """Asks the application what will be asked, so that it keeps the answers, and again when they have changed."""

    def __init__(self, app: ASGIApp, preparation: Preparation, registry: CollectorRegistry) -> None:
        self._app = app
        self._preparation = preparation
        self._asked_at = time.monotonic()
        self._n_prepared = Gauge("keyart_prepared_answers", "Answers prepared while nobody asked.", registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; between start and end of the application, prepare answers."""
        if scope["type"] != "lifespan":
            if scope["path"].removeprefix(self._preparation.root_path) not in _PROBES:
                self._asked_at = time.monotonic()
            await self._app(scope, receive, send)
            return
        work = asyncio.create_task(self._work(scope))

        async def ending() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                work.cancel()
                await asyncio.wait([work])
            return message

        await self._app(scope, ending, send)

    async def _work(self, scope: Scope) -> None:
        prepared: object = None
        while True:
            await self._wait()
            state = self._preparation.state()
            if not self._preparation.is_ready() or state == prepared:
                continue
            # Once for each state, whatever fails.
            prepared = state
            try:
                await self._prepare(scope)
            except Exception as error:  # whoever asks gets the same error, and its reason
                _log.warning("answers could not be prepared: %s", type(error).__name__)

    async def _prepare(self, scope: Scope) -> None:
        self._n_prepared.set(0)
        left_s = _MOST_S
        for path in await asyncio.to_thread(self._preparation.paths):
            if time.monotonic() - self._asked_at < _QUIET_S:
                await self._wait()
            began = time.monotonic()
            await self._ask(scope, path)
            self._n_prepared.inc()
            left_s -= time.monotonic() - began
            if left_s < 0:
                return

    async def _wait(self) -> None:
        while True:
            await asyncio.sleep(_QUIET_S)
            if time.monotonic() - self._asked_at >= _QUIET_S:
                return

    async def _ask(self, scope: Scope, path: str) -> None:
        root = self._preparation.root_path
        address = {"scheme": "http", "server": ("127.0.0.1", 80), "root_path": root, "path": root + path}
        sent: dict[str, object] = {
            "http_version": "1.1",
            "method": "GET",
            "query_string": b"",
            "headers": [],
            "client": None,
        }
        request = {**scope, "type": "http", **address, **sent}

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_message: Message) -> None:
            return

        await self._app(request, receive, send)
