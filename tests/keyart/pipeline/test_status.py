"""The status of a workspace, and the next step it names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from catalog.errors import NotBuiltError
from features.options import ExtractOptions
from keyart import NewFilm, pipeline
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.engine import Engine
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.pipeline.status import read_status
from keyart.workspace.layout import Workspace
from tests.damage import flip_bit
from tests.keyart.conftest import Run
from tests.records import rewrite_record


def test_steps_out_of_order_name_the_step_before(movielens: Path, tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match="keyart load"):
        Workspace.open(tmp_path / "new")
    load(tmp_path / "new", movielens)
    with pytest.raises(NotBuiltError, match=r"`keyart fetch --home .*` or `keyart import FOLDER --by imdb --home"):
        extract(Workspace.open(tmp_path / "new"), ExtractOptions(weights="random"))


def test_status_names_the_next_step(movielens: Path, poster_folder: Path, backbone_path: Path, tmp_path: Path) -> None:
    load(tmp_path / "new", movielens)
    workspace = Workspace.open(tmp_path / "new")

    def next_step() -> str:
        return read_status(workspace).next_step()

    assert "keyart fetch" in next_step()
    import_posters(workspace, poster_folder, "movie")
    assert next_step() == "`keyart extract`: 5 posters have no features yet"
    extract(workspace, ExtractOptions(str(backbone_path)))
    assert "keyart build" in next_step()
    build(workspace)
    assert next_step() == "`keyart similar TITLE`, or `keyart serve` to look and click"
    found = read_status(workspace)
    assert sum(found.posters.values()) == found.n_films == 6
    assert (found.n_posters, found.n_features, found.n_indexed, found.n_similar) == (5, 5, 5, 5)


def test_status_lists_damage(home: Path) -> None:
    next(home.glob("index/*.faiss")).write_bytes(b"no index")
    next(home.glob("features/*.npy")).write_bytes(b"no array")
    next(home.glob("ratings-*.parquet")).write_bytes(b"no table")
    found = read_status(Workspace.open(home))
    assert len(found.damaged) == 3
    assert all("run `keyart" in reason for reason in found.damaged)


def test_an_index_of_other_features_is_out_of_date_and_not_damaged(home: Path, backbone_path: Path, run: Run) -> None:
    extract(home, ExtractOptions(str(backbone_path), resize="nearest", rebuild=True))
    found = read_status(Workspace.open(home))
    assert found.damaged == ()
    assert found.next_step() == "`keyart build`: the index is out of date"
    assert found.to_dict()["notes"] == ["the index is out of date: run `keyart build`"]
    assert f"5 films (exact), out of date: run `keyart build --home {home}`" in run("info", "--home", home).out
    build(home)
    assert read_status(Workspace.open(home)).notes == ()


def test_an_index_of_another_version_is_out_of_date_and_not_damaged(home: Path) -> None:
    path = home / "index" / "index.json"
    rewrite_record(path, lambda record: {**record, "version": 1})
    found = read_status(Workspace.open(home))
    assert found.damaged == ()
    assert found.next_step() == "`keyart build`: the index is out of date"


def test_status_notices_ratings_loaded_since_the_build(home: Path, movielens: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(movielens, tmp_path / "movielens"))
    with (folder / "ratings.csv").open("a") as stream:
        stream.writelines(f"{user},6,{5 if user % 2 else 1},1\n" for user in range(1, 41))
    load(home, folder)
    assert read_status(Workspace.open(home)).next_step() == "`keyart build`: the item similarities are out of date"
    assert "loaded earlier" in Engine.open(home).similar(1).notes[0]
    build(Workspace.open(home))
    assert (
        read_status(Workspace.open(home)).next_step() == "`keyart similar TITLE`, or `keyart serve` to look and click"
    )
    assert 6 in [hit.movie_id for hit in Engine.open(home).similar(1, alpha=0)]


def test_fetch_is_not_suggested_for_films_without_links(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "movies.csv").write_text("movieId,title,genres\n1,Alone (1990),Drama\n")
    report = load(tmp_path / "home", tmp_path / "films")
    assert any("posters cannot be fetched; `keyart import FOLDER --by movie --home" in note for note in report.notes)
    assert "fetch" not in read_status(Workspace.open(tmp_path / "home")).next_step()


@pytest.mark.parametrize("damage", ["flip", "remove", "folder"])
def test_info_says_what_is_damaged_anywhere(tastes_home: Path, damage: str) -> None:
    Engine.open(tastes_home).cold_start([NewFilm(tastes_home / "posters" / "1.jpg")])
    pipeline.fit(tastes_home, "most-rated")
    pipeline.tune(tastes_home, n_films=5)
    make_atlas(Workspace.open(tastes_home), AtlasOptions())
    patterns = (
        "cf/*/*.npz",
        "looks/*.npz",
        "atlas/*.npz",
        "atlas/*.webp",
        "hybrid.json",
        "index/*.npz",
        "index/*.faiss",
    )
    paths = [path for pattern in patterns for path in sorted(tastes_home.glob(pattern))]
    assert len(paths) >= 6
    assert read_status(Workspace.open(tastes_home)).damaged == ()
    for path in paths:
        content = path.read_bytes()
        if damage == "flip":
            flip_bit(path)
        else:
            path.unlink()
            if damage == "folder":
                path.mkdir()
        found = read_status(Workspace.open(tastes_home))
        # A blend without a record is one that was never tuned.
        is_default = path.name == "hybrid.json" and damage == "remove"
        assert bool(found.damaged) != is_default, path
        assert is_default or found.next_step().startswith("`keyart check --repair`")
        if damage == "folder":
            path.rmdir()
        path.write_bytes(content)
    assert read_status(Workspace.open(tastes_home)).damaged == ()


def test_a_missing_file_is_damage_and_not_what_was_never_built(home: Path, run: Run) -> None:
    (path,) = home.glob("cf/item-cosine/*.npz")
    path.unlink()
    outcome = run("similar", 1, "--home", home)
    assert outcome.code == 1
    assert f"item-cosine in {path.parent} is damaged" in outcome.err
    assert path.name in outcome.err
