"""Limits on the bodies of requests, in bytes, time and number; a declared length is not trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keyart.web.forms import MAX_OVERHEAD_BYTES, Form, FormFile, is_form, parse_form

MAX_UPLOAD_BYTES = 10 << 20
"""The limit of an uploaded image."""

MAX_BODY_BYTES = 1 << 20
"""The limit of other bodies; ten thousand ratings take less than half of it."""

MAX_EMBEDDING_BYTES = 4 << 20
"""The limit of an embedding as JSON."""

MAX_RATINGS_FILE_BYTES = 8 << 20
"""The limit of a file of one person's ratings; IMDb takes some 250 bytes a film."""

MAX_HELD_BYTES = 128 << 20
"""The limit of all bodies of requests that are not answered yet."""

_BODY_TIMEOUT_S = 30.0


class BodyMiddleware:
    """Bounds how long a body may take, 408, and what the bodies of all unanswered requests take together, 503."""

    def __init__(self, app: ASGIApp, max_held_bytes: int = MAX_HELD_BYTES, timeout_s: float = _BODY_TIMEOUT_S) -> None:
        self._app = app
        self._n_free = max_held_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count the bytes of its body until it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        n_held, is_whole, ends_at = 0, False, asyncio.get_running_loop().time() + self._timeout_s

        async def bounded() -> Message:
            nonlocal n_held, is_whole
            # What comes after the body is the end of the connection, which has time.
            message = await (receive() if is_whole else self._in_time(receive, ends_at))
            n_bytes, is_whole = len(message.get("body", b"")), not message.get("more_body", False)
            if n_bytes > self._n_free:
                raise HTTPException(503, "the server is reading too much; ask again in a second", {"Retry-After": "1"})
            self._n_free -= n_bytes
            n_held += n_bytes
            return message

        try:
            await self._app(scope, bounded, send)
        finally:
            self._n_free += n_held

    async def _in_time(self, receive: Receive, ends_at: float) -> Message:
        try:
            async with asyncio.timeout_at(ends_at):
                return await receive()
        except TimeoutError as error:
            raise HTTPException(408, f"expected the whole body within {self._timeout_s:g} s") from error


class Uploads:
    """Reads uploaded files of at most `max_bytes`, `max_concurrent` at once; `noun` is for messages."""

    def __init__(self, max_bytes: int = MAX_UPLOAD_BYTES, noun: str = "image", *, max_concurrent: int = 32) -> None:
        self._max_bytes = max_bytes
        self._noun = noun
        self._n_free = max_concurrent

    async def read(self, request: Request) -> bytes:
        """Read the body of a request: 503 if too many are being read, 413 if too large."""
        return await self._read(request, self._max_bytes)

    async def read_form(self, request: Request, n_most: int = 1) -> Form:
        """Read a form with up to `n_most` files under the same limits, for all of them together."""
        body = await self._read(request, self._max_bytes + MAX_OVERHEAD_BYTES)
        form = parse_form(body, request.headers["content-type"], n_most)
        self._check_size(sum(len(file.content) for file in form.files), self._max_bytes)
        return form

    async def _read(self, request: Request, max_bytes: int) -> bytes:
        if not self._n_free:
            raise HTTPException(
                503,
                f"too many uploads at the same time; send the {self._noun} again in a second",
                {"Retry-After": "1"},
            )
        self._n_free -= 1
        try:
            return await self._body(request, max_bytes)
        except ClientDisconnect as error:
            raise HTTPException(400, f"the upload ended before the {self._noun} was complete") from error
        finally:
            self._n_free += 1

    async def _body(self, request: Request, max_bytes: int) -> bytes:
        content = bytearray()
        async for part in request.stream():
            content += part
            self._check_size(len(content), max_bytes)
        return bytes(content)

    def _check_size(self, n_bytes: int, max_bytes: int) -> None:
        if n_bytes > max_bytes:
            article = "an" if self._noun[0] in "aeiou" else "a"
            raise HTTPException(413, f"expected {article} {self._noun} of at most {self._max_bytes >> 20} MiB")


def upload_route(uploads: Uploads, n_most: int = 1) -> type[APIRoute]:
    """Create a class of routes that take a file as a form too; its other fields become parameters of the query.

    The first of up to `n_most` files becomes the body; `files_of` returns all.
    """

    class UploadRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def of_form(request: Request) -> Response:
                if not is_form(request.headers.get("content-type", "")):
                    return await handle(request)
                return await handle(_with_form(request, await uploads.read_form(request, n_most)))

            return of_form

    return UploadRoute


def _with_form(request: Request, form: Form) -> Request:
    """Return the request as if it had brought the file itself, with the fields in its query."""
    query = b"&".join(filter(None, (request.scope["query_string"], urlencode(form.fields).encode())))

    async def receive() -> Message:
        return {"type": "http.request", "body": form.files[0].content}

    changed = Request({**request.scope, "query_string": query}, receive)
    changed.state.files, changed.state.filename = form.files, form.files[0].name
    return changed


def files_of(request: Request) -> tuple[FormFile, ...]:
    """Return the files of the form that a request brought; none where it brought the file itself."""
    return getattr(request.state, "files", ())


class BoundedRoute(APIRoute):
    """A route that answers bodies over `max_bytes` with 413, where FastAPI would read all of them."""

    max_bytes = MAX_BODY_BYTES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handle(Request(request.scope, _limited(request.receive, self.max_bytes)))

        return bounded


class EmbeddingRoute(BoundedRoute):
    """A route that takes an embedding; one number is some 12 characters."""

    max_bytes = MAX_EMBEDDING_BYTES


def _limited(receive: Receive, max_bytes: int) -> Receive:
    n_bytes = 0

    async def limited() -> Message:
        nonlocal n_bytes
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes > max_bytes:
            raise HTTPException(413, f"expected a body of at most {max_bytes >> 20} MiB")
        return message

    return limited
