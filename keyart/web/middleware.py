"""Middleware: metrics, security headers, authentication, and an answer to unexpected errors."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keyart.web.address import is_loopback
from keyart.web.body_limits import BodyMiddleware
from keyart.web.compression import GzipMiddleware
from keyart.web.errors import problem
from keyart.web.html import address_without, path_below, wants_page
from keyart.web.public_address import PublicAddress, Seen
from keyart.web.sign_in import PUBLIC_FILES, is_sign_in, read_form_token, sign_in_page
from keyart.web.token_guesses import TokenGuesses
from keyart.web.words import COOKIE as LANGUAGE_COOKIE
from keyart.web.words import PARAMETER, offered, words_for

_log = logging.getLogger(__name__)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Browsers ask again, and get what has changed: else a page would go on with the scripts of an earlier version.
    "Cache-Control": "private, no-cache",
}
_PUBLIC_PATHS = frozenset({"/healthz", "/readyz"}) | PUBLIC_FILES
_PORT = re.compile(r":\d*$")
_COOKIE = "keyart-token"
_SEEN = "keyart.seen"
_YEAR_S = 365 * 24 * 3600


def add_middleware(app: FastAPI, token: str | None, public: PublicAddress, registry: CollectorRegistry) -> None:
    """Add all middleware to an application; the last one added sees a request first."""
    app.add_middleware(BodyMiddleware)
    app.add_middleware(ErrorMiddleware)
    app.add_middleware(GzipMiddleware)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(AuthenticationMiddleware, token=token, public=public)
    app.add_middleware(LanguageMiddleware)
    if public.allowed_origins:
        # Outside of authentication: a browser asks beforehand without the token, and a page must see a refusal.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=public.allowed_origins,
            allow_methods=("GET", "HEAD", "POST", "DELETE"),
            allow_headers=("Authorization", "If-None-Match"),
            expose_headers=("Content-Disposition", "ETag", "Link", "Retry-After"),
        )
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(MetricsMiddleware, registry=registry)
    app.add_middleware(PublicAddressMiddleware, public=public)


class MetricsMiddleware:
    """Counts requests and measures how long they take."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        labels = ("method", "route")
        self._requests = Counter("keyart_requests", "Requests answered.", (*labels, "status"), registry=registry)
        self._seconds = Histogram("keyart_request_seconds", "Time to answer.", labels, registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it by its route and status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._observe(scope, message["status"], time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, observed)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        # The route, not the path: a client must not be able to make up names of counters.
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "DELETE") else "other"
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)


class SecurityHeadersMiddleware:
    """Adds `HEADERS` to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and complete the headers of its response."""

        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, completed)


class PublicAddressMiddleware:
    """Restores what a proxy has changed: host and scheme as the browser asked, and the prefix of the path."""

    def __init__(self, app: ASGIApp, public: PublicAddress) -> None:
        self._app = app
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on at its public address."""
        if scope["type"] == "http":
            request = Request(scope)
            seen = self._public.seen(request.headers, request.client.host if request.client else None)
            MutableHeaders(scope=scope)["host"] = seen.host
            scope["scheme"] = seen.scheme or scope["scheme"]
            scope["root_path"] = self._public.root_path
            # The proxy takes the prefix off; for ASGI it is a part of the path.
            scope["path"] = self._public.root_path + scope["path"]
            scope[_SEEN] = seen
        await self._app(scope, receive, send)


class LanguageMiddleware:
    """Keeps the language that a link has chosen, which works before the scripts are there, too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or send a browser to its address without the language."""
        response = self._redirect(Request(scope)) if scope["type"] == "http" else None
        await (response or self._app)(scope, receive, send)

    def _redirect(self, request: Request) -> Response | None:
        chosen = request.query_params.get(PARAMETER)
        is_page = request.method in ("GET", "HEAD") and wants_page(request)
        if not is_page or chosen not in {words.tag for words in offered()}:
            return None
        response = RedirectResponse(address_without(request, PARAMETER), 303)
        path = f"{request.scope.get('root_path', '')}/"
        response.set_cookie(LANGUAGE_COOKIE, chosen, max_age=_YEAR_S, path=path, samesite="lax")
        return response


class AuthenticationMiddleware:
    """Refuses requests without the token; without one it serves this machine only, and no foreign pages."""

    def __init__(self, app: ASGIApp, token: str | None, public: PublicAddress) -> None:
        self._app = app
        self._token = token
        self._public = public
        self._guesses = TokenGuesses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal_of_origin(request) or await self._refusal(request, receive)
        await (refusal or self._app)(scope, receive, send)

    def _refusal_of_origin(self, request: Request) -> Response | None:
        seen: Seen = request.scope[_SEEN]
        origin, bearer = request.headers.get("origin", ""), _bearer_of(request)
        is_foreign = bool(origin) and not seen.is_origin(origin)
        # A foreign page can make a browser send requests, but not without its origin; none adds a Bearer token.
        shows_token = self._token is not None and bearer is not None
        if is_foreign and not shows_token and not self._public.allows(origin):
            return problem(403, f"expected a page of this server to ask, received one of {origin[:100]!r}")
        host = _PORT.sub("", seen.host)
        if self._token is None and not is_loopback(host):
            # A foreign page can resolve its own name to 127.0.0.1; the browser still sends that name.
            return problem(403, f"expected the host 127.0.0.1, received {host!r}")
        return None

    async def _refusal(self, request: Request, receive: Receive) -> Response | None:
        if self._token is None or path_below(request) in _PUBLIC_PATHS:
            return None
        seen: Seen = request.scope[_SEEN]
        origin, bearer = request.headers.get("origin", ""), _bearer_of(request)
        is_foreign = bool(origin) and not seen.is_origin(origin)
        cookie = None if bearer is not None or is_foreign else request.cookies.get(_COOKIE)
        shown = bearer or cookie or ""
        offered = request.query_params.get("token", "") if request.method in ("GET", "HEAD") else ""
        if not is_foreign and is_sign_in(request):
            # Whoever has signed in meanwhile, in another tab, is sent on as well.
            offered = shown if _equals(shown, self._token) else await read_form_token(receive)
        return self._answer_to_token(request, self._token, offered, shown)

    def _answer_to_token(self, request: Request, token: str, offered: str, shown: str) -> Response | None:
        """Compare the token that is offered for the first time, or shown again, with the right one; None to pass on."""
        seen: Seen = request.scope[_SEEN]
        if (offered or shown) and (wait_s := self._guesses.wait_s(seen.client)):
            detail = f"too many wrong tokens came from this address; ask again in {wait_s} s"
            return self._refused(request, 429, detail, {"Retry-After": str(wait_s)})
        if _equals(offered, token) or _equals(shown, token):
            self._guesses.succeeded(seen.client)
            return self._redirect(request, token, seen) if _equals(offered, token) else None
        for wrong in filter(None, (offered, shown)):
            if self._guesses.failed(seen.client, wrong):
                _log.warning("a wrong token was shown by %s", seen.client)
        detail = "expected the token as `Authorization: Bearer …`"
        return self._refused(request, 401, detail, {"WWW-Authenticate": "Bearer"}, is_wrong=bool(offered))

    def _refused(
        self, request: Request, status: int, detail: str, headers: Mapping[str, str], *, is_wrong: bool = False
    ) -> Response:
        """Refuse a request: a program with a problem, a browser with the page to sign in on."""
        if wants_page(request):
            words = words_for(request)
            wrong = words("This is not the token of this server.") if is_wrong else ""
            problem_text = wrong if status == 401 else words.english(f"{detail}.")
            refusal: Response = sign_in_page(request, self._public.root_path, status, problem_text, headers)
        else:
            refusal = problem(status, detail, headers)
        if status == 401 and _COOKIE in request.cookies:
            # The token has changed since. The browser would show the old one again and again.
            refusal.delete_cookie(_COOKIE, path=f"{self._public.root_path}/")
        return refusal

    def _redirect(self, request: Request, token: str, seen: Seen) -> Response:
        """Move the token from the address into a cookie: address bar and history must not keep it."""
        response = RedirectResponse(address_without(request, "token"), 303)
        is_secure = seen.scheme == "https"
        # Lax: a link on a page of others leads here with the cookie; nothing but links does.
        response.set_cookie(
            _COOKIE, token, path=f"{self._public.root_path}/", secure=is_secure, httponly=True, samesite="lax"
        )
        return response


class HeadMiddleware:
    """Answers HEAD wherever GET is answered: the same headers, without the body (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, HEAD as GET."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        # A copy: the server itself must know that no body may follow.
        as_get = {**scope, "method": "GET"}

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Requests are counted by their route, which is known by now.
                scope["route"] = as_get.get("route")
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app(as_get, receive, without_body)


class ErrorMiddleware:
    """Answers an unexpected error; inside the other middleware, so that the answer has headers and is counted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log what it raises."""
        is_started = False

        async def watched(message: Message) -> None:
            nonlocal is_started
            is_started = is_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if scope["type"] != "http" or is_started:
                raise
            _log.exception("%s %s failed", scope["method"], getattr(scope.get("route"), "path", "other"))
            response = problem(500, "something unexpected went wrong; the server's log says what")
            await response(scope, receive, send)


def _equals(shown: str, token: str) -> bool:
    return secrets.compare_digest(shown.encode(), token.encode())


def _bearer_of(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
