"""Search by shortlist: the most promising films by their projections, then the exact cosines of these.

In memory are the projections, two bytes a number and some hundreds of them a film, and the basis; both in pages that
processes share. The features stay where they are. A film is missed only if it is not on the shortlist; what is found
has its exact cosine. May import `catalog` only.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.io.files import atomic_path
from index.backends.base import (
    Allowed,
    Found,
    as_found,
    emptied,
    open_faiss,
    search_parameters,
    threads_for,
    write_faiss,
)
from index.backends.basis import project
from index.backends.projection import Projected, Projections
from index.backends.rescoring import Rescorer
from index.source import FilmFeatures, Ids, joined
from index.vectors import FloatMatrix

_BLOCK_ROWS = 512


@dataclass(frozen=True)
class Sizes:
    """How long a shortlist must be for how many hits, and how many inverted lists are looked into.

    Parameters
    ----------
    by_k : mapping of int to int
        Films on the shortlist, by the number of hits; what lies between is interpolated.
    n_probe : int
        Inverted lists that a query looks into, where there are such.
    """

    by_k: Mapping[int, int] = field(default_factory=lambda: {1: 50, 10: 150, 100: 600})
    n_probe: int = 0

    def for_hits(self, k: int) -> int:
        """Tell how many films go onto the shortlist.

        Parameters
        ----------
        k : int
            How many hits are asked for.

        Returns
        -------
        int
            At least k.
        """
        ks = sorted(self.by_k)
        if k > ks[-1]:
            return -(-k * self.by_k[ks[-1]] // ks[-1])
        size = np.exp(np.interp(np.log(k), np.log(ks), np.log([self.by_k[at] for at in ks])))
        return max(k, int(np.ceil(size - 1e-9)))


class ShortlistRows:
    """Rows of which the promising ones are compared exactly; `index.build` makes them, `open` maps them.

    Parameters
    ----------
    features : FilmFeatures
        The films, one row each, in this order.
    basis : ndarray of shape (n_features, rank), float32
        The directions.
    projections : Projections
        Of every row.
    mean : ndarray of shape (n_features,), float32, or None
        What is subtracted before rows are compared.
    sizes : Sizes
        How long shortlists are.
    basis_name : str, optional
        The file that holds the basis, where there is one.
    """

    kind: ClassVar[str] = "shortlist"

    def __init__(
        self,
        features: FilmFeatures,
        basis: FloatMatrix,
        projections: Projections,
        mean: FloatMatrix | None,
        sizes: Sizes,
        basis_name: str | None = None,
    ) -> None:
        self.features = features
        self.basis = basis
        self.mean = mean
        self.sizes = sizes
        self._projections = projections
        self._codes = projections.codes
        self._basis_name = basis_name
        self._rescorer = Rescorer(features, projections.lengths, projections.checksums, mean)
        self._n_lists: int = getattr(faiss.downcast_index(self._codes), "nlist", 0)
        self._is_mapped = False
        self._reading = threading.Lock()

    @classmethod
    def open(
        cls, folder: Path, names: Mapping[str, str], settings: Mapping[str, Any], features: FilmFeatures, mean: Any
    ) -> ShortlistRows:
        """Map what `save` wrote.

        Parameters
        ----------
        folder : Path
            The index folder.
        names : mapping of str to str
            What `save` returned.
        settings : mapping
            What `settings` returned.
        features : FilmFeatures
            Just the films of the index.
        mean : ndarray of shape (n_features,), float32, or None
            What was subtracted when it was built.

        Returns
        -------
        ShortlistRows
            The rows.

        Raises
        ------
        FileNotFoundError
            A file is missing.
        DataError
            One is damaged.
        """
        codes = open_faiss(folder / names["rows"])
        basis = np.asarray(np.load(folder / names["basis"], mmap_mode="r", allow_pickle=False))
        with (folder / names["lengths"]).open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            projections = Projections(codes, arrays["lengths"], arrays["checksums"])
        if not len(features) == codes.ntotal == len(projections.lengths):
            raise DataError(f"{codes.ntotal} projections for {len(features)} films")
        sizes = Sizes({int(k): int(n) for k, n in settings["shortlist"].items()}, int(settings["n_probe"]))
        return cls(features, basis, projections, mean, sizes, names["basis"])

    def __len__(self) -> int:
        return len(self.features)

    def projected(self, rows: Ids) -> FloatMatrix:
        """Read projections back as they are stored.

        Parameters
        ----------
        rows : ndarray of shape (n,), int64
            Which ones.

        Returns
        -------
        ndarray of shape (n, rank), float32
            In order.
        """
        with self._reading:
            if self._n_lists and not self._is_mapped:
                # Tells FAISS in which list each row stands; a pass over all of them.
                faiss.extract_index_ivf(self._codes).make_direct_map()
                self._is_mapped = True
        projected: FloatMatrix = self._codes.reconstruct_batch(rows)
        return projected

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
        n_listed = self.n_listed(k)
        if allowed is not None and (n_allowed := int(allowed.sum())) <= n_listed:
            everything = np.flatnonzero(allowed)
            listed = [everything] * len(unit_queries) if n_allowed else []
        else:
            # The projections of rows are there already.
            projected = project(unit_queries, self.basis) if own_rows is None else self.projected(own_rows)
            listed = self._listed(projected, n_listed, k, allowed)
        if not listed:
            return [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in unit_queries]
        return [self._rescored(query, rows, k) for query, rows in zip(unit_queries, listed, strict=True)]

    def n_listed(self, k: int) -> int:
        """Tell how many rows must be compared exactly for k hits, for the recall that was wanted.

        Parameters
        ----------
        k : int
            How many hits.

        Returns
        -------
        int
            At most as many as there are rows.
        """
        return min(self.sizes.for_hits(k), len(self))

    def scan(
        self, unit_query: FloatMatrix, allowed: Allowed = None, own_row: int | None = None
    ) -> tuple[FloatMatrix, npt.NDArray[np.bool_]]:
        """Tell every row's cosine: exactly for those of a shortlist, as the projection has it for the others.

        Parameters
        ----------
        unit_query : ndarray of shape (n_features,), float32
            Of length 1, less the mean.
        allowed : ndarray of shape (n_rows,), bool, or None
            Which rows are asked about; what is told of the others means nothing. None for all of them.
        own_row : int, optional
            Where the query is a row itself, its number: its projection is there already.

        Returns
        -------
        cosines : ndarray of shape (n_rows,), float32
            In [-1, 1].
        is_exact : ndarray of shape (n_rows,), bool
            Which of them are exact.
        """
        projected = project(unit_query[None], self.basis) if own_row is None else self.projected(np.array([own_row]))
        ((rows, values),) = self._nearest(projected, len(self), None, whole=True)
        scanned, is_exact = np.zeros(len(self), np.float32), np.zeros(len(self), bool)
        scanned[rows] = values
        listed = (rows if allowed is None else rows[allowed[rows]])[: self.sizes.for_hits(10)]
        scanned[listed], is_exact[listed] = self.cosines(unit_query, listed), True
        return np.clip(scanned, -1.0, 1.0), is_exact

    def cosines(self, unit_query: FloatMatrix, rows: Ids) -> FloatMatrix:
        """Tell the exact cosines of some rows.

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
        return self._rescorer.cosines(unit_query, rows)

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
        return self._rescorer.units(rows)

    def merged(self, kept: Ids, added: FilmFeatures | None, order: Ids) -> ShortlistRows:
        """Make the rows of the next generation; the basis stays.

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
        remaining = self.features.take(kept) if len(kept) else None
        features = joined(remaining, added)
        fresh = Projected.of(added, self.basis, self.mean) if added else Projected.none(self.basis.shape[1])
        codes = emptied(self._codes)
        for start in range(0, len(order), _BLOCK_ROWS):
            part = order[start : start + _BLOCK_ROWS]
            block = np.empty((len(part), self.basis.shape[1]), np.float32)
            old = part < len(kept)
            if old.any():
                block[old] = self.projected(kept[part[old]])
            block[~old] = fresh.rows[part[~old] - len(kept)]
            codes.add(block)
        lengths = np.concatenate([self._projections.lengths[kept], fresh.lengths])[order]
        checksums = np.concatenate([self._projections.checksums[kept], fresh.checksums])[order]
        projections = Projections(codes, lengths, checksums)
        return ShortlistRows(features, self.basis, projections, self.mean, self.sizes, self._basis_name)

    def with_sizes(self, sizes: Sizes) -> ShortlistRows:
        """Make the same rows with shortlists of other lengths.

        Parameters
        ----------
        sizes : Sizes
            The new ones.

        Returns
        -------
        ShortlistRows
            Which shares all else.
        """
        return ShortlistRows(self.features, self.basis, self._projections, self.mean, sizes, self._basis_name)

    def save(self, folder: Path, generation: str) -> dict[str, str]:
        """Write the files of a generation; a basis that is there already is not written again.

        Parameters
        ----------
        folder : Path
            The index folder.
        generation : str
            What the files' names begin with.

        Returns
        -------
        dict of str to str
            Their names.

        Raises
        ------
        StoreError
            A file cannot be written.
        """
        names = {"rows": f"{generation}.faiss", "lengths": f"{generation}-lengths.npz"}
        write_faiss(self._codes, folder / names["rows"])
        with atomic_path(folder / names["lengths"]) as path, path.open("wb") as stream:
            np.savez(stream, lengths=self._projections.lengths, checksums=self._projections.checksums)
        if self._basis_name is None or not (folder / self._basis_name).is_file():
            self._basis_name = f"{generation}-basis.npy"
            with atomic_path(folder / self._basis_name) as path, path.open("wb") as stream:
                np.save(stream, self.basis)
        return {**names, "basis": self._basis_name}

    def settings(self) -> dict[str, Any]:
        """Tell what `open` must know besides the files.

        Returns
        -------
        dict
            What JSON can hold.
        """
        return {
            "rank": int(self.basis.shape[1]),
            "shortlist": {str(k): n for k, n in self.sizes.by_k.items()},
            "n_probe": self.sizes.n_probe,
        }

    def _listed(self, projected: FloatMatrix, n_listed: int, k: int, allowed: Allowed) -> list[Ids]:
        listed = [rows for rows, _ in self._nearest(projected, n_listed, allowed)]
        # The inverted lists that were looked into may not hold as many as there are. Without a filter, how many are
        # looked into was tuned for what they hold; a filter was not foreseen.
        enough = min(k, len(self)) if allowed is None else n_listed
        for query, rows in enumerate(listed):
            if len(rows) < enough:
                ((listed[query], _),) = self._nearest(projected[query : query + 1], n_listed, allowed, whole=True)
        return listed

    def _nearest(self, projected: FloatMatrix, n: int, allowed: Allowed, *, whole: bool = False) -> list[Found]:
        n_probe = self._n_lists if whole else self.sizes.n_probe
        with threads_for(len(projected)):
            values, rows = self._codes.search(
                np.ascontiguousarray(projected), n, params=search_parameters(allowed, n_probe)
            )
        return as_found(rows, values)

    def _rescored(self, unit_query: FloatMatrix, rows: Ids, k: int) -> Found:
        cosines = self.cosines(unit_query, rows)
        order = np.lexsort((rows, -cosines))[:k]
        return rows[order], cosines[order]
