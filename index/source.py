"""The features of films where they lie: rows of arrays on the disk, read when they are looked at.

May import `catalog` only. Whoever knows the feature store says where each film's row is; nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError

Ids = npt.NDArray[np.int64]
_BLOCK_ROWS = 512


@dataclass(frozen=True)
class FilmFeatures:
    """Which film's features stand in which row of which array.

    Parameters
    ----------
    movie_ids : ndarray of shape (n,), int64
        Ascending, each film once.
    arrays : sequence of ndarray of shape (n_i, n_features), float16 or float32
        As a rule memory-mapped.
    array_numbers, row_numbers : ndarray of shape (n,), int64
        Where each film's row stands.
    poster_sha256s : sequence of str, of length n
        The hash of the poster that each row was computed from; empty texts where that is not known.
    """

    movie_ids: Ids
    arrays: Sequence[npt.NDArray[np.floating]]
    array_numbers: Ids
    row_numbers: Ids
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
        # A view of class ndarray is several times as fast to take a row of as a memmap.
        object.__setattr__(self, "arrays", [_readable(array) for array in self.arrays])

    @classmethod
    def of(
        cls, movie_ids: npt.ArrayLike, features: npt.NDArray[np.floating], poster_sha256s: Sequence[str] | None = None
    ) -> FilmFeatures:
        """Take the rows of one array, one for each film.

        Parameters
        ----------
        movie_ids : array_like of shape (n,), int
            Ascending.
        features : ndarray of shape (n, n_features)
            One row a film; other numbers than float16 are taken as float32.
        poster_sha256s : sequence of str, optional
            The hash of each film's poster.

        Returns
        -------
        FilmFeatures
            Which reads that array.

        Raises
        ------
        DataError
            There are no films, they are not ascending, or there are not as many rows as films.
        """
        ids = np.asarray(movie_ids, np.int64)
        rows = single(features)
        hashes = [""] * len(ids) if poster_sha256s is None else poster_sha256s
        return cls(ids, [rows], np.zeros(len(rows), np.int64), np.arange(len(rows)), hashes)

    def __len__(self) -> int:
        return len(self.movie_ids)

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """What the numbers are stored as: float16 or float32."""
        return self.arrays[0].dtype

    @property
    def n_features(self) -> int:
        """The number of columns."""
        return int(self.arrays[0].shape[1])

    def row(self, number: int) -> npt.NDArray[np.floating]:
        """Look at one film's features.

        Parameters
        ----------
        number : int
            The film's place in `movie_ids`.

        Returns
        -------
        ndarray of shape (n_features,)
            A view; not to be changed.
        """
        row: npt.NDArray[np.floating] = self.arrays[self.array_numbers[number]][self.row_numbers[number]]
        return row

    def take(self, numbers: Ids) -> FilmFeatures:
        """Keep some films.

        Parameters
        ----------
        numbers : ndarray of shape (m,), int64
            Their places in `movie_ids`, ascending.

        Returns
        -------
        FilmFeatures
            Of these films, from the same arrays.
        """
        hashes = [self.poster_sha256s[number] for number in numbers.tolist()]
        places = self.array_numbers[numbers], self.row_numbers[numbers]
        return FilmFeatures(self.movie_ids[numbers], self.arrays, *places, hashes)

    def aligned(self, movie_ids: Ids, poster_sha256s: Sequence[str]) -> tuple[FilmFeatures, npt.NDArray[np.bool_]]:
        """Find the features of given films, computed from given posters.

        Parameters
        ----------
        movie_ids : ndarray of shape (n,), int64
            The films, ascending.
        poster_sha256s : sequence of str, of length n
            Their posters.

        Returns
        -------
        features : FilmFeatures
            One row for each of the films. A row that was not found must not be read.
        found : ndarray of shape (n,), bool
            Which were found.
        """
        places = np.minimum(np.searchsorted(self.movie_ids, movie_ids), len(self) - 1)
        hashes = zip(places.tolist(), poster_sha256s, strict=True)
        same_poster = np.array([self.poster_sha256s[place] == sha256 for place, sha256 in hashes], bool)
        found = (self.movie_ids[places] == movie_ids) & same_poster
        array_numbers = np.where(found, self.array_numbers[places], _NOWHERE)
        rows = FilmFeatures(movie_ids, self.arrays, array_numbers, self.row_numbers[places], poster_sha256s)
        return rows, found

    def blocks(self, block_rows: int = _BLOCK_ROWS) -> Iterator[npt.NDArray[np.floating]]:
        """Read the features, some rows at a time.

        Parameters
        ----------
        block_rows : int, default 512
            How many.

        Yields
        ------
        ndarray of shape (m, n_features)
            In the order of `movie_ids`, as they are stored.
        """
        for start in range(0, len(self), block_rows):
            yield self.read(np.arange(start, min(start + block_rows, len(self))))

    def read(self, numbers: Ids) -> npt.NDArray[np.floating]:
        """Read some films' features.

        Parameters
        ----------
        numbers : ndarray of shape (m,), int64
            Their places in `movie_ids`, in any order.

        Returns
        -------
        ndarray of shape (m, n_features)
            A copy, as they are stored.
        """
        return np.stack([self.row(number) for number in numbers.tolist()])


def joined(one: FilmFeatures | None, other: FilmFeatures | None) -> FilmFeatures:
    """Put films together, in ascending order.

    Parameters
    ----------
    one, other : FilmFeatures or None
        No film in both.

    Returns
    -------
    FilmFeatures
        All of them.
    """
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
        [hashes[place] for place in order.tolist()],
    )


def single(features: npt.NDArray[Any]) -> npt.NDArray[np.floating]:
    """Take numbers as they can be compared.

    Parameters
    ----------
    features : ndarray of any numbers
        Any shape.

    Returns
    -------
    ndarray of float16 or float32
        The same array where it is of these; what is too large for float32 becomes infinite.
    """
    if features.dtype in _DTYPES:
        return features
    with np.errstate(over="ignore"):
        return features.astype(np.float32)


def _readable(array: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Make an array whose rows lie one after the other, as those of a file do; any other is copied."""
    return np.ascontiguousarray(array)


# No array has this number, so that reading such a row is an error.
_NOWHERE = 1 << 40
_DTYPES = (np.dtype(np.float16), np.dtype(np.float32))
