"""Read films from a table of one's own: a CSV file with a number and a title for each film."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from catalog.errors import DataError
from catalog.film import Film
from catalog.film_ids import movie_id_in, parse_imdb_id
from catalog.genres import split_genres
from catalog.io.tables import Row, read_rows
from catalog.movielens import FilmFiles, sort_films
from catalog.text import is_clean
from catalog.titles import notes_on_titles, parse_title

NUMBERING = "film table"
"""What the catalog calls the movie_ids of a table: they are the user's own, not MovieLens'."""

_COLUMNS = ("movie_id", "title")
_OPTIONAL = ("year", "genres", "imdb_id", "tmdb_id")
_LAST_YEAR = 9999


def read_film_table(path: Path, names: Mapping[str, str] | None = None) -> FilmFiles:
    """Read films from a CSV file with the columns movie_id, title and, where known, year, genres, imdb_id, tmdb_id.

    `names` are what the file calls some of them. The year may also follow the title: "Heat (1995)". DataError names the
    line and column that is wrong.
    """
    rows = read_rows(path, _COLUMNS, _OPTIONAL, names)
    films, notes = sort_films(((row, _film(row)) for row in rows), path, "movie_id")
    return FilmFiles(films, NUMBERING, notes)


def read_rated_films(path: Path, names: Mapping[str, str]) -> FilmFiles:
    """Read the films of a table of ratings, which lists a film once for every rating; the first row describes it.

    Without titles, films are named by their numbers.
    """
    films: dict[int, Film] = {}
    notes: tuple[str, ...] = ()
    n_cleaned = 0
    for row in read_rows(path, ("movie_id",), ("title", *_OPTIONAL), names):
        movie_id = movie_id_in(row, "movie_id", "a whole number above 0")
        if movie_id not in films:
            if "title" not in row.values:
                row.values["title"] = f"Film {movie_id}"
                notes = (f"{path.name} has no titles: films are named by their numbers",)
            films[movie_id] = _film(row)
            n_cleaned += not is_clean(row["title"])
    if not films:
        raise DataError(f"{path} lists no film; expected at least one row below the header")
    return FilmFiles(
        tuple(films[movie_id] for movie_id in sorted(films)), NUMBERING, (*notes, *notes_on_titles(n_cleaned))
    )


def _film(row: Row) -> Film:
    parsed = parse_title(row["title"])
    if not parsed.title:
        raise row.error("title", "a title")
    year = _optional(row, "year", "a year such as 1995, or nothing", _LAST_YEAR)
    return Film(
        movie_id_in(row, "movie_id", "a whole number above 0"),
        parsed.title,
        year or parsed.year,
        imdb_id=_imdb_id(row),
        tmdb_id=_optional(row, "tmdb_id", "a TMDB number, or nothing"),
        genres=split_genres(row.values.get("genres", "")),
        alternative_titles=parsed.alternatives,
    )


def _optional(row: Row, column: str, expected: str, *most: int) -> int | None:
    return row.optional_integer(column, expected, *most) if column in row.values else None


def _imdb_id(row: Row) -> str | None:
    try:
        return parse_imdb_id(row.values.get("imdb_id", ""))
    except ValueError:
        raise row.error("imdb_id", "an IMDb id such as tt0113277, or nothing") from None
