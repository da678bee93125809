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
from tests.damage import flip_bit
from tests.keyart.conftest import Run
from tests.keyart.pipeline.test_alternates import put_alternates

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


def test_build_and_check_say_that_an_index_has_lost_its_features(home: Path) -> None:
    before = files_of(home / "index")
    shutil.rmtree(home / "features")
    (finding,) = pipeline.check(home).findings
    assert (finding.path, finding.problem) == ("features", "it is missing, though an index was built of its features")
    notes = " ".join(pipeline.build(home).notes)
    assert "the index is as it was: it has lost its features; run `keyart extract" in notes
    assert "none of its posters is left" not in notes
    assert files_of(home / "index") == before
    with pytest.raises(KeyartError):
        FeatureStore.open(home / "features")


@pytest.fixture
def further(home: Path) -> Path:
    """A workspace with a further poster of a film, which is compared."""
    put_alternates(home, 5, 2)
    pipeline.extract_missing(home)
    assert pipeline.build(home).n_alternates == 1
    assert pipeline.check(home).is_whole
    assert read_status(Workspace.open(home)).notes == ()
    return home


@pytest.mark.parametrize("pattern", ["*.npz", "*.faiss", "index.json"])
@pytest.mark.parametrize("harm", [flip_bit, Path.unlink])
def test_a_damaged_index_of_further_posters_is_named_by_info(
    further: Path, pattern: str, harm: Callable[[Path], None]
) -> None:
    (path,) = (further / "index" / "alternates").glob(pattern)
    harm(path)
    found = read_status(Workspace.open(further))
    assert any(str(path.parent) in reason for reason in found.damaged), found.damaged
    assert {one.path for one in pipeline.check(further).findings} == {"index/alternates/index.json"}
    assert pipeline.check(further, repair=True).is_whole


def test_further_posters_whose_record_is_lost_are_not_forgotten(further: Path) -> None:
    (further / "features" / "alternates" / "features.json").unlink()
    before = files_of(further / "index" / "alternates")
    (reason,) = read_status(Workspace.open(further)).damaged
    assert "features.json, which tells what they are of, is missing" in reason
    notes = " ".join(pipeline.build(further).notes)
    assert "further posters are not compared: " in notes
    assert "run `keyart extract" in notes
    assert files_of(further / "index" / "alternates") == before
    assert pipeline.check(further, repair=True).is_whole
    assert pipeline.build(further).n_alternates == 1


def test_build_says_that_further_posters_have_lost_their_features(further: Path) -> None:
    shutil.rmtree(further / "features" / "alternates")
    assert "1 further poster has no features" in {one.problem for one in pipeline.check(further).findings}
    notes = " ".join(pipeline.build(further).notes)
    assert "1 further poster has no features, so the index of them was removed; run `keyart extract" in notes


def test_check_compares_further_posters_with_what_is_made_of_them(further: Path) -> None:
    def problems() -> dict[str, str]:
        return {one.path: one.problem for one in pipeline.check(further).findings}

    shutil.rmtree(further / "index" / "alternates")
    assert problems() == {"index/alternates/index.json": "it is missing, though further posters have features"}
    pipeline.build(further)
    put_alternates(further, 5, 88)
    assert problems()["features/alternates"] == "1 further poster has no features"
    pipeline.extract_missing(further)
    lost = "it was built from other further posters or features than there are now"
    assert problems() == {"index/alternates/index.json": lost}
    assert pipeline.check(further, repair=True).is_whole


def test_partial_files_of_further_posters_are_leftovers(further: Path) -> None:
    names = [f"{folder}/alternates/.x.partial" for folder in ("posters", "features", "index")]
    for name in names:
        (further / name).write_bytes(b"half")
    assert sorted(one.path for one in pipeline.check(further).findings) == sorted(names)
    assert pipeline.check(further, repair=True).is_whole
    assert not any((further / name).exists() for name in names)
