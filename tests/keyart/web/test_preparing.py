"""Answers that a server prepares while nobody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import requests

pytest.importorskip("fastapi")

from prometheus_client import CollectorRegistry
from starlette.types import Message, Receive, Scope, Send

import keyart.web.preparing as preparing
from keyart.web.preparing import Preparation, PreparingMiddleware
from tests.keyart.web.conftest import eventually
from tests.keyart.web.test_serve_command import read_until, started

_PATHS = ["/a", "/b", "/c"]


class Asked:
    """An application that lists the paths it is asked for."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                pass
            return
        self.paths.append(scope["path"])
        if scope["path"].endswith("/b"):
            raise LookupError("no such film")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "_QUIET_S", 0.02)


@asynccontextmanager
async def running(middleware: PreparingMiddleware):  # type: ignore[no-untyped-def]
    messages: asyncio.Queue[Message] = asyncio.Queue()
    await messages.put({"type": "lifespan.startup"})
    task = asyncio.create_task(middleware({"type": "lifespan"}, messages.get, _ignore))
    yield
    await messages.put({"type": "lifespan.shutdown"})
    await asyncio.wait_for(task, 10)


async def _ignore(_message: Message) -> None:
    return


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.005)


async def _ask(middleware: PreparingMiddleware, path: str) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    await middleware({"type": "http", "path": path}, receive, _ignore)


def _prepared(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("keyart_prepared_answers")


def test_everything_is_asked_once_for_each_state() -> None:
    app, registry, state = Asked(), CollectorRegistry(), [1]
    preparation = Preparation(lambda: ["/a", "/c"], lambda: tuple(state), lambda: True, root_path="/films")

    async def run() -> None:
        async with running(PreparingMiddleware(app, preparation, registry)):
            await _until(lambda: _prepared(registry) == 2)
            await asyncio.sleep(0.2)
            assert app.paths == ["/films/a", "/films/c"]
            state.append(2)
            await _until(lambda: len(app.paths) == 4)

    asyncio.run(run())
    assert app.paths == ["/films/a", "/films/c"] * 2


def test_the_work_for_one_state_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "_MOST_S", -1.0)
    app, registry, state = Asked(), CollectorRegistry(), [1]
    preparation = Preparation(lambda: ["/a", "/c"], lambda: tuple(state), lambda: True)

    async def run() -> None:
        async with running(PreparingMiddleware(app, preparation, registry)):
            await _until(lambda: len(app.paths) == 1)
            state.append(2)
            await _until(lambda: len(app.paths) == 2)

    asyncio.run(run())
    assert app.paths == ["/a", "/a"]


def test_a_question_that_fails_ends_the_round_and_not_the_server(caplog: pytest.LogCaptureFixture) -> None:
    app, registry, state = Asked(), CollectorRegistry(), [1]
    preparation = Preparation(lambda: _PATHS, lambda: tuple(state), lambda: True)

    async def run() -> None:
        async with running(PreparingMiddleware(app, preparation, registry)):
            await _until(lambda: len(app.paths) == 2)
            await asyncio.sleep(0.2)
            assert app.paths == ["/a", "/b"]
            state.append(2)
            await _until(lambda: len(app.paths) == 4)

    asyncio.run(run())
    assert "answers could not be prepared: LookupError" in caplog.text


def test_nothing_is_prepared_before_it_is_ready_or_while_others_ask() -> None:
    app, registry, is_ready = Asked(), CollectorRegistry(), [False]
    middleware = PreparingMiddleware(app, Preparation(lambda: ["/a"], lambda: 1, lambda: is_ready[0]), registry)

    async def run() -> None:
        async with running(middleware):
            await asyncio.sleep(0.2)
            is_ready[0] = True
            for _ in range(60):
                await _ask(middleware, "/film")
                await asyncio.sleep(0.005)
            assert set(app.paths) == {"/film"}
            # Whoever watches the server asks all the time.
            for _ in range(60):
                await _ask(middleware, "/healthz")
                await asyncio.sleep(0.005)
            assert "/a" in app.paths

    asyncio.run(run())


@pytest.mark.heavy
def test_a_server_prepares_the_answers_that_it_would_compute(home: Path) -> None:
    with started(home, "--root-path", "/films") as server:
        address, _ = read_until(server, "http://").split("  ")

        def n_prepared() -> float:
            lines = requests.get(f"{address}metrics", timeout=60).text.splitlines()
            return next(float(line.split()[1]) for line in lines if line.startswith("keyart_prepared_answers "))

        def n_asked() -> int:
            lines = requests.get(f"{address}metrics", timeout=60).text.splitlines()
            return sum('route="/api/films/{movie_id}/similar"' in line for line in lines)

        # All films of the workspace that have posters.
        n_posters = len(list((home / "posters").glob("*.jpg")))
        eventually(n_prepared, lambda n: n == n_posters)
        assert n_asked() == 0
        prepared = requests.get(f"{address}api/films/1/similar?offset=0&k=30", timeout=60)
        computed = requests.get(f"{address}api/films/1/similar?k=30&k=30", timeout=60)
        assert prepared.json() == computed.json()
        assert prepared.headers["ETag"] != computed.headers["ETag"]
