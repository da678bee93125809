"""Films, links and ratings loaded from a MovieLens folder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from random import Random

import pytest

from catalog.errors import ConfigError, DataError
from catalog.films import Catalog
from catalog.io.files import write_bytes
from keyart.engine import Engine
from keyart.pipeline.movielens import load
from keyart.pipeline.recommenders import evaluate, fit
from keyart.pipeline.status import read_status
from keyart.recommend.models import open_model
from keyart.recommend.recommendations import recommend
from keyart.workspace.contents import open_ratings
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster
from tests.records import rewrite_record


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_load_reads_films_links_and_ratings(movielens: Path, tmp_path: Path) -> None:
    report = load(tmp_path / "new", movielens)
    assert (report.n_films, report.n_ratings, report.n_users) == (6, 161, 40)
    film = Catalog.open(tmp_path / "new" / "catalog.sqlite").film(1)
    assert (film.label, film.imdb_id, film.tmdb_id, film.n_ratings) == ("The Harbour (1990)", "0000011", 101, 40)
    assert any("1 film has no tmdbId" in note for note in report.notes)


def test_load_takes_a_path_as_text_and_reports_a_dictionary(movielens: Path, tmp_path: Path) -> None:
    report = load(str(tmp_path / "new"), str(movielens)).to_dict()
    assert json.loads(json.dumps(report)) == report
    assert (report["n_films"], report["n_ratings"], report["n_tags"]) == (6, 161, 0)
    # An open workspace is accepted too.
    assert load(Workspace.open(tmp_path / "new"), movielens).n_films == 6


def test_ratings_of_unlisted_films_are_ignored(movielens: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(movielens, tmp_path / "movielens"))
    with (folder / "ratings.csv").open("a") as stream:
        stream.write("1,999,4.0,1\n")
    report = load(tmp_path / "new", folder)
    assert report.n_ratings == 161
    assert any("1 rating is of a film that movielens does not list" in note for note in report.notes)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("movies.csv", "movieId,title\n1,A\n", r"movies\.csv, line 1: .*genres missing"),
        ("links.csv", "movieId,imdbId,tmdbId\n1,x,2\n", r"links\.csv, line 2, column imdbId: expected an IMDb id"),
        ("ratings.csv", "userId,movieId,rating,timestamp\n1,1,6,1\n", r"ratings\.csv, line 2, column rating"),
    ],
)
def test_malformed_file_leaves_the_workspace_unchanged(
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


def test_loading_the_same_ratings_keeps_models_current(home: Path, movielens: Path, tmp_path: Path) -> None:
    fit(home, "als", {"n_factors": 2})

    def outdated() -> list[str]:
        workspace = Workspace.open(home)
        status = read_status(workspace)
        parts = {"index": status.index_is_current, "similarities": status.similarities_are_current}
        return [name for name, is_current in parts.items() if not is_current] + list(open_model(workspace, "als")[1])

    load(home, movielens)
    assert outdated() == []
    folder = Path(shutil.copytree(movielens, tmp_path / "movielens"))
    header, *lines = (folder / "ratings.csv").read_text().splitlines()
    (folder / "ratings.csv").write_text("\n".join([header, *reversed(lines)]))
    load(home, folder)
    assert outdated() == []
    (folder / "ratings.csv").write_text("\n".join([header, *lines[1:]]))
    load(home, folder)
    assert outdated() == ["similarities", "the ratings have changed since als was fitted; run `keyart fit als` again"]
    # The first ratings again, which the models learned from.
    load(home, movielens)
    assert outdated() == []


def test_loading_repairs_damaged_ratings(home: Path, movielens: Path) -> None:
    (path,) = home.glob("ratings-*.parquet")
    path.write_bytes(b"no table")
    load(home, movielens)
    assert len(open_ratings(Workspace.open(home))) == 161
    assert len(list(home.glob("ratings-*.parquet"))) == 1


def test_films_with_other_movie_ids_are_refused(home: Path, tmp_path: Path) -> None:
    cells = "1|Toy Story (1995)|01-Jan-1995||http://x|" + "|".join("0" * 19)
    (tmp_path / "u.item").write_text(cells + "\n")
    with pytest.raises(ConfigError, match="wrong films"):
        load(home, tmp_path)


def test_workspace_of_another_version_is_refused(home: Path) -> None:
    record = home / "workspace.json"
    rewrite_record(record, lambda content: {**content, "version": 2})
    with pytest.raises(DataError, match=r"version 2, this keyart reads version 1.*--home DIR"):
        Engine.open(home)


def test_folder_in_other_use_does_not_become_a_workspace(movielens: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(ConfigError, match="neither empty nor a keyart workspace"):
        load(tmp_path, movielens)


def test_a_table_of_films_with_posters_needs_no_movielens(tmp_path: Path, run: Run) -> None:
    (tmp_path / "posters").mkdir()
    for movie_id in (21, 34):
        (tmp_path / "posters" / f"{movie_id}.jpg").write_bytes(draw_poster(movie_id))
    table = "movie_id,title,year,path\n21,Harbor,1990,posters/21.jpg\n34,Lantern,1991,posters/34.jpg\n"
    (tmp_path / "films.csv").write_text(table)
    home = tmp_path / "home"
    outcome = run("load", tmp_path / "films.csv", "--home", home)
    assert "2 films and 0 ratings by 0 users loaded" in outcome.out
    assert "films will be compared by posters and content" in outcome.err
    assert run("import", "--csv", tmp_path / "films.csv", "--home", home).code == 0
    assert read_status(Workspace.open(home)).n_posters == 2


def test_ratings_of_a_table_of_films_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text("movie_id,title\n21,Harbor\n34,Lantern\n")
    (tmp_path / "ratings.csv").write_text("user_id,movie_id,rating\n1,21,4\n2,21,5\n2,99,1\n")
    report = load(tmp_path / "home", tmp_path / "films.csv", tmp_path / "ratings.csv")
    assert (report.n_films, report.n_ratings, report.n_users) == (2, 2, 2)
    assert "1 rating is of a film that films.csv does not list; ignored" in report.notes


def test_movielens_is_not_loaded_over_a_table_of_films(movielens: Path, tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text("movie_id,title\n1,Harbor\n")
    load(tmp_path / "home", tmp_path / "films.csv")
    with pytest.raises(ConfigError, match="holds films numbered as in film table, this one numbers them as movielens"):
        load(tmp_path / "home", movielens)


@pytest.mark.parametrize(
    ("name", "message"),
    [("ml.zip", "ml.zip cannot be unpacked: .*; download it again"), ("nowhere", "does not exist; name")],
)
def test_sources_of_no_use_say_what_to_name(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "ml.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=message):
        load(tmp_path / "home", tmp_path / name)


def test_no_folders_are_created_above_the_workspace(movielens: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a does not exist; create it first, or name another folder with --home"):
        load(tmp_path / "a" / "home", movielens)
    assert not (tmp_path / "a").exists()


def test_a_folder_whose_name_is_not_utf8_holds_a_workspace(movielens: Path, tmp_path: Path) -> None:
    home = tmp_path / os.fsdecode(b"\xdcn\xef")
    loaded = load(home, movielens)
    assert len(open_ratings(Workspace.open(home))) == loaded.n_ratings


def test_films_without_ratings_say_how_ratings_are_loaded(tmp_path: Path, run: Run) -> None:
    (tmp_path / "films.csv").write_text("movie_id,title\n1,Harbor\n")
    load(tmp_path / "home", tmp_path / "films.csv")
    for words in (["fit", "ease"], ["explore", "best"], ["recommend", "1", "--model", "most-rated"]):
        outcome = run(*words, "--home", tmp_path / "home")
        assert "keyart load films.csv --ratings FILE" in outcome.err + outcome.out, words
    assert "there are no ratings to hold out" in run("evaluate", "models", "baseline", "--home", tmp_path / "home").err


def shuffled(folder: Path, copy: Path, seed: int) -> Path:
    """Copy a MovieLens folder with the rows of every file in another order."""
    for path in folder.glob("*.csv"):
        header, *rows = path.read_text("utf-8").splitlines()
        Random(seed).shuffle(rows)
        write_bytes(copy / path.name, "\n".join([header, *rows]).encode())
    return copy


@pytest.mark.heavy
def test_the_order_of_rows_never_changes_a_result(movielens: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(movielens, tmp_path / "movielens"))
    with (folder / "ratings.csv").open("a") as stream:
        stream.write("2,1,0.5,1\n2,1,3,900\n2,1,1,900\n2,2,5,800\n")
    tags = "userId,movieId,tag,timestamp\n1,1,Sea,3\n2,1,sea,4\n3,1,harbour,2\n1,2,twins,1\n"
    write_bytes(folder / "tags.csv", tags.encode())
    answers = []
    for number in range(3):
        home = tmp_path / f"workspace-{number}"
        report = load(home, shuffled(folder, tmp_path / f"shuffled-{number}", number) if number else folder)
        assert "4 ratings of a film that the same user rated again; the latest counts" in report.notes
        fit(home, "als")
        cards = evaluate(home, ["als", "item-cosine"], "random").scorecards
        measured = [(card.rmse, card.mae, card.recall, card.ndcg, card.mrr) for card in cards]
        with Catalog.open(Workspace.open(home).catalog_path) as catalog:
            films = [*catalog, *catalog.tags()]
        answers.append((report, films, measured, recommend(Workspace.open(home), "als", 2, 10).films))
    assert answers[1:] == answers[:-1]
