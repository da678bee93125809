"""Exact search: a FAISS flat inner-product index over rows of length 1.

Memory: 4 bytes a number, one gigabyte for 10,000 films of 25,088 numbers, in pages that processes share, or 2 bytes a
number of an embedding; and the cosines of `index.backends.pairwise`, where they are worth it.
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
from catalog.scored_ids import ScoredIds
from index.backends.base import Allowed
from index.backends.faiss_io import (
    all_products,
    as_scored,
    emptied,
    flat_index,
    open_faiss,
    search_parameters,
    write_faiss,
)
from index.backends.pairwise import all_pairs, extended_pairs, pairs_bytes
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix, unit_rows

_BLOCK_ROWS = 512


class ExactRows:
    """Rows whose cosines are all computed; make them with `build` or `open`."""

    kind: ClassVar[str] = "exact"

    def __init__(self, flat: faiss.Index, mean: FloatMatrix | None, pairs: FloatMatrix | None = None) -> None:
        self._flat = flat
        # The cosine of every two rows, of shape (n, n).
        self._pairs = pairs
        self.mean = mean

    @classmethod
    def build(cls, features: FilmFeatures, mean: FloatMatrix | None, *, half: bool = False) -> ExactRows:
        """Read features a block of rows at a time; one row per film, in their order, stored as `half` floats or not."""
        flat = flat_index(features.n_features, half=half)
        for block in features.blocks():
            flat.add(unit_rows(block, mean)[0])
        return cls(flat, mean, all_pairs(flat.reconstruct_batch, flat.ntotal) if _has_pairs(flat) else None)

    @classmethod
    def open(cls, folder: Path, names: Mapping[str, str], mean: FloatMatrix | None) -> ExactRows:
        """Memory-map the files that `save` wrote under these names."""
        flat = open_faiss(folder / names["rows"])
        if "pairs" not in names:
            return cls(flat, mean)
        pairs = np.asarray(np.load(folder / names["pairs"], mmap_mode="r", allow_pickle=False))
        if pairs.shape != (flat.ntotal, flat.ntotal):
            raise DataError(f"cosines of {len(pairs)} films for {flat.ntotal}")
        return cls(flat, mean, pairs)

    def __len__(self) -> int:
        return int(self._flat.ntotal)

    def search(
        self, unit_queries: FloatMatrix, k: int, allowed: Allowed, own_rows: Ids | None = None
    ) -> list[ScoredIds]:
        """Compare each query with all rows."""
        del own_rows  # the queries say it all
        cosines, rows = self._flat.search(unit_queries, min(k, len(self)), params=search_parameters(allowed))
        # Rounding may carry the cosine of a row with itself past 1.
        return as_scored(rows, np.clip(cosines, -1.0, 1.0))

    def n_listed(self, k: int) -> int:
        """Return k: every cosine is exact."""
        return k

    def scan(
        self, unit_query: FloatMatrix, allowed: Allowed = None, own_row: int | None = None
    ) -> tuple[FloatMatrix, npt.NDArray[np.bool_]]:
        """Return every row's exact cosine."""
        del allowed  # no row costs more than another
        if self._pairs is not None and own_row is not None:
            return self._pairs[own_row].copy(), np.ones(len(self), bool)
        cosines = all_products(self._flat, unit_query)
        # Rounding may carry the cosine of a row with itself past 1.
        return np.clip(cosines, -1.0, 1.0), np.ones(len(self), bool)

    def cosines(self, unit_query: FloatMatrix, rows: Ids) -> FloatMatrix:
        """Compute the cosines of some rows."""
        cosines: FloatMatrix = np.clip(self.units(rows) @ unit_query, -1.0, 1.0)
        return cosines

    def units(self, rows: Ids) -> FloatMatrix:
        """Return rows as they are stored."""
        units: FloatMatrix = self._flat.reconstruct_batch(rows)
        return units

    def merged(self, kept: Ids, added: FilmFeatures | None, order: Ids) -> ExactRows:
        """Copy the kept rows and normalize the added ones, a block at a time."""
        flat = emptied(self._flat)
        for start in range(0, len(order), _BLOCK_ROWS):
            flat.add(self._block(kept, added, order[start : start + _BLOCK_ROWS]))
        return ExactRows(flat, self.mean, self._pairs_of(flat, kept, order) if _has_pairs(flat) else None)

    def _block(self, kept: Ids, added: FilmFeatures | None, part: Ids) -> FloatMatrix:
        old = part < len(kept)
        if added is None or old.all():
            return self.units(kept[part])
        block = np.empty((len(part), self._flat.d), np.float32)
        block[old] = self.units(kept[part[old]])
        block[~old] = unit_rows(added.read(part[~old] - len(kept)), self.mean)[0]
        return block

    def _pairs_of(self, flat: faiss.Index, kept: Ids, order: Ids) -> FloatMatrix:
        if self._pairs is None:
            return all_pairs(flat.reconstruct_batch, flat.ntotal)
        return extended_pairs(self._pairs, kept, order, flat.reconstruct_batch)

    def save(self, folder: Path, generation: str) -> dict[str, str]:
        """Write the rows, and the pairs if there are any."""
        names = {"rows": f"{generation}.faiss"}
        write_faiss(self._flat, folder / names["rows"])
        if self._pairs is not None:
            names["pairs"] = f"{generation}.npy"
            with atomic_path(folder / names["pairs"]) as temporary_path, temporary_path.open("wb") as stream:
                np.save(stream, self._pairs, allow_pickle=False)
        return names

    def settings(self) -> dict[str, Any]:
        """Return nothing: the files hold all."""
        return {}


def _has_pairs(flat: faiss.Index) -> bool:
    return pairs_bytes(flat.ntotal, flat.d) > 0
