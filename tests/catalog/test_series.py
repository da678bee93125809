from __future__ import annotations

import pytest

from catalog.film import Film
from catalog.series import parts_of_series, series_name


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Star Wars: Episode V - The Empire Strikes Back", "star wars"),
        ("Star Trek II: The Wrath of Khan", "star trek"),
        ("The Godfather: Part III", "godfather"),
        ("Mission: Impossible - Fallout", "mission"),
        ("Harry Potter and the Chamber of Secrets", "harry potter"),
        ("Beauty and the Beast", "beauty and the beast"),
        ("2001: A Space Odyssey", "2001"),
        ("I, Robot", "robot"),
        ("RoboCop 3", "robocop"),
        ("Alien³", "alien3"),
        ("...", "..."),
    ],
)
def test_names_a_series(title: str, name: str) -> None:
    assert series_name(title) == name


def test_finds_the_other_parts() -> None:
    films = [
        Film(1, "Rocky", 1976),
        Film(2, "Rocky II", 1979),
        Film(3, "Rocky III", 1982),
        Film(4, "Rocky IV", 1985),
        Film(5, "Heat", 1995),
    ]
    assert parts_of_series(films) == {1: (2, 3), 2: (1, 3, 4), 3: (1, 2, 4), 4: (2, 3)}


def test_versions_of_one_story_and_films_without_a_year_are_no_parts() -> None:
    films = [Film(1, "The Cure", 1995), Film(2, "Cure", 1997), Film(3, "Saw II", None), Film(4, "Saw", 2003)]
    assert parts_of_series(films) == {}


def test_films_of_one_name_far_apart_are_no_parts() -> None:
    films = [Film(1, "Ocean's Eleven: First Try", 1960), Film(2, "Ocean's Eleven", 2001)]
    assert parts_of_series(films) == {}
