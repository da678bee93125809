"""Read the ratings of one person: what Letterboxd, IMDb, Trakt and MovieLens export, or a list of one's own."""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalog.errors import DataError
from catalog.film import Titled
from catalog.film_ids import FilmId, Imdb, Tmdb, ids_in, parse_film_id
from catalog.ids import is_id
from catalog.io.archives import unpack_content
from catalog.io.files import parse_json, read_input
from catalog.io.tables import Row, decode_text, parse_rows
from catalog.titles import parse_title
from cf.ratings import HIGHEST, LOWEST, TEN_POINTS

EXPECTED = (
    "ratings.csv or diary.csv of Letterboxd, ratings.csv of IMDb, CSV or JSON of Trakt, or a table with the columns "
    "movie_id (or title and year) and rating"
)
# What tables call a column, in lower case without blanks and underscores; the first that is there counts.
_NAMES: Mapping[str, Sequence[str]] = {
    "rating": ("yourrating", "yourated", "myrating", "rating", "мояоценка", "оценка"),
    "title": ("name", "title", "русскоязычноеназвание", "название"),
    "original_title": ("originaltitle", "оригинальноеназвание"),
    "year": ("year", "год"),
    "type": ("titletype", "type"),
    "time": ("watcheddate", "daterated", "ratedat", "timestamp", "date"),
    "movie_id": ("movieid",),
    "imdb_id": ("const", "imdbid", "imdb"),
    "tmdb_id": ("tmdbid", "tmdb"),
    "user_id": ("userid",),
}
# What tables call series, episodes, games and the like, in lower case without blanks: IMDb, TMDB, Trakt and others.
_NO_FILM = re.compile(r"tv|show|tvshow|.*(?:s[eé]rie|сериал|episode|season|pilot|game|podcast|musicvideo).*")
# Of lists that have no column for it.
_SERIES_IN_TITLE = re.compile(r"\((?:[^()]*\s|мини-)?(?:сериал|series)\b[^()]*\)", re.IGNORECASE)
_SERIES_YEARS = re.compile(r"\d{4}\s*[-–—]\s*(?:\d{4}|\.\.\.)?")
_KINDS = ("movie", "episode", "season", "show")
# Letterboxd exports a zip archive with the first among others, back-ups of Trakt one of these.
_OF_EXPORT = ("ratings.csv", "ratings_movies.json", "ratings-movies.json")
_LETTERBOXD_LIST = "Letterboxd list export"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLANK = ("", "-", "–", "null", "none", "nan")
_GERMAN_DAY = re.compile(r"(\d\d)\.(\d\d)\.(\d{4})(.*)")


@dataclass(frozen=True)
class PersonalRating(Titled):
    """A row of a file: a film as the file names it, and the stars it got."""

    line: int
    title: str
    year: int | None
    film_ids: tuple[FilmId, ...]
    # None where it was not rated.
    stars: float | None
    # Seconds since 1970; less where the time is unknown.
    time_s: float = -math.inf
    # False for series, episodes and games.
    is_film: bool = True
    original_title: str = ""


@dataclass(frozen=True)
class PersonalFile:
    """One person's ratings as a file has them, and the service that wrote it."""

    name: str
    source: str
    rows: tuple[PersonalRating, ...]


def read_personal_file(path: Path) -> PersonalFile:
    """Read a file of one person's ratings, or of an export its file of ratings; DataError names line and column."""
    file = path
    if path.is_dir():
        file = next((path / name for name in _OF_EXPORT if (path / name).is_file()), path / _OF_EXPORT[0])
    return parse_personal_file(read_input(file), file)


def parse_personal_file(content: bytes, path: Path) -> PersonalFile:
    """Read the content of a file of one person's ratings, packed or not; the path is for messages."""
    content, inner = unpack_content(content, path, _OF_EXPORT)
    if b"\0" in content and not content.startswith(_UTF_16):
        raise DataError(f"{inner} is no export of ratings; expected {EXPECTED}")
    # Spreadsheets write UTF-16 as "Unicode text", and mark it.
    text = decode_text(content, inner, ("utf-16",) if content.startswith(_UTF_16) else ("utf-8-sig",))
    if text.startswith(_LETTERBOXD_LIST):
        raise DataError(f"{inner} is a list of Letterboxd, which has no ratings; expected {EXPECTED}")
    file = _parse_trakt(text, inner) if text.lstrip().startswith(("[", "{")) else _parse_table(text, inner)
    if not file.rows:
        raise DataError(f"{inner} holds no ratings; expected {EXPECTED}")
    return replace(file, name=path.name)


def _parse_table(text: str, path: Path) -> PersonalFile:
    rows = list(parse_rows(text, path))
    if not rows:
        return PersonalFile(path.name, "", ())
    columns = _columns(rows[0].values)
    if "rating" not in columns or not columns.keys() & {"title", "movie_id", "imdb_id", "tmdb_id"}:
        raise DataError(f"{path}, line 1: expected {EXPECTED}; received the columns {', '.join(rows[0].values)}")
    _check_one_person(rows, columns, path)
    source, most = _source(rows[0].values, columns)
    scores = [_score(row, columns["rating"], most) for row in rows]
    if most is None:
        most = TEN_POINTS if max((score for score in scores if score), default=0.0) > HIGHEST else HIGHEST
        source = "a list of ten points" if most == TEN_POINTS else source
    stars = [score and max(score * HIGHEST / most, LOWEST) for score in scores]
    rated = tuple(_rating(row, columns, one) for row, one in zip(rows, stars, strict=True))
    return PersonalFile(path.name, source, rated)


def _columns(names: Iterable[str]) -> dict[str, str]:
    """Map what columns hold to their names in a file."""
    by_key = {_key(name): name for name in reversed(list(names))}
    matches = {meaning: next((by_key[key] for key in keys if key in by_key), None) for meaning, keys in _NAMES.items()}
    return {meaning: name for meaning, name in matches.items() if name is not None}


def _key(name: str) -> str:
    return re.sub(r"[\s_]", "", name).lower()


def _source(names: Iterable[str], columns: Mapping[str, str]) -> tuple[str, float | None]:
    """Return which service wrote a table, and the highest score of its scale; None where its scores decide."""
    keys = {_key(name) for name in names}
    if "letterboxduri" in keys:
        return "Letterboxd", HIGHEST
    if "const" in keys:
        return "IMDb", TEN_POINTS
    if keys & {"traktid", "traktrating"}:
        return "Trakt", TEN_POINTS
    if "simklid" in keys:
        return "Simkl", TEN_POINTS
    if {"tmdbid", "yourrating"} <= keys:
        return "TMDB", TEN_POINTS
    if keys & {"мояоценка", "русскоязычноеназвание"}:
        return "Kinopoisk", TEN_POINTS
    return ("MovieLens" if "movie_id" in columns else "a list"), None


def _check_one_person(rows: Sequence[Row], columns: Mapping[str, str], path: Path) -> None:
    if "user_id" in columns and (n_users := len({row[columns["user_id"]] for row in rows})) > 1:
        raise DataError(
            f"{path} holds the ratings of {n_users:,} users, expected those of one person; those of many are for "
            "`keyart load`"
        )


def _score(row: Row, column: str, most: float | None) -> float | None:
    text = row[column].replace(",", ".").lower()
    if re.fullmatch("★*½?", text) and text:
        text = str(text.count("★") + text.count("½") / 2)
    # Lists of ten points have 0 for what was not rated.
    if text in _BLANK or (text == "0" and most != HIGHEST):
        return None
    highest = most or TEN_POINTS
    lowest = LOWEST if highest == HIGHEST or most is None else 1.0
    try:
        score = float(text)
    except ValueError:
        score = -1.0
    if not lowest <= score <= highest:
        raise row.error(column, f"a rating from {lowest:g} to {highest:g}, or nothing")
    return score


def _rating(row: Row, columns: Mapping[str, str], stars: float | None) -> PersonalRating:
    cells = {meaning: row[name] for meaning, name in columns.items()}
    parsed = parse_title(cells.get("title", "") or cells.get("original_title", ""))
    year = cells.get("year", "").removesuffix(".0")
    return PersonalRating(
        row.line,
        parsed.title,
        int(year) if year.isascii() and year.isdigit() and len(year) == 4 else parsed.year,
        tuple(ids_in(row, columns, "a movie_id")),
        stars,
        _seconds(cells.get("time", "")),
        not _is_series(cells),
        cells.get("original_title", ""),
    )


def _is_series(cells: Mapping[str, str]) -> bool:
    in_title = _SERIES_IN_TITLE.search(cells.get("title", "")) or _SERIES_YEARS.fullmatch(cells.get("year", ""))
    return bool(in_title or _NO_FILM.fullmatch(_key(cells.get("type", ""))))


def _seconds(text: str) -> float:
    """Return a time as seconds since 1970, in UTC where no zone is named; less than any if it is no time."""
    if text.isascii() and text.isdigit():
        return float(text)
    text = _GERMAN_DAY.sub(r"\3-\2-\1\4", text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return -math.inf
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _parse_trakt(text: str, path: Path) -> PersonalFile:
    try:
        items = parse_json(text)
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, received something else ({error})") from error
    if not isinstance(items, list):
        raise DataError(f"{path}: expected a list of ratings, as Trakt exports it, received something else")
    return PersonalFile(
        path.name, "Trakt", tuple(_trakt_rating(item, number, path) for number, item in enumerate(items, start=1))
    )


def _trakt_rating(item: Any, number: int, path: Path) -> PersonalRating:
    # Some exports leave the type to be seen from what is there.
    held = next((kind for kind in _KINDS if kind in item), "") if isinstance(item, dict) else ""
    kind = item.get("type", held) if held else ""
    film = item.get(kind) if kind else None
    rating = item.get("rating") if kind else None
    is_rating = isinstance(rating, int | float) and not isinstance(rating, bool) and 1 <= rating <= 10
    if not isinstance(film, dict) or not (rating is None or is_rating):
        raise DataError(f"{path}, item {number}: expected a film and a rating from 1 to 10, as Trakt exports it")
    ids, year = film.get("ids") or {}, film.get("year")
    return PersonalRating(
        number,
        str(film.get("title") or ""),
        year if isinstance(year, int) else None,
        tuple(_trakt_ids(ids if isinstance(ids, dict) else {})),
        float(rating) / 2 if rating is not None else None,
        _seconds(str(item.get("rated_at") or "")),
        kind == "movie",
    )


def _trakt_ids(ids: Mapping[str, Any]) -> Iterable[FilmId]:
    imdb_id, tmdb_id = ids.get("imdb"), ids.get("tmdb")
    if isinstance(imdb_id, str) and isinstance(film_id := parse_film_id(imdb_id), Imdb):
        yield film_id
    if isinstance(tmdb_id, int) and is_id(tmdb_id):
        yield Tmdb(tmdb_id)
