"""The application: an engine that is opened once, its routes, the page's files, and the gate before them."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from catalog.errors import ConfigError, KeyartError
from keyart.web.atlas_routes import atlas_api
from keyart.web.body_limits import Uploads
from keyart.web.errors import PROBLEMS, add_problems
from keyart.web.inference import Sight
from keyart.web.middleware import LOOPBACK, Gate
from keyart.web.routes import Lines, api
from keyart.web.schemas import ServerState
from keyart.web.service import Service
from keyart.web.user_routes import people
from keyart.web.user_service import Tastes
from keyart.web.workers import BatchLine, Line
from keyart.workspace.api_keys import redact
from keyart.workspace.layout import Workspace

_STATIC = Path(__file__).parent / "static"
_PAGES = {"/": "index.html", "/atlas": "atlas.html", "/user": "user.html"}
_LIMIT_S, _NETWORK_LIMIT_S, _WRITING_LIMIT_S, _SHUTDOWN_S = 15.0, 60.0, 300.0, 20
# Pictures that the network is given at once, and that may wait for it.
_N_TOGETHER, _N_PICTURES = 16, 32

_log = logging.getLogger(__name__)


def make_app(home: Path, token: str | None = None, *, read_only: bool = False, is_alone: bool = False) -> FastAPI:
    """Make the application, with the engine opened once."""
    service = Service.open(home)
    lines = Lines(Line(1, 256, _LIMIT_S), Line(2, 256, _LIMIT_S), Line(1, 4, _WRITING_LIMIT_S), Uploads())
    network = BatchLine(service.look, _N_TOGETHER, _N_PICTURES, _NETWORK_LIMIT_S)
    # A line of their own: the first question opens a model, which takes seconds.
    tastes, tasting = Tastes(home, lambda movie_id: movie_id in service.thumbnails), Line(2, 64, _NETWORK_LIMIT_S)
    registry = CollectorRegistry()
    warming = _WarmUp(service, is_alone=is_alone)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        warming.start()
        yield
        for line in (lines.asking, lines.drawing, lines.writing, network, tasting):
            line.close()
        await warming.end()

    # FastAPI's own pages of documentation load scripts from elsewhere; the description itself does not.
    app = FastAPI(title="keyart", version=version("keyart"), lifespan=lifespan, docs_url=None, redoc_url=None)
    add_problems(app)
    app.middleware("http")(Gate(token, registry))
    # Before the films, whose /api/films/{movie_id} would take "to-rate" for a number.
    app.include_router(people(tastes, tasting))
    app.include_router(api(service, Sight(service, lines.drawing, network), lines, read_only=read_only))
    app.include_router(atlas_api(Workspace.open(home), lines.drawing))
    _add_states(app, warming, registry)
    for path, name in _PAGES.items():
        _add_page(app, path, name)
    app.mount("/static", StaticFiles(directory=_STATIC))
    return app


def _add_page(app: FastAPI, path: str, name: str) -> None:
    @app.get(path, include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_STATIC / name)


class _WarmUp:
    """Loads the network in a thread of its own, while questions that need none are answered."""

    def __init__(self, service: Service, *, is_alone: bool) -> None:
        self._service = service
        self._is_alone = is_alone
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(asyncio.to_thread(self._load))

    @property
    def is_over(self) -> bool:
        return self._task is not None and self._task.done()

    async def end(self) -> None:
        if self._task is not None:
            await self._task

    def _load(self) -> None:
        try:
            self._service.warm_up()
        except KeyartError as error:
            _log.warning("pictures cannot be compared: %s", redact(str(error)))
        if self._is_alone:
            # What is loaded by now stays. Else the collector would look through all that TensorFlow made, again and
            # again, and everybody would wait a fifth of a second for it.
            gc.collect()
            gc.freeze()


def _add_states(app: FastAPI, warming: _WarmUp, registry: CollectorRegistry) -> None:
    @app.get("/healthz", summary="Whether the process lives")
    async def health() -> ServerState:
        return ServerState(status="ok")

    @app.get("/readyz", summary="Whether it is ready: the engine is open, the network loaded", responses=PROBLEMS)
    async def readiness() -> ServerState:
        if not warming.is_over:
            raise HTTPException(503, "the network is being loaded", {"Retry-After": "2"})
        return ServerState(status="ok")

    @app.get("/metrics", summary="Counts and times, for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def check_host(host: str, token: str | None) -> None:
    """Refuse to serve other machines without a token."""
    if host not in LOOPBACK and not token:
        raise ConfigError(f"--host {host} is open to other machines; name a --token that they must show")
    if token is not None and len(token) < 16:
        raise ConfigError(f"--token should have 16 letters or more, received {len(token)}")


def serve(home: Path, host: str, port: int, token: str | None, *, read_only: bool = False) -> None:
    """Serve until the process is told to stop; what is being answered is answered first."""
    check_host(host, token)
    # The access log would write down every search; failures are logged all the same.
    app = make_app(home, token, read_only=read_only, is_alone=True)
    uvicorn.run(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )  # fmt: skip
