"""The page's server, really listening on the loopback."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keyart.models import fit
from keyart.stock import open_ratings
from keyart.workspace import Workspace

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")


@contextmanager
def serving(home: Path, token: str | None = None) -> Iterator[str]:
    """Serve a workspace on any free port, and give its address."""
    from keyart.web.app import make_app

    listening = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None) -> None:  # type: ignore[no-untyped-def]
            await super().startup(sockets)
            listening.set()

    server = Server(uvicorn.Config(make_app(home, token), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert listening.wait(30)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="session")
def address(_built_home: Path) -> Iterator[str]:
    with serving(_built_home) as url:
        yield url


@pytest.fixture(scope="session")
def fitted_home(_built_tastes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of two tastes, with a model that gives stars and one that does not."""
    home = Path(shutil.copytree(_built_tastes, tmp_path_factory.mktemp("fitted") / "workspace"))
    workspace = Workspace.open(home)
    for name in ("ease", "als"):
        fit(workspace, name, open_ratings(workspace))
    return home


@pytest.fixture(scope="session")
def people_address(fitted_home: Path) -> Iterator[str]:
    with serving(fitted_home) as url:
        yield url
