"""What is read of a request at most: FastAPI reads a body whole before it looks at it, and a length may be a lie."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

MAX_BODY_BYTES = 256 << 10
"""A thousand ratings take less than a quarter of it."""


class BoundedRoute(APIRoute):
    """A route that reads no more than `MAX_BODY_BYTES` of a body; who sends more gets 413."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Make what answers requests.

        Returns
        -------
        callable
            As FastAPI's, behind the bound.
        """
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
