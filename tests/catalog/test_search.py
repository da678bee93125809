from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import AmbiguousFilmError, UnknownFilmError
from catalog.film import Film
from catalog.films import Catalog
from catalog.titles import parse_title
from tests.catalog.conftest import TITLES, film_of


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
def test_finds_a_film_by_title(catalog: Catalog, text: str, movie_id: int) -> None:
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
def test_titled_by_number_ignores_other_texts(catalog: Catalog, text: str) -> None:
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


def test_a_long_list_of_equal_titles_is_cut(tmp_path: Path) -> None:
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
def test_unknown_title_error_suggests_the_nearest(catalog: Catalog, text: str, nearest: str) -> None:
    with pytest.raises(UnknownFilmError, match=r"no film is titled .*; did you mean ") as error:
        catalog.find(text)
    assert error.value.suggestions[0] == nearest


def test_a_text_similar_to_no_title_gets_no_suggestion(catalog: Catalog) -> None:
    with pytest.raises(UnknownFilmError, match=r"^no film is titled 'qqqqqqqqqq'$") as error:
        catalog.find("qqqqqqqqqq")
    assert error.value.suggestions == ()


@pytest.mark.parametrize("text", ["", "   "])
def test_empty_text_error_shows_an_example(catalog: Catalog, text: str) -> None:
    with pytest.raises(UnknownFilmError, match=r"no film is named; give a title such as 'Heat \(1995\)'"):
        catalog.find(text)


@given(text=st.text(st.characters(), max_size=30))
def test_any_text_finds_a_film_or_raises_unknown_film(catalog: Catalog, text: str) -> None:
    try:
        found = catalog.find(text)
    except UnknownFilmError as error:
        assert str(error)  # noqa: PT017 -- either outcome is right
    else:
        assert found.movie_id in TITLES


def test_invalid_utf8_matches_no_film(catalog: Catalog) -> None:
    with pytest.raises(UnknownFilmError):
        catalog.find("\udcff")


def test_an_unknown_film_is_also_a_lookup_error(catalog: Catalog) -> None:
    with pytest.raises(LookupError, match=r"no film has the movie_id 7; this catalog holds 23 films"):
        catalog.film(7)


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
    films = [replace(film_of(*pair), n_ratings=n_ratings.get(pair[0], 1)) for pair in texts.items()]
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
def test_part_of_a_title_suggests_the_best_known_films_first(
    well_known: Catalog, text: str, suggestions: list[str]
) -> None:
    with pytest.raises(UnknownFilmError) as raised:
        well_known.find(text)
    assert list(raised.value.suggestions[:2]) == suggestions


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    texts = {
        1: "Rocky (1976)",
        2: "Rocky II (1979)",
        3: "Godfather, The (1972)",
        4: "Godfather: Part II, The (1974)",
        5: "Star Wars: Episode IV - A New Hope (1977)",
        6: "Star Wars: Episode V - The Empire Strikes Back (1980)",
        7: "Kill Bill: Vol. 2 (2004)",
        8: "Dune: Part Two (2024)",
        9: "E.T. the Extra-Terrestrial (1982)",
        10: "Lord of the Rings: The Fellowship of the Ring, The (2001)",
        11: "Lord of the Rings: The Two Towers, The (2002)",
        12: "I, Robot (2004)",
        13: "V for Vendetta (2006)",
        14: "Terminator 2: Judgment Day (1991)",
    }
    path = tmp_path_factory.mktemp("series") / "catalog.sqlite"
    films = [replace(film_of(*pair), n_ratings=100 - pair[0]) for pair in texts.items()]
    Catalog.create(path, films, {})
    with Catalog.open(path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("text", "movie_id"),
    [
        ("rocky 2", 2),
        ("rocky part two (1979)", 2),
        ("rocky 1", 1),
        ("godfather 2", 4),
        ("the godfather part 2", 4),
        ("godfather part two", 4),
        ("star wars 4", 5),
        ("star wars episode five", 6),
        ("kill bill ii", 7),
        ("dune 2", 8),
        ("e.t.", 9),
        ("terminator ii", 14),
    ],
)
def test_finds_a_part_of_a_series_however_it_is_numbered(series: Catalog, text: str, movie_id: int) -> None:
    assert series.find(text).movie_id == movie_id
    assert series.suggest(text, 3)[0].movie_id == movie_id, "what the text means is the first suggestion"


@pytest.mark.parametrize(
    "text", ["star wars", "star wars 4 (1980)", "rocky 3", "1 robot", "5 for vendetta", "terminator"]
)
def test_several_or_no_films_of_a_series_are_not_guessed(series: Catalog, text: str) -> None:
    with pytest.raises(UnknownFilmError, match="no film is titled"):
        series.find(text)


@pytest.mark.parametrize(
    ("text", "suggestions"),
    [
        (
            "lotr",
            [
                "The Lord of the Rings: The Fellowship of the Ring (2001)",
                "The Lord of the Rings: The Two Towers (2002)",
            ],
        ),
        ("esb", ["Star Wars: Episode V - The Empire Strikes Back (1980)"]),
        ("anh", ["Star Wars: Episode IV - A New Hope (1977)"]),
    ],
)
def test_initials_suggest_the_films(series: Catalog, text: str, suggestions: list[str]) -> None:
    with pytest.raises(UnknownFilmError) as raised:
        series.find(text)
    assert list(raised.value.suggestions[: len(suggestions)]) == suggestions


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("lotr 2", "The Lord of the Rings: The Two Towers (2002)"),
        ("LOTR i", "The Lord of the Rings: The Fellowship of the Ring (2001)"),
    ],
)
def test_initials_and_a_number_suggest_that_part_first(series: Catalog, text: str, first: str) -> None:
    assert series.suggest(text, 2)[0].label == first


@pytest.fixture
def remade(tmp_path: Path) -> Iterator[Catalog]:
    """Films of one title, of which one has another title too; and a film whose title goes on."""
    films = [
        Film(1, "Ocean's Eleven", 1960, alternative_titles=("Ocean's 11",)),
        Film(2, "Ocean's Eleven", 2001),
        Film(3, "The Hobbit: An Unexpected Journey", 2012),
        Film(4, "Norbit", 2007),
    ]
    Catalog.create(tmp_path / "catalog.sqlite", films, {})
    with Catalog.open(tmp_path / "catalog.sqlite") as opened:
        yield opened


def test_others_of_the_same_title_are_named_unless_a_year_decides(remade: Catalog) -> None:
    assert remade.find("ocean's 11").movie_id == 1
    assert [film.movie_id for film in remade.others_meant("ocean's 11")] == [2]
    for text in ("ocean's 11 (1960)", "oceans eleven 2001", "1", "norbit"):
        assert remade.others_meant(text) == ()


def test_a_misspelled_beginning_suggests_the_film(remade: Catalog) -> None:
    assert remade.suggest("hobit")[0].movie_id == 3


def test_ambiguous_titles_advise_the_year_where_it_decides(catalog: Catalog) -> None:
    with pytest.raises(
        AmbiguousFilmError, match=r"name one by title and year, as in 'Hamlet \(1996\)', or by its movie_id"
    ):
        catalog.find("hamlet")
    with pytest.raises(AmbiguousFilmError, match="; name one by its movie_id"):
        catalog.find("emma")


@pytest.fixture(scope="module")
def moons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    texts = {
        1: "Man on the Moon (1999)",
        2: "Red Noon (1988)",
        3: "Red Planet (2000)",
        4: "Redline Moonshot (2001)",
        5: "Harry Potter and the Goblet of Fire (2005)",
        6: "Lord of the Rings: The Two Towers, The (2002)",
        7: "Rocky II (1979)",
        8: "WALL·E (2008)",
        9: "White House Down (2013)",
    }
    path = tmp_path_factory.mktemp("moons") / "c.sqlite"
    films = [Film(movie_id, parse_title(text).title, parse_title(text).year) for movie_id, text in texts.items()]
    Catalog.create(path, films, {})
    with Catalog.open(path) as catalog:
        yield catalog


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("red moon", set()),
        ("a man under the moon", set()),
        ("a man on the moon", {1}),
        ("red pl", {3}),
        ("red", {2, 3, 4}),
        ("a man on the moon (19", {1}),
        ("harry poter", {5}),
        ("goblt of fire", {5}),
        ("lotr", {6}),
        ("rocky 2", {7}),
        ("walle", {8}),
        ("white house", {9}),
        ("movie:3", {3}),
        ("3", {3}),
        ("", set()),
    ],
)
def test_texts_that_only_resemble_a_title_do_not_name_it(moons: Catalog, text: str, named: set[int]) -> None:
    films = list(moons.films(range(1, 10)).values())
    assert moons.named_by(text, films) == named


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """Films of two years, one titled by a year, and 1,995 ids, so that the year is a movie_id too."""
    films = [Film(1, "Heat", 1995, n_ratings=50), Film(2, "Casino", 1995, n_ratings=80), Film(3, "Fargo", 1996)]
    films += [Film(4, "1995 Spring", 2003, n_ratings=5), Film(1995, "Dunston Checks In", 1996)]
    path = tmp_path_factory.mktemp("years") / "catalog.sqlite"
    Catalog.create(path, films, {})
    with Catalog.open(path) as opened:
        yield opened


def test_a_year_suggests_its_best_known_films(years: Catalog) -> None:
    assert [film.movie_id for film in years.suggest("1995", 8)] == [4, 2, 1, 1995]
    assert [film.movie_id for film in years.suggest("1996", 2)] == [3, 1995]
    assert years.named_by("1995", years.suggest("1995", 8)) == {4, 2, 1, 1995}


def test_a_number_that_is_no_year_suggests_no_films_of_it(years: Catalog) -> None:
    assert years.suggest("1795", 8) == []


@pytest.fixture(scope="module")
def articles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """Films whose first word is an article of some language, and films that begin like the rest."""
    texts = ["Die Hard (1988)", "Die Hard 2 (1990)", "Hart's War (2002)", "Das Boot (1981)", "Boat Trip (2002)"]
    films = [Film(n, parse_title(text).title, parse_title(text).year) for n, text in enumerate(texts, 1)]
    path = tmp_path_factory.mktemp("articles") / "catalog.sqlite"
    Catalog.create(path, films, {})
    with Catalog.open(path) as opened:
        yield opened


@pytest.mark.parametrize(("text", "movie_id"), [("die hart", 1), ("die hard", 1), ("das boat", 4), ("hart", 3)])
def test_an_article_counts_where_the_title_is_misspelled(articles: Catalog, text: str, movie_id: int) -> None:
    assert articles.suggest(text, 3)[0].movie_id == movie_id
