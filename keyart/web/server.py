"""The HTTP server: uvicorn, with bounds on connections and on what it logs."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from keyart.web.connections import Connection, ConnectionLimits, drop_overdue, handle_loop_errors
from keyart.web.log_limit import limit_logs

_SHUTDOWN_S = 20
_TICKS_PER_SWEEP = 10
# How long a thread may keep Python to itself while others wait for it, instead of 5 ms: a look-up waits several times.
_SWITCH_S = 0.0005
_MAX_WAITING = 2048
# More would gain nothing, and some programs go through all that are allowed.
_MAX_DESCRIPTORS = 65_536


class Server(uvicorn.Server):
    """Calls a function when it answers, and closes connections that break the limits."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer."""
        handle_loop_errors(asyncio.get_running_loop(), self.server_state.connections)
        await super().startup(sockets)
        for listener in sockets or ():
            # asyncio takes one number for how many may wait, which costs nothing, and for how many it accepts at once.
            listener.listen(_MAX_WAITING)
        if self.started:
            self._on_start()

    async def on_tick(self, counter: int) -> bool:
        """Do what is due ten times a second; return whether to end."""
        if counter % _TICKS_PER_SWEEP == 0:
            drop_overdue(self.server_state.connections)
        return await super().on_tick(counter)


def make_server(app: FastAPI, on_start: Callable[[], None], limits: ConnectionLimits | None = None) -> Server:
    """Create a server; `run` takes the sockets to listen on."""
    limits = limits or ConnectionLimits()
    config = uvicorn.Config(
        app,
        # Of asyncio, whose errors are handled.
        loop="asyncio",
        http=type("LimitedConnection", (Connection,), {"limits": limits}),
        ws="none",
        backlog=limits.backlog,
        # Its loggers pass on to those of the program, which redact and limit.
        log_config=None,
        log_level="warning",
        # It would record every search; failures are logged all the same.
        access_log=False,
        server_header=False,
        # uvicorn would believe any program of this machine; `PublicAddress` believes named proxies.
        proxy_headers=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    return Server(config, on_start)


def serve(app: FastAPI, listener: socket.socket, on_start: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests in progress are answered first."""
    limit_logs()
    sys.setswitchinterval(_SWITCH_S)
    # Requests share the processors already, and idle threads of BLAS keep one busy while they wait for more.
    with threadpool_limits(1, user_api="blas"):
        make_server(app, on_start, ConnectionLimits.within(raise_descriptor_limit())).run([listener])


def raise_descriptor_limit() -> int:
    """Raise this process's limit of open files as far as it may, and return it."""
    if sys.platform == "win32":
        return _MAX_DESCRIPTORS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MAX_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # macOS allows fewer than it says.
        return soft
    return wanted
