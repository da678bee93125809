"""Conditional requests: whether a client has an answer already."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from hashlib import blake2b
from threading import Lock
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from keyart.web.parameters import Spelling

# Of a kept answer, its headers and its tag.
_OVERHEAD_BYTES = 1024
_UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Not Modified: the answer whose `ETag` was sent as `If-None-Match` still holds"}
}


def is_unchanged(request: Request, etag: str) -> bool:
    """Return whether a client has what an entity tag names, also in compressed form (RFC 9110, section 13.1.2)."""
    shown = _shown(request)
    return "*" in shown or etag in shown


def _shown(request: Request) -> set[str]:
    return {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}


class Generation:
    """Counts the changes of what a server has open: as long as it stays, every question has the same answer."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.number = 0

    def advance(self) -> None:
        """Count a change that has been made."""
        with self._lock:
            self.number += 1


class KeptAnswers:
    """The JSON that was asked for last, by its tags; all of it takes at most `max_bytes`. For one event loop."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        # Bodies and headers, as what is sent with them is added to the headers themselves.
        self._answers: OrderedDict[str, tuple[bytes, dict[str, str]]] = OrderedDict()

    def find(self, etag: str) -> Response | None:
        """Return an answer again; None where it is not kept."""
        if etag not in self._answers:
            return None
        self._answers.move_to_end(etag)
        body, headers = self._answers[etag]
        return Response(body, headers=headers)

    def add(self, etag: str, response: Response) -> None:
        """Keep an answer, unless it takes much of the room; others leave for it."""
        body, headers = bytes(response.body), dict(response.headers)
        if headers.get("content-type") != "application/json" or len(body) > self._max_bytes // 16:
            return
        self._drop(etag)
        self._answers[etag] = body, headers
        self._n_bytes += len(body) + _OVERHEAD_BYTES
        while self._n_bytes > self._max_bytes:
            self._drop(next(iter(self._answers)))

    def _drop(self, etag: str) -> None:
        if etag in self._answers:
            self._n_bytes -= len(self._answers.pop(etag)[0]) + _OVERHEAD_BYTES


def conditional_route(state: Callable[[], object], kept: KeptAnswers) -> type[APIRoute]:
    """Create a class of GET routes whose answers depend on the address and on a state, which is cheap to name.

    An answer that a client has, or that is kept, is not computed again.
    """
    # Of this process: another one counts from 0, too, and may be of another version.
    key = secrets.token_bytes(16)

    def etag_of(request: Request, spelling: Spelling) -> str:
        question = (state(), request.scope["path"], spelling.of(request.scope["query_string"].decode("latin-1")))
        return f'"{blake2b(repr(question).encode(), digest_size=12, key=key).hexdigest()}"'

    class ConditionalRoute(APIRoute):
        def __init__(self, path: str, endpoint: Callable[..., Any], **described: Any) -> None:
            described["responses"] = _UNCHANGED | (described.get("responses") or {})
            super().__init__(path, endpoint, **described)

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle, spelling = super().get_route_handler(), Spelling(self.dependant)

            async def conditional(request: Request) -> Response:
                # Named before anything is read: what changes meanwhile makes the tag old, never the answer wrong.
                etag = etag_of(request, spelling)
                # Weak: the same question may be answered in other bytes, such as other last digits of a drawing.
                headers = {"ETag": f"W/{etag}"}
                # Only what was answered before has a tag, so a wrong question gets its refusal.
                if etag in _shown(request):
                    return Response(status_code=304, headers=headers)
                if answer := kept.find(etag):
                    return answer
                response = await handle(request)
                response.headers.update(headers)
                kept.add(etag, response)
                return response

            return conditional

    return ConditionalRoute
