"""Read films, links and tags from the files of MovieLens.

Two layouts are read: ``movies.csv`` with ``links.csv`` and ``tags.csv`` (ml-latest and its sizes, ml-20m to ml-32m),
and ml-100k's ``u.item``. Their quirks: titles with the article at the end, alternative titles and
years in parentheses (`catalog.titles`); blank ``tmdbId``; one ``tmdbId`` for two films; IMDb ids without their leading
zeros; ids as floats; "(no genres listed)"; tags that differ in case and blanks only; ``u.item`` in Latin-1, with or
without a header line, with an "unknown" film without a date.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.errors import DataError
from catalog.film import Film, FilmTag
from catalog.film_ids import parse_imdb_id
from catalog.genres import split_genres
from catalog.io.tables import Row, read_rows, read_text
from catalog.text import plural
from catalog.titles import parse_title

FILE_NAMES = ("movies.csv", "links.csv", "tags.csv", "ratings.csv", "u.item", "u.data")
"""The files of a MovieLens folder that are read, here or in `cf.ratings`."""

_MOVIE_ID = "a film's number, above 0"
_100K_GENRES = (
    "unknown Action Adventure Animation Children Comedy Crime Documentary Drama Fantasy Film-Noir Horror "
    "Musical Mystery Romance Sci-Fi Thriller War Western"
).split()
_100K_COLUMNS = ["movieId", "title", "release date", "video release date", "IMDb address", *_100K_GENRES]


@dataclass(frozen=True)
class FilmFiles:
    """The films of a MovieLens folder by movie_id, their tags, which numbers they have, and notes for the user."""

    films: tuple[Film, ...]
    numbering: str
    notes: tuple[str, ...]
    tags: tuple[FilmTag, ...] = ()


def read_films(folder: Path) -> FilmFiles:
    """Read the films of a MovieLens folder; DataError names the file, line and column that is wrong."""
    if not folder.exists():
        raise DataError(f"{folder} does not exist; name the unpacked MovieLens folder, or a CSV file of films")
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a folder; name the unpacked MovieLens folder, the one with movies.csv in it, or a CSV "
            "file of films"
        )
    if (folder / "movies.csv").is_file():
        return _read_movies_csv(folder)
    if (folder / "u.item").is_file():
        return FilmFiles(sort_films(_read_u_item(folder / "u.item"), folder / "u.item"), "movielens-100k", ())
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    raise DataError(f"{folder} should hold movies.csv (or ml-100k's u.item); found {found}")


def _read_movies_csv(folder: Path) -> FilmFiles:
    path = folder / "movies.csv"
    films = sort_films(((row, _film(row)) for row in read_rows(path, ("movieId", "title", "genres"))), path)
    tags = tuple(_read_tags(folder / "tags.csv", {film.movie_id for film in films}))
    links_path = folder / "links.csv"
    if not links_path.is_file():
        return FilmFiles(films, "movielens", (f"no links.csv in {folder}",), tags)
    links = _read_links(links_path)
    linked = tuple(
        replace(film, imdb_id=links[film.movie_id][0], tmdb_id=links[film.movie_id][1])
        if film.movie_id in links
        else film
        for film in films
    )
    return FilmFiles(linked, "movielens", tuple(_link_notes(linked, links)), tags)


def _link_notes(films: tuple[Film, ...], links: dict[int, tuple[str | None, int | None]]) -> Iterator[str]:
    n_blank = sum(film.tmdb_id is None for film in films)
    if n_blank:
        yield f"{plural(n_blank, 'film has', 'films have')} no tmdbId; posters are looked for by IMDb id"
    n_unknown = len(links.keys() - {film.movie_id for film in films})
    if n_unknown:
        yield f"{plural(n_unknown, 'row')} of links.csv for no film of movies.csv; passed over"


def _film(row: Row) -> Film:
    parsed = parse_title(row["title"])
    if not parsed.title:
        raise row.error("title", "a title")
    genres = split_genres(row["genres"])
    movie_id = row.integer("movieId", _MOVIE_ID)
    return Film(movie_id, parsed.title, parsed.year, genres=genres, alternative_titles=parsed.alternatives)


def _read_links(path: Path) -> dict[int, tuple[str | None, int | None]]:
    links: dict[int, tuple[str | None, int | None]] = {}
    for row in read_rows(path, ("movieId", "imdbId", "tmdbId")):
        movie_id = row.integer("movieId", _MOVIE_ID)
        if movie_id in links:
            raise row.error("movieId", "every film once")
        tmdb_id = row.optional_integer("tmdbId", "a TMDB number or nothing")
        links[movie_id] = (_imdb_id(row), tmdb_id)
    return links


def _read_tags(path: Path, movie_ids: Collection[int]) -> Iterator[FilmTag]:
    """Count the users of each tag of each film; many editions of MovieLens come without the file."""
    if not path.is_file():
        return
    users: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
    for row in read_rows(path, ("userId", "movieId", "tag")):
        movie_id, tag = row.integer("movieId", _MOVIE_ID), " ".join(row["tag"].casefold().split())
        if tag and movie_id in movie_ids:
            users[movie_id, tag].add(row["userId"])
    for (movie_id, tag), user_ids in sorted(users.items()):
        yield FilmTag(movie_id, tag, len(user_ids))


def _imdb_id(row: Row) -> str | None:
    try:
        return parse_imdb_id(row["imdbId"])
    except ValueError:
        raise row.error("imdbId", "an IMDb id such as 0113277 or tt0113277, or nothing") from None


def _read_u_item(path: Path) -> Iterator[tuple[Row, Film]]:
    for line, text in enumerate(read_text(path, ("utf-8-sig", "latin-1")).split("\n"), start=1):
        cells = text.split("|")
        if not text.strip() or (line == 1 and cells[0] == "movieId"):
            continue
        if len(cells) != len(_100K_COLUMNS):
            raise DataError(
                f"{path}, line {line}: expected {len(_100K_COLUMNS)} cells parted by |, received {len(cells)}"
            )
        row = Row(path, line, dict(zip(_100K_COLUMNS, (cell.strip() for cell in cells), strict=True)))
        parsed = parse_title(row["title"])
        if not parsed.title:
            raise row.error("title", "a title")
        film = Film(
            row.integer("movieId", _MOVIE_ID),
            parsed.title,
            parsed.year or _year_of_date(row["release date"]),
            genres=tuple(genre for genre in _100K_GENRES[1:] if row[genre] == "1"),
            alternative_titles=parsed.alternatives,
        )
        yield row, film


def _year_of_date(date: str) -> int | None:
    """Read the year of ``"01-Jan-1995"``."""
    year = date[-4:]
    return int(year) if len(year) == 4 and year.isdigit() else None


def sort_films(rows: Iterator[tuple[Row, Film]], path: Path, column: str = "movieId") -> tuple[Film, ...]:
    """Sort films by movie_id; DataError if one occurs twice, or if there are none."""
    by_id: dict[int, Film] = {}
    for row, film in rows:
        if film.movie_id in by_id:
            raise row.error(column, f"every film once ({film.movie_id} is {by_id[film.movie_id].label!r} already)")
        by_id[film.movie_id] = film
    if not by_id:
        raise DataError(f"{path} lists no film; expected at least one row below the header")
    return tuple(by_id[movie_id] for movie_id in sorted(by_id))
