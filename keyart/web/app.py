"""The application: an engine that is opened once, its routes, the page's files, and the gate before them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from catalog.errors import ConfigError
from keyart.web.atlas import atlas_pages
from keyart.web.gate import LOOPBACK, Gate
from keyart.web.lines import Line
from keyart.web.problems import add_problems
from keyart.web.routes import api
from keyart.web.service import Service
from keyart.workspace import Workspace

_STATIC = Path(__file__).parent / "static"
_LIMIT_S, _NETWORK_LIMIT_S, _SHUTDOWN_S = 15.0, 60.0, 20


def make_app(home: Path, token: str | None = None) -> FastAPI:
    """Make the application; it opens the engine when it is started.

    Parameters
    ----------
    home : Path
        The workspace folder.
    token : str, optional
        What clients must show; without one only this machine is served.

    Returns
    -------
    FastAPI
        For any ASGI server.

    Raises
    ------
    NotBuiltError, DataError
        As `Engine.open`.
    """
    service = Service.open(home)
    quick, network = Line(2, 256, _LIMIT_S), Line(1, 8, _NETWORK_LIMIT_S)
    registry = CollectorRegistry()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        quick.close()
        network.close()

    # FastAPI's own pages of documentation load scripts from elsewhere; the description itself does not.
    app = FastAPI(title="keyart", lifespan=lifespan, docs_url=None, redoc_url=None)
    add_problems(app)
    app.middleware("http")(Gate(token, registry))
    app.include_router(api(lambda: service, quick, network))
    app.include_router(atlas_pages(Workspace.open(home), quick))

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html")

    @app.get("/healthz", summary="Whether the process lives")
    @app.get("/readyz", summary="Whether it can answer: the engine is open")
    async def state() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/metrics", summary="Counts and times, for Prometheus")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    app.mount("/static", StaticFiles(directory=_STATIC))
    return app


def check_host(host: str, token: str | None) -> None:
    """Refuse to serve other machines without a token.

    Parameters
    ----------
    host : str
        Where to listen.
    token : str or None
        What clients must show.

    Raises
    ------
    ConfigError
        The host is not the loopback, and there is no token, or a short one.
    """
    if host not in LOOPBACK and not token:
        raise ConfigError(f"--host {host} is open to other machines; name a --token that they must show")
    if token is not None and len(token) < 16:
        raise ConfigError(f"--token should have 16 letters or more, received {len(token)}")


def serve(home: Path, host: str, port: int, token: str | None) -> None:
    """Serve until the process is told to stop; what is being answered is answered first.

    Parameters
    ----------
    home : Path
        The workspace folder.
    host : str
        Where to listen.
    port : int
        At which port.
    token : str or None
        What clients must show.

    Raises
    ------
    KeyartError
        As `check_host` and `make_app`.
    """
    check_host(host, token)
    # The access log would write down every search; failures are logged all the same.
    uvicorn.run(
        make_app(home, token), host=host, port=port, log_level="warning", access_log=False,
        timeout_graceful_shutdown=_SHUTDOWN_S, server_header=False,
    )  # fmt: skip
