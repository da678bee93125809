"""Read the films of The Movies Dataset: ``movies_metadata.csv``, by TMDB's ids, and links to MovieLens' movie_ids.

Its quirks: genres as Python literals; a few rows that are broken in two; films listed twice; more films than links.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from catalog.errors import DataError
from catalog.film import Film
from catalog.film_ids import parse_imdb_id
from catalog.ids import is_id
from catalog.io.tables import read_text
from catalog.text import clean, is_clean, plural
from catalog.titles import notes_on_titles

METADATA = "movies_metadata.csv"
_COLUMNS = ("id", "imdb_id", "title", "original_title", "release_date", "genres")
_GENRE = re.compile(r"""['"]name['"]: ['"]([^'"|]+)['"]""")
_MANY = 5


def read_metadata(path: Path, links: Mapping[int, tuple[str | None, int | None]]) -> tuple[list[Film], list[str]]:
    """Read the films that have a movie_id in `links`, by movie_id, and notes on the rows that are passed over."""
    movie_ids: dict[int, list[int]] = {}
    for movie_id, (_, tmdb_id) in links.items():
        if tmdb_id is not None:
            movie_ids.setdefault(tmdb_id, []).append(movie_id)
    films: dict[int, Film] = {}
    broken: list[int] = []
    n_repeated = n_unlinked = n_cleaned = 0
    seen: set[int] = set()
    for line, values in _rows(path):
        tmdb_id = _number(values.get("id", ""))
        title = clean(values.get("title", ""))
        if tmdb_id is None or not title:
            broken.append(line)
        elif tmdb_id in seen:
            n_repeated += 1
        elif tmdb_id not in movie_ids:
            n_unlinked += 1
        for movie_id in movie_ids.get(tmdb_id or 0, ()) if tmdb_id not in seen and title else ():
            films[movie_id] = _film(movie_id, tmdb_id or 0, values)
            n_cleaned += not is_clean(values["title"])
        seen.add(tmdb_id or 0)
    if not films:
        raise DataError(f"{path} lists no film that the links beside it have a movie_id for")
    notes = [*_notes(broken, n_repeated, n_unlinked), *notes_on_titles(n_cleaned)]
    return [films[movie_id] for movie_id in sorted(films)], notes


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    # Not strict: rows that are broken in two are passed over, which is what pandas' users are used to.
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    header = [name.strip() for name in next(reader, [])]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise DataError(f"{path}, line 1: expected the columns {', '.join(_COLUMNS)}; {', '.join(missing)} missing")
    try:
        for cells in reader:
            is_whole = len(cells) == len(header)
            yield reader.line_num, dict(zip(header, map(str.strip, cells), strict=True)) if is_whole else {}
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: expected CSV, received something else ({error})") from error


def _number(text: str) -> int | None:
    text = text.removesuffix(".0")
    is_number = text.isascii() and text.isdigit() and len(text) <= 12
    return int(text) if is_number and is_id(int(text)) else None


def _film(movie_id: int, tmdb_id: int, values: Mapping[str, str]) -> Film:
    title, original = clean(values["title"]), clean(values["original_title"])
    year = values["release_date"][:4]
    try:
        imdb_id = parse_imdb_id(values["imdb_id"])
    except ValueError:
        imdb_id = None
    return Film(
        movie_id,
        title,
        int(year) if year.isascii() and year.isdigit() and len(year) == 4 else None,
        imdb_id,
        tmdb_id,
        tuple(dict.fromkeys(_GENRE.findall(clean(values["genres"])))),
        (original,) if original and original != title else (),
    )


def _notes(broken: list[int], n_repeated: int, n_unlinked: int) -> Iterator[str]:
    if broken:
        lines = ", ".join(map(str, broken[:_MANY])) + (", …" if len(broken) > _MANY else "")
        yield f"{plural(len(broken), 'row')} of {METADATA} without an id or a title, passed over (line {lines})"
    if n_repeated:
        yield f"{plural(n_repeated, 'row')} of {METADATA} for a film listed before, passed over"
    if n_unlinked:
        yield f"{plural(n_unlinked, 'film')} of {METADATA} that the links have no movie_id for, passed over"
