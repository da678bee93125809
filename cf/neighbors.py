"""Item similarity: the cosine of two films' ratings, centred by user, shrunk where few users rated both.

Owns a folder with ``item-cosine.json`` (the record, written last) and the arrays file it names.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.errors import DataError, NotBuiltError
from catalog.storage import atomic_path, read_record, write_record
from cf.base import Neighbors, Recommender
from cf.ratings import RatingMatrix

_KIND, _VERSION, _RECORD = "keyart-item-cosine", 1, "item-cosine.json"
# Cells of one block of the film × film product, so that memory is bounded whatever the catalogue's size.
_BLOCK_CELLS = 8_000_000


class ItemCosine(Recommender):
    r"""Finds films that the same users rated alike.

    .. math:: s(i, j) = \\frac{n_{ij}}{n_{ij} + \\lambda} \\cdot
              \\frac{\\sum_u (r_{ui} - \\bar r_u)(r_{uj} - \\bar r_u)}{|c_i| |c_j|}

    where :math:`n_{ij}` users rated both films and :math:`c_i` is film i's centred column. Of each film the
    `n_neighbors` largest similarities above zero are kept: never a dense film × film matrix.

    Parameters
    ----------
    n_neighbors : int, default 200
        How many neighbours of each film are kept.
    shrinkage : float, default 100
        λ, in users: the number of common raters at which a similarity counts half.
    source : str, optional
        Which ratings it is fitted on; kept, so that similarities out of date can be told.

    References
    ----------
    .. [1] B. Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001 (adjusted
       cosine).
    .. [2] Y. Koren, "Factor in the neighbors", ACM TKDD 4(1), 2010 (shrinkage).
    """

    def __init__(self, n_neighbors: int = 200, shrinkage: float = 100.0, source: str = "") -> None:
        self.n_neighbors = n_neighbors
        self.shrinkage = shrinkage
        self.source = source
        self.movie_ids_: npt.NDArray[np.int32]
        self.similarities_: sparse.csr_array

    def fit(self, ratings: RatingMatrix) -> Self:
        """Compute the similarities, a block of films at a time.

        Parameters
        ----------
        ratings : RatingMatrix
            Users × films; it is not changed.

        Returns
        -------
        ItemCosine
            Itself.
        """
        centred, rated = _centred_columns(ratings.values)
        n_films = len(ratings.movie_ids)
        block = max(1, _BLOCK_CELLS // max(1, n_films))
        parts = [
            self._block(centred, rated, slice(start, min(start + block, n_films))) for start in range(0, n_films, block)
        ]
        self.movie_ids_ = ratings.movie_ids
        self.similarities_ = sparse.csr_array(sparse.vstack(parts)) if parts else sparse.csr_array((0, 0))
        return self

    def similar_items(self, movie_ids: Sequence[int], k: int) -> list[Neighbors]:
        """Look the nearest films up; see `Recommender.similar_items`.

        Parameters
        ----------
        movie_ids : sequence of int
            The films asked about.
        k : int
            How many neighbours at most; no more than `n_neighbors` are known.

        Returns
        -------
        list of Neighbors
            One for each film asked about.
        """
        return [self._neighbors(movie_id, k) for movie_id in movie_ids]

    def save(self, folder: Path) -> None:
        """Write the similarities; see `Recommender.save`.

        Parameters
        ----------
        folder : Path
            A folder of this model's own.

        Raises
        ------
        StoreError
            The files cannot be written.
        """
        kept = self.similarities_
        arrays_path = folder / f"item-cosine-{secrets.token_hex(4)}.npz"
        content = {
            "arrays": arrays_path.name,
            "n_films": len(self.movie_ids_),
            "n_similarities": int(kept.nnz),
        }
        parameters = {"n_neighbors": self.n_neighbors, "shrinkage": self.shrinkage, "source": self.source}
        try:
            with atomic_path(arrays_path) as temporary_path, temporary_path.open("wb") as stream:
                np.savez(stream, movie_ids=self.movie_ids_, data=kept.data, indices=kept.indices, indptr=kept.indptr)
            write_record(folder / _RECORD, _KIND, _VERSION, {**content, **parameters})
        except BaseException:
            arrays_path.unlink(missing_ok=True)
            raise
        # Only now that the record names the new arrays are the old ones of no use.
        for path in folder.glob("item-cosine-*.npz"):
            if path != arrays_path:
                path.unlink(missing_ok=True)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the similarities; see `Recommender.open`.

        Parameters
        ----------
        folder : Path
            The model's folder.

        Returns
        -------
        ItemCosine
            A model that answers as the saved one did.

        Raises
        ------
        NotBuiltError
            Nothing was saved there.
        DataError
            The files are of another version, or damaged.
        """
        try:
            record = read_record(folder / _RECORD, _KIND, _VERSION)
            # Opened here: of a damaged file that it opened itself, NumPy leaves the handle open.
            with (folder / record["arrays"]).open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                movie_ids, *parts = (arrays[name] for name in ("movie_ids", "data", "indices", "indptr"))
            model = cls(record["n_neighbors"], record["shrinkage"], record["source"])
            model.movie_ids_ = movie_ids
            model.similarities_ = sparse.csr_array(tuple(parts), shape=(len(movie_ids), len(movie_ids)))
        except FileNotFoundError as error:
            raise NotBuiltError(
                f"no item similarities here yet ({error.filename} is missing); run `keyart build`"
            ) from error
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise DataError(
                f"the item similarities in {folder} are damaged ({error}); run `keyart build` again"
            ) from error
        return model

    def _neighbors(self, movie_id: int, k: int) -> Neighbors:
        row = int(np.searchsorted(self.movie_ids_, movie_id))
        if row == len(self.movie_ids_) or self.movie_ids_[row] != movie_id:
            return Neighbors(np.empty(0, np.int32), np.empty(0, np.float32))
        start, stop = self.similarities_.indptr[row : row + 2]
        stop = min(stop, start + k)
        return Neighbors(self.movie_ids_[self.similarities_.indices[start:stop]], self.similarities_.data[start:stop])

    def _block(self, centred: sparse.csc_array, rated: sparse.csc_array, films: slice) -> sparse.csr_array:
        n_common = sparse.csr_array(rated[:, films].T @ rated)
        shrunk = n_common.copy()
        shrunk.data = shrunk.data / (shrunk.data + self.shrinkage)
        similarities = sparse.csr_array((centred[:, films].T @ centred).multiply(shrunk))
        return _largest(similarities, self.n_neighbors, first_row=films.start)


def _centred_columns(values: sparse.csr_array) -> tuple[sparse.csc_array, sparse.csc_array]:
    """Centre ratings by user and scale each film to length 1; and mark what is rated with 1."""
    n_of_user = np.diff(values.indptr)
    totals = np.asarray(values.sum(axis=1)).ravel()
    means = totals / np.maximum(n_of_user, 1)
    centred = sparse.csr_array(
        (values.data - np.repeat(means, n_of_user), values.indices, values.indptr),
        shape=values.shape,
        dtype=np.float32,
    )
    lengths = np.sqrt(np.bincount(centred.indices, weights=centred.data**2, minlength=values.shape[1]))
    # A film that everyone gave exactly their mean says nothing: its column is 0 and stays so.
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 1e-6)
    centred.data = (centred.data * scale[centred.indices]).astype(np.float32)
    rated = sparse.csr_array((np.ones(len(values.data), np.float32), values.indices, values.indptr), shape=values.shape)
    return centred.tocsc(), rated.tocsc()


def _largest(similarities: sparse.csr_array, k: int, first_row: int) -> sparse.csr_array:
    """Keep each row's k largest entries above 0, nearest first, without the film itself."""
    columns, values = [], []
    for row in range(similarities.shape[0]):
        start, stop = similarities.indptr[row : row + 2]
        indices, data = similarities.indices[start:stop], similarities.data[start:stop]
        known = (data > 0) & (indices != first_row + row)
        indices, data = indices[known], data[known]
        # lexsort's last key counts first: the largest similarity, then the smallest column, which is the smallest id.
        nearest = np.lexsort((indices, -data))[:k]
        columns.append(indices[nearest])
        values.append(data[nearest])
    indptr = np.concatenate([[0], np.cumsum([len(part) for part in columns])])
    kept = (np.concatenate(values), np.concatenate(columns), indptr)
    return sparse.csr_array(kept, shape=similarities.shape, dtype=np.float32)
