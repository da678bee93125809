"""Exact cosines of a few films, straight from where their features lie.

NumPy converts float16 to float32 in software; FAISS does it in hardware, and computes with the stored bytes as they
are, so nothing is copied. May import `catalog` only.
"""

from __future__ import annotations

import faiss
import numpy as np
import numpy.typing as npt
import xxhash

from catalog.errors import DataError
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix, unit_rows


def checksum(row: npt.NDArray[np.floating]) -> int:
    """Sum up the bytes of a row.

    Parameters
    ----------
    row : ndarray of shape (n_features,)
        One film's features.

    Returns
    -------
    int
        Their XXH3 checksum, of 64 bits.
    """
    return xxhash.xxh3_64_intdigest(np.ascontiguousarray(row).data)


class Rescorer:
    """Exact cosines between queries and films.

    Parameters
    ----------
    features : FilmFeatures
        The films' rows.
    lengths : ndarray of shape (n,), float32
        Of each row, less the mean.
    checksums : ndarray of shape (n,), uint64
        Of each row. A row is held to it when it is first read.
    mean : ndarray of shape (n_features,), float32, or None
        What is subtracted before rows are compared.
    """

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
        self._codec = _codec(features)
        # As bytes, which is what FAISS takes them for.
        self._codes = [faiss.swig_ptr(array.view(np.uint8)) for array in features.arrays]

    def cosines(self, unit_query: FloatMatrix, numbers: Ids) -> FloatMatrix:
        """Compare one query with some films.

        Parameters
        ----------
        unit_query : ndarray of shape (n_features,), float32
            Of length 1, less the mean.
        numbers : ndarray of shape (m,), int64
            The films' places in the features.

        Returns
        -------
        ndarray of shape (m,), float32
            Cosines in [-1, 1].

        Raises
        ------
        DataError
            A film's features are not those that the index was built from.
        """
        computer = self._codec.get_FlatCodesDistanceComputer()  # type: ignore[attr-defined]  # FAISS' stubs lack it
        query = np.ascontiguousarray(unit_query, np.float32)
        computer.set_query(faiss.swig_ptr(query))
        self._check(numbers)
        products = np.empty(len(numbers), np.float32)
        array_numbers, row_numbers = self.features.array_numbers[numbers], self.features.row_numbers[numbers]
        at = -1
        for place, (array, row) in enumerate(zip(array_numbers.tolist(), row_numbers.tolist(), strict=True)):
            if array != at:
                computer.codes, at = self._codes[array], array
            products[place] = computer(row)
        if self._mean is not None:
            products -= np.float32(query.astype(np.float64) @ self._mean)
        lengths = self.lengths[numbers]
        # A film that is just the mean is like no other.
        cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        return np.clip(cosines, -1.0, 1.0)

    def units(self, numbers: Ids) -> FloatMatrix:
        """Read films' features, brought to length 1.

        Parameters
        ----------
        numbers : ndarray of shape (m,), int64
            The films' places in the features.

        Returns
        -------
        ndarray of shape (m, n_features), float32
            Less the mean.

        Raises
        ------
        DataError
            As `cosines`.
        """
        self._check(numbers)
        return unit_rows(self.features.read(numbers), self._mean)[0]

    def _check(self, numbers: Ids) -> None:
        """Hold rows to their checksums, unless that has been done."""
        for number in numbers[~self._seen[numbers]].tolist():
            if checksum(self.features.row(number)) != self.checksums[number]:
                raise DataError(
                    f"the features of movie_id {self.features.movie_ids[number]} are not those that the index was "
                    "built from; run `keyart extract`, which finds damage and mends it, then `keyart build`"
                )
            self._seen[number] = True


def _codec(features: FilmFeatures) -> faiss.IndexFlatCodes:
    """Make an empty FAISS index of which only the arithmetic is used: inner products with rows as they are stored."""
    if features.dtype == np.float32:
        return faiss.IndexFlatIP(features.n_features)
    half = faiss.IndexScalarQuantizer(features.n_features, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    half.is_trained = True
    return half
