"""Ids of films, each in its namespace: MovieLens', IMDb's or TMDB's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog.errors import DataError
from catalog.ids import MAX_ID
from catalog.io.files import read_bytes
from catalog.io.tables import Row


@dataclass(frozen=True)
class Movie:
    """A movie_id of the catalog."""

    number: int

    def __str__(self) -> str:
        return f"movie_id {self.number}"


@dataclass(frozen=True)
class Imdb:
    """An IMDb id, zero-padded to seven digits, without ``tt``."""

    number: str

    def __str__(self) -> str:
        return f"IMDb id tt{self.number}"


@dataclass(frozen=True)
class Tmdb:
    """A TMDB id."""

    number: int

    def __str__(self) -> str:
        return f"TMDB id {self.number}"


FilmId = Movie | Imdb | Tmdb

_NAMED = re.compile(
    r"(?:(?P<kind>imdb|tmdb|movie)(?:_?id)?\s*[:=]\s*)?(?P<tt>tt)?(?P<digits>[0-9]{1,12})", re.IGNORECASE
)
_ADDRESS = re.compile(
    r"(?:https?://)?(?:[\w-]+\.)?(?:(?P<imdb>imdb)\.com/title/tt|themoviedb\.org/movie/)(?P<digits>[0-9]{1,12})\b\S*",
    re.IGNORECASE,
)
# Only IMDb pads its ids with zeros, to seven digits.
_PADDED = re.compile(r"0[0-9]{6,}")
ID_COLUMNS = {"movie_id": "movie", "imdb_id": "imdb", "tmdb_id": "tmdb"}
"""The columns that name a film, and whose ids they hold; in movie_id, any id is read as what it is."""
_KIND_TYPES: Mapping[str, tuple[type, ...]] = {
    "movie_id": (Movie, Imdb, Tmdb),
    "imdb_id": (Imdb,),
    "tmdb_id": (Tmdb,),
}
_MAX_LIST_BYTES = 64 << 20
_EXPECTED = "a movie_id such as 6, an IMDb id such as tt0113277 or a TMDB id such as tmdb:949"


def parse_film_id(text: str) -> FilmId | None:
    """Parse an id; None for any other text, and for a number above `MAX_ID`.

    ``tt`` and digits, or seven digits with a leading zero, are IMDb's; ``tmdb:862`` is TMDB's; other digits, and
    ``movie:6``, are a movie_id. ``imdb:112818`` and the addresses of both sites are read as well.
    """
    text = text.strip()
    if match := _ADDRESS.fullmatch(text):
        return _film_id("imdb" if match["imdb"] else "tmdb", match["digits"])
    match = _NAMED.fullmatch(text)
    if match is None:
        return None
    kind = (match["kind"] or "").lower()
    if match["tt"]:
        return _film_id("imdb", match["digits"]) if kind in ("", "imdb") else None
    return _film_id(kind or ("imdb" if is_imdb_number(match["digits"]) else "movie"), match["digits"])


def is_imdb_number(text: str) -> bool:
    """Return whether digits are an IMDb id without ``tt``, as their zeros tell."""
    return _PADDED.fullmatch(text) is not None


def movie_id_in(row: Row, column: str, expected: str) -> int:
    """Parse a cell as a movie_id; DataError for an IMDb id, which as a movie_id would be another film's."""
    if is_imdb_number(row[column]):
        raise row.error(column, f"{expected}, not an IMDb id")
    return row.integer(column, expected)


def ids_in(row: Row, columns: Mapping[str, str], expected: str = _EXPECTED) -> Iterator[FilmId]:
    """Yield the ids of a row; `columns` maps those of `ID_COLUMNS` that the file has to their names in it.

    `expected` describes a movie_id in errors.
    """
    for column, kind in ID_COLUMNS.items():
        text = row[columns[column]].removesuffix(".0") if column in columns else ""
        if not text:
            continue
        film_id = parse_film_id(text)
        if not isinstance(film_id, _KIND_TYPES[column]):
            film_id = parse_film_id(f"{kind}:{text}")
        if film_id is None:
            wanted = expected if column == "movie_id" else f"an id of {kind.upper()}, or nothing"
            raise row.error(columns[column], wanted)
        yield film_id


def id_in(row: Row) -> FilmId:
    """Return the id of a row: the first of its columns movie_id, imdb_id and tmdb_id that has one."""
    given = {column: column for column in ID_COLUMNS if column in row.values}
    if not given:
        raise DataError(f"{row.path}, line 1: expected a column {', '.join(ID_COLUMNS)}, received none of them")
    for film_id in ids_in(row, given):
        return film_id
    raise row.error(next(iter(given)), _EXPECTED)


def _film_id(kind: str, digits: str) -> FilmId | None:
    if int(digits) > MAX_ID:
        return None
    if kind == "imdb":
        return Imdb(format_imdb_id(int(digits)))
    return Tmdb(int(digits)) if kind == "tmdb" else Movie(int(digits))


def parse_imdb_id(text: str) -> str | None:
    """Parse an IMDb id as people and tables write it, such as tt0113277; None if blank, ValueError if it is none."""
    digits = text.strip().lower().removeprefix("tt").removesuffix(".0")
    if not digits:
        return None
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 12 and int(digits) <= MAX_ID):
        raise ValueError(f"expected an IMDb id such as tt0113277, received {text!r}")
    return format_imdb_id(int(digits))


def format_imdb_id(number: int) -> str:
    """Format an IMDb number as keyart stores it: zero-padded, without ``tt``."""
    return f"{number:07d}"


def read_film_ids(path: Path) -> tuple[FilmId, ...]:
    """Read a list of films: one id a line; blank lines and what follows a ``#`` are ignored."""
    try:
        lines = read_bytes(path, _MAX_LIST_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, DataError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path} ({error}); expected a text file with one id a line") from error
    film_ids: dict[FilmId, None] = {}
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        film_id = parse_film_id(text)
        if film_id is None:
            raise DataError(f"{path}, line {number}: expected {_EXPECTED}; received {text[:40]!r}")
        film_ids[film_id] = None
    return tuple(film_ids)
