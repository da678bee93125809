"""What clients send, read in bounds of bytes, of time and of number; a length that is said may be a lie."""

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
"""A picture that is sent may be no larger."""

MAX_BODY_BYTES = 256 << 10
"""Nor may other bodies; a thousand ratings take less than a quarter of it."""


class Uploads:
    """Reads the bodies of requests."""

    def __init__(self, n_places: int = 32, limit_s: float = 30.0) -> None:
        self._n_free = n_places
        self._limit_s = limit_s

    async def read(self, request: Request) -> bytes:
        """Read what was sent."""
        if not self._n_free:
            raise HTTPException(
                503, "too many pictures are on their way; send it again in a second", {"Retry-After": "1"}
            )
        self._n_free -= 1
        try:
            async with asyncio.timeout(self._limit_s):
                return await _body(request)
        except ClientDisconnect as error:
            raise HTTPException(400, "the picture did not come to its end") from error
        except TimeoutError as error:
            raise HTTPException(408, f"expected the whole picture within {self._limit_s:g} s") from error
        finally:
            self._n_free += 1


async def _body(request: Request) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MAX_UPLOAD_BYTES:
            raise HTTPException(413, f"expected a picture of at most {MAX_UPLOAD_BYTES >> 20} MiB")
    return bytes(content)


class BoundedRoute(APIRoute):
    """A route that reads no more than `MAX_BODY_BYTES`, where FastAPI would read all; who sends more gets 413."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Make what answers requests."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handle(Request(request.scope, _counted(request.receive)))

        return bounded


def _counted(receive: Receive) -> Receive:
    n_bytes = 0

    async def counted() -> Message:
        nonlocal n_bytes
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes > MAX_BODY_BYTES:
            raise HTTPException(413, f"expected a body of at most {MAX_BODY_BYTES >> 10} KiB")
        return message

    return counted
