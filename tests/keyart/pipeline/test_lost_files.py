"""A part whose file is lost is named, not taken for one that was never there, and no other part shrinks by it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import keyart
from catalog.errors import DamageError, IncompleteError, KeyartError
from features.store import FeatureStore
from keyart import NewFilm, pipeline
from keyart.pipeline.status import read_status
from keyart.workspace.layout import Workspace
from posters.store import PosterStore
from tests.keyart.conftest import Run

pytestmark = pytest.mark.heavy


def lose_database(home: Path) -> None:
    for path in (home / "posters").glob("posters.sqlite*"):
        path.unlink()


def lose_file(home: Path) -> None:
    (home / "posters" / "posters.sqlite").unlink()


def lose_file_and_posters(home: Path) -> None:
    lose_file(home)
    for path in (home / "posters").glob("*.jpg"):
        path.unlink()


def lose_folder(home: Path) -> None:
    shutil.rmtree(home / "posters")


LOSSES = (lose_database, lose_file, lose_file_and_posters, lose_folder)
COMMANDS: dict[str, Callable[[Path, Path], object]] = {
    "build": lambda home, _: pipeline.build(home),
    "add": lambda home, poster: pipeline.add(home, [NewFilm(poster, "Brand New", 2029)]),
    "remove": lambda home, _: pipeline.remove(home, [3]),
}


def files_of(home: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.name != "writer.pid"
    }


@pytest.mark.parametrize("command", sorted(COMMANDS))
@pytest.mark.parametrize("lose", LOSSES)
def test_nothing_shrinks_where_the_database_of_posters_is_lost(
    home: Path, poster_folder: Path, lose: Callable[[Path], None], command: str
) -> None:
    lose(home)
    before = files_of(home)
    with pytest.raises((DamageError, IncompleteError), match=r"posters"):
        COMMANDS[command](home, poster_folder / "2.jpg")
    assert files_of(home) == before


@pytest.mark.parametrize("lose", LOSSES)
def test_lost_posters_are_named_and_brought_back(
    home: Path, poster_folder: Path, lose: Callable[[Path], None], run: Run
) -> None:
    lose(home)
    (reason,) = read_status(Workspace.open(home)).damaged
    assert str(home / "posters") in reason
    finding = next(one for one in pipeline.check(home).findings if one.path == "posters/posters.sqlite")
    own = home / "posters"
    source = own if (own / "1.jpg").exists() else poster_folder
    brings = f"`keyart import {own} --by movie" if source == own else "`keyart fetch"
    assert finding.remedy.startswith(f"put back a copy of it, or run {brings}")
    with keyart.open(home) as engine:
        assert any(note.startswith(f"results come without posters: {own}") for note in engine.similar(1).notes)
    assert run("import", source, "--by", "movie", "--home", home).code == 0
    assert pipeline.check(home).is_whole
    assert pipeline.build(home).n_indexed == 5


def test_looks_are_not_forgotten_where_the_database_of_posters_is_lost(tastes_home: Path) -> None:
    with keyart.open(tastes_home) as engine:
        engine.cold_start([NewFilm(tastes_home / "posters" / "1.jpg")])
    lose_database(tastes_home)
    before = files_of(tastes_home / "looks")
    with keyart.open(tastes_home) as engine, pytest.raises(IncompleteError, match="not registered"):
        engine.cold_start([NewFilm(tastes_home / "posters" / "1.jpg")])
    assert before
    assert files_of(tastes_home / "looks") == before


def test_posters_that_are_not_registered_are_not_planned_to_be_fetched(home: Path, run: Run) -> None:
    lose_database(home)
    assert "not registered, such as 1.jpg, which might be replaced" in run("fetch", "--dry-run", "--home", home).err
    assert "not registered, such as 1.jpg" in run("fetch", "--report", "--home", home).err


def test_a_store_whose_database_is_lost_is_not_opened_to_write(home: Path) -> None:
    lose_file(home)
    with pytest.raises(DamageError, match=r"posters\.sqlite is missing; put it back, or run `keyart check`"):
        PosterStore.open(home / "posters")
    assert (home / "posters" / "posters.sqlite.json").exists()


def test_check_creates_no_database_in_place_of_a_lost_one(home: Path) -> None:
    for path in (home / "posters" / "posters.sqlite", home / "catalog.sqlite"):
        path.rename(home / "kept")
        pipeline.check(home)
        assert not path.exists()
        (home / "kept").rename(path)


@pytest.mark.parametrize("names", [["catalog.sqlite"], ["catalog.sqlite", "catalog.sqlite.json"]])
def test_load_says_what_is_lost_with_a_catalog(
    home: Path, movielens: Path, poster_folder: Path, names: list[str]
) -> None:
    pipeline.add(home, [NewFilm(poster_folder / "2.jpg", "Brand New", 2029)])
    for name in names:
        (home / name).unlink()
    lost = "the earlier catalog is missing: films that were added to it, and content that was loaded, are lost"
    assert any(note.startswith(lost) for note in pipeline.load(home, movielens).notes)
    assert not any("the earlier catalog" in note for note in pipeline.load(home, movielens).notes)


def test_a_first_load_speaks_of_no_earlier_catalog(tmp_path: Path, movielens: Path) -> None:
    for _ in range(2):
        assert not any("the earlier catalog" in note for note in pipeline.load(tmp_path / "new", movielens).notes)
        (tmp_path / "new" / "catalog.sqlite").unlink()
        (tmp_path / "new" / "catalog.sqlite.json").unlink()


def test_build_says_that_an_index_has_lost_its_features(home: Path) -> None:
    before = files_of(home / "index")
    shutil.rmtree(home / "features")
    notes = " ".join(pipeline.build(home).notes)
    assert "the index is as it was: it has lost its features; run `keyart extract" in notes
    assert "none of its posters is left" not in notes
    assert files_of(home / "index") == before
    with pytest.raises(KeyartError):
        FeatureStore.open(home / "features")
