"""Bounds on connections: how many there are, how long a client may take, and what happens when none is free."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

_log = logging.getLogger(__name__)

_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 20\r\n"
    b"Retry-After: 1\r\nConnection: close\r\n\r\ntoo many connections"
)
_INVALID = (
    b'{"type":"about:blank","title":"Bad Request","status":400,'
    b'"detail":"expected a request in HTTP, with at most 64 KiB of address and headers"}'
)
_INVALID_HEAD = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n" % len(_INVALID)
)
_OUT_OF_DESCRIPTORS = "socket.accept() out of system resource"


@dataclass(frozen=True)
class ConnectionLimits:
    """How many connections are held, and how long one may wait for its client."""

    max_connections: int = 2048
    # Between two sweeps of the loop so many may be accepted before the first of them is looked at.
    backlog: int = 128
    # From the connection, or from the end of an answer, to the last header of the next request.
    request_s: float = 10.0
    # Without a byte of the answer being taken.
    stall_s: float = 10.0

    @classmethod
    def within(cls, n_descriptors: int) -> ConnectionLimits:
        """Return limits that leave descriptors for the workspace, and for what is accepted but not counted yet."""
        backlog = max(1, min(cls.backlog, n_descriptors // 8))
        return cls(max(1, min(cls.max_connections, n_descriptors - 4 * backlog)), backlog)


class Connection(H11Protocol):
    """A connection that knows how long its client has kept it waiting."""

    limits = ConnectionLimits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; over the limit, in exchange for the one that has waited longest for its client."""
        self.waiting_since = self.moved_at = time.monotonic()
        self._n_unsent, self._is_refused = 0, False
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections and not self._replaces_another():
            transport.write(_REFUSAL)
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; after a refusal, read it for nothing."""
        if not self._is_refused:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it says less
        """Refuse what is no request; the client ends the connection, or the time for a request does.

        Closed now, with bytes on their way, it would be reset, and many clients would lose the answer.
        """
        self._is_refused = True
        self.transport.write(_INVALID_HEAD + _INVALID)
        self.transport.write_eof()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.waiting_since = time.monotonic()
        super().on_response_complete()

    @property
    def waits_for_request(self) -> bool:
        """Whether the next step is a request of the client."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def waits_for_client(self) -> bool:
        """Whether the next step, a request or the rest of its body, is the client's."""
        return self.waits_for_request or self.cycle.more_body

    def is_overdue(self, now: float) -> bool:
        """Return whether the client is too slow to send a request, or to take an answer."""
        n_unsent = self.transport.get_write_buffer_size()
        if n_unsent != self._n_unsent or not n_unsent:
            self._n_unsent, self.moved_at = n_unsent, now
        if n_unsent:
            return now - self.moved_at > self.limits.stall_s
        return self.waits_for_request and now - self.waiting_since > self.limits.request_s

    def drop(self) -> None:
        """Close the connection now, whatever is unsent."""
        self.connections.discard(cast(Any, self))
        self.transport.abort()

    def _replaces_another(self) -> bool:
        others = (cast(Connection, one) for one in self.connections if one is not self)
        longest = min((one for one in others if one.waits_for_client), key=_patience, default=None)
        if longest is not None:
            longest.drop()
        return longest is not None


def drop_overdue(connections: set[Any]) -> None:
    """Close the connections whose clients are too slow."""
    now = time.monotonic()
    for connection in [one for one in connections if one.is_overdue(now)]:
        connection.drop()


def handle_loop_errors(loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
    """Make room when no file descriptor is free, where asyncio would log every attempt with a traceback.

    asyncio itself accepts again after a second.
    """

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("message") != _OUT_OF_DESCRIPTORS:
            loop.default_exception_handler(context)
            return
        _log.error("no file descriptor is free for new connections; raise the limit of open files (ulimit -n)")
        for connection in [one for one in connections if one.waits_for_request]:
            connection.drop()

    loop.set_exception_handler(handle)


def _patience(connection: Connection) -> tuple[bool, float]:
    """Order connections by which is given up first: those without a request, the longest first."""
    return not connection.waits_for_request, connection.waiting_since
