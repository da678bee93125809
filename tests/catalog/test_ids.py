"""Ids have one bound, and whatever reads ids holds them to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from catalog.errors import ConfigError, DataError, StoreError
from catalog.film import Film
from catalog.film_ids import parse_film_id, parse_imdb_id, read_film_ids
from catalog.film_table import read_film_table
from catalog.films import Catalog
from catalog.ids import FIRST_ADDED_ID, MAX_ID, check_id
from catalog.io.files import sqlite_errors
from catalog.movielens import read_films

TOO_MUCH = MAX_ID + 1


def test_check_id_takes_what_can_be_an_id() -> None:
    assert [check_id(number, "a movie_id") for number in (1, MAX_ID)] == [1, MAX_ID]
    for number in (0, -1, TOO_MUCH, 2**63, 10**400):
        with pytest.raises(ConfigError, match="expected a movie_id from 1 to 2,147,483,647"):
            check_id(number, "a movie_id")
    for other in (True, 1.0, "1"):
        with pytest.raises(TypeError, match="should be an int"):
            check_id(other, "a movie_id")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["{}", "movie:{}", "tmdb:{}", "tt{}", "imdb.com/title/tt{}"])
def test_no_id_is_above_the_bound(text: str) -> None:
    assert parse_film_id(text.format(MAX_ID)) is not None
    assert parse_film_id(text.format(TOO_MUCH)) is None


def _table(folder: Path, header: str, row: str) -> Path:
    (folder / "films.csv").write_text(f"{header}\n{row}\n")
    return folder / "films.csv"


def _films(folder: Path, movie_id: int = 1, imdb_id: int = 1, tmdb_id: int = 1) -> Path:
    (folder / "movies.csv").write_text(f"movieId,title,genres\n{movie_id},Heat,Drama\n")
    (folder / "links.csv").write_text(f"movieId,imdbId,tmdbId\n1,{imdb_id},{tmdb_id}\n")
    return folder


@pytest.mark.parametrize(
    "read",
    [
        lambda folder: read_film_table(_table(folder, "movie_id,title", f"{TOO_MUCH},Heat")),
        lambda folder: read_film_table(_table(folder, "movie_id,title,tmdb_id", f"1,Heat,{TOO_MUCH}")),
        lambda folder: read_film_table(_table(folder, "movie_id,title,imdb_id", f"1,Heat,tt{TOO_MUCH}")),
        lambda folder: read_film_ids(_table(folder, "6", str(TOO_MUCH))),
        lambda folder: read_films(_films(folder, movie_id=TOO_MUCH)),
        lambda folder: read_films(_films(folder, imdb_id=TOO_MUCH)),
        lambda folder: read_films(_films(folder, tmdb_id=TOO_MUCH)),
        lambda folder: parse_imdb_id(f"tt{TOO_MUCH}"),
    ],
)
def test_files_with_ids_above_the_bound_are_refused(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises((DataError, ValueError), match=str(TOO_MUCH)):
        read(tmp_path)


def test_free_ids_never_pass_the_bound_and_never_meet_another_film(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path, [Film(6, "Heat"), Film(FIRST_ADDED_ID, "Of a table")], {})
    with Catalog.open(path) as catalog:
        assert list(islice(catalog.free_ids([FIRST_ADDED_ID + 2]), 2)) == [FIRST_ADDED_ID + 1, FIRST_ADDED_ID + 3]
    Catalog.add(path, [Film(FIRST_ADDED_ID + 5, "Later")])
    with Catalog.open(path) as catalog:
        assert next(catalog.free_ids()) == FIRST_ADDED_ID + 6
    Catalog.add(path, [Film(MAX_ID, "Last")])
    with Catalog.open(path) as catalog:
        assert list(islice(catalog.free_ids(), 2)) == [FIRST_ADDED_ID + 1, FIRST_ADDED_ID + 2]
        assert catalog.films([2**70, -(2**70), 6]).keys() == {6}


def test_a_film_above_the_bound_is_named_with_the_command_that_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path, [Film(TOO_MUCH, "Broken")], {})
    with pytest.raises(DataError, match=f"run `keyart remove {TOO_MUCH}`"):
        Catalog.open(path)
    with Catalog.open(path, check_ids=False) as catalog:
        assert len(catalog) == 1


def test_a_row_that_is_there_already_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path, [Film(6, "Heat")], {})
    with pytest.raises(DataError, match=r"nothing was written .*, as it holds such a row already") as caught:
        Catalog.add(path, [Film(6, "Ran")])
    assert "begin anew" not in str(caught.value)
    with Catalog.open(path) as catalog:
        assert catalog.film(6).title == "Heat"


@pytest.mark.parametrize("kind", [sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError])
def test_mistakes_in_statements_are_no_damage(kind: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"could not be used \(mistake\)$"), sqlite_errors(tmp_path / "c.sqlite"):
        raise kind("mistake")
    with pytest.raises(StoreError, match="locked"), sqlite_errors(tmp_path / "c.sqlite"):
        raise sqlite3.OperationalError("locked")
