"""Readers beside writers, and two writers: no false damage, no wrong answer, no stale answer without its note."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from catalog.errors import StoreError
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.atlas.record import Atlas
from keyart.cold_start.new_film import NewFilm
from keyart.engine import Engine
from keyart.pipeline.additions import add
from keyart.pipeline.features import extract_missing
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.pipeline.recommenders import fit
from keyart.pipeline.status import read_status
from keyart.recommend import analysis
from keyart.recommend.recommendations import recommend
from keyart.workspace.layout import Workspace
from tests.faults.interleaving import Interleaving, at_random, once_at
from tests.faults.small_workspace import make_workspace, write_films, write_posters

Answer = tuple[Any, tuple[str, ...]]
"""What a reader answers, and its notes."""
Read = Callable[[Path], Answer]
Write = Callable[[Path], object]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace that lacks features of some posters, and what can be brought into it."""
    folder = tmp_path_factory.mktemp("sources")
    home = make_workspace(folder)
    fit(home, "ease")
    make_atlas(Workspace.open(home), AtlasOptions())
    write_films(folder / "other-films", seed=1, n_films=11)
    import_posters(home, write_posters(folder / "other-posters", seed=1, n_films=3), "movie")
    write_posters(folder / "more-posters", seed=2, n_films=5)
    return folder


def _similar(home: Path) -> Answer:
    with Engine.open(home) as engine:
        found = engine.similar(6, k=5)
    return [(hit.movie_id, round(hit.score, 4)) for hit in found.hits], found.notes


def _info(home: Path) -> Answer:
    status = read_status(Workspace.open(home))
    assert status.damaged == ()
    return None, status.notes


def _recommend(home: Path) -> Answer:
    found = recommend(Workspace.open(home), "ease", 1, 5)
    return [(film.movie_id, round(film.score, 4)) for film in found.films], found.notes


def _cold_start(home: Path) -> Answer:
    with Engine.open(home) as engine:
        (found,) = engine.cold_start([NewFilm(home.parent / "posters" / "4.jpg", title="New", genres=["Drama"])], k=3)
    assert found.expected is not None
    hits = [(hit.movie_id, round(hit.score, 4)) for hit in found.look_alikes.hits]
    return (hits, round(found.expected.mean, 3)), found.notes


def _explore(home: Path) -> Answer:
    return [(one.movie_id, one.n_ratings) for one in analysis.best_rated(Workspace.open(home), 5, 1, 5.0)], ()


def _map(home: Path) -> Answer:
    atlas = Atlas.open(Workspace.open(home).atlas_dir)
    return atlas.movie_ids.tolist(), ()


READERS: dict[str, Read] = {
    "similar": _similar,
    "info": _info,
    "recommend": _recommend,
    "cold start": _cold_start,
    "explore": _explore,
    "map": _map,
}
WRITERS: dict[str, Write] = {
    "load": lambda home: load(home, home.parent / "other-films"),
    "import": lambda home: import_posters(home, home.parent / "more-posters", "movie"),
    "extract": extract_missing,
    "build": build,
    "add": lambda home: add(home, [NewFilm(home.parent / "more-posters" / "1.jpg", title="New (2020)")]),
    "fit": lambda home: fit(home, "ease", {"regularization": 50.0}),
    "atlas": lambda home: make_atlas(Workspace.open(home), AtlasOptions(rebuild=True)),
}


def _copy(sources: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(sources, to)) / "workspace"
