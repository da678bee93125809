"""The page's server, really listening on the loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")


_SERVERS: dict[str, Any] = {}


def stopper(url: str) -> Callable[[], None]:
    """Give what tells a server to stop, as SIGTERM does."""
    server = _SERVERS[url]
    return lambda: setattr(server, "should_exit", True)


@contextmanager
def serving(home: Path, token: str | None = None, *, read_only: bool = False) -> Iterator[str]:
    """Serve a workspace on any free port, and give its address."""
    from keyart.web.app import make_app

    listening = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None) -> None:  # type: ignore[no-untyped-def]
            await super().startup(sockets)
            listening.set()

    app = make_app(home, token, read_only=read_only)
    server = Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=20))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert listening.wait(30)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        _SERVERS[url] = server
        yield url
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="session")
def address(_built_home: Path) -> Iterator[str]:
    with serving(_built_home) as url:
        yield url
