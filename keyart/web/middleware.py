"""The gate that every request passes: who may come in, which headers go out, and how long it took."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from prometheus_client import CollectorRegistry, Counter, Histogram

from keyart.web.errors import problem

_log = logging.getLogger(__name__)

Next = Callable[[Request], Awaitable[Response]]

LOOPBACK = ("127.0.0.1", "localhost")
"""Hosts that nobody outside this machine reaches."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_OPEN = frozenset({"/healthz", "/readyz"})
_COOKIE = "keyart-token"


class Gate:
    """Guards, dresses and counts; used as FastAPI's middleware."""

    def __init__(self, token: str | None, registry: CollectorRegistry) -> None:
        self._token = token
        labels = ("method", "route")
        self._requests = Counter("keyart_requests", "Requests answered.", (*labels, "status"), registry=registry)
        self._seconds = Histogram("keyart_request_seconds", "Time to answer.", labels, registry=registry)

    async def __call__(self, request: Request, answer: Next) -> Response:
        """Let a request pass, or not."""
        started = time.perf_counter()
        response = self._refusal(request) or await _answered(request, answer)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        # The route, not the path: a client must not be able to make up names of counters.
        route = getattr(request.scope.get("route"), "path", "other")
        method = request.method if request.method in ("GET", "HEAD", "POST") else "other"
        self._requests.labels(method, route, response.status_code).inc()
        self._seconds.labels(method, route).observe(time.perf_counter() - started)
        return response

    def _refusal(self, request: Request) -> Response | None:
        if (origin := request.headers.get("origin")) and urlsplit(origin).netloc != request.headers.get("host"):
            # A foreign page may make a browser send things, but not without saying whose page it is.
            return problem(403, f"expected a page of this server to ask, received one of {origin[:100]!r}")
        if self._token is None:
            # A foreign page may lead its own name to 127.0.0.1; the browser then still says that name.
            local = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
            return None if local in LOOPBACK else problem(403, f"expected the host {LOOPBACK[0]}, received {local!r}")
        if request.method == "GET" and self._matches(request.query_params.get("token", "")):
            # The address bar, and with it the history, must not keep the token.
            url = request.url.remove_query_params("token")
            # Of "//elsewhere" a browser would make another host.
            path = "/" + url.path.lstrip("/")
            response = RedirectResponse(f"{path}?{url.query}" if url.query else path, 303)
            response.set_cookie(_COOKIE, self._token, httponly=True, samesite="strict")
            return response
        if request.url.path in _OPEN or self._matches(_shown(request)):
            return None
        return problem(401, "expected the token as `Authorization: Bearer …`", {"WWW-Authenticate": "Bearer"})

    def _matches(self, shown: str) -> bool:
        return secrets.compare_digest(shown.encode(), (self._token or "").encode())


async def _answered(request: Request, answer: Next) -> Response:
    try:
        return await answer(request)
    except Exception:  # a mistake of ours is an answer as well, with headers, and is counted
        _log.exception("%s %s failed", request.method, getattr(request.scope.get("route"), "path", "other"))
        return problem(500, "something unexpected went wrong; the server's log says what")


def _shown(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return request.cookies.get(_COOKIE, "")
