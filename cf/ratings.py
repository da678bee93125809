"""Ratings: read from CSV, ``u.data`` or Parquet, stored as Parquet, arranged as a sparse matrix with ids.

The Parquet file of a workspace has the columns user_id (int32), movie_id (int32), rating (float32, stars) and timestamp
(int64, seconds since 1970).
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import xxhash
from pyarrow import csv
from scipy import sparse

from catalog.errors import DamageError, DataError
from catalog.film_ids import is_imdb_number, movie_id_in
from catalog.ids import MAX_ID
from catalog.io.files import (
    FORMAT_ERRORS,
    MAX_INPUT_BYTES,
    atomic_path,
    is_read_failure,
    name_in_utf8,
    open_regular,
    read_bytes,
    read_error,
    read_input,
)
from catalog.io.tables import Row, delimiter_of, parse_rows, read_rows, read_text, spelled
from catalog.movielens import RATING_NAMES, first_of
from catalog.text import first_line

LOWEST, HIGHEST = 0.5, 5.0
TEN_POINTS = 10.0
"""The highest rating of the scale that many other services have."""

_COLUMNS = ("userId", "movieId", "rating", "timestamp")
_TYPES = {"userId": "int32", "movieId": "int32", "rating": "float32", "timestamp": "int64"}
_ARROW_TYPES = {"userId": pa.int32(), "movieId": pa.int32(), "rating": pa.float32(), "timestamp": pa.int64()}
# About 3,000 years: rejects timestamps in milliseconds.
_MOST_SECONDS = 10**11
_BOUNDS = {
    "userId": (1, MAX_ID),
    "movieId": (1, MAX_ID),
    "rating": (LOWEST, HIGHEST),
    "timestamp": (0, _MOST_SECONDS),
}
_EXPECTED = {
    "userId": "a user's number, above 0",
    "movieId": "a film's number, above 0",
    "rating": f"a rating from {LOWEST} to {{:.1f}}",
    "timestamp": "seconds since 1970",
}
_PARQUET_ERRORS = (*FORMAT_ERRORS, pa.ArrowException)
# So many rows tell how a file is written.
_HEAD_ROWS = 1000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RatingMatrix:
    """Ratings as a sparse matrix whose rows and columns have ids, ascending."""

    user_ids: npt.NDArray[np.int32]
    movie_ids: npt.NDArray[np.int32]
    values: sparse.csr_array  # (n_users, n_films), float32 stars; what is not stored is unknown


@dataclass(frozen=True)
class Ratings:
    """A table of ratings, one row each; a user rates a film at most once.

    What is read from a file is sorted by user and film, so that the order of its rows never changes a result.
    """

    user_ids: npt.NDArray[np.int32]
    movie_ids: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]  # stars, 0.5 to 5
    timestamps: npt.NDArray[np.int64]  # seconds since 1970; 0 where no time is known
    # Ratings that the source has beside these, each replaced by another one of the same user and film.
    n_replaced: int = field(default=0, kw_only=True)
    # The name that a workspace has for them all, which models record; empty for a part of them, or others.
    source: str = field(default="", kw_only=True)
    # Whether the source has ten points, of which two are a star.
    is_halved: bool = field(default=False, kw_only=True)

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def empty(cls) -> Ratings:
        """Return a table without rows."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int64))

    def of_films(self, movie_ids: Sequence[int] | npt.NDArray[np.int32]) -> Ratings:
        """Select the ratings of films."""
        return self.where(np.isin(self.movie_ids, np.asarray(movie_ids, np.int32)))

    def where(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> Ratings:
        """Select rows by mask or position."""
        return Ratings(self.user_ids[rows], self.movie_ids[rows], self.values[rows], self.timestamps[rows])

    def film_statistics(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return rated movie_ids, ascending, with the number and the mean of their ratings."""
        movie_ids, rows, n_ratings = np.unique(self.movie_ids, return_inverse=True, return_counts=True)
        totals = np.bincount(rows, weights=self.values, minlength=len(movie_ids))
        return movie_ids, n_ratings, totals / n_ratings

    def matrix(self) -> RatingMatrix:
        """Arrange the ratings as users × films."""
        user_ids, users = np.unique(self.user_ids, return_inverse=True)
        movie_ids, films = np.unique(self.movie_ids, return_inverse=True)
        shape = (len(user_ids), len(movie_ids))
        values = sparse.coo_array((self.values, (users, films)), shape=shape).tocsr()
        return RatingMatrix(user_ids, movie_ids, values)

    def in_order(self) -> Ratings:
        """Sort by user and film, and keep one rating of each pair: the latest, or the last where no time is known.

        Ratings of the same second are not in any order, so that the higher one counts.
        """
        pairs = (self.user_ids.astype(np.int64) << 32) | self.movie_ids
        if (np.diff(pairs) > 0).all():
            return self
        among_equals = np.where(self.timestamps > 0, self.values, np.arange(len(self)))
        order = np.lexsort((among_equals, self.timestamps, pairs))
        is_last = np.append(np.diff(pairs[order]) > 0, True)
        remaining = self.where(order[is_last])
        n_replaced = self.n_replaced + len(self) - len(remaining)
        return replace(remaining, n_replaced=n_replaced, is_halved=self.is_halved)

    def digest(self) -> str:
        """Hash the ratings; their order does not matter."""
        order = np.argsort((self.user_ids.astype(np.int64) << 32) | self.movie_ids, kind="stable")
        rows, hasher = self.where(order), hashlib.sha256()
        for column, kind in ((rows.user_ids, "<i4"), (rows.movie_ids, "<i4"), (rows.values, "<f4")):
            hasher.update(column.astype(kind).tobytes())
        hasher.update(rows.timestamps.astype("<i8").tobytes())
        return hasher.hexdigest()

    def save(self, path: Path) -> None:
        """Write the ratings as Parquet."""
        columns = {
            "user_id": self.user_ids,
            "movie_id": self.movie_ids,
            "rating": self.values,
            "timestamp": self.timestamps,
        }
        # Arrow itself opens no path that is not UTF-8, as names may be under LC_ALL=C.
        with atomic_path(path) as temporary_path, temporary_path.open("wb") as stream:
            pd.DataFrame(columns).to_parquet(stream, index=False)

    @classmethod
    def open(cls, path: Path, xxh3: str | None = None) -> Ratings:
        """Open ratings that `save` wrote; DamageError if their file does not have a checksum that was recorded."""
        try:
            table = pd.read_parquet(io.BytesIO(_checked_bytes(path, xxh3)))
            # Those of an earlier version are in the order of the file that was loaded.
            return cls(*(table[name].to_numpy() for name in ("user_id", "movie_id", "rating", "timestamp"))).in_order()
        except (*_PARQUET_ERRORS, DataError) as error:
            if is_read_failure(error):
                raise read_error(path, error) from error
            raise DamageError(
                f"{path} is not a readable file of ratings ({error}); run `keyart load DIR` again"
            ) from error


def _checked_bytes(path: Path, xxh3: str | None) -> bytes:
    content = read_bytes(path, MAX_INPUT_BYTES)
    if xxh3 not in (None, xxhash.xxh3_64_hexdigest(content)):
        raise DataError("it has another checksum than when it was written")
    return content


def read_movielens(folder: Path) -> Ratings:
    """Read the ratings of a MovieLens folder: ``ratings.csv``, ``ratings.dat``, ml-100k's ``u.data`` and others.

    Where a user rates a film twice, the latest rating counts, or the last line where there are no times.
    """
    path = first_of(folder, RATING_NAMES)
    return Ratings.empty() if path is None else read_ratings(path)


def read_ratings(path: Path, names: Mapping[str, str] | None = None, *, ten_points: bool = False) -> Ratings:
    """Read one file of ratings: CSV, tab-separated as ml-100k's ``u.data``, ``::`` as ml-1m's ratings.dat, or Parquet.

    `names` are those of the columns userId, movieId, rating and timestamp in the file, where it calls them otherwise.
    With `ten_points`, a table may have that scale, as any rating above five shows; it is halved.

    Where a user rates a film twice, the latest rating counts, or the last line where there are no times.
    """
    table = _read_table(path, names or {}, TEN_POINTS if ten_points else HIGHEST)
    is_halved = bool((table["rating"] > HIGHEST).any())
    if is_halved:
        table["rating"] = (table["rating"] * (HIGHEST / TEN_POINTS)).clip(lower=LOWEST).astype("float32")
    ratings = Ratings(*(table[name].to_numpy() for name in _COLUMNS)).in_order()
    return replace(ratings, is_halved=is_halved)


def is_table_of_ratings(path: Path) -> bool:
    """Return whether a text file has the columns of ratings, by the names that MovieLens gives them."""
    return set(_COLUMNS[:3]) <= set(_read_head(path, {}).header)


def _read_table(path: Path, names: Mapping[str, str], most: float) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _read_parquet(path, names, most)
    if suffix == ".dat":
        return _read_dat(path)
    # ml-100k's u.data begins with a row of numbers.
    return _read_csv(path, names, most) if suffix == ".csv" or _has_header(path) else _read_cells(path, "\t")


def _has_header(path: Path) -> bool:
    return any(letter.isalpha() for name in _read_head(path, {}).header for letter in name)


def _read_parquet(path: Path, names: Mapping[str, str], most: float) -> pd.DataFrame:
    try:
        table = pd.read_parquet(io.BytesIO(read_bytes(path, MAX_INPUT_BYTES)))
        received = [str(name).strip() for name in table.columns]
        table.columns = spelled(received, _COLUMNS, names)
    except _PARQUET_ERRORS as error:
        raise DataError(f"{path} is not a readable Parquet file ({first_line(error)})") from error
    spellings = dict(zip(table.columns, received, strict=True))
    wanted = _COLUMNS if "timestamp" in names else _COLUMNS[:3]
    if missing := [names.get(name, name) for name in wanted if name not in table]:
        raise DataError(
            f"{path}: expected the columns {', '.join(spellings.get(name, names.get(name, name)) for name in wanted)}; "
            f"{', '.join(missing)} missing, received {', '.join(received) or 'none'}"
        )
    if "timestamp" not in table:
        table["timestamp"] = 0
    for name, (least, highest) in (_BOUNDS | {"rating": (LOWEST, most)}).items():
        numbers = pd.to_numeric(table[name], errors="coerce").astype("float64")
        # NaN is not between any two numbers, so it is found as well.
        wrong = ~numbers.between(least, highest) | ((numbers % 1 != 0) if name != "rating" else False)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            value = table[name].iloc[[row]].tolist()[0]
            where = f"{path}, row {row + 1}, column {spellings[name]}"
            raise DataError(f"{where}: expected {_expected(name, most)}, received {value!r}")
    return table[list(_COLUMNS)].astype(_TYPES)


class _Head(NamedTuple):
    """How a CSV file is written, by its first rows."""

    header: Sequence[str] = ()
    delimiter: str = ","
    # Seconds, or times as text, as Kaggle has them.
    has_text_times: bool = False
    # Arrow reads an IMDb id as a number; row by row, it is found and refused.
    has_imdb_ids: bool = False
    has_decimal_commas: bool = False


def _expected(column: str, most: float = HIGHEST) -> str:
    return _EXPECTED[column].format(most)


def _read_csv(path: Path, names: Mapping[str, str], most: float) -> pd.DataFrame:
    # Row by row, which is slow, only to locate a malformed line. Arrow's reader and not pandas', which drops cells
    # beyond the last column and wraps numbers that are too large.
    head = _read_head(path, names)
    if head.has_imdb_ids or ("timestamp" in names and "timestamp" not in head.header):
        return _read_csv_by_row(path, head.header, names, most)
    try:
        table = _read_by_arrow(path, head)
    except (OSError, KeyError, pa.ArrowException) as error:
        _log.debug("reading %s row by row: %s", path, error)
    else:
        if _plausible(table, most):
            return table
    return _read_csv_by_row(path, head.header, names, most)


def _read_by_arrow(path: Path, head: _Head) -> pd.DataFrame:
    time_type = pa.timestamp("s") if head.has_text_times else pa.int64()
    options = csv.ConvertOptions(
        column_types=_ARROW_TYPES | {"timestamp": time_type},
        include_columns=_COLUMNS,
        null_values=[],
        include_missing_columns=_is_timeless(head.header),
        decimal_point="," if head.has_decimal_commas else ".",
    )
    parsing = csv.ParseOptions(delimiter=head.delimiter)
    with name_in_utf8(path) as name:
        read = csv.read_csv(name, csv.ReadOptions(column_names=head.header, skip_rows=1), parsing, options)
    times = read["timestamp"].cast(pa.int64())
    read = read.set_column(read.schema.get_field_index("timestamp"), "timestamp", times)
    table: pd.DataFrame = read.to_pandas().fillna({"timestamp": 0}).astype(_TYPES)
    return table


def _read_head(path: Path, names: Mapping[str, str]) -> _Head:
    """Read the first lines; if that fails, nothing is known, and the error is reported row by row."""
    try:
        with os.fdopen(open_regular(path), encoding="utf-8-sig") as stream:
            lines = list(islice(stream, 1 + _HEAD_ROWS))
    except (OSError, ValueError):
        return _Head()
    first = lines[0] if lines else ""
    delimiter = delimiter_of(first)
    header = spelled(first.replace('"', "").split(delimiter), _COLUMNS, names)
    has_text_times = has_imdb_ids = has_decimal_commas = False
    with suppress(DataError):
        for row in parse_rows("".join(lines), path, optional=_COLUMNS, names=names):
            has_text_times |= _is_text_time(row.values.get("timestamp", ""))
            has_imdb_ids |= is_imdb_number(row.values.get("movieId", ""))
            has_decimal_commas |= "," in row.values.get("rating", "")
    return _Head(header, delimiter, has_text_times, has_imdb_ids, has_decimal_commas)


def _is_timeless(header: Sequence[str]) -> bool:
    """Return whether a header has all columns but the timestamp, as that of ml-small-2016."""
    return "timestamp" not in header and set(_COLUMNS[:3]) <= set(header)


def _plausible(table: pd.DataFrame, most: float = HIGHEST) -> bool:
    in_range = table["rating"].between(LOWEST, most) & table["timestamp"].between(0, _MOST_SECONDS)
    return bool((in_range & (table["userId"] > 0) & (table["movieId"] > 0)).all())


def _read_csv_by_row(path: Path, header: Sequence[str], names: Mapping[str, str], most: float) -> pd.DataFrame:
    # A file without a timestamp needs none, unless one is named; the error of an empty one names all.
    n_required = 4 if "timestamp" in (*header, *names) or not any(header) else 3
    rows = [_parse(row, most) for row in read_rows(path, _COLUMNS[:n_required], names=names)]
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_TYPES)


def _read_dat(path: Path) -> pd.DataFrame:
    """Read cells separated by ``::``; as CSV, which takes seconds for ten million, or else line by line."""
    options = csv.ConvertOptions(column_types=_ARROW_TYPES, null_values=[])
    try:
        content = io.BytesIO(read_input(path).replace(b"::", b","))
        read = csv.read_csv(content, csv.ReadOptions(column_names=_COLUMNS), convert_options=options)
        table = read.to_pandas().astype(_TYPES)
    except (OSError, pa.ArrowException) as error:
        _log.debug("reading %s line by line: %s", path, error)
        return _read_cells(path, "::")
    return table if _plausible(table) else _read_cells(path, "::")


def _read_cells(path: Path, separator: str) -> pd.DataFrame:
    described = {"\t": "tabs"}.get(separator, separator)
    rows = []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        cells = text.split(separator)
        if not text.strip():
            continue
        if len(cells) != len(_COLUMNS):
            raise DataError(
                f"{path}, line {line}: expected 4 cells separated by {described} ({', '.join(_COLUMNS)}), "
                f"received {len(cells)}"
            )
        rows.append(_parse(Row(path, line, dict(zip(_COLUMNS, (cell.strip() for cell in cells), strict=True)))))
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_TYPES)


def _parse(row: Row, most: float = HIGHEST) -> tuple[int, int, float, int]:
    expected = _expected("rating", most)
    try:
        # Spreadsheets of many languages write commas.
        rating = float(row["rating"].replace(",", "."))
    except ValueError:
        raise row.error("rating", expected) from None
    if not LOWEST <= rating <= most:
        raise row.error("rating", expected)
    user_id = row.integer("userId", _EXPECTED["userId"])
    movie_id = movie_id_in(row, "movieId", _EXPECTED["movieId"])
    return user_id, movie_id, rating, _seconds(row)


def _is_text_time(text: str) -> bool:
    return "-" in text[1:]


def _seconds(row: Row) -> int:
    """Return the time of a row, 0 without one; text such as 2005-04-02 23:53:47 is UTC."""
    text = row.values.get("timestamp", "")
    if _is_text_time(text):
        with suppress(ValueError):
            time = datetime.fromisoformat(text)
            return max(0, int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()))
    expected = f"{_EXPECTED['timestamp']}, or nothing"
    has_time = "timestamp" in row.values
    return (row.optional_integer("timestamp", expected, most=_MOST_SECONDS, least=0) if has_time else 0) or 0
