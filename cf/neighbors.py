"""Item similarity: the cosine of two films' ratings, centred by user, shrunk where few users rated both."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from cf.base import Recommender, Rows, Scores

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

    name = "item-cosine"
    version = 2
    _learns = ("similarities_",)

    def __init__(self, n_neighbors: int = 200, shrinkage: float = 100.0, source: str = "") -> None:
        self.n_neighbors = n_neighbors
        self.shrinkage = shrinkage
        self.source = source
        self.similarities_: sparse.csr_array

    def _fit(self, values: sparse.csr_array) -> None:
        centred, rated = _centred_columns(values)
        n_films = values.shape[1]
        block = max(1, _BLOCK_CELLS // max(1, n_films))
        parts = [
            self._block(centred, rated, slice(start, min(start + block, n_films))) for start in range(0, n_films, block)
        ]
        self.similarities_ = sparse.csr_array(sparse.vstack(parts)) if parts else sparse.csr_array((0, 0))

    def _similarities(self, films: Rows) -> Scores:
        rows = self.similarities_[films].toarray()
        rows[rows <= 0] = np.nan
        return np.asarray(rows, np.float32)

    def _score(self, users: Rows) -> Scores:
        return self._score_new(self.seen_[users])

    def _score_new(self, values: sparse.csr_array) -> Scores:
        weights = abs(self.similarities_).T
        marks = sparse.csr_array((np.ones_like(values.data), values.indices, values.indptr), shape=values.shape)
        totals = (values @ self.similarities_.T).toarray()
        scores: Scores = np.divide(
            totals, (marks @ weights).toarray(), out=np.full(totals.shape, np.nan), where=totals > 0
        )
        return scores

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
