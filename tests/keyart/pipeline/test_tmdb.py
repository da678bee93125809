"""`keyart.pipeline.fetch` against a server on the loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import keyart
from catalog.film import Film
from catalog.films import Catalog
from keyart.workspace.layout import Workspace
from posters.store import PosterStore
from tests.posters.tmdb_server import V3_KEY, TmdbServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TmdbServer]:
    for name in ("TMDB_API_KEY", "TMDB_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    with TmdbServer() as server:
        monkeypatch.setenv("KEYART_TMDB_URL", server.base_url)
        yield server


@pytest.fixture
def home(tmp_path: Path, server: TmdbServer) -> Path:
    for movie_id in (1, 2, 3):
        server.add_film(1000 + movie_id)
    films = [Film(movie_id, f"Film {movie_id}", tmdb_id=1000 + movie_id) for movie_id in (1, 2, 3)]
    Catalog.create(Workspace.create(tmp_path / "home").catalog_path, films, {"source": "test"})
    return tmp_path / "home"


def fetched(home: Path) -> list[int]:
    with PosterStore.open_to_read(Workspace.open(home).posters_dir) as store:
        return [poster.movie_id for poster in store.posters()]


def test_fetches_the_selected_posters_then_the_rest(home: Path, server: TmdbServer) -> None:
    options = keyart.FetchOptions(movie_ids=[2, 3], limit=1, rate=None)
    report = keyart.pipeline.fetch(home, options, key=V3_KEY)
    assert (report.n_asked, report.n_ok, fetched(home)) == (1, 1, [2])
    assert keyart.pipeline.fetch(home, keyart.FetchOptions(rate=None), key=V3_KEY).n_ok == 2
    assert fetched(home) == [1, 2, 3]


def test_report_converts_to_json_and_is_saved_with_the_posters(home: Path, server: TmdbServer) -> None:
    report = keyart.pipeline.fetch(home, keyart.FetchOptions(rate=None), key=V3_KEY)
    content = json.loads(json.dumps(report.to_dict()))
    assert (content["counts"]["ok"], content["success_rate"]) == (3, 1.0)
    record = json.loads((home / "posters" / "last-fetch.json").read_text())
    assert content.items() <= record.items()


def test_the_key_of_the_environment_is_the_default(
    home: Path, server: TmdbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(keyart.ConfigError, match="no TMDB key: set TMDB_API_KEY"):
        keyart.pipeline.fetch(home)
    monkeypatch.setenv("TMDB_API_KEY", V3_KEY)
    assert keyart.pipeline.fetch(home).n_ok == 3


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"rate": 0}, {"rate": float("nan")}, {"n_connections": 0}])
def test_rejects_options_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="should be"):
        keyart.FetchOptions(**wrong)


def test_fetching_loads_neither_arrays_nor_tables() -> None:
    # They would take memory during runs of days, and slow the start of every command.
    heavy = {"faiss", "keras", "numpy", "pandas", "pyarrow", "scipy"}
    code = f"import sys, keyart.pipeline.tmdb; print(*{heavy} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
