"""Read directors, cast and keywords of films from a CSV file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog.errors import DataError
from catalog.film_ids import FilmId, id_in
from catalog.io.tables import Row, read_rows
from catalog.text import clean

TERM_COLUMNS = {
    "director": "director",
    "directors": "director",
    "cast": "cast",
    "actors": "cast",
    "keywords": "keyword",
    "keyword": "keyword",
    "plot": "keyword",
}
"""What the columns may be called, and the kinds of `catalog.film.TERM_KINDS` that they hold."""


@dataclass(frozen=True)
class ContentRow:
    """What a row of the file says of a film: terms by kind."""

    line: int
    film_id: FilmId
    terms: Mapping[str, tuple[str, ...]]


def read_content(path: Path) -> list[ContentRow]:
    """Read a CSV file with movie_id, imdb_id or tmdb_id, and any of director, cast and keywords, separated by |.

    DataError names the line and column that is wrong.
    """
    optional = ("movie_id", "imdb_id", "tmdb_id", *TERM_COLUMNS)
    matches = [ContentRow(row.line, id_in(row), _terms(row)) for row in read_rows(path, (), optional)]
    if not matches:
        raise DataError(f"{path} lists no film; expected at least one row below the header")
    return matches


def split_terms(text: str) -> tuple[str, ...]:
    """Split what is separated by |, without blanks and duplicates, ignoring case."""
    terms: dict[str, str] = {}
    for term in (" ".join(part.split()) for part in clean(text).split("|")):
        if term:
            terms.setdefault(term.casefold(), term)
    return tuple(terms.values())


def terms_in(row: Row) -> dict[str, tuple[str, ...]]:
    """Return the terms of a row by kind; of the kinds that its table has columns for."""
    terms: dict[str, tuple[str, ...]] = {}
    for name in filter(TERM_COLUMNS.__contains__, row.values):
        kind = TERM_COLUMNS[name]
        terms[kind] = split_terms("|".join((*terms.get(kind, ()), row[name])))
    return terms


def _terms(row: Row) -> dict[str, tuple[str, ...]]:
    if not (terms := terms_in(row)):
        raise DataError(f"{row.path}, line 1: expected a column director, cast or keywords, received none of them")
    return terms
