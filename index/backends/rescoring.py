"""Exact cosines of a few films, computed from their stored features.

NumPy converts float16 to float32 in software; FAISS does it in hardware, and computes with the stored bytes as they
are.
"""

from __future__ import annotations

import faiss
import numpy as np
import numpy.typing as npt
import xxhash

from catalog.errors import DataError
from index.backends.faiss_io import flat_index
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix, unit_rows


def checksum(row: npt.NDArray[np.floating]) -> int:
    """Return the 64-bit XXH3 checksum of a row's bytes."""
    return xxhash.xxh3_64_intdigest(np.ascontiguousarray(row).data)


# Copies of rows up to this size are made faster than a call for each of them.
_NARROW = 2048


class Rescorer:
    """Exact cosines between queries and films; each row's checksum is verified when it is first read."""

    def __init__(
        self,
        features: FilmFeatures,
        lengths: FloatMatrix,
        checksums: npt.NDArray[np.uint64],
        mean: FloatMatrix | None,
    ) -> None:
        self.features = features
        self.lengths = lengths
        self.checksums = checksums
        self._mean = mean
        self._seen = np.zeros(len(features), bool)
        # Empty: used only for inner products with rows as they are stored.
        self._codec = flat_index(features.n_features, half=features.dtype == np.float16)
        # As bytes, which is what FAISS takes them for.
        self._codes = [faiss.swig_ptr(array.view(np.uint8)) for array in features.arrays]

    def cosines(self, unit_query: FloatMatrix, numbers: Ids) -> FloatMatrix:
        """Compare one query of length 1 with some films, by their positions in the features."""
        query = np.ascontiguousarray(unit_query, np.float32)
        self._check(numbers)
        is_narrow = self.features.n_features <= _NARROW
        products = self._of_copies(query, numbers) if is_narrow else self._of_rows(query, numbers)
        if self._mean is not None:
            products -= np.float32(query.astype(np.float64) @ self._mean)
        lengths = self.lengths[numbers]
        # A film that equals the mean is similar to no other.
        cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        return np.clip(cosines, -1.0, 1.0)

    def _of_copies(self, query: FloatMatrix, numbers: Ids) -> FloatMatrix:
        if not len(numbers):
            return np.empty(0, np.float32)
        rows = self.features.read(numbers)
        if rows.dtype == np.float16:
            rows = self._codec.sa_decode(rows.view(np.uint8))
        # Unlike a product by BLAS, which adds some rows in another order, this gives equal rows equal results.
        products: FloatMatrix = np.einsum("ij,j->i", rows, query)
        return products

    def _of_rows(self, query: FloatMatrix, numbers: Ids) -> FloatMatrix:
        computer = self._codec.get_FlatCodesDistanceComputer()  # type: ignore[attr-defined]  # FAISS' stubs lack it
        computer.set_query(faiss.swig_ptr(query))
        products = np.empty(len(numbers), np.float32)
        array_numbers, row_numbers = self.features.array_numbers[numbers], self.features.row_numbers[numbers]
        current = -1
        for position, (array, row) in enumerate(zip(array_numbers.tolist(), row_numbers.tolist(), strict=True)):
            if array != current:
                computer.codes, current = self._codes[array], array
            products[position] = computer(row)
        return products

    def units(self, numbers: Ids) -> FloatMatrix:
        """Read films' features, less the mean and of length 1."""
        self._check(numbers)
        return unit_rows(self.features.read(numbers), self._mean)[0]

    def _check(self, numbers: Ids) -> None:
        """Verify the checksums of rows that have not been read before."""
        for number in numbers[~self._seen[numbers]].tolist():
            if checksum(self.features.row(number)) != self.checksums[number]:
                raise DataError(
                    f"the features of movie_id {self.features.movie_ids[number]} are not those that the index was "
                    "built from; run `keyart extract`, which finds damage and mends it, then `keyart build`"
                )
            self._seen[number] = True
