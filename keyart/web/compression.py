"""Middleware that compresses text for clients that take gzip."""

from __future__ import annotations

import asyncio
import gzip

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KINDS = ("text/", "application/json", "application/problem+json", "application/javascript", "image/svg+xml")
_MIN_BYTES, LEVEL = 1024, 5
# More takes longer than other requests should wait.
_MAX_BYTES_AT_ONCE = 128 << 10


class GzipMiddleware:
    """Compresses answers of one part that are text; images and sheets are compressed already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and compress its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        takes_gzip = "gzip" in headers.get("accept-encoding", "")
        start: Message | None = None

        async def compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] == 304:
                _name_as_shown(message, headers.get("if-none-match", ""))
            elif message["type"] == "http.response.start" and _is_text(message):
                MutableHeaders(scope=message).add_vary_header("Accept-Encoding")
                if takes_gzip:
                    start = message
                    return
            if start is None:
                await send(message)
                return
            first, start = start, None
            if message["type"] == "http.response.body" and _is_worth_it(first, message):
                message = {**message, "body": await _gzip(message["body"])}
                _describe(first, len(message["body"]))
            await send(first)
            await send(message)

        await self._app(scope, receive, compressed)


def _is_text(message: Message) -> bool:
    return Headers(scope=message).get("content-type", "").startswith(_KINDS)


def _is_worth_it(start: Message, message: Message) -> bool:
    is_whole = not message.get("more_body", False)
    is_plain = "content-encoding" not in Headers(scope=start) and "content-range" not in Headers(scope=start)
    return is_whole and is_plain and len(message.get("body", b"")) >= _MIN_BYTES


async def _gzip(body: bytes) -> bytes:
    if len(body) <= _MAX_BYTES_AT_ONCE:
        return gzip.compress(body, LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)


def _describe(start: Message, n_bytes: int) -> None:
    headers = MutableHeaders(scope=start)
    headers["Content-Encoding"], headers["Content-Length"] = "gzip", str(n_bytes)
    if etag := headers.get("etag"):
        headers["ETag"] = _weak(etag)


def _name_as_shown(start: Message, shown: str) -> None:
    """Name what a client has, compressed, as it was named then."""
    headers = MutableHeaders(scope=start)
    if (etag := headers.get("etag")) and _weak(etag) in shown:
        headers["ETag"] = _weak(etag)


def _weak(etag: str) -> str:
    """Return the tag of the same content in other bytes."""
    return etag if etag.startswith("W/") else f"W/{etag}"
