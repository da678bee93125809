"""Exact search: a FAISS flat inner-product index over rows of length 1. The oracle for every other kind.

Memory: 4 bytes a number, one gigabyte for 10,000 films of 25,088 numbers, in pages that processes share; and the
cosines of `index.backends.pairwise`, where they are worth it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.io.files import atomic_path
from index.backends.base import Allowed, Found, as_found, open_faiss, search_parameters, write_faiss
from index.backends.pairwise import all_pairs, extended_pairs, pairs_bytes
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix, unit_rows

_BLOCK_ROWS = 512


class ExactRows:
    """Rows of which every cosine is computed; make them with `build` or `open`.

    Parameters
    ----------
    flat : faiss.IndexFlatIP
        Rows of length 1.
    mean : ndarray of shape (n_features,), float32, or None
        What was subtracted before; None for plain cosines.
    pairs : ndarray of shape (n, n), float32, optional
        The cosine of every two rows.
    """

    kind: ClassVar[str] = "exact"

    def __init__(self, flat: faiss.Index, mean: FloatMatrix | None, pairs: FloatMatrix | None = None) -> None:
        self._flat = flat
        self._pairs = pairs
        self.mean = mean

    @classmethod
    def build(cls, features: FilmFeatures, mean: FloatMatrix | None) -> ExactRows:
        """Build from features, a block of rows at a time.

        Parameters
        ----------
        features : FilmFeatures
            The films.
        mean : ndarray of shape (n_features,), float32, or None
            What is subtracted first.

        Returns
        -------
        ExactRows
            One row a film, in their order.
        """
        flat = faiss.IndexFlatIP(features.n_features)
        for block in features.blocks():
            flat.add(unit_rows(block, mean)[0])
        return cls(flat, mean, all_pairs(flat.reconstruct_batch, flat.ntotal) if _has_pairs(flat) else None)

    @classmethod
    def open(cls, folder: Path, names: Mapping[str, str], mean: FloatMatrix | None) -> ExactRows:
        """Map what `save` wrote.

        Parameters
        ----------
        folder : Path
            The index folder.
        names : mapping of str to str
            What `save` returned.
        mean : ndarray of shape (n_features,), float32, or None
            What was subtracted when it was built.

        Returns
        -------
        ExactRows
            The rows.

        Raises
        ------
        FileNotFoundError
            A file is missing.
        DataError
            One is damaged.
        """
        flat = open_faiss(folder / names["rows"])
        if "pairs" not in names:
            return cls(flat, mean)
        pairs = np.asarray(np.load(folder / names["pairs"], mmap_mode="r", allow_pickle=False))
        if pairs.shape != (flat.ntotal, flat.ntotal):
            raise DataError(f"cosines of {len(pairs)} films for {flat.ntotal}")
        return cls(flat, mean, pairs)

    def __len__(self) -> int:
        return int(self._flat.ntotal)

    def search(self, unit_queries: FloatMatrix, k: int, allowed: Allowed, own_rows: Ids | None = None) -> list[Found]:
        """Find the nearest rows of each query.

        Parameters
        ----------
        unit_queries : ndarray of shape (n, n_features), float32
            Of length 1, less the mean.
        k : int
            How many rows each.
        allowed : ndarray of shape (n_rows,), bool, or None
            Which rows may be found; None for all of them.
        own_rows : ndarray of shape (n,), int64, optional
            Where the queries are rows themselves, their numbers; they may be found too.

        Returns
        -------
        list of (ndarray of shape (k,), int64; ndarray of shape (k,), float32)
            Rows and their exact cosines, nearest first; fewer where fewer are allowed.
        """
        del own_rows  # what the rows are is in the queries
        cosines, rows = self._flat.search(unit_queries, min(k, len(self)), params=search_parameters(allowed))
        # Rounding may carry the cosine of a row with itself past 1.
        return as_found(rows, np.clip(cosines, -1.0, 1.0))

    def n_listed(self, k: int) -> int:
        """Tell how many rows must be compared exactly for k hits: all are.

        Parameters
        ----------
        k : int
            How many hits.

        Returns
        -------
        int
            At most as many as there are rows.
        """
        return k

    def scan(
        self, unit_query: FloatMatrix, allowed: Allowed = None, own_row: int | None = None
    ) -> tuple[FloatMatrix, npt.NDArray[np.bool_]]:
        """Tell every row's cosine, all of them exact.

        Parameters
        ----------
        unit_query : ndarray of shape (n_features,), float32
            Of length 1, less the mean.
        allowed : ndarray of shape (n_rows,), bool, or None
            Which rows are asked about; what is told of the others means nothing. None for all of them.
        own_row : int, optional
            Where the query is a row itself, its number.

        Returns
        -------
        cosines : ndarray of shape (n_rows,), float32
            In [-1, 1].
        is_exact : ndarray of shape (n_rows,), bool
            Which of them are exact.
        """
        del allowed  # no row costs more than another
        if self._pairs is not None and own_row is not None:
            return self._pairs[own_row].copy(), np.ones(len(self), bool)
        ((rows, cosines),) = self.search(unit_query[None], len(self), None)
        scanned: FloatMatrix = np.empty(len(self), np.float32)
        scanned[rows] = cosines
        return scanned, np.ones(len(self), bool)

    def cosines(self, unit_query: FloatMatrix, rows: Ids) -> FloatMatrix:
        """Tell the cosines of some rows.

        Parameters
        ----------
        unit_query : ndarray of shape (n_features,), float32
            Of length 1, less the mean.
        rows : ndarray of shape (m,), int64
            Which rows.

        Returns
        -------
        ndarray of shape (m,), float32
            In [-1, 1].
        """
        cosines: FloatMatrix = np.clip(self.units(rows) @ unit_query, -1.0, 1.0)
        return cosines

    def units(self, rows: Ids) -> FloatMatrix:
        """Tell rows themselves, of length 1.

        Parameters
        ----------
        rows : ndarray of shape (m,), int64
            Which rows.

        Returns
        -------
        ndarray of shape (m, n_features), float32
            Less the mean.
        """
        units: FloatMatrix = self._flat.reconstruct_batch(rows)
        return units

    def merged(self, kept: Ids, added: FilmFeatures | None, order: Ids) -> ExactRows:
        """Make the rows of the next generation.

        Parameters
        ----------
        kept : ndarray of shape (n_kept,), int64
            The rows that stay.
        added : FilmFeatures or None
            The films that come.
        order : ndarray of shape (n_kept + n_added,), int64
            For each row of the next generation, its place among those kept followed by those added.

        Returns
        -------
        Rows
            This one stays as it is.
        """
        flat = faiss.IndexFlatIP(self._flat.d)
        for start in range(0, len(order), _BLOCK_ROWS):
            part = order[start : start + _BLOCK_ROWS]
            block = np.empty((len(part), self._flat.d), np.float32)
            old = part < len(kept)
            if old.any():
                block[old] = self.units(kept[part[old]])
            if added is not None and not old.all():
                new = added.read(part[~old] - len(kept))
                block[~old] = unit_rows(new, self.mean)[0]
            flat.add(block)
        return ExactRows(flat, self.mean, self._pairs_of(flat, kept, order) if _has_pairs(flat) else None)

    def _pairs_of(self, flat: faiss.Index, kept: Ids, order: Ids) -> FloatMatrix:
        if self._pairs is None:
            return all_pairs(flat.reconstruct_batch, flat.ntotal)
        return extended_pairs(self._pairs, kept, order, flat.reconstruct_batch)

    def save(self, folder: Path, generation: str) -> dict[str, str]:
        """Write the rows.

        Parameters
        ----------
        folder : Path
            The index folder.
        generation : str
            What the file's name begins with.

        Returns
        -------
        dict of str to str
            The names of its files.

        Raises
        ------
        StoreError
            A file cannot be written.
        """
        names = {"rows": f"{generation}.faiss"}
        write_faiss(self._flat, folder / names["rows"])
        if self._pairs is not None:
            names["pairs"] = f"{generation}.npy"
            with atomic_path(folder / names["pairs"]) as temporary_path, temporary_path.open("wb") as stream:
                np.save(stream, self._pairs, allow_pickle=False)
        return names

    def settings(self) -> dict[str, Any]:
        """Tell what `open` must know besides the files: nothing.

        Returns
        -------
        dict
            What JSON can hold.
        """
        return {}


def _has_pairs(flat: faiss.Index) -> bool:
    return pairs_bytes(flat.ntotal, flat.d) > 0
