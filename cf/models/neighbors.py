"""Users and films by the cosine of their ratings: what alike users, or what users of alike films, thought.

Two modes. The proper one compares what is left of ratings once the biases are taken off, shrinks similarities on few
common ratings, and counts those who rated. The article's counts whatever is unrated as 0 stars, so that its figure can
be reproduced.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.scored_ids import ScoredIds
from cf.base import Ids, Recommender, Rows, Scores, rows_of
from cf.models.baseline import Biases, fit_biases

# Similarities of one block, so that memory is bounded whatever the catalog's size.
_BLOCK_CELLS = 8_000_000


class _Neighborhood(Recommender):
    """What neighbors by film and by user share: biases, and a mean of the neighbors' residuals on top."""

    _learns = ("similarities_", "mean_", "user_biases_", "film_biases_")

    similarities_: sparse.csr_array
    mean_: npt.NDArray[np.float32]
    user_biases_: npt.NDArray[np.float32]
    film_biases_: npt.NDArray[np.float32]

    @property
    def biases_(self) -> Biases:
        """The overall mean, and how far users and films lie off it."""
        return Biases(float(self.mean_[0]), self.user_biases_, self.film_biases_)

    def _fit_biases(self, values: sparse.csr_array) -> sparse.csr_array:
        biases = fit_biases(values)
        self.mean_, self.user_biases_, self.film_biases_ = (
            np.array([biases.mean], np.float32),
            biases.users,
            biases.films,
        )
        return biases.residuals(values)

    def _new_users(self, values: sparse.csr_array) -> tuple[Biases, sparse.csr_array]:
        of_users = self.biases_.of_new_users(values)
        biases = Biases(float(self.mean_[0]), of_users, self.film_biases_)
        return biases, biases.residuals(values)


class ItemCosine(_Neighborhood):
    r"""Predicts from what the user thought of films that the same users rated alike.

    .. math:: s(i, j) = \frac{n_{ij}}{n_{ij} + \lambda} \cdot \frac{\sum_u e_{ui} e_{uj}}{|e_i| |e_j|}, \qquad
              \hat r_{ui} = b_{ui} + \frac{\sum_j s(i, j) e_{uj}}{\delta + \sum_j s(i, j)}

    where :math:`e_{ui} = r_{ui} - b_{ui}` is the residual of the baseline (mean, user, film), :math:`n_{ij}` users
    rated both films, and j runs over the films that u rated. Of each film the `n_neighbors` largest similarities above
    zero are kept: never a dense film × film matrix.

    Parameters
    ----------
    n_neighbors : int, default 200
        How many neighbors of each film are kept.
    shrinkage : float, default 100
        λ, in users: the number of common raters at which a similarity counts half.
    damping : float, default 0.1
        δ, a similarity: where those of the films rated add up to so much, they move a prediction half-way.
    source : str, optional
        Which ratings it is fitted on; kept, so that similarities out of date can be told.

    References
    ----------
    .. [1] B. Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001.
    .. [2] Y. Koren, "Factor in the neighbors", ACM TKDD 4(1), 2010, section 2.2 (residuals, shrinkage).
    """

    name = "item-cosine"
    version = 2

    def __init__(
        self, n_neighbors: int = 200, shrinkage: float = 100.0, damping: float = 0.1, source: str = ""
    ) -> None:
        self.n_neighbors = n_neighbors
        self.shrinkage = shrinkage
        self.damping = damping
        self.source = source

    def _fit(self, values: sparse.csr_array) -> None:
        of_films = self._fit_biases(values).T.tocsr()
        self.similarities_ = _nearest(of_films, of_films, self.shrinkage, self.n_neighbors, themselves=True)

    def similar_items(self, movie_ids: Ids, k: int) -> list[ScoredIds]:
        """Find the nearest films of each film among the neighbors that are kept."""
        if k < 1:
            raise ValueError(f"k should be 1 or more, received {k}")
        return [self._neighbors(film, k) for film in rows_of(self.movie_ids_, movie_ids).tolist()]

    def _neighbors(self, film: int, k: int) -> ScoredIds:
        # Without a row of all films, most of which are no neighbors.
        kept = slice(*self.similarities_.indptr[film : film + 2]) if film >= 0 else slice(0)
        films, scores = self.similarities_.indices[kept], self.similarities_.data[kept]
        alike = np.flatnonzero((scores > 0) & (films != film))
        return ScoredIds.ranked(self.movie_ids_[films[alike]], scores[alike], k)

    def _similarities(self, films: Rows) -> Scores:
        rows = self.similarities_[films].toarray()
        rows[rows <= 0] = np.nan
        return np.asarray(rows, np.float32)

    def _score(self, users: Rows) -> Scores:
        return self._score_new(self.seen_[users])

    def _score_new(self, values: sparse.csr_array) -> Scores:
        biases, residuals = self._new_users(values)
        weights = self.similarities_.T.tocsr()
        return _scored(biases, residuals @ weights, _marks(residuals) @ weights, self.damping)

    def _contributions(self, values: sparse.csr_array, films: Rows) -> Scores:
        _, residuals = self._new_users(values)
        weights = self.similarities_[films].T.tocsr()[values.indices].toarray()
        weighted = weights * residuals.data[:, None]
        return np.asarray(weighted / (weights.sum(axis=0) + np.float32(self.damping)), np.float32)


class UserCosine(_Neighborhood):
    r"""Predicts from what users of like taste thought of the film: `ItemCosine`, with the two sides changed.

    .. math:: s(u, v) = \frac{n_{uv}}{n_{uv} + \lambda} \cdot \frac{\sum_i e_{ui} e_{vi}}{|e_u| |e_v|}, \qquad
              \hat r_{ui} = b_{ui} + \frac{\sum_v s(u, v) e_{vi}}{\delta + \sum_v s(u, v)}

    where v runs over the users who rated i.

    Parameters
    ----------
    n_neighbors : int, default 200
        How many neighbors of each user are kept.
    shrinkage : float, default 100
        λ, in films: the number of films rated by both at which a similarity counts half.
    damping : float, default 0.1
        δ, a similarity: where those of the film's raters add up to so much, they move a prediction half-way.

    References
    ----------
    .. [1] J. Herlocker et al., "An algorithmic framework for performing collaborative filtering", SIGIR 1999.
    .. [2] Y. Koren, "Factor in the neighbors", ACM TKDD 4(1), 2010, section 2.2 (residuals, shrinkage).
    """

    name = "user-cosine"

    def __init__(self, n_neighbors: int = 200, shrinkage: float = 100.0, damping: float = 0.1) -> None:
        self.n_neighbors = n_neighbors
        self.shrinkage = shrinkage
        self.damping = damping

    def _fit(self, values: sparse.csr_array) -> None:
        residuals = self._fit_biases(values)
        self.similarities_ = _nearest(residuals, residuals, self.shrinkage, self.n_neighbors, themselves=True)

    def _score(self, users: Rows) -> Scores:
        biases = Biases(float(self.mean_[0]), self.user_biases_[users], self.film_biases_)
        return self._scored_by(biases, self.similarities_[users], self.biases_.residuals(self.seen_))

    def _score_new(self, values: sparse.csr_array) -> Scores:
        biases, residuals = self._new_users(values)
        known = self.biases_.residuals(self.seen_)
        weights = _nearest(residuals, known, self.shrinkage, self.n_neighbors)
        return self._scored_by(biases, weights, known)

    def _scored_by(self, biases: Biases, weights: sparse.csr_array, known: sparse.csr_array) -> Scores:
        return _scored(biases, weights @ known, weights @ _marks(known), self.damping)


class ArticleUserCosine(Recommender):
    r"""Predicts the mean of all users' ratings, weighted by cosine, where whatever is unrated counts as 0 stars.

    .. math:: s(u, v) = \frac{r_u \cdot r_v}{|r_u| |r_v|}, \qquad
              \hat r_{ui} = \frac{\sum_v s(u, v) r_{vi}}{\sum_v |s(u, v)|}

    It is here for its published figure: the zeros draw all predictions far down. Use `UserCosine`.
    """

    name = "article-user-cosine"
    _learns = ("directions_",)

    def __init__(self) -> None:
        self.directions_: sparse.csr_array

    def _fit(self, values: sparse.csr_array) -> None:
        self.directions_ = _directions(values)

    def _score(self, users: Rows) -> Scores:
        return self._scored_by(self.directions_[users])

    def _score_new(self, values: sparse.csr_array) -> Scores:
        return self._scored_by(_directions(values))

    def _scored_by(self, directions: sparse.csr_array) -> Scores:
        # Ratings are above 0, and so are their cosines: they are their own absolute values.
        similarities = directions @ self.directions_.T
        return _ratio((similarities @ self.seen_).toarray(), similarities.sum(axis=1)[:, None])


class ArticleItemCosine(Recommender):
    r"""Predicts the mean of all of a user's ratings, weighted by cosine, where whatever is unrated counts as 0 stars.

    .. math:: s(i, j) = \frac{r_i \cdot r_j}{|r_i| |r_j|}, \qquad
              \hat r_{ui} = \frac{\sum_j s(i, j) r_{uj}}{\sum_j |s(i, j)|}

    It is here to stand beside `ArticleUserCosine`. Use `ItemCosine`.
    """

    name = "article-item-cosine"
    _learns = ("directions_",)

    def __init__(self) -> None:
        self.directions_: sparse.csr_array

    def _fit(self, values: sparse.csr_array) -> None:
        self.directions_ = _directions(values.T.tocsr())

    def _similarities(self, films: Rows) -> Scores:
        rows = (self.directions_[films] @ self.directions_.T).toarray()
        rows[rows <= 0] = np.nan
        return np.asarray(rows, np.float32)

    def _score(self, users: Rows) -> Scores:
        return self._score_new(self.seen_[users])

    def _score_new(self, values: sparse.csr_array) -> Scores:
        # Multiplied from the left, the product of users and films never becomes one of films and films.
        totals = ((values @ self.directions_) @ self.directions_.T).toarray()
        return _ratio(totals, self.directions_ @ self.directions_.sum(axis=0))


def _nearest(
    queries: sparse.csr_array, others: sparse.csr_array, shrinkage: float, k: int, *, themselves: bool = False
) -> sparse.csr_array:
    """Keep, of the shrunk cosines of each row asked about with all others, the k largest above 0.

    Where a row's residuals are all 0, it has no direction, and no neighbors. Rows that are compared with themselves
    leave themselves out.
    """
    directions, marks = _directions(others).T.tocsr(), _marks(others).T.tocsr()
    parts = []
    for start, stop in _blocks(queries, others):
        block = queries[start:stop]
        weights = sparse.csr_array(_marks(block) @ marks)
        weights.data = weights.data / (weights.data + shrinkage)
        similarities = sparse.csr_array((_directions(block) @ directions).multiply(weights))
        parts.append(_largest(similarities, k, first_row=start if themselves else None))
    nearest: sparse.csr_array = sparse.csr_array(
        sparse.vstack(parts) if parts else np.empty((0, others.shape[0]), np.float32)
    )
    return nearest


def _blocks(queries: sparse.csr_array, others: sparse.csr_array) -> Iterator[tuple[int, int]]:
    """Yield where blocks of rows begin and end, each of few enough cells that may be above 0.

    Blocks of as many rows as `others` leaves room for would be more with every row, and a product of each passes over
    all of `others`: time would grow with the square of the rows, though most have nothing in common.
    """
    n_of_column = np.bincount(others.indices, minlength=others.shape[1])
    n_products = sparse.csr_array((n_of_column[queries.indices], queries.indices, queries.indptr), shape=queries.shape)
    ends = np.cumsum(np.minimum(n_products.sum(axis=1), others.shape[0]))
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _BLOCK_CELLS, side="right")))
        yield start, stop
        start = stop


def _largest(similarities: sparse.csr_array, k: int, first_row: int | None) -> sparse.csr_array:
    """Keep each row's k largest entries above 0, nearest first, without the row itself."""
    columns, values = [], []
    for row in range(similarities.shape[0]):
        start, stop = similarities.indptr[row : row + 2]
        indices, data = similarities.indices[start:stop], similarities.data[start:stop]
        known = data > 0
        if first_row is not None:
            known &= indices != first_row + row
        indices, data = indices[known], data[known]
        if len(data) > k:
            # Sorting all would take most of the fit.
            among = data >= np.partition(data, len(data) - k)[len(data) - k]
            indices, data = indices[among], data[among]
        # lexsort's last key counts first: the largest similarity, then the smallest column, which is the smallest id.
        nearest = np.lexsort((indices, -data))[:k]
        columns.append(indices[nearest])
        values.append(data[nearest])
    indptr = np.concatenate([[0], np.cumsum([len(part) for part in columns])])
    remaining = (np.concatenate(values), np.concatenate(columns), indptr)
    return sparse.csr_array(remaining, shape=similarities.shape, dtype=np.float32)


def _directions(values: sparse.csr_array) -> sparse.csr_array:
    """Scale each row to length 1."""
    n_of_row = np.diff(values.indptr)
    rows = np.repeat(np.arange(len(n_of_row)), n_of_row)
    lengths = np.sqrt(np.bincount(rows, weights=values.data**2, minlength=len(n_of_row)))
    # A row that is 0 but for rounding has no direction: it says nothing.
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 1e-5)
    return _with_data(values, (values.data * scale[rows]).astype(np.float32))


def _marks(values: sparse.csr_array) -> sparse.csr_array:
    """Put 1 wherever something is stored."""
    return _with_data(values, np.ones(len(values.data), np.float32))


def _with_data(values: sparse.csr_array, data: npt.NDArray[np.float32]) -> sparse.csr_array:
    return sparse.csr_array((data, values.indices, values.indptr), shape=values.shape)


def _scored(biases: Biases, totals: sparse.csr_array, weights: sparse.csr_array, damping: float) -> Scores:
    """Add the weighted means of residuals to the biases; where there are no neighbors, the biases stand alone."""
    known = weights.toarray()
    scores: Scores = np.divide(totals.toarray(), known + np.float32(damping), out=np.zeros_like(known), where=known > 0)
    scores += biases.mean + biases.users[:, None] + biases.films
    return scores


def _ratio(totals: npt.NDArray[np.float32], weights: npt.NDArray[np.float32]) -> Scores:
    ratio: Scores = np.divide(totals, weights, out=np.full_like(totals, np.nan), where=weights > 0)
    return ratio
