"""Limits on the bodies of requests, in bytes, time and number; a declared length is not trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

MAX_UPLOAD_BYTES = 10 << 20
"""The limit of an uploaded image."""

MAX_BODY_BYTES = 1 << 20
"""The limit of other bodies; ten thousand ratings take less than half of it."""

MAX_RATINGS_FILE_BYTES = 8 << 20
"""The limit of a file of one person's ratings; IMDb takes some 250 bytes a film."""


class Uploads:
    """Reads uploaded images, `max_concurrent` at once."""

    def __init__(self, max_concurrent: int = 32, timeout_s: float = 30.0) -> None:
        self._n_free = max_concurrent
        self._timeout_s = timeout_s

    async def read(self, request: Request) -> bytes:
        """Read the body of a request: 503 if too many are being read, 408 if too slow, 413 if too large."""
        if not self._n_free:
            raise HTTPException(
                503, "too many uploads at the same time; send the image again in a second", {"Retry-After": "1"}
            )
        self._n_free -= 1
        try:
            async with asyncio.timeout(self._timeout_s):
                return await _body(request)
        except ClientDisconnect as error:
            raise HTTPException(400, "the upload ended before the image was complete") from error
        except TimeoutError as error:
            raise HTTPException(408, f"expected the whole image within {self._timeout_s:g} s") from error
        finally:
            self._n_free += 1


async def _body(request: Request) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MAX_UPLOAD_BYTES:
            raise HTTPException(413, f"expected an image of at most {MAX_UPLOAD_BYTES >> 20} MiB")
    return bytes(content)


class BoundedRoute(APIRoute):
    """A route that answers bodies over `max_bytes` with 413, where FastAPI would read all of them."""

    max_bytes = MAX_BODY_BYTES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handle(Request(request.scope, _limited(request.receive, self.max_bytes)))

        return bounded


class RatingsFileRoute(BoundedRoute):
    """A route that takes a file of one person's ratings."""

    max_bytes = MAX_RATINGS_FILE_BYTES


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
