"""The way in, step by step."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from catalog.errors import ConfigError, DataError, NotBuiltError, StoreError
from catalog.films import Catalog
from features.options import ExtractOptions
from index.options import IndexOptions
from keyart.engine import Engine
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.pipeline.status import read_status
from keyart.workspace.contents import open_ratings
from keyart.workspace.layout import Workspace


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_load_brings_films_links_and_ratings(movielens: Path, tmp_path: Path) -> None:
    report = load(tmp_path / "new", movielens)
    assert (report.n_films, report.n_ratings, report.n_users) == (6, 161, 40)
    film = Catalog.open(tmp_path / "new" / "catalog.sqlite").film(1)
    assert (film.label, film.imdb_id, film.tmdb_id, film.n_ratings) == ("The Harbour (1990)", "0000011", 101, 40)
    assert any("1 films have no tmdbId" in note for note in report.notes)


def test_ratings_of_films_that_are_not_listed_are_passed_over(movielens: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(movielens, tmp_path / "movielens"))
    with (folder / "ratings.csv").open("a") as stream:
        stream.write("1,999,4.0,1\n")
    report = load(tmp_path / "new", folder)
    assert report.n_ratings == 161
    assert any("1 ratings are of films that the folder does not list" in note for note in report.notes)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("movies.csv", "movieId,title\n1,A\n", r"movies\.csv, line 1: .*genres missing"),
        ("links.csv", "movieId,imdbId,tmdbId\n1,x,2\n", r"links\.csv, line 2, column imdbId: expected an IMDb id"),
        ("ratings.csv", "userId,movieId,rating,timestamp\n1,1,6,1\n", r"ratings\.csv, line 2, column rating"),
    ],
)
def test_a_malformed_file_leaves_the_workspace_as_it_was(
    home: Path, movielens: Path, tmp_path: Path, name: str, text: str, message: str
) -> None:
    folder = Path(shutil.copytree(movielens, tmp_path / "movielens"))
    (folder / name).write_text(text)
    before = files_of(home)
    with pytest.raises(DataError, match=message):
        load(home, folder)
    assert files_of(home) == before
    with pytest.raises(DataError, match=message):
        load(tmp_path / "new", folder)
    assert not (tmp_path / "new").exists()


def test_loading_again_keeps_posters_and_features(home: Path, movielens: Path) -> None:
    load(home, movielens)
    assert len(list(home.glob("ratings-*.parquet"))) == 1
    assert len(Engine.open(home).similar(1, alpha=1)) == 4


def test_films_with_other_numbers_are_refused(home: Path, tmp_path: Path) -> None:
    cells = "1|Toy Story (1995)|01-Jan-1995||http://x|" + "|".join("0" * 19)
    (tmp_path / "u.item").write_text(cells + "\n")
    with pytest.raises(ConfigError, match="wrong films"):
        load(home, tmp_path)


def test_a_catalog_without_ratings_goes_by_looks(
    movielens: Path, poster_folder: Path, backbone_path: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(movielens, tmp_path / "movielens"))
    (folder / "ratings.csv").unlink()
    report = load(tmp_path / "new", folder)
    assert any("by their posters alone" in note for note in report.notes)
    workspace = Workspace.open(tmp_path / "new")
    import_posters(workspace, poster_folder, "movie")
    extract(workspace, ExtractOptions(str(backbone_path)))
    assert build(workspace).n_similar == 0
    assert len(open_ratings(workspace)) == 0
    assert Engine.open(tmp_path / "new").similar(1).hits[0].movie_id == 3


def test_steps_out_of_order_name_the_step_before(movielens: Path, tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match="keyart load"):
        Workspace.open(tmp_path / "new")
    load(tmp_path / "new", movielens)
    with pytest.raises(NotBuiltError, match=r"keyart fetch.*keyart import"):
        extract(Workspace.open(tmp_path / "new"), ExtractOptions(weights="random"))


def test_only_new_or_changed_posters_are_extracted(home: Path, poster_folder: Path, backbone_path: Path) -> None:
    workspace, how = Workspace.open(home), ExtractOptions(str(backbone_path))
    assert extract(workspace, how).n_new == 0
    folder = home / "more"
    folder.mkdir()
    shutil.copy(poster_folder / "2.jpg", folder / "1.jpg")
    shutil.copy(poster_folder / "2.jpg", folder / "4.jpg")
    import_posters(workspace, folder, "movie")
    report = extract(workspace, how)
    assert (report.n_new, report.n_known) == (2, 4)
    build(workspace)
    (first, *_) = Engine.open(home).similar(4, alpha=1)
    assert (first.movie_id, first.visual) == (1, pytest.approx(1, abs=1e-5))


def test_a_poster_that_is_gone_leaves_the_index_at_the_next_build(home: Path) -> None:
    (home / "posters" / "3.jpg").unlink()
    assert not read_status(Workspace.open(home)).index_is_current
    build(Workspace.open(home))
    assert 3 not in [hit.movie_id for hit in Engine.open(home).similar(1, alpha=1)]


def test_random_weights_are_centered_unless_told_otherwise(home: Path) -> None:
    workspace = Workspace.open(home)
    extract(workspace, ExtractOptions(weights="random", replace=True))
    assert build(workspace).centered
    centered = Engine.open(home).similar(1, alpha=1)
    assert not build(workspace, IndexOptions(center=False)).centered
    raw = Engine.open(home).similar(1, alpha=1)
    assert min(hit.score for hit in raw) > 0.5 > min(hit.score for hit in centered)


@pytest.mark.parametrize("part", ["index", "cf", "features"])
def test_a_full_disk_while_building_loses_nothing(
    home: Path, backbone_path: Path, poster_folder: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace.open(home)
    expected = [hit.movie_id for hit in Engine.open(home).similar(1)]
    before = files_of(home / part)
    if part == "features":
        shutil.copy(poster_folder / "2.jpg", home / "4.jpg")
        (home / "more").mkdir()
        shutil.move(home / "4.jpg", home / "more" / "4.jpg")
        import_posters(workspace, home / "more", "movie")
    _fill_disk(monkeypatch, home / part)
    step = (
        partial(extract, workspace, ExtractOptions(str(backbone_path)))
        if part == "features"
        else partial(build, workspace, IndexOptions(rebuild=True))
    )
    with pytest.raises(StoreError, match=rf"cannot write .*{part}.*; free some space"):
        step()
    monkeypatch.undo()
    assert files_of(home / part) == before
    assert [hit.movie_id for hit in Engine.open(home).similar(1)] == expected


def _fill_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let every file that is written into a folder end in the system's own refusal."""
    import errno
    import os

    from catalog.io import files

    flush = files._flush_to_disk

    def fail(path: Path) -> None:
        if path.parent == folder:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        flush(path)

    monkeypatch.setattr(files, "_flush_to_disk", fail)


def test_a_workspace_of_another_version_is_refused(home: Path) -> None:
    record = home / "workspace.json"
    record.write_text(record.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(DataError, match=r"version 2, this keyart reads version 1.*--home DIR"):
        Engine.open(home)


def test_a_folder_in_other_use_is_not_made_a_workspace(movielens: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(ConfigError, match="neither empty nor a keyart workspace"):
        load(tmp_path, movielens)


def test_the_inventory_names_the_next_step(
    movielens: Path, poster_folder: Path, backbone_path: Path, tmp_path: Path
) -> None:
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


def test_the_inventory_tells_what_is_damaged(home: Path) -> None:
    next(home.glob("index/*.faiss")).write_bytes(b"no index")
    next(home.glob("features/*.npy")).write_bytes(b"no array")
    next(home.glob("ratings-*.parquet")).write_bytes(b"no table")
    found = read_status(Workspace.open(home))
    assert len(found.damaged) == 3
    assert all("run `keyart" in reason for reason in found.damaged)


def test_ratings_loaded_since_the_build_are_noticed(home: Path, movielens: Path, tmp_path: Path) -> None:
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


def test_an_index_of_which_no_poster_is_left_goes(home: Path) -> None:
    for path in (home / "posters").glob("*.jpg"):
        path.unlink()
    assert build(Workspace.open(home)).n_indexed == 0
    assert read_status(Workspace.open(home)).next_step().startswith("`keyart similar TITLE`, by ratings alone")
    assert Engine.open(home).similar(1).hits[0].visual is None


def test_films_without_links_are_not_sent_to_tmdb(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "movies.csv").write_text("movieId,title,genres\n1,Alone (1990),Drama\n")
    report = load(tmp_path / "home", tmp_path / "films")
    assert any("only imported" in note for note in report.notes)
    assert "fetch" not in read_status(Workspace.open(tmp_path / "home")).next_step()


def test_hits_are_found_however_many_films_left_the_catalog(home: Path) -> None:
    # Of the films that look like 1, only the last is still listed.
    last = [hit.movie_id for hit in Engine.open(home).similar(1, alpha=1)][-1]
    films = [film for film in Catalog.open(home / "catalog.sqlite") if film.movie_id in (1, last)]
    Catalog.create(home / "catalog.sqlite", films, {"numbering": "movielens"})
    assert [hit.movie_id for hit in Engine.open(home).similar(1, k=1, alpha=1)] == [last]
