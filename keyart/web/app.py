"""The application: services, routes, static pages and middleware."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request, Response, Security
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from keyart.web.body_limits import Uploads
from keyart.web.conditional import Generation, KeptAnswers, conditional_route
from keyart.web.errors import PROBLEMS, add_problems
from keyart.web.html import answer, page
from keyart.web.inference import ImageEncoder
from keyart.web.middleware import add_middleware
from keyart.web.parameters import refuse_unknown_parameters
from keyart.web.preparing import Preparation, PreparingMiddleware
from keyart.web.public_address import PublicAddress
from keyart.web.routes.atlas import atlas_routes
from keyart.web.routes.film_panel import film_panel_routes
from keyart.web.routes.films import Pools, film_routes
from keyart.web.routes.first_page import add_first_page
from keyart.web.routes.shortlists import shortlist_routes
from keyart.web.routes.users import user_routes
from keyart.web.schemas.films import ServerState
from keyart.web.services.atlas import AtlasService
from keyart.web.services.details import DetailService
from keyart.web.services.films import FilmService
from keyart.web.services.shortlists import ShortlistService
from keyart.web.services.users import UserService
from keyart.web.words import words_for
from keyart.web.workers import MicroBatcher, WorkerPool, yield_processor
from keyart.workspace.encoders import open_views
from keyart.workspace.reloading import OnReload, Outcome

_STATIC = Path(__file__).parent / "static"
_PAGES = {"/atlas": "atlas.html", "/user": "user.html", "/shortlist": "shortlist.html", "/docs": "docs.html"}
_TIMEOUT_S, _ENCODING_TIMEOUT_S, _WRITING_TIMEOUT_S = 15.0, 60.0, 300.0
_LOCAL = PublicAddress()
_MAX_BATCH, _MAX_PENDING_IMAGES = 16, 32
_MAX_KEPT_BYTES = 32 << 20


def make_app(
    home: Path,
    token: str | None = None,
    *,
    encoder: str | None = None,
    read_only: bool = False,
    public: PublicAddress = _LOCAL,
    owns_process: bool = False,
) -> FastAPI:
    """Create the application; with `owns_process` it tunes the garbage collector, and works while nobody asks.

    Without `encoder` it follows the default of the workspace; the map and the recommendations, that of its start.
    """
    registry = CollectorRegistry()
    generation = Generation()
    on_reload = _counted_reloads(registry, generation)
    films = FilmService.open(home, on_reload, encoder)
    view = open_views(home, encoder)[0]
    details = DetailService(view, films, on_reload)
    atlas, users = AtlasService(view, on_reload, public.root_path), UserService(view, films.has_poster, on_reload)
    pools = _make_pools()
    encoding = MicroBatcher(films.embed, _MAX_BATCH, _MAX_PENDING_IMAGES, _ENCODING_TIMEOUT_S)
    # A pool of their own: the first request opens a model, which takes seconds.
    recommending = WorkerPool(2, 64, _ENCODING_TIMEOUT_S)
    warm_up = _WarmUp(films, owns_process=owns_process)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        warm_up.start()
        yield
        encoding.close()
        for workers in (*pools.workers(), recommending):
            workers.close()
        if owns_process and not warm_up.is_over:
            # The process ends at once: nobody should wait for a network, or for what its loading uses to be closed.
            return
        await warm_up.finish()
        for service in (films, atlas, users, details):
            service.close()

    def state() -> object:
        return generation.number, films.state()

    app = _described_app(lifespan)
    add_problems(app, home)
    if owns_process:
        # The innermost: what it asks itself is none of the requests that are counted.
        preparation = Preparation(films.frequent_questions, state, lambda: warm_up.is_over, public.root_path)
        app.add_middleware(PreparingMiddleware, preparation=preparation, registry=registry)
    add_middleware(app, token, public, registry)
    # Those of users before the films, whose /api/films/{movie_id} would match "to-rate".
    images = ImageEncoder(films, pools.decoding, encoding, pools.embedding)
    kept = KeptAnswers(_MAX_KEPT_BYTES)
    conditional = conditional_route(state, kept)
    of_users = conditional_route(lambda: (generation.number, users.state()), kept)
    routers = (
        user_routes(users, recommending, of_users),
        film_panel_routes(films, details, pools.querying, pools.drawing, conditional),
        film_routes(films, images, pools, conditional, read_only=read_only),
        atlas_routes(atlas, pools.drawing),
        shortlist_routes(ShortlistService(films), pools.querying, pools.drawing, conditional),
    )
    for router in routers:
        app.include_router(router, dependencies=_dependencies(token))
    _add_states(app, warm_up, registry)
    add_first_page(app, films, pools.thumbnails)
    _add_pages(app)
    return app


def _make_pools() -> Pools:
    # Look-ups and thumbnails, which take milliseconds, go before what takes more.
    return Pools(
        querying=WorkerPool(1, 256, _TIMEOUT_S),
        comparing=WorkerPool(1, 64, _TIMEOUT_S, yields=True),
        drawing=WorkerPool(1, 64, _TIMEOUT_S, yields=True),
        thumbnails=WorkerPool(2, 256, _TIMEOUT_S),
        decoding=WorkerPool(1, _MAX_PENDING_IMAGES, _ENCODING_TIMEOUT_S, yields=True),
        writing=WorkerPool(1, 4, _WRITING_TIMEOUT_S, yields=True),
        embedding=WorkerPool(1, _MAX_PENDING_IMAGES, _ENCODING_TIMEOUT_S, yields=True),
        uploads=Uploads(),
    )


def _described_app(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    # FastAPI's own pages of documentation load scripts from elsewhere; the description itself does not.
    return FastAPI(
        title="keyart",
        summary="Films by the looks of their posters, and by who likes them.",
        version=version("keyart"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )


def _dependencies(token: str | None) -> list[Any]:
    """Return what every route of the API depends on; the token is described here, and checked by middleware."""
    described = [Security(HTTPBearer(auto_error=False, scheme_name="token"))] if token is not None else []
    return [Depends(refuse_unknown_parameters), *described]


def _counted_reloads(registry: CollectorRegistry, generation: Generation) -> OnReload:
    reloads = Counter(
        "keyart_reloads", "Parts reopened after their files changed, or closed.", ("part", "result"), registry=registry
    )

    def count(part: str, outcome: Outcome) -> None:
        generation.advance()
        reloads.labels(part, outcome).inc()

    return count


def _add_pages(app: FastAPI) -> None:
    for path, name in _PAGES.items():
        _add_page(app, path, name)
    app.mount("/static", StaticFiles(directory=_STATIC))


def _add_page(app: FastAPI, path: str, name: str) -> None:
    @app.get(path, include_in_schema=False)
    async def static_page(request: Request) -> Response:
        words = words_for(request)
        return answer(request, page(name, words, request.url.query), words)


class _WarmUp:
    """Loads the encoder in a thread, while requests that need none are answered."""

    def __init__(self, service: FilmService, *, owns_process: bool) -> None:
        self._service = service
        self._owns_process = owns_process
        # Python waits at its end for a thread that is no daemon, and loading TensorFlow may take a minute.
        self._thread = threading.Thread(target=self._load, name="warm-up", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return self._thread.ident is not None and not self._thread.is_alive()

    async def finish(self) -> None:
        await asyncio.to_thread(self._thread.join)

    def _load(self) -> None:
        # The network's threads begin here.
        yield_processor()
        self._service.warm_up()
        if self._owns_process:
            # What is loaded by now stays. Otherwise the collector would examine all of TensorFlow's objects again and
            # again, which stops every request for a fifth of a second.
            gc.collect()
            gc.freeze()


def _add_states(app: FastAPI, warm_up: _WarmUp, registry: CollectorRegistry) -> None:
    @app.get("/healthz", tags=["server"], summary="Whether the process is alive")
    async def health() -> ServerState:
        """Answer as long as the process does, whatever it waits for."""
        return ServerState(status="ok")

    @app.get(
        "/readyz",
        tags=["server"],
        summary="Whether it is ready: the engine is open, the network loaded",
        responses=PROBLEMS,
    )
    async def readiness() -> ServerState:
        """Return 503 until images can be compared."""
        if not warm_up.is_over:
            raise HTTPException(503, "the network is being loaded", {"Retry-After": "2"})
        return ServerState(status="ok")

    @app.get("/metrics", tags=["server"], summary="Counts and times, for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Return the numbers and durations of requests by route and status, and of reopened parts."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
