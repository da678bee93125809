from __future__ import annotations

import pytest

from catalog.film import Film
from catalog.film_ids import FilmId, Imdb, Movie, Tmdb
from catalog.matching import FilmMatcher

FILMS = [
    Film(1, "The Lamp", 1995, imdb_id="0000011", tmdb_id=7),
    Film(2, "The Lamp", 2004, tmdb_id=7),
    Film(3, "Une lampe", 1980, alternative_titles=("A Lantern",)),
    Film(4, "1984", 1984),
    Film(5, "Undated"),
    Film(6, "Café Löwe", 2010),
]


@pytest.mark.parametrize(
    ("title", "year", "movie_ids"),
    [
        ("The Lamp", 1995, [1]),
        ("lamp", 2004, [2]),
        ("Lamp, The", 2003, [2]),
        ("The Lamp", None, [1, 2]),
        ("The Lamp", 1999, []),
        ("The Lamp (1995)", None, [1]),
        ("a lantern", 1981, [3]),
        ("1984", 1984, [4]),
        ("Undated", 2001, [5]),
        ("Cafe\u0301 Lo\u0308we", 2010, [6]),
        ("Nothing", 1995, []),
    ],
)
def test_matches_by_title_and_year(title: str, year: int | None, movie_ids: list[int]) -> None:
    assert [film.movie_id for film in FilmMatcher(FILMS).by_title(title, year)] == movie_ids


def test_matches_by_id() -> None:
    matcher = FilmMatcher(FILMS)
    assert [film.movie_id for film in matcher.by_id(Imdb("0000011"))] == [1]
    assert [film.movie_id for film in matcher.by_id(Tmdb(7))] == [1, 2]
    assert matcher.by_id(Tmdb(8)) == ()


@pytest.mark.parametrize(
    ("title", "year", "movie_ids"),
    [
        ("Star Harbour", 1977, [1]),
        ("The Star Harbour", 1977, [1]),
        ("A New Pier", 1977, [1]),
        # Of another year it may be a remake, and without one anything.
        ("Star Harbour", 1978, []),
        ("Star Harbour", None, []),
        ("The Tide - A Sailor's Tale", 1990, [2]),
        ("Night Train: The Last Stop", 2001, [3]),
        # Two of that year: a guess.
        ("Twins", 1988, []),
        ("Dr. Odd", 1964, [6]),
    ],
)
def test_a_part_of_a_title_is_enough_in_its_year(title: str, year: int | None, movie_ids: list[int]) -> None:
    films = [
        Film(1, "Star Harbour: Episode IV - A New Pier", 1977),
        Film(2, "The Tide", 1990),
        Film(3, "Night Train", 2001),
        Film(4, "Twins: One", 1988),
        Film(5, "Twins: Two", 1988),
        Film(6, "Dr. Odd or: How I Learned to Row", 1964),
    ]
    assert [film.movie_id for film in FilmMatcher(films).by_title(title, year)] == movie_ids


LINKED = [
    Film(1, "The Lamp", 1995, imdb_id="0000011", tmdb_id=101),
    Film(2, "The Pier", 2004, imdb_id="0000012", tmdb_id=102),
    Film(3, "Twin", 1999, tmdb_id=7),
    Film(4, "Twin Again", 1999, tmdb_id=7),
]


@pytest.mark.parametrize(
    ("film_ids", "title", "movie_ids", "by_id"),
    [
        ([Imdb("0000011"), Tmdb(101)], "The Pier", [1], True),
        ([Tmdb(7)], "Twin", [3, 4], True),
        # TMDB's ids change, and may be of another list of one's own.
        ([Imdb("0000011"), Tmdb(999)], "", [1], True),
        ([Movie(1), Imdb("0000012")], "", [1, 2], False),
        ([Imdb("0000011"), Tmdb(102)], "", [1, 2], False),
        ([Imdb("0000011"), Tmdb(102)], "The Pier", [2], False),
        # TMDB numbers series apart from films.
        ([Imdb("0000099"), Tmdb(101)], "A Series", [], False),
        ([Tmdb(101), Imdb("0000099")], "", [], False),
        ([Imdb("0000099"), Tmdb(101)], "The Lamp", [1], False),
        ([Imdb("0000099")], "The Lamp", [], False),
        ([], "The Lamp", [1], False),
    ],
)
def test_ids_that_contradict_each_other_take_no_film_by_chance(
    film_ids: list[FilmId], title: str, movie_ids: list[int], by_id: bool
) -> None:
    year = {"The Lamp": 1995, "The Pier": 2004, "Twin": 1999}.get(title)
    films, is_sure = FilmMatcher(LINKED).match(film_ids, [(title, year)])
    assert ([film.movie_id for film in films], is_sure) == (movie_ids, by_id)
