"""Adding new films to a workspace."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from catalog.ids import FIRST_ADDED_ID
from features.shards import read_table
from features.shards import remove as remove_shard
from features.store import FeatureStore
from keyart.cold_start.new_film import NewFilm
from keyart.engine import Engine
from keyart.pipeline.additions import add
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.removals import remove
from keyart.pipeline.status import read_status
from keyart.workspace.films import PosterReader
from keyart.workspace.layout import Workspace
from posters.database import Origin, Source
from posters.store import PosterStore
from tests.damage import flip_bit
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster

pytestmark = pytest.mark.heavy


@pytest.fixture
def poster(tmp_path: Path) -> Path:
    """A poster that looks like the one of film 2."""
    path = tmp_path / "new.jpg"
    path.write_bytes(draw_poster(2, size=(124, 186)))
    return path


def state_of(home: Path) -> tuple[object, ...]:
    found = read_status(Workspace.open(home))
    return found.n_films, found.n_added, found.n_posters, found.n_features, found.n_indexed


def test_added_film_is_searchable_at_once(home: Path, poster: Path, run: Run) -> None:
    outcome = run("add", poster, "--title", "Brand New (2029)", "--genre", "drama", "--home", home)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"added: Brand New (2029)  [{FIRST_ADDED_ID}]\n6 films indexed by looks\n"
    engine = Engine.open(home)
    film = engine.find("brand new")
    assert (film.movie_id, film.year, film.genres) == (FIRST_ADDED_ID, 2029, ("Drama",))
    assert next(iter(engine.similar("Brand New"))).movie_id == 2
    assert next(iter(engine.similar(2, alpha=1))).movie_id == FIRST_ADDED_ID
    assert state_of(home) == (7, 1, 6, 6, 6)


def test_add_takes_new_films_and_reports_a_dictionary(home: Path, poster: Path) -> None:
    film = NewFilm(poster, "Brand New", 2029, ["Drama"])
    report = add(str(home), [film]).to_dict()
    assert json.loads(json.dumps(report))["added"][0]["movie_id"] == FIRST_ADDED_ID
    assert (len(report["added"]), report["known"], report["n_indexed"], report["notes"]) == (1, (), 6, [])
    assert add(Workspace.open(home), [film]).known[0].title == "Brand New"


def test_adding_again_changes_nothing(home: Path, poster: Path, run: Run) -> None:
    words = ("add", poster, "--title", "Brand New (2029)", "--home", home)
    run(*words)
    before = (home / "catalog.sqlite").stat().st_ino
    outcome = run(*words)
    assert outcome.out.startswith(f"already here: Brand New (2029)  [{FIRST_ADDED_ID}]\n")
    assert (home / "catalog.sqlite").stat().st_ino == before
    assert state_of(home) == (7, 1, 6, 6, 6)


@pytest.mark.parametrize(
    "reached", [("posters",), ("posters", "catalog.sqlite"), ("posters", "catalog.sqlite", "features")]
)
def test_adding_again_finishes_interrupted_work(
    home: Path, poster: Path, run: Run, tmp_path: Path, reached: tuple[str, ...]
) -> None:
    """The workspace is as a process killed between two steps leaves it."""
    whole = Path(shutil.copytree(home, tmp_path / "whole"))
    words = ("add", poster, "--title", "Brand New (2029)")
    run(*words, "--home", whole)
    for name in reached:
        if (whole / name).is_dir():
            shutil.rmtree(home / name)
            shutil.copytree(whole / name, home / name)
        else:
            shutil.copy(whole / name, home / name)
    assert state_of(home) != state_of(whole)
    assert run(*words, "--home", home).code == 0
    assert state_of(home) == state_of(whole)
    hits = [[(hit.movie_id, hit.visual) for hit in Engine.open(one).similar("Brand New")] for one in (home, whole)]
    assert hits[0] == hits[1]


def test_added_films_are_kept_by_a_load(home: Path, poster: Path, movielens: Path, run: Run, tmp_path: Path) -> None:
    run("add", poster, "--title", "Brand New (2029)", "--movie-id", "7", "--home", home)
    run("add", poster, "--title", "Newer Still (2030)", "--home", home)
    load(home, movielens)
    assert state_of(home) == (8, 2, 7, 7, 7)
    larger = Path(shutil.copytree(movielens, tmp_path / "larger"))
    with (larger / "movies.csv").open("a") as stream:
        stream.write("7,Brand New (2029),Drama\n8,Newer Still (2030),Drama\n")
    report = load(home, larger)
    assert f"Newer Still (2030) was added as movie_id {FIRST_ADDED_ID}, and was now loaded as 8" in report.notes
    # A film that MovieLens lists under the same id no longer counts as added.
    assert state_of(home)[:2] == (9, 1)
    assert run("info", "--home", home).out.splitlines()[1] == "films         8 from larger, 1 added"


def test_adds_films_of_a_folder_or_csv(home: Path, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    for name, seed in (("Alpha (2001).jpg", 11), ("Beta (2002).jpg", 12)):
        (folder / name).write_bytes(draw_poster(seed))
    (tmp_path / "films.csv").write_text("path,title,year,movie_id\nfilms/Beta (2002).jpg,Gamma,2003,77\n")
    assert run("add", folder, "--home", home).out.splitlines()[:2] == [
        f"added: Alpha (2001)  [{FIRST_ADDED_ID}]",
        f"added: Beta (2002)  [{FIRST_ADDED_ID + 1}]",
    ]
    assert run("add", tmp_path / "films.csv", "--home", home).out.splitlines()[0] == "added: Gamma (2003)  [77]"
    assert state_of(home) == (9, 3, 8, 8, 8)
    assert next(iter(Engine.open(home).similar("Gamma"))).title == "Beta"


def test_adds_to_a_workspace_without_features(movielens: Path, poster: Path, run: Run, tmp_path: Path) -> None:
    shutil.copytree(movielens, tmp_path / "movielens")
    (tmp_path / "movielens" / "ratings.csv").unlink()
    home = tmp_path / "bare"
    load(home, tmp_path / "movielens")
    outcome = run("add", poster, "--title", "Brand New (2029)", "--home", home)
    assert outcome.code == 0
    at = f"--home {home}`"
    assert f"no features here yet: found by title only; run `keyart extract {at} and `keyart build {at}" in outcome.err
    assert state_of(home) == (7, 1, 1, 0, 0)


def test_adds_to_a_workspace_without_an_index(home: Path, poster: Path, run: Run) -> None:
    shutil.rmtree(home / "index")
    outcome = run("add", poster, "--title", "Brand New (2029)", "--home", home)
    assert outcome.err == f"note: no index here yet: found by title only; run `keyart build --home {home}`\n"
    assert state_of(home) == (7, 1, 6, 6, 0)


def test_an_imdb_id_is_no_movie_id(home: Path, poster: Path, run: Run) -> None:
    outcome = run("add", poster, "--title", "X", "--movie-id", "0000011", "--home", home)
    assert (outcome.code, "0000011 is an IMDb id; give it as --imdb-id" in outcome.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--title", "Harbour, The (1990)"], "The Harbour (1990) is in the catalog already, as movie_id 1; to give"),
        (
            ["--title", "X", "--tmdb-id", "102"],
            "the tmdb_id 102 is in the catalog already, as movie_id 2, Twin (1991)",
        ),
        (["--title", "X", "--imdb-id", "tt13"], "the imdb_id 0000013 is in the catalog already, as movie_id 3, Twin"),
        (["--title", "X", "--movie-id", "5"], "the movie_id 5 is that of Seldom Seen (1994); leave it out"),
        (["--title", "X", "--year", "19999"], "expected a year from 1870 to"),
        (["--title", "X", "--genre", "Dramma"], "no film is of the genre 'Dramma' (did you mean Drama?); there are"),
        ([], 'the film needs a title: --title "Heat (1995)"'),
    ],
)
def test_refused_films_change_nothing(home: Path, poster: Path, run: Run, words: list[str], message: str) -> None:
    before = state_of(home)
    outcome = run("add", poster, *words, "--home", home)
    assert outcome.code == 1
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert state_of(home) == before


def test_all_films_or_none_are_added(home: Path, run: Run, tmp_path: Path) -> None:
    for seed in (11, 12):
        (tmp_path / f"{seed}.jpg").write_bytes(draw_poster(seed))
    (tmp_path / "bad.jpg").write_text("hello")
    path, before = tmp_path / "films.csv", state_of(home)
    for lines, message in (
        (
            "11.jpg,Alpha\nbad.jpg,Beta\n",
            "bad.jpg: expected an image (JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP), received a text file; noth",
        ),
        ("11.jpg,Alpha\n12.jpg,alpha!\n", "12.jpg and "),
        ("11.jpg,Alpha\nmissing.jpg,Beta\n", "missing.jpg: cannot be read: No such file"),
        ("11.jpg,Alpha\n12.jpg,The Harbour (1990)\n", "12.jpg: The Harbour (1990) is in the catalog already"),
    ):
        path.write_text("path,title\n" + lines)
        outcome = run("add", path, "--home", home)
        assert (outcome.code, state_of(home)) == (1, before)
        assert message in outcome.err
    assert run("add", path, "--title", "X", "--home", home).err.startswith(f"keyart: {path} describes its films itself")
    assert "does not exist; expected a poster" in run("add", tmp_path / "none", "--home", home).err


def test_added_film_keeps_its_poster(home: Path, poster: Path, run: Run) -> None:
    run("add", poster, "--title", "Brand New (2029)", "--home", home)
    poster.write_bytes(draw_poster(9))
    outcome = run("add", poster, "--title", "Brand New (2029)", "--home", home)
    assert outcome.code == 1
    assert f"is in the catalog already, as movie_id {FIRST_ADDED_ID}" in outcome.err


def two_shards(home: Path) -> None:
    """Divide the features of a workspace into a shard of films 1 to 3 and another one."""
    store = FeatureStore.open(home / "features")
    (table,) = (read_table(store.folder, 0),)
    (features,) = list(store.blocks(store.rows()))
    remove_shard(store.folder, 0)
    for part in (slice(0, 3), slice(3, None)):
        store.append(table[part], features[part])


def hits_of(home: Path) -> dict[int, list[tuple[int, float]]]:
    engine = Engine.open(home)
    return {film: [(hit.movie_id, hit.score) for hit in engine.similar(film)] for film in (1, 2, 3, 5, 6)}


@pytest.mark.parametrize("suffix", ["npy", "parquet", "json"])
def test_add_computes_the_features_of_a_damaged_shard_again(
    home: Path, poster: Path, run: Run, suffix: str, tmp_path: Path
) -> None:
    two_shards(home)
    whole = Path(shutil.copytree(home, tmp_path / "whole"))
    flip_bit(home / "features" / f"features-00000.{suffix}")
    words = ("add", poster, "--title", "Brand New (2029)", "--home")
    outcome = run(*words, home)
    assert (outcome.code, outcome.out.splitlines()[-1]) == (0, "6 films indexed by looks")
    assert "note: features were computed again: the shard" in outcome.err
    run(*words, whole)
    assert (state_of(home), hits_of(home)) == (state_of(whole), hits_of(whole))


def test_add_computes_features_again_that_an_indexed_film_has_lost(home: Path, poster: Path, run: Run) -> None:
    """A command that was killed after it had removed a damaged shard leaves the workspace so."""
    two_shards(home)
    remove_shard(home / "features", 0)
    assert run("add", poster, "--title", "Brand New (2029)", "--home", home).code == 0
    assert state_of(home) == (7, 1, 6, 6, 6)


def test_says_which_films_leave_the_index_with_their_posters(home: Path, poster: Path, run: Run) -> None:
    (home / "posters" / "3.jpg").write_bytes(b"cut off")
    outcome = run("add", poster, "--title", "Brand New (2029)", "--home", home)
    assert "note: 1 poster is gone or damaged, so these films are left out (movie_id 3); run `keyart" in outcome.err
    assert state_of(home)[-1] == 5
    assert "are left out (movie_id 3)" in run("build", "--home", home).err
    assert "are left out (movie_id 3)" in run("atlas", "--home", home).err


def test_build_says_which_posters_have_no_features(home: Path, run: Run) -> None:
    two_shards(home)
    remove_shard(home / "features", 1)
    outcome = run("build", "--home", home)
    assert outcome.code == 0
    assert "note: 2 posters have no features, so these films are left out (movie_id 5, 6); run `keyart e" in outcome.err
    run("extract", "--home", home)
    assert "left out" not in run("build", "--home", home).err


def test_build_says_that_it_removes_an_index_without_posters(home: Path, run: Run) -> None:
    for path in (home / "posters").glob("*.jpg"):
        path.unlink()
    assert "the earlier index was removed, as none of its posters is left" in run("build", "--home", home).err


def test_adding_again_replaces_a_poster_that_the_disk_has_lost(home: Path, poster: Path, run: Run) -> None:
    run("add", poster, "--title", "New One", "--home", home)
    stored = next(home.glob("posters/1000000001.*"))
    content = stored.read_bytes()
    # Its length is all that a power failure left.
    stored.write_bytes(bytes(len(content)))
    outcome = run("add", poster, "--title", "New One", "--home", home)
    assert outcome.code == 0
    assert stored.read_bytes() == content


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What SQLite is asked from now on."""
    asked: list[str] = []
    connect = sqlite3.connect

    def traced(*names: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*names, **options)
        connection.set_trace_callback(asked.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return asked


def n_listings(statements: list[str], table: str) -> int:
    """Count the statements that read all rows of a table, whatever of them."""
    rest = r"(?: WHERE (?:state = 'ok'|n_ratings >= 0))?(?: ORDER BY movie_id)? *$"
    whole = re.compile(rf"SELECT (?!DISTINCT|max).* FROM {table}{rest}")
    return sum(bool(whole.match(statement)) for statement in statements)


def test_posters_and_films_are_listed_once_by_all_encoders_together(
    home_of_two: Path, poster: Path, statements: list[str]
) -> None:
    report = add(home_of_two, [NewFilm(poster, "Brand New", 2029)])
    assert (len(report.added), report.n_indexed, report.notes) == (1, 6, ())
    assert n_listings(statements, "posters") == 1
    assert n_listings(statements, "films") == 1
    statements.clear()
    remove(home_of_two, [FIRST_ADDED_ID])
    assert n_listings(statements, "posters") == 1
    statements.clear()
    build(home_of_two)
    assert n_listings(statements, "posters") == 1


def test_a_poster_that_another_process_adds_meanwhile_is_listed(home: Path, poster: Path) -> None:
    workspace = Workspace.open(home)
    posters = PosterReader(workspace)
    before = posters.read()
    assert posters.read() is before
    with PosterStore.open(home / "posters") as store:
        store.put(4, poster.read_bytes(), Origin(Source.IMPORT))
        # In the log so far.
        assert [one.movie_id for one in posters.read().posters] == [1, 2, 3, 4, 5, 6]
    (home / "posters" / "5.jpg").unlink()
    add(home, [NewFilm(poster, "Brand New", 2029)])
    after = posters.read()
    assert [one.movie_id for one in after.posters] == [1, 2, 3, 4, 6, FIRST_ADDED_ID]
    assert after.gone == (5,)
