from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import DataError, NotBuiltError, StoreError
from catalog.film import Film, FilmTag
from catalog.films import Catalog
from catalog.ids import FIRST_ADDED_ID
from tests.catalog.conftest import TITLES


def test_films_are_returned_by_id_without_unknown_ones(catalog: Catalog) -> None:
    found = catalog.films([6, 7, 1, 6])
    assert set(catalog.films([6, 7, 1, 6, 2**70])) == {6, 1}
    assert {movie_id: film.label for movie_id, film in found.items()} == {6: "Heat (1995)", 1: "Toy Story (1995)"}


def test_looks_up_more_films_than_sql_parameters(tmp_path: Path) -> None:
    Catalog.create(tmp_path / "c.sqlite", [Film(movie_id, f"Film {movie_id}") for movie_id in range(1, 2001)], {})
    with Catalog.open(tmp_path / "c.sqlite") as opened:
        assert len(opened.films(range(1, 3000))) == 2000


def test_iterates_over_all_films_by_id(catalog: Catalog) -> None:
    assert [film.movie_id for film in catalog] == sorted(TITLES)
    assert len(catalog) == len(TITLES)


def test_several_threads_may_read_at_once(catalog: Catalog) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: catalog.find("heat").movie_id, range(40)))
    assert found == [6] * 40


def test_closing_waits_for_the_reads_of_other_threads(tmp_path: Path) -> None:
    Catalog.create(tmp_path / "c.sqlite", [Film(number, f"Film {number}") for number in range(1, 500)], {})
    opened = Catalog.open(tmp_path / "c.sqlite")

    def read_until_closed() -> str:
        try:
            while len(list(opened)) == 499:
                pass
        except DataError as error:
            return "closed" if "closed database" in str(error) else str(error)
        return "an incomplete list"

    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(read_until_closed) for _ in range(4)]
        opened.film(1)
        opened.close()
        assert {reader.result() for reader in readers} == {"closed"}


# The file


def test_films_round_trip(tmp_path: Path) -> None:
    film = Film(7, 'Åse, "B"|C', 1995, "0114709", 862, ("Crime", "Drama"), ("L'Un", "Zwei|Drei"), 12, 3.5)
    Catalog.create(tmp_path / "c.sqlite", [film], {})
    with Catalog.open(tmp_path / "c.sqlite") as opened:
        assert opened.film(7) == film


def test_a_label_is_title_and_year() -> None:
    assert (Film(1, "Heat", 1995).label, Film(1, "Cosmos").label) == ("Heat (1995)", "Cosmos")


def test_facts_are_stored(catalog: Catalog) -> None:
    assert catalog.fact("numbering") == "movielens"
    assert catalog.fact("ratings") is None


def test_a_new_catalog_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    for title in ("Heat", "Emma"):
        Catalog.create(path, [Film(1, title)], {"title": title})
    with Catalog.open(path) as opened:
        assert ([film.title for film in opened], opened.fact("title")) == (["Emma"], "Emma")


def test_an_open_catalog_is_unaffected_by_its_replacement(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    Catalog.create(path, [Film(1, "Heat")], {})
    with Catalog.open(path) as opened:
        Catalog.create(path, [Film(1, "Emma")], {})
        assert opened.film(1).title == "Heat"


def _interrupted_films() -> Iterator[Film]:
    yield Film(1, "Emma")
    raise DataError("the file ends here")


def test_an_interrupted_load_keeps_the_old_catalog(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    Catalog.create(path, [Film(1, "Heat")], {})
    with pytest.raises(DataError, match="the file ends here"):
        Catalog.create(path, _interrupted_films(), {})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.sqlite", "c.sqlite.json"]
    with Catalog.open(path) as opened:
        assert opened.film(1).title == "Heat"


@pytest.mark.parametrize("n_bytes", [100, 30_000, 100_000])
def test_a_full_disk_keeps_the_old_catalog(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]], n_bytes: int
) -> None:
    path = tmp_path / "c.sqlite"
    Catalog.create(path, [Film(1, "Heat")], {})
    many = [Film(movie_id, f"Film {movie_id}" * 5) for movie_id in range(1, 2001)]
    with pytest.raises(StoreError, match=r"cannot write .*c\.sqlite: .*run the same command again"), full_disk(n_bytes):
        Catalog.create(path, many, {})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.sqlite", "c.sqlite.json"]
    with Catalog.open(path) as opened:
        assert opened.film(1).title == "Heat"


def test_a_missing_catalog_is_reported_with_the_command_to_run(tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match=r"no films here yet .*; run `keyart load DIR`"):
        Catalog.open(tmp_path / "c.sqlite")


def test_a_catalog_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    Catalog.create(path, [Film(1, "Heat")], {})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(DataError, match=r"a catalog of version 2, this keyart reads version 1; run `keyart load DIR`"):
        Catalog.open(path)


@pytest.mark.parametrize("content", [b"", b"once upon a time " * 100], ids=["empty", "text"])
def test_another_file_is_refused_as_catalog(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.sqlite"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"c\.sqlite is "):
        Catalog.open(path)


def test_a_catalog_is_read_only(catalog: Catalog) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        catalog._connection.execute("DELETE FROM films")


def test_the_path_may_contain_characters_of_a_uri(tmp_path: Path) -> None:
    path = tmp_path / "100% #1?" / "c.sqlite"
    Catalog.create(path, [Film(1, "Heat")], {})
    with Catalog.open(path) as opened:
        assert len(opened) == 1


# Films that are added


def test_added_films_are_listed_separately_and_found_by_title(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path, [Film(6, "Heat", 1995)], {"ratings": "r"})
    new = Film(FIRST_ADDED_ID, "Heat Again", 2030, "0000007", 7, ("Drama",), ("La Chaleur",))
    with Catalog.open(path) as before:
        Catalog.add(path, [new])
        assert (len(before), before.added()) == (1, [])
    with Catalog.open(path) as catalog:
        assert catalog.added() == [new]
        assert [catalog.find(text) for text in ("heat again", "la chaleur", str(FIRST_ADDED_ID))] == [new] * 3
        assert (len(catalog), catalog.fact("ratings")) == (2, "r")
    Catalog.create(path, [Film(6, "Heat", 1995)], {}, [new])
    with Catalog.open(path) as catalog:
        assert catalog.added() == [new]


def test_films_can_be_added_to_a_catalog_without_the_added_table(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path, [Film(6, "Heat", 1995)], {})
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE added")
    with Catalog.open(path) as catalog:
        assert catalog.added() == []
    Catalog.add(path, [Film(7, "Ran", 1985)])
    with Catalog.open(path) as catalog:
        assert [film.movie_id for film in catalog.added()] == [7]


def test_tags_survive_adding_and_are_empty_without_the_tags_table(tmp_path: Path) -> None:
    path, tags = tmp_path / "catalog.sqlite", [FilmTag(6, "heist", 3), FilmTag(6, "los angeles", 1)]
    Catalog.create(path, [Film(6, "Heat", 1995)], {}, tags=reversed(tags))
    Catalog.add(path, [Film(7, "Ran", 1985)])
    with Catalog.open(path) as catalog:
        assert catalog.tags() == tags
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE tags")
    with Catalog.open(path) as catalog:
        assert catalog.tags() == []


def test_duplicates_share_title_and_year_or_an_id(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    films = [Film(1, "Heat", 1995, "0000011", 11), Film(2, "Heat", 1986), Film(3, "Heat"), Film(4, "Ran", 1985)]
    Catalog.create(path, films, {})
    with Catalog.open(path) as catalog:

        def same(*facts: Any) -> list[int]:
            return [film.movie_id for film in catalog.duplicates_of(*facts)]

        assert same("heat!", 1995, None, None) == [1]
        assert same("Heat", None, None, None) == [3]
        assert same("Heat", 2001, None, None) == []
        assert same("Other", 2001, 11, None) == same("Other", 2001, None, "0000011") == [1]
        assert same("Ran", 1985, 11, None) == [1, 4]
