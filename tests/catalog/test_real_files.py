"""Counts in the published MovieLens files, where they are present."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.errors import AmbiguousFilmError, DataError
from catalog.films import Catalog
from catalog.movielens import FilmFiles, read_films


@pytest.fixture(scope="module")
def small(shared: Path) -> FilmFiles:
    return read_films(shared / "data/ml-latest-small")


@pytest.fixture(scope="module")
def catalog(small: FilmFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    path = tmp_path_factory.mktemp("real") / "catalog.sqlite"
    Catalog.create(path, small.films, {})
    with Catalog.open(path) as opened:
        yield opened


def test_all_films_are_read(small: FilmFiles) -> None:
    assert (len(small.films), small.numbering) == (9742, "movielens")


def test_eight_films_have_no_tmdb_id(small: FilmFiles) -> None:
    assert sum(film.tmdb_id is None for film in small.films) == 8
    assert small.notes == ("8 films have no tmdbId; posters are looked for by IMDb id",)


def test_two_films_share_a_tmdb_id(small: FilmFiles) -> None:
    counts = Counter(film.tmdb_id for film in small.films if film.tmdb_id)
    assert [tmdb_id for tmdb_id, n_films in counts.items() if n_films > 1] == [4912]


def test_every_imdb_id_has_seven_digits(small: FilmFiles) -> None:
    assert {len(film.imdb_id or "") for film in small.films} == {7}


def test_only_films_whose_title_names_no_year_are_without_one(small: FilmFiles) -> None:
    # 13 titles end without "(1995)"; one of these says "(2006–2007)".
    assert sum(film.year is None for film in small.films) == 12
    assert next(film.year for film in small.films if film.title.startswith("Death Note: Desu")) == 2006


def test_no_title_keeps_a_year_or_a_blank_or_the_article_at_its_end(small: FilmFiles) -> None:
    assert not [film.title for film in small.films if film.title != film.title.strip()]
    assert not [film.title for film in small.films if film.title.endswith((", The", ", A", ", An", ", La", ", L'"))]
    assert not [film.title for film in small.films if film.year and f"({film.year}" in film.title]


def test_five_pairs_share_title_and_year(small: FilmFiles) -> None:
    counts = Counter(film.label for film in small.films)
    assert sorted(label for label, n_films in counts.items() if n_films > 1) == [
        "Confessions of a Dangerous Mind (2002)",
        "Emma (1996)",
        "Eros (2004)",
        "Saturn 3 (1980)",
        "War of the Worlds (2005)",
    ]


def test_more_than_a_thousand_films_have_another_title(small: FilmFiles) -> None:
    # 1,070 titles hold such parentheses; in "Birdman: Or (The Unexpected …)" they belong to the title.
    assert sum(bool(film.alternative_titles) for film in small.films) == 1069
    assert "Birdman: Or (The Unexpected Virtue of Ignorance)" in {film.title for film in small.films}


def test_every_film_is_found_by_its_own_title(shared: Path, catalog: Catalog) -> None:
    with (shared / "data/ml-latest-small/movies.csv").open(encoding="utf-8", newline="") as stream:
        rows = [(int(row["movieId"]), row["title"]) for row in csv.DictReader(stream)]
    ambiguous = []
    for movie_id, title in rows:
        try:
            assert catalog.find(title).movie_id == movie_id
        except AmbiguousFilmError as error:
            ambiguous.append(movie_id)
            assert f"[{movie_id}]" in str(error)  # noqa: PT017 -- the rest of the loop must go on
    assert len(ambiguous) == 2 * 5


@pytest.mark.parametrize(
    ("text", "movie_id"), [("matrix", 2571), ("amelie", 4973), ("birdman", None), ("city of god", 6016), ("Léon", 293)]
)
def test_well_known_films_are_found(catalog: Catalog, text: str, movie_id: int | None) -> None:
    if movie_id is None:
        with pytest.raises(LookupError, match="Birdman: Or"):
            catalog.find(text)
    else:
        assert catalog.find(text).movie_id == movie_id


def test_ml_100k_is_read(shared: Path) -> None:
    files = read_films(shared / "data/ml-100k")
    assert (len(files.films), files.numbering) == (1682, "movielens-100k")
    assert [film.movie_id for film in files.films if film.year is None] == [267]


def test_a_folder_without_titles_is_refused(shared: Path) -> None:
    expected = r"no data set that is known; expected movies\.csv .*; found links\.csv, ratings\.csv"
    with pytest.raises(DataError, match=expected):
        read_films(shared / "data/ml-small-2016")
