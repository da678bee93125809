from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import AmbiguousFilmError, DataError, NotBuiltError, StoreError, UnknownFilmError
from catalog.film import Film, FilmTag
from catalog.films import FIRST_ADDED_ID, Catalog
from catalog.titles import parse_title

TITLES = {
    1: "Toy Story (1995)",
    6: "Heat (1995)",
    300: "Quiz Show (1994)",
    47: "Seven (a.k.a. Se7en) (1995)",
    527: "Schindler's List (1993)",
    541: "Blade Runner (1982)",
    838: "Emma (1996)",
    26958: "Emma (1996)",
    1411: "Hamlet (1996)",
    1941: "Hamlet (1948)",
    3598: "Hamlet (2000)",
    1721: "Titanic (1997)",
    3404: "Titanic (1953)",
    2571: "Matrix, The (1999)",
    4973: "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    4886: "Monsters, Inc. (2001)",
    7327: "Avventura, L' (a.k.a. Adventure, The) (1960)",
    51662: "300 (2007)",
    60069: "WALL·E (2008)",
    97250: "$ (Dollars) (1971)",
    115617: "Big Hero 6 (2014)",
    120000: "Black Mirror",
    176371: "Blade Runner 2049 (2017)",
}


def _film(movie_id: int, text: str) -> Film:
    parsed = parse_title(text)
    return Film(movie_id, parsed.title, parsed.year, alternative_titles=parsed.alternatives)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    path = tmp_path_factory.mktemp("catalog") / "catalog.sqlite"
    Catalog.create(path, [_film(*pair) for pair in TITLES.items()], {"numbering": "movielens"})
    with Catalog.open(path) as opened:
        yield opened


# Looking up


@pytest.mark.parametrize(
    ("text", "movie_id"),
    [
        ("Heat (1995)", 6),
        ("heat", 6),
        ("  HEAT  ", 6),
        ("heat 1995", 6),
        ("Matrix, The (1999)", 2571),
        ("The Matrix (1999)", 2571),
        ("the matrix 1999", 2571),
        ("matrix", 2571),
        ("schindlers list", 527),
        ("Schindler’s List", 527),
        ("monsters inc", 4886),
        ("wall-e", 60069),
        ("amélie", 4973),
        ("amelie 2001", 4973),
        ("Le fabuleux destin d'Amélie Poulain", 4973),
        ("fabuleux destin d'amelie poulain", 4973),
        ("Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)", 4973),
        ("se7en", 47),
        ("Seven (a.k.a. Se7en) (1995)", 47),
        ("l'avventura", 7327),
        ("Avventura, L'", 7327),
        ("avventura", 7327),
        ("the adventure", 7327),
        ("$", 97250),
        ("dollars", 97250),
        ("hamlet (1948)", 1941),
        ("hamlet 2000", 3598),
        ("titanic 1953", 3404),
        ("Black Mirror", 120000),
        ("Blade Runner 2049", 176371),
        ("Blade Runner 2049 (2017)", 176371),
        ("blade runner 1982", 541),
        ("big hero 6", 115617),
    ],
)
def test_a_film_is_found_by_what_a_person_types(catalog: Catalog, text: str, movie_id: int) -> None:
    assert catalog.find(text).movie_id == movie_id


@pytest.mark.parametrize("movie_id", [6, 300, 176371])
def test_a_film_is_found_by_its_movie_id(catalog: Catalog, movie_id: int) -> None:
    assert catalog.find(f" {movie_id} ").movie_id == movie_id


def test_a_number_is_a_movie_id_before_it_is_a_title(catalog: Catalog) -> None:
    assert catalog.find("300").title == "Quiz Show"
    assert [film.movie_id for film in catalog.titled_by_number("300")] == [51662]


def test_a_number_that_is_no_movie_id_may_be_a_title(catalog: Catalog) -> None:
    assert catalog.find("300 (2007)").movie_id == 51662


@pytest.mark.parametrize("text", ["heat", "7", ""])
def test_what_titles_no_film_by_a_number_gives_nothing(catalog: Catalog, text: str) -> None:
    assert catalog.titled_by_number(text) == ()


@pytest.mark.parametrize("text", ["emma", "Emma (1996)", "EMMA 1996"])
def test_films_with_the_same_title_are_listed_with_their_ids(catalog: Catalog, text: str) -> None:
    with pytest.raises(
        AmbiguousFilmError, match=r"2 films are titled .* Emma \(1996\) \[838\], .* \[26958\]; name one"
    ):
        catalog.find(text)


def test_films_of_several_years_are_listed_with_their_years(catalog: Catalog) -> None:
    with pytest.raises(AmbiguousFilmError) as error:
        catalog.find("Hamlet")
    assert error.value.suggestions == ("Hamlet (1996)", "Hamlet (1948)", "Hamlet (2000)")


def test_a_long_list_of_namesakes_is_cut(tmp_path: Path) -> None:
    Catalog.create(tmp_path / "c.sqlite", [Film(movie_id, "Twin") for movie_id in range(1, 31)], {})
    with (
        Catalog.open(tmp_path / "c.sqlite") as twins,
        pytest.raises(AmbiguousFilmError, match=r"\[20\], and 10 more;"),
    ):
        twins.find("twin")


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("Heatt", "Heat (1995)"),
        ("The Matrx", "The Matrix (1999)"),
        ("shindlers list", "Schindler's List (1993)"),
        ("toy", "Toy Story (1995)"),
        ("poulain", "Amelie (2001)"),
        ("heat 1996", "Heat (1995)"),
        ("Heat (1996)", "Heat (1995)"),
        ("titanic 1954", "Titanic (1997)"),
    ],
)
def test_an_unknown_title_is_answered_with_the_nearest(catalog: Catalog, text: str, nearest: str) -> None:
    with pytest.raises(UnknownFilmError, match=r"no film is titled .*; did you mean ") as error:
        catalog.find(text)
    assert error.value.suggestions[0] == nearest


def test_what_is_like_no_title_is_answered_without_a_suggestion(catalog: Catalog) -> None:
    with pytest.raises(UnknownFilmError, match=r"^no film is titled 'qqqqqqqqqq'$") as error:
        catalog.find("qqqqqqqqqq")
    assert error.value.suggestions == ()


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_typed_is_answered_with_an_example(catalog: Catalog, text: str) -> None:
    with pytest.raises(UnknownFilmError, match=r"no film is named; give a title such as 'Heat \(1995\)'"):
        catalog.find(text)


@given(text=st.text(st.characters(), max_size=30))
def test_whatever_is_typed_finds_a_film_or_says_why_not(catalog: Catalog, text: str) -> None:
    try:
        found = catalog.find(text)
    except UnknownFilmError as error:
        assert str(error)  # noqa: PT017 -- either answer is right
    else:
        assert found.movie_id in TITLES


def test_bytes_that_are_no_text_name_no_film(catalog: Catalog) -> None:
    with pytest.raises(UnknownFilmError):
        catalog.find("\udcff")


def test_an_unknown_film_is_also_a_lookup_error(catalog: Catalog) -> None:
    with pytest.raises(LookupError, match=r"no film has the movie_id 7; this catalog holds 23 films"):
        catalog.film(7)


def test_films_are_given_by_their_ids_and_strangers_left_out(catalog: Catalog) -> None:
    found = catalog.films([6, 7, 1, 6])
    assert {movie_id: film.label for movie_id, film in found.items()} == {6: "Heat (1995)", 1: "Toy Story (1995)"}


def test_more_films_than_a_statement_has_parameters_are_given(tmp_path: Path) -> None:
    Catalog.create(tmp_path / "c.sqlite", [Film(movie_id, f"Film {movie_id}") for movie_id in range(1, 2001)], {})
    with Catalog.open(tmp_path / "c.sqlite") as opened:
        assert len(opened.films(range(1, 3000))) == 2000


def test_iterating_gives_all_films_in_the_order_of_their_ids(catalog: Catalog) -> None:
    assert [film.movie_id for film in catalog] == sorted(TITLES)
    assert len(catalog) == len(TITLES)


def test_several_threads_may_look_up_at_once(catalog: Catalog) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: catalog.find("heat").movie_id, range(40)))
    assert found == [6] * 40


# The file


def test_a_film_comes_back_as_it_was_written(tmp_path: Path) -> None:
    film = Film(7, 'Åse, "B"|C', 1995, "0114709", 862, ("Crime", "Drama"), ("L'Un", "Zwei|Drei"), 12, 3.5)
    Catalog.create(tmp_path / "c.sqlite", [film], {})
    with Catalog.open(tmp_path / "c.sqlite") as opened:
        assert opened.film(7) == film


def test_a_label_is_title_and_year() -> None:
    assert (Film(1, "Heat", 1995).label, Film(1, "Cosmos").label) == ("Heat (1995)", "Cosmos")


def test_facts_are_kept(catalog: Catalog) -> None:
    assert catalog.fact("numbering") == "movielens"
    assert catalog.fact("ratings") is None


def test_a_new_catalog_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    for title in ("Heat", "Emma"):
        Catalog.create(path, [Film(1, title)], {"title": title})
    with Catalog.open(path) as opened:
        assert ([film.title for film in opened], opened.fact("title")) == (["Emma"], "Emma")


def test_who_has_the_old_catalog_open_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    Catalog.create(path, [Film(1, "Heat")], {})
    with Catalog.open(path) as opened:
        Catalog.create(path, [Film(1, "Emma")], {})
        assert opened.film(1).title == "Heat"


def _films_that_break_off() -> Iterator[Film]:
    yield Film(1, "Emma")
    raise DataError("the file ends here")


def test_a_load_that_breaks_off_keeps_the_old_catalog(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    Catalog.create(path, [Film(1, "Heat")], {})
    with pytest.raises(DataError, match="the file ends here"):
        Catalog.create(path, _films_that_break_off(), {})
    assert [file.name for file in tmp_path.iterdir()] == ["c.sqlite"]
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
    assert [file.name for file in tmp_path.iterdir()] == ["c.sqlite"]
    with Catalog.open(path) as opened:
        assert opened.film(1).title == "Heat"


def test_a_missing_catalog_says_which_command_makes_it(tmp_path: Path) -> None:
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
def test_another_file_is_no_catalog(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.sqlite"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"c\.sqlite is "):
        Catalog.open(path)


def test_a_catalog_is_open_for_reading_only(catalog: Catalog) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        catalog._connection.execute("DELETE FROM films")


def test_a_folder_with_signs_of_an_address_holds_a_catalog(tmp_path: Path) -> None:
    path = tmp_path / "100% #1?" / "c.sqlite"
    Catalog.create(path, [Film(1, "Heat")], {})
    with Catalog.open(path) as opened:
        assert len(opened) == 1


@pytest.fixture(scope="module")
def well_known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    texts = {
        1: "L.A. Confidential (1997)",
        2: "Spider-Man (2002)",
        3: "M*A*S*H (a.k.a. MASH) (1970)",
        4: "E.T. the Extra-Terrestrial (1982)",
        5: "Avventura, L' (1960)",
        6: "Den, The (2013)",
        7: "Harry Potter and the Chamber of Secrets (2002)",
        8: "Harry Potter and the Sorcerer's Stone (2001)",
        9: "Eternal Sunshine of the Spotless Mind (2004)",
        10: "Party Monster (2003)",
        11: "Eternal Return (1943)",
    }
    n_ratings = {8: 100, 9: 90, 4: 80, 7: 70}
    films = [replace(_film(*pair), n_ratings=n_ratings.get(pair[0], 1)) for pair in texts.items()]
    path = tmp_path_factory.mktemp("well_known") / "catalog.sqlite"
    Catalog.create(path, films, {})
    with Catalog.open(path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("text", "movie_id"),
    [
        ("la confidential", 1),
        ("LA Confidential (1997)", 1),
        ("spiderman", 2),
        ("mash", 3),
        ("m a s h", 3),
        ("et the extraterrestrial", 4),
        ("lavventura", 5),
        ("the den", 6),
        ("den", 6),
    ],
)
def test_words_may_be_written_together_or_apart(well_known: Catalog, text: str, movie_id: int) -> None:
    assert well_known.find(text).movie_id == movie_id


def test_an_article_alone_is_no_title(well_known: Catalog) -> None:
    with pytest.raises(UnknownFilmError):
        well_known.find("the")


@pytest.mark.parametrize(
    ("text", "suggestions"),
    [
        (
            "harry poter",
            ["Harry Potter and the Sorcerer's Stone (2001)", "Harry Potter and the Chamber of Secrets (2002)"],
        ),
        (
            "harry potter",
            ["Harry Potter and the Sorcerer's Stone (2001)", "Harry Potter and the Chamber of Secrets (2002)"],
        ),
        ("ET", ["Eternal Sunshine of the Spotless Mind (2004)", "E.T. the Extra-Terrestrial (1982)"]),
        ("eternal 1943", ["Eternal Return (1943)", "Eternal Sunshine of the Spotless Mind (2004)"]),
    ],
)
def test_part_of_a_title_is_answered_with_the_best_known_that_have_it(
    well_known: Catalog, text: str, suggestions: list[str]
) -> None:
    with pytest.raises(UnknownFilmError) as raised:
        well_known.find(text)
    assert list(raised.value.suggestions[:2]) == suggestions


# Films that are added


def test_added_films_are_told_from_the_others_and_found_like_them(tmp_path: Path) -> None:
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


def test_a_catalog_of_before_there_were_added_films_takes_them(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path, [Film(6, "Heat", 1995)], {})
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE added")
    with Catalog.open(path) as catalog:
        assert catalog.added() == []
    Catalog.add(path, [Film(7, "Ran", 1985)])
    with Catalog.open(path) as catalog:
        assert [film.movie_id for film in catalog.added()] == [7]


def test_tags_are_kept_beside_added_films_and_are_none_in_a_catalog_of_before(tmp_path: Path) -> None:
    path, tags = tmp_path / "catalog.sqlite", [FilmTag(6, "heist", 3), FilmTag(6, "los angeles", 1)]
    Catalog.create(path, [Film(6, "Heat", 1995)], {}, tags=reversed(tags))
    Catalog.add(path, [Film(7, "Ran", 1985)])
    with Catalog.open(path) as catalog:
        assert catalog.tags() == tags
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE tags")
    with Catalog.open(path) as catalog:
        assert catalog.tags() == []


def test_films_are_one_by_title_and_year_or_by_a_number(tmp_path: Path) -> None:
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
