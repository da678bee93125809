"""Read films, links and tags from the files of MovieLens.

Their layouts: ``movies.csv`` with ``links.csv`` and ``tags.csv`` (ml-latest and its sizes, ml-20m to ml-32m), or
``movie.csv``, ``link.csv`` and ``tag.csv`` as Kaggle has them; ``movies.dat`` and ``tags.dat`` (ml-1m, ml-10m);
ml-100k's ``u.item``; and ``movies_metadata.csv`` of The Movies Dataset.

Their quirks: titles with the article at the end, alternative titles and years in parentheses (`catalog.titles`); blank
``tmdbId``; one ``tmdbId`` for two films; IMDb ids without their leading zeros; ids as floats; "(no genres listed)";
tags that differ in case and blanks only; ``u.item`` and ``movies.dat`` in Latin-1, the former with or without a header
line, with an "unknown" film without a date.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.errors import DataError
from catalog.film import Film, FilmTag
from catalog.film_ids import movie_id_in, parse_imdb_id
from catalog.genres import split_genres
from catalog.io.files import check_input
from catalog.io.tables import Row, read_rows, read_text
from catalog.movies_dataset import METADATA, read_metadata
from catalog.text import clean, is_clean, plural
from catalog.titles import notes_on_titles, parse_title

RATING_NAMES = ("ratings.csv", "rating.csv", "ratings.dat", "u.data", "ratings_small.csv")
"""The files of ratings, the preferred one first."""

_FILM_NAMES = ("movies.csv", "movie.csv", "movies.dat", "u.item", METADATA)
_LINK_NAMES = ("links.csv", "link.csv", "links_small.csv")
_TAG_NAMES = ("tags.csv", "tag.csv")
FILE_NAMES = (*_FILM_NAMES, *_LINK_NAMES, *_TAG_NAMES, "tags.dat", *RATING_NAMES)
"""The files of a data set that are read, here or in `cf.ratings`."""

KNOWN = (
    "movies.csv or movie.csv (MovieLens, also from Kaggle), movies.dat (ml-1m, ml-10m), u.item (ml-100k), "
    f"{METADATA} (The Movies Dataset)"
)
"""The data sets that are known, by their file of films."""

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
    path = first_of(folder, _FILM_NAMES)
    if path is None:
        result = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise DataError(
            f"{folder} holds no data set that is known; expected {KNOWN}, or a table of your own with --columns; "
            f"found {result}"
        )
    if path.name == "u.item":
        films, notes = sort_films(_read_u_item(path), path)
        return FilmFiles(films, "movielens-100k", notes)
    if path.name == METADATA:
        return _read_movies_dataset(path)
    return _read_movies(path)


def first_of(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the first of some files that a folder has; DataError where one that cannot be read has such a name."""
    for path in (folder / name for name in names):
        if os.path.lexists(path):
            check_input(path)
            return path
    return None


def data_folder(folder: Path) -> Path:
    """Return a folder of a data set, or the only folder in it that is one, as archives unpack to."""
    if not folder.is_dir() or is_data_set(folder):
        return folder
    inside = [path for path in folder.iterdir() if path.is_dir() and is_data_set(path)]
    return inside[0] if len(inside) == 1 else folder


def is_data_set(folder: Path) -> bool:
    """Return whether a folder has a file of films that is known, compressed or not."""
    return first_of(folder, [*_FILM_NAMES, *(f"{name}.gz" for name in _FILM_NAMES)]) is not None


def _read_movies_dataset(path: Path) -> FilmFiles:
    links_path = first_of(path.parent, _LINK_NAMES)
    if links_path is None:
        raise DataError(f"{path.parent} should hold links.csv or links_small.csv beside {METADATA}, and has neither")
    films, notes = read_metadata(path, _read_links(links_path))
    return FilmFiles(tuple(films), "movielens", tuple(notes))


def _read_movies(path: Path) -> FilmFiles:
    """Read films with their links and tags, from CSV files or from cells separated by ``::``."""
    folder, columns = path.parent, ("movieId", "title", "genres")
    is_dat = path.suffix == ".dat"
    rows = _read_dat(path, columns) if is_dat else read_rows(path, columns)
    films, notes = sort_films(((row, _film(row)) for row in rows), path)
    tags_path = first_of(folder, ("tags.dat",) if is_dat else _TAG_NAMES)
    tags = tuple(_read_tags(tags_path, {film.movie_id for film in films})) if tags_path else ()
    links_path = first_of(folder, _LINK_NAMES)
    if links_path is None:
        return FilmFiles(films, "movielens", (f"no links.csv in {folder}", *notes), tags)
    links = _read_links(links_path)
    linked = tuple(
        replace(film, imdb_id=links[film.movie_id][0], tmdb_id=links[film.movie_id][1])
        if film.movie_id in links
        else film
        for film in films
    )
    return FilmFiles(linked, "movielens", (*_link_notes(linked, links), *notes), tags)


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
    movie_id = movie_id_in(row, "movieId", _MOVIE_ID)
    return Film(movie_id, parsed.title, parsed.year, genres=genres, alternative_titles=parsed.alternatives)


def _read_links(path: Path) -> dict[int, tuple[str | None, int | None]]:
    links: dict[int, tuple[str | None, int | None]] = {}
    for row in read_rows(path, ("movieId", "imdbId", "tmdbId")):
        movie_id = movie_id_in(row, "movieId", _MOVIE_ID)
        if movie_id in links:
            raise row.error("movieId", "every film once")
        tmdb_id = row.optional_integer("tmdbId", "a TMDB number or nothing")
        links[movie_id] = (_imdb_id(row), tmdb_id)
    return links


def _read_tags(path: Path, movie_ids: Collection[int]) -> Iterator[FilmTag]:
    """Count the users of each tag of each film."""
    columns = ("userId", "movieId", "tag")
    rows = _read_dat(path, (*columns, "timestamp"), text=2) if path.suffix == ".dat" else read_rows(path, columns)
    users: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
    for row in rows:
        movie_id, tag = movie_id_in(row, "movieId", _MOVIE_ID), " ".join(clean(row["tag"]).casefold().split())
        if tag and movie_id in movie_ids:
            users[movie_id, tag].add(row["userId"])
    for (movie_id, tag), user_ids in sorted(users.items()):
        yield FilmTag(movie_id, tag, len(user_ids))


def _imdb_id(row: Row) -> str | None:
    try:
        return parse_imdb_id(row["imdbId"])
    except ValueError:
        raise row.error("imdbId", "an IMDb id such as 0113277 or tt0113277, or nothing") from None


def _read_dat(path: Path, columns: Sequence[str], text: int = 1) -> Iterator[Row]:
    """Yield rows of cells separated by ``::``, which may be in the cell at the position `text` too."""
    for line, content in enumerate(read_text(path, ("utf-8-sig", "latin-1")).split("\n"), start=1):
        cells = content.split("::")
        if not content.strip():
            continue
        if len(cells) < len(columns):
            raise DataError(
                f"{path}, line {line}: expected {len(columns)} cells separated by :: ({', '.join(columns)}), "
                f"received {len(cells)}"
            )
        end = len(cells) - (len(columns) - text - 1)
        cells = [*cells[:text], "::".join(cells[text:end]), *cells[end:]]
        yield Row(path, line, dict(zip(columns, (cell.strip() for cell in cells), strict=True)))


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
            movie_id_in(row, "movieId", _MOVIE_ID),
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


def sort_films(
    rows: Iterator[tuple[Row, Film]], path: Path, column: str = "movieId"
) -> tuple[tuple[Film, ...], tuple[str, ...]]:
    """Sort films by movie_id, and return notes on their titles; DataError if one occurs twice, or if there are none."""
    by_id: dict[int, Film] = {}
    n_cleaned = 0
    for row, film in rows:
        n_cleaned += not is_clean(row["title"])
        if film.movie_id in by_id:
            raise row.error(column, f"every film once ({film.movie_id} is {by_id[film.movie_id].label!r} already)")
        by_id[film.movie_id] = film
    if not by_id:
        raise DataError(f"{path} lists no film; expected at least one row below the header")
    return tuple(by_id[movie_id] for movie_id in sorted(by_id)), notes_on_titles(n_cleaned)
