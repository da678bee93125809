"""One face for every kind of index: build, save, open, search, by movie_id or by features.

Owns a folder: ``index.json`` (the record, written last: it names the other files, so the folder changes from one
generation to the next at once), ``*.faiss`` with the rows, ``*.npz`` with the ids.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, NotBuiltError, UnknownFilmError
from catalog.storage import atomic_path, read_record, write_record
from index.exact import Blocks, ExactIndex, Matrix

_KIND, _VERSION, _RECORD = "keyart-index", 1, "index.json"


@dataclass(frozen=True)
class SearchResult:
    """The films nearest to each of n queries; like a matrix of n rows.

    Parameters
    ----------
    movie_ids : ndarray of shape (n, k), int64
        Nearest first, ties in ascending movie_id.
    similarities : ndarray of shape (n, k), float32
        Cosines in [-1, 1].
    """

    movie_ids: npt.NDArray[np.int64]
    similarities: npt.NDArray[np.float32]


class CosineIndex:
    """Films by the cosine of their features; make it with `build` or `open`.

    Parameters
    ----------
    movie_ids : ndarray of shape (n,), int64
        The film of each row; each film once, ascending.
    rows : ExactIndex
        The rows.
    identity : mapping
        What the features are of; see `build`.
    fingerprint : str
        Which films and posters the rows are of.
    """

    def __init__(
        self,
        movie_ids: npt.NDArray[np.int64],
        rows: ExactIndex,
        identity: Mapping[str, Any],
        fingerprint: str,
    ) -> None:
        self.movie_ids = movie_ids
        self.identity = dict(identity)
        self.fingerprint = fingerprint
        self._rows = rows

    @classmethod
    def build(
        cls,
        movie_ids: Sequence[int] | npt.NDArray[np.integer],
        blocks: Blocks,
        identity: Mapping[str, Any],
        *,
        fingerprint: str = "",
        centre: bool = False,
    ) -> CosineIndex:
        """Build an index.

        Parameters
        ----------
        movie_ids : sequence of int, of length n
            The film of each row, ascending.
        blocks : callable
            Gives an iterator over the features, matrices whose rows add up to n; may be called twice.
        identity : mapping
            What the features are of: ``backbone``, ``n_features`` and whatever else tells them from others. Features
            of another identity are not compared with these.
        fingerprint : str, optional
            Which films and posters these are; lets a caller see that an index is out of date.
        centre : bool, default False
            Subtract the mean of all features before they are compared. Right for a network without training, whose
            features all point much the same way; the similarities are then cosines of centred features.

        Returns
        -------
        CosineIndex
            The index, in memory.

        Raises
        ------
        DataError
            There are no films, or not as many rows as films.
        """
        ids = np.asarray(movie_ids, np.int64)
        if not len(ids) or (np.diff(ids) <= 0).any():
            raise DataError(f"an index needs films, each once and in ascending order; received {len(ids)} movie_ids")
        rows = ExactIndex.build(blocks, int(identity["n_features"]), centre=centre)
        if len(rows) != len(ids):
            raise DataError(f"expected features of {len(ids)} films, received {len(rows)} rows")
        return cls(ids, rows, identity, fingerprint)

    @classmethod
    def open(cls, folder: Path) -> CosineIndex:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : Path
            The index folder.

        Returns
        -------
        CosineIndex
            An index that answers as the saved one did.

        Raises
        ------
        NotBuiltError
            There is no index.
        DataError
            It is of another version, or damaged.
        """
        try:
            record = read_record(folder / _RECORD, _KIND, _VERSION)
            # Opened here: of a damaged file that it opened itself, NumPy leaves the handle open.
            with (folder / record["ids"]).open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                movie_ids = arrays["movie_ids"]
                mean = arrays["mean"] if record["centred"] else None
            rows = ExactIndex.open(folder / record["rows"], mean)
        except FileNotFoundError as error:
            raise NotBuiltError(f"no index here yet ({error.filename} is missing); run `keyart build`") from error
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise DataError(f"the index in {folder} is damaged ({error}); run `keyart build` again") from error
        if len(rows) != len(movie_ids):
            raise DataError(
                f"the index in {folder} has {len(rows)} rows for {len(movie_ids)} films; run `keyart build` again"
            )
        return cls(movie_ids, rows, record["identity"], record["fingerprint"])

    def save(self, folder: Path) -> None:
        """Write the index; whoever has the earlier one open keeps it.

        Parameters
        ----------
        folder : Path
            The index folder.

        Raises
        ------
        StoreError
            The files cannot be written; the earlier index is untouched.
        """
        generation = secrets.token_hex(4)
        files = {"rows": f"{generation}.faiss", "ids": f"{generation}.npz"}
        try:
            self._rows.save(folder / files["rows"])
            with atomic_path(folder / files["ids"]) as temporary_path, temporary_path.open("wb") as stream:
                np.savez(stream, movie_ids=self.movie_ids, mean=self._mean_or_nothing())
            write_record(folder / _RECORD, _KIND, _VERSION, {**files, **self._description()})
        except BaseException:
            _remove(folder / name for name in files.values())
            raise
        _remove(path for suffix in ("faiss", "npz") for path in folder.glob(f"*.{suffix}") if path.stem != generation)

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove an index, if there is one.

        Parameters
        ----------
        folder : Path
            The index folder.
        """
        # The record first: without it the rest does not count.
        (folder / _RECORD).unlink(missing_ok=True)
        _remove(path for suffix in ("faiss", "npz") for path in folder.glob(f"*.{suffix}"))

    def __len__(self) -> int:
        return len(self.movie_ids)

    def __contains__(self, movie_id: int) -> bool:
        row = int(np.searchsorted(self.movie_ids, movie_id))
        return row < len(self.movie_ids) and int(self.movie_ids[row]) == movie_id

    @property
    def centred(self) -> bool:
        """Whether the mean of all features is subtracted before they are compared."""
        return self._rows.mean is not None

    @property
    def n_features(self) -> int:
        """The number of columns."""
        return self._rows.n_features

    def search(self, features: Matrix, k: int) -> SearchResult:
        """Find the films nearest to features.

        Parameters
        ----------
        features : ndarray of shape (n, n_features), or (n_features,) for one
            Features as they came from the network.
        k : int
            How many films; fewer are returned where there are fewer.

        Returns
        -------
        SearchResult
            One row a query.

        Raises
        ------
        DataError
            The features have another number of columns.
        """
        queries = np.atleast_2d(features)
        if queries.shape[1] != self.n_features:
            raise DataError(
                f"expected features of {self.n_features} columns (of {self.identity['backbone']}), "
                f"received {queries.shape[1]}"
            )
        return self._first(lambda n_rows: self._rows.search(queries, n_rows), k)

    def similar(self, movie_ids: Sequence[int], k: int) -> SearchResult:
        """Find the films nearest to films of the index, themselves left out.

        Parameters
        ----------
        movie_ids : sequence of int, of length n
            The films asked about.
        k : int
            How many films each; fewer are returned where there are fewer.

        Returns
        -------
        SearchResult
            One row a film asked about.

        Raises
        ------
        UnknownFilmError
            A film is not in the index.
        """
        strangers = [movie_id for movie_id in movie_ids if movie_id not in self]
        if strangers:
            raise UnknownFilmError(f"no features of movie_id {strangers[0]} in this index of {len(self)} films")
        own_rows = np.searchsorted(self.movie_ids, np.asarray(movie_ids, np.int64))
        found = self._first(lambda n_rows: self._rows.search_rows(own_rows, n_rows), k + 1)
        others = found.movie_ids != np.asarray(movie_ids, np.int64)[:, None]
        # Among many identical posters a film may not be in its own first k + 1: then the last of them goes.
        others[others.all(axis=1), -1] = False
        shape = (len(own_rows), found.movie_ids.shape[1] - 1)
        return SearchResult(found.movie_ids[others].reshape(shape), found.similarities[others].reshape(shape))

    def _mean_or_nothing(self) -> npt.NDArray[np.float32]:
        return np.empty(0, np.float32) if self._rows.mean is None else self._rows.mean

    def _first(
        self, search: Callable[[int], tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]], k: int
    ) -> SearchResult:
        """Search for the first k in order: where a tie goes on beyond them, further, until all of it is there."""
        k = min(k, len(self))
        n_rows = min(k + 1, len(self))
        rows, cosines = search(n_rows)
        while n_rows < len(self) and (cosines[:, k - 1] == cosines[:, -1]).any():
            n_rows = min(2 * n_rows, len(self))
            rows, cosines = search(n_rows)
        order = np.lexsort((rows, -cosines), axis=1)[:, :k]
        ordered = np.take_along_axis(rows, order, axis=1)
        return SearchResult(self.movie_ids[ordered], np.take_along_axis(cosines, order, axis=1))

    def _description(self) -> dict[str, Any]:
        return {
            "type": self._rows.kind,
            "n_films": len(self),
            "centred": self.centred,
            "fingerprint": self.fingerprint,
            "identity": self.identity,
        }


def _remove(paths: Iterator[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
