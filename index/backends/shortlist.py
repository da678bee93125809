"""Search by shortlist: the most similar films by their projections, then the exact cosines of these.

Memory: the projections, some hundreds of numbers a film of two bytes each, and the basis, both in pages that processes
share. The features stay on disk. A film is missed only if it is not on the shortlist; a film that is returned has its
exact cosine.
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
from catalog.io.files import atomic_path, open_file
from catalog.scored_ids import ScoredIds
from index.backends.base import Allowed
from index.backends.faiss_io import as_scored, emptied, open_faiss, search_parameters, threads_for, write_faiss
from index.backends.projection import Projected, Projections, project
from index.backends.rescoring import Rescorer
from index.source import FilmFeatures, Ids, joined
from index.vectors import FloatMatrix

_BLOCK_ROWS = 512


@dataclass(frozen=True)
class Sizes:
    """How long a shortlist must be, by the number of hits; and how many inverted lists a query searches."""

    # What lies between is interpolated.
    by_k: Mapping[int, int] = field(default_factory=lambda: {1: 50, 10: 150, 100: 600})
    n_probe: int = 0

    def for_hits(self, k: int) -> int:
        """Return how many films go onto the shortlist for k hits; at least k."""
        ks = sorted(self.by_k)
        if k > ks[-1]:
            return -(-k * self.by_k[ks[-1]] // ks[-1])
        size = np.exp(np.interp(np.log(k), np.log(ks), np.log([self.by_k[one] for one in ks])))
        return max(k, int(np.ceil(size - 1e-9)))


class ShortlistRows:
    """Rows of which only a shortlist is compared exactly; made by `index.build`, or memory-mapped by `open`."""

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
        # Of shape (n_features, rank).
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
        """Memory-map the files that `save` wrote; `features` hold just the films of the index."""
        codes = open_faiss(folder / names["rows"])
        basis = np.asarray(np.load(folder / names["basis"], mmap_mode="r", allow_pickle=False))
        with open_file(folder / names["lengths"]) as stream, np.load(stream, allow_pickle=False) as arrays:
            projections = Projections(codes, arrays["lengths"], arrays["checksums"])
        if not len(features) == codes.ntotal == len(projections.lengths):
            raise DataError(f"{codes.ntotal} projections for {len(features)} films")
        sizes = Sizes({int(k): int(n) for k, n in settings["shortlist"].items()}, int(settings["n_probe"]))
        return cls(features, basis, projections, mean, sizes, names["basis"])

    def __len__(self) -> int:
        return len(self.features)

    def projected(self, rows: Ids) -> FloatMatrix:
        """Decode stored projections, of shape (n, rank)."""
        with self._reading:
            if self._n_lists and not self._is_mapped:
                # FAISS records in which list each row is, which takes a pass over all of them.
                faiss.extract_index_ivf(self._codes).make_direct_map()
                self._is_mapped = True
        projected: FloatMatrix = self._codes.reconstruct_batch(rows)
        return projected

    def search(
        self, unit_queries: FloatMatrix, k: int, allowed: Allowed, own_rows: Ids | None = None
    ) -> list[ScoredIds]:
        """Make a shortlist for each query, and compare it exactly."""
        n_listed = self.n_listed(k)
        if allowed is not None and (n_allowed := int(allowed.sum())) <= n_listed:
            listed = [np.flatnonzero(allowed)] * len(unit_queries) if n_allowed else []
        else:
            # Rows of the index have been projected before.
            projected = project(unit_queries, self.basis) if own_rows is None else self.projected(own_rows)
            listed = self._listed(projected, n_listed, k, allowed)
        if not listed:
            return [ScoredIds(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in unit_queries]
        return [
            ScoredIds.ranked(rows, self.cosines(query, rows), k)
            for query, rows in zip(unit_queries, listed, strict=True)
        ]

    def n_listed(self, k: int) -> int:
        """Return how long the shortlist for k hits is."""
        return min(self.sizes.for_hits(k), len(self))

    def scan(
        self, unit_query: FloatMatrix, allowed: Allowed = None, own_row: int | None = None
    ) -> tuple[FloatMatrix, npt.NDArray[np.bool_]]:
        """Return every row's cosine: exact for those of a shortlist, estimated by the projection for the others."""
        projected = project(unit_query[None], self.basis) if own_row is None else self.projected(np.array([own_row]))
        (nearest,) = self._nearest(projected, len(self), None, whole=True)
        cosines, is_exact = np.zeros(len(self), np.float32), np.zeros(len(self), bool)
        cosines[nearest.ids] = nearest.scores
        candidates = nearest if allowed is None else nearest.take(allowed[nearest.ids])
        listed = candidates.ids[: self.sizes.for_hits(10)]
        cosines[listed], is_exact[listed] = self.cosines(unit_query, listed), True
        return np.clip(cosines, -1.0, 1.0), is_exact

    def cosines(self, unit_query: FloatMatrix, rows: Ids) -> FloatMatrix:
        """Compute the exact cosines of some rows from their features."""
        return self._rescorer.cosines(unit_query, rows)

    def units(self, rows: Ids) -> FloatMatrix:
        """Read rows from their features, less the mean and of length 1."""
        return self._rescorer.units(rows)

    def merged(self, kept: Ids, added: FilmFeatures | None, order: Ids) -> ShortlistRows:
        """Project the added films; the basis and the projections of kept films stay."""
        remaining = self.features.take(kept) if len(kept) else None
        features = joined(remaining, added)
        fresh = Projected.of(added, self.basis, self.mean) if added else Projected.zeros(self.basis.shape[1])
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
        """Copy with shortlists of other lengths."""
        return ShortlistRows(self.features, self.basis, self._projections, self.mean, sizes, self._basis_name)

    def save(self, folder: Path, generation: str) -> dict[str, str]:
        """Write projections, lengths and checksums, and the basis unless the folder has it already."""
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
        """Return the lengths of shortlists, and the rank."""
        return {
            "rank": int(self.basis.shape[1]),
            "shortlist": {str(k): n for k, n in self.sizes.by_k.items()},
            "n_probe": self.sizes.n_probe,
        }

    def _listed(self, projected: FloatMatrix, n_listed: int, k: int, allowed: Allowed) -> list[Ids]:
        listed: list[Ids] = [nearest.ids for nearest in self._nearest(projected, n_listed, allowed)]
        # The inverted lists that were searched may hold too few rows. Without a filter, their number was tuned to give
        # enough of them; with one, it was not.
        enough = min(k, len(self)) if allowed is None else n_listed
        for query, rows in enumerate(listed):
            if len(rows) < enough:
                (nearest,) = self._nearest(projected[query : query + 1], n_listed, allowed, whole=True)
                listed[query] = nearest.ids
        return listed

    def _nearest(self, projected: FloatMatrix, n: int, allowed: Allowed, *, whole: bool = False) -> list[ScoredIds]:
        """Find the n nearest rows by projection; `whole` searches all inverted lists."""
        n_probe = self._n_lists if whole else self.sizes.n_probe
        with threads_for(len(projected)):
            values, rows = self._codes.search(
                np.ascontiguousarray(projected), n, params=search_parameters(allowed, n_probe)
            )
        return as_scored(rows, values)
