"""The features of films, read from memory-mapped arrays row by row; nothing is copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.io.files import atomic_path

Ids = npt.NDArray[np.int64]
_BLOCK_ROWS = 512
_DTYPES = (np.dtype(np.float16), np.dtype(np.float32))
# No array has this number, so reading such a row is an error.
_MISSING = 1 << 40


@dataclass(frozen=True)
class FilmFeatures:
    """Which row of which array holds each film's features."""

    # Ascending, each film once.
    movie_ids: Ids
    # Each of shape (n_i, n_features), all float16 or all float32; usually memory-mapped.
    arrays: Sequence[npt.NDArray[np.floating]]
    array_numbers: Ids
    row_numbers: Ids
    # The poster each row was computed from; empty texts where unknown.
    poster_sha256s: Sequence[str]

    def __post_init__(self) -> None:
        if not len(self.movie_ids) or (np.diff(self.movie_ids) <= 0).any():
            raise DataError(
                f"an index needs films, each once and in ascending order; received {len(self.movie_ids)} movie_ids"
            )
        if not len(self.movie_ids) == len(self.array_numbers) == len(self.row_numbers) == len(self.poster_sha256s):
            raise DataError(f"expected features of {len(self.movie_ids)} films, received {len(self.row_numbers)} rows")
        if len({(array.dtype, array.shape[1:]) for array in self.arrays}) != 1 or self.dtype not in _DTYPES:
            raise DataError("expected arrays of one width, all of them float16 or all of them float32")
        # Reading a row of a plain ndarray is several times as fast as of a memmap; only strided arrays are copied.
        object.__setattr__(self, "arrays", [np.ascontiguousarray(array) for array in self.arrays])

    @classmethod
    def of(
        cls, movie_ids: npt.ArrayLike, features: npt.NDArray[np.floating], poster_sha256s: Sequence[str] | None = None
    ) -> FilmFeatures:
        """Take the rows of one array, one per film; other types than float16 become float32."""
        ids = np.asarray(movie_ids, np.int64)
        rows = single(features)
        hashes = [""] * len(ids) if poster_sha256s is None else poster_sha256s
        return cls(ids, [rows], np.zeros(len(rows), np.int64), np.arange(len(rows)), hashes)

    def __len__(self) -> int:
        return len(self.movie_ids)

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """What numbers are stored as: float16 or float32."""
        return self.arrays[0].dtype

    @property
    def n_features(self) -> int:
        """The number of columns."""
        return int(self.arrays[0].shape[1])

    def row(self, number: int) -> npt.NDArray[np.floating]:
        """Return a view of one film's features, by its position in `movie_ids`."""
        row: npt.NDArray[np.floating] = self.arrays[self.array_numbers[number]][self.row_numbers[number]]
        return row

    def take(self, numbers: Ids) -> FilmFeatures:
        """Select films by ascending positions in `movie_ids`."""
        hashes = [self.poster_sha256s[number] for number in numbers.tolist()]
        positions = self.array_numbers[numbers], self.row_numbers[numbers]
        return FilmFeatures(self.movie_ids[numbers], self.arrays, *positions, hashes)

    def aligned(self, movie_ids: Ids, poster_sha256s: Sequence[str]) -> tuple[FilmFeatures, npt.NDArray[np.bool_]]:
        """Look up films whose features were computed from given posters.

        Returns one row for each of `movie_ids`, and which of them exist; the others must not be read.
        """
        positions = np.minimum(np.searchsorted(self.movie_ids, movie_ids), len(self) - 1)
        hashes = zip(positions.tolist(), poster_sha256s, strict=True)
        same_poster = np.array([self.poster_sha256s[position] == sha256 for position, sha256 in hashes], bool)
        exists = (self.movie_ids[positions] == movie_ids) & same_poster
        array_numbers = np.where(exists, self.array_numbers[positions], _MISSING)
        rows = FilmFeatures(movie_ids, self.arrays, array_numbers, self.row_numbers[positions], poster_sha256s)
        return rows, exists

    def blocks(self, block_rows: int = _BLOCK_ROWS) -> Iterator[npt.NDArray[np.floating]]:
        """Read all features in order, a block of rows at a time."""
        for start in range(0, len(self), block_rows):
            yield self.read(np.arange(start, min(start + block_rows, len(self))))

    def read(self, numbers: Ids) -> npt.NDArray[np.floating]:
        """Copy films' features, by positions in `movie_ids` in any order."""
        if len(self.arrays) == 1 and (self.array_numbers[numbers] == 0).all():
            (rows,) = self.arrays
            copied: npt.NDArray[np.floating] = rows[self.row_numbers[numbers]]
            return copied
        return np.stack([self.row(number) for number in numbers.tolist()])


def joined(one: FilmFeatures | None, other: FilmFeatures | None) -> FilmFeatures:
    """Merge films in ascending order; no film may be in both."""
    if one is None or other is None:
        return one or other  # type: ignore[return-value]  # an index is never left without films
    movie_ids = np.concatenate([one.movie_ids, other.movie_ids])
    order = np.argsort(movie_ids)
    hashes = [*one.poster_sha256s, *other.poster_sha256s]
    return FilmFeatures(
        movie_ids[order],
        [*one.arrays, *other.arrays],
        np.concatenate([one.array_numbers, other.array_numbers + len(one.arrays)])[order],
        np.concatenate([one.row_numbers, other.row_numbers])[order],
        [hashes[position] for position in order.tolist()],
    )


def write_rows(path: Path, features: FilmFeatures) -> None:
    """Write all features as one array, in order, a block at a time; whole or not at all."""
    with atomic_path(path) as temporary_path, temporary_path.open("wb") as stream:
        header = {"descr": features.dtype.str, "fortran_order": False, "shape": (len(features), features.n_features)}
        np.lib.format.write_array_header_1_0(stream, header)
        for block in features.blocks():
            stream.write(np.ascontiguousarray(block).data)


def single(features: npt.NDArray[Any]) -> npt.NDArray[np.floating]:
    """Convert to float32 unless it is float16 or float32; what is too large becomes infinite."""
    if features.dtype in _DTYPES:
        return features
    with np.errstate(over="ignore"):
        return features.astype(np.float32)
