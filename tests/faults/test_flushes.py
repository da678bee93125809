"""A writer that is interrupted, or meets an error, right after a file took its name loses nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.io.arrays import open_arrays, save_arrays
from index.cosine import CosineIndex
from index.neighbors import write_neighbors
from index.source import FilmFeatures
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.cold_start.new_film import NewFilm
from keyart.cold_start.predictor import open_cold_start
from keyart.pipeline.additions import add
from keyart.pipeline.features import extract_missing
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.pipeline.recommenders import fit, tune
from keyart.pipeline.status import Status, read_status
from keyart.workspace.contents import open_ratings
from keyart.workspace.index import open_index
from keyart.workspace.layout import Workspace
from tests.faults.flushes import ERRORS, interrupted
from tests.faults.small_workspace import N_FILMS, layout, make_workspace, write_films, write_posters

Write = Callable[[Path], object]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_arrays_that_a_record_names_are_kept(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(number: int) -> None:
        save_arrays(tmp_path, "model", "kind", 1, {"number": number}, {"numbers": np.array([number])})

    save(0)
    for n in interrupted(lambda: save(1), monkeypatch, error):
        content, arrays = open_arrays(tmp_path, "model", "kind", 1)
        # The arrays took their name in the first flush, the record in the second.
        assert content["number"] == arrays["numbers"] == n
    assert n == 1
    save(2)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_index_that_its_record_names_is_kept(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    identity = {"backbone": "random", "n_features": 4}
    small, large = (
        CosineIndex.build(FilmFeatures.of(np.arange(1, n + 1), rows[:n]), identity, fingerprint=str(n)) for n in (8, 9)
    )
    small.save(tmp_path)
    for _ in interrupted(lambda: large.save(tmp_path), monkeypatch, error):
        with CosineIndex.open(tmp_path) as index:
            assert len(index) == int(index.fingerprint)
            last = index.fingerprint
    assert last == "9"


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_ratings_that_a_catalog_names_are_kept(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (write_films(tmp_path / str(seed), seed=seed) for seed in range(2))
    before = load(tmp_path / "before", first).n_ratings
    home = tmp_path / "workspace"

    def load_second() -> None:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(tmp_path / "before", home)
        load(home, second)

    for _ in interrupted(load_second, monkeypatch, error):
        n_ratings = len(open_ratings(Workspace.open(home)))
        assert n_ratings > 0
    assert n_ratings != before


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace whose features are newer than its index, and with what can be loaded into it."""
    folder = tmp_path_factory.mktemp("sources")
    home = make_workspace(folder)
    write_films(folder / "other-films", seed=1)
    write_posters(folder / "other-posters", seed=1, n_films=3)
    import_posters(home, folder / "other-posters", "movie")
    extract_missing(home)
    write_posters(folder / "more-posters", seed=2, n_films=2)
    return folder


def _neighbors(home: Path) -> None:
    with open_index(Workspace.open(home)) as index:
        write_neighbors(index, 3, home.parent / "neighbors.parquet")


def _extract(home: Path) -> None:
    import_posters(home, home.parent / "more-posters", "movie")
    extract_missing(home)


WRITERS: dict[str, Write] = {
    "load": lambda home: load(home, home.parent / "other-films"),
    "extract": _extract,
    "build": build,
    "fit": lambda home: fit(home, "ease"),
    "tune": lambda home: tune(home, n_films=5),
    "atlas": lambda home: make_atlas(Workspace.open(home), AtlasOptions()),
    "cold start": lambda home: open_cold_start(Workspace.open(home)),
    "add": lambda home: add(home, [NewFilm(home.parent / "more-posters" / "1.jpg", title="New (2020)")]),
    "neighbors": _neighbors,
}


def _facts(home: Path) -> tuple[Any, ...]:
    """Return what a workspace holds, and its files."""
    status = read_status(Workspace.open(home))
    assert status.damaged == ()
    return (*_counts(status), status.n_films, status.index_is_current, layout(home.parent))


def _counts(status: Status) -> tuple[int, ...]:
    return status.n_ratings, status.n_posters, status.n_features, status.n_indexed, status.n_similar


@pytest.mark.faults
@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("writer", WRITERS)
def test_no_command_loses_what_took_its_name(
    writer: str, error: BaseException, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, homes = WRITERS[writer], [_copy(sources, tmp_path / "undisturbed")]
    write(homes[0])
    expected = _facts(homes[0])

    def write_to_copy() -> None:
        homes.append(_copy(sources, tmp_path / str(len(homes))))
        write(homes[-1])

    for n in interrupted(write_to_copy, monkeypatch, error):
        home = homes[-1]
        status = read_status(Workspace.open(home))
        assert status.damaged == (), n
        assert min(_counts(status)) > 0, n
        assert status.n_films >= N_FILMS, n
        write(home)
        assert _facts(home) == expected, n
        shutil.rmtree(home.parent)
    assert len(homes) > 2


def _copy(sources: Path, to: Path) -> Path:
    return Path(shutil.copytree(sources, to)) / "workspace"
