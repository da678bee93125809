"""Fixtures for the tests of `posters`."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from posters.http import HttpOptions
from posters.store import PosterStore
from posters.tmdb import TmdbClient
from tests.posters.tmdb_server import V3_KEY, TmdbServer


@pytest.fixture
def server() -> Iterator[TmdbServer]:
    with TmdbServer() as server:
        yield server


@pytest.fixture
def client(server: TmdbServer) -> Iterator[TmdbClient]:
    with TmdbClient(
        V3_KEY, server.base_url, rate=None, http=HttpOptions(n_connections=4, n_retries=4, backoff_s=0)
    ) as client:
        yield client


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PosterStore]:
    with PosterStore.open(tmp_path / "posters") as store:
        yield store


@pytest.fixture
def closed_url() -> str:
    """A loopback address where no server listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/3"


@pytest.fixture
def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, writing any file fails half-way; `monkeypatch.undo` ends that."""

    def fail(path: Path, content: bytes) -> int:
        with path.open("wb") as stream:
            stream.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return lambda: monkeypatch.setattr(Path, "write_bytes", fail)
