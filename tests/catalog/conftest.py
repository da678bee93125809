"""A catalog of titles that are hard to look up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from catalog.film import Film
from catalog.films import Catalog
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


def film_of(movie_id: int, text: str) -> Film:
    parsed = parse_title(text)
    return Film(movie_id, parsed.title, parsed.year, alternative_titles=parsed.alternatives)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    path = tmp_path_factory.mktemp("catalog") / "catalog.sqlite"
    Catalog.create(path, [film_of(*pair) for pair in TITLES.items()], {"numbering": "movielens"})
    with Catalog.open(path) as opened:
        yield opened
