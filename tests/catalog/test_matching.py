from __future__ import annotations

import pytest

from catalog.film import Film
from catalog.film_ids import Imdb, Tmdb
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
