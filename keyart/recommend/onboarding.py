r"""Which films to ask a newcomer about: ten answers shall tell much of a taste, and most people be able to give them.

A film that few have seen wastes a question; one that all rate alike tells nothing. Of ways to choose, popularity times
entropy asked few questions for what it learned of people [1]_:

.. math:: \log_2 n_i \cdot H_i, \quad H_i = -\sum_s p_i(s) \log_2 p_i(s)

with :math:`n_i` the film's ratings and :math:`p_i(s)` the share of them that are of s stars. By that alone ten
blockbusters of one kind come first, so the films are taken one after the other, each as much worth asking about *and*
as unlike those before it as may be [2]_: unlike by genres and by the looks of posters.

References
----------
.. [1] A. M. Rashid et al., "Getting to know you: learning new user preferences in recommender systems", IUI 2002.
.. [2] J. Carbonell, J. Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing
   summaries", SIGIR 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from catalog.film import Film
from cf.ratings import RatingMatrix
from keyart.cold_start.content import open_looks
from keyart.workspace.changes import Snapshot
from keyart.workspace.contents import list_films, list_posters, open_rating_matrix
from keyart.workspace.layout import Workspace

# So many films are worth a question; who has seen none of them is asked better by a search.
_MOST_FILMS = 240
# What a film loses that is wholly like one before it, in parts of the worth of the best film.
_COST_OF_LIKENESS = 1.0
# By as much, at most, a seed makes a film look worth less than it is, in the same parts: another asks about others.
_CHANCE = 0.15

Floats = npt.NDArray[np.float64]


class FilmsToRate:
    """The films of a workspace that are worth asking about; open them with `open`. May be asked by several threads.

    Parameters
    ----------
    films : sequence of Film, of length n
        They, each with a poster.
    worth : ndarray of shape (n,)
        What each is worth by itself, in [0, 1].
    likeness : ndarray of shape (n, n)
        How alike any two are, in [0, 1].
    snapshot : Snapshot
        Of the files that this was made from.
    """

    def __init__(self, films: Sequence[Film], worth: Floats, likeness: Floats, snapshot: Snapshot) -> None:
        self._films = films
        self._worth = worth
        self._likeness = likeness
        self._snapshot = snapshot

    @classmethod
    def open(cls, workspace: Workspace) -> Self:
        """Weigh the films of a workspace.

        Parameters
        ----------
        workspace : Workspace
            The workspace.

        Returns
        -------
        FilmsToRate
            Those that have a poster, for a film is recognized by it, and two ratings or more.

        Raises
        ------
        NotBuiltError
            There are no ratings.
        DataError
            A part of the workspace is damaged.
        """
        posters_path = workspace.posters_dir / "posters.sqlite"
        snapshot = Snapshot.take((workspace.catalog_path, workspace.features_dir, posters_path))
        ratings = open_rating_matrix(workspace)
        worth = worth_of(ratings)
        pictured = {poster.movie_id for poster in list_posters(workspace)}
        by_id = {film.movie_id: film for film in list_films(workspace)}
        n_ratings = np.bincount(ratings.values.indices, minlength=len(worth))
        # Where nobody differs about anything, what most people know is asked about.
        ranked = np.lexsort((ratings.movie_ids, -n_ratings, -worth))
        rows = ranked[n_ratings[ranked] > 1].tolist()
        known = [(by_id[movie_id], row) for row in rows if (movie_id := int(ratings.movie_ids[row])) in by_id]
        chosen = [(film, row) for film, row in known if film.movie_id in pictured][:_MOST_FILMS]
        films = [film for film, _ in chosen]
        looks = open_looks(workspace).of([film.movie_id for film in films])
        best = worth[[row for _, row in chosen]] / max(worth.max(initial=0), 1e-9)
        return cls(films, best, likeness_of(films, looks), snapshot)

    def is_current(self) -> bool:
        """Tell whether it still speaks of the ratings and posters that there are.

        Returns
        -------
        bool
            False once others came.
        """
        return self._snapshot.is_current()

    def listed(self, k: int, offset: int = 0, seed: int = 0) -> list[Film]:
        """List films to ask about.

        Parameters
        ----------
        k : int
            How many at most.
        offset : int, default 0
            How many to pass over: who has not seen a film is asked about the next.
        seed : int, default 0
            Another seed asks about other films.

        Returns
        -------
        list of Film
            The same for the same seed.
        """
        worth = self._worth - np.random.default_rng(seed).uniform(0, _CHANCE, len(self._films))
        nearest = np.zeros(len(self._films))
        order: list[int] = []
        for _ in range(min(offset + k, len(self._films))):
            row = int(np.argmax(worth - _COST_OF_LIKENESS * nearest))
            order.append(row)
            worth[row] = -np.inf
            nearest = np.maximum(nearest, self._likeness[row])
        return [self._films[row] for row in order[offset:]]


def worth_of(ratings: RatingMatrix) -> Floats:
    """Tell how much is learned by asking about films: popularity times entropy.

    Parameters
    ----------
    ratings : RatingMatrix
        Users × films.

    Returns
    -------
    ndarray of shape (n_films,), float64
        In bits, more is better; 0 for a film with one rating, or that all rate alike.
    """
    values, n_films = ratings.values, len(ratings.movie_ids)
    # Half stars, from 1 to 10.
    halves = np.rint(2 * values.data).astype(np.intp)
    counts = np.bincount(values.indices * 11 + halves, minlength=11 * n_films).reshape(n_films, 11)
    n_ratings = counts.sum(axis=1)
    shares = counts / np.maximum(n_ratings, 1)[:, None]
    entropy = -(shares * np.log2(shares, out=np.zeros_like(shares), where=shares > 0)).sum(axis=1)
    return np.asarray(np.log2(np.maximum(n_ratings, 1)) * entropy)


def likeness_of(films: Sequence[Film], looks: npt.NDArray[np.float32]) -> Floats:
    """Tell how alike films are by genres and looks.

    Parameters
    ----------
    films : sequence of Film, of length n
        The films.
    looks : ndarray of shape (n, d), float32
        Of their posters; NaN where they are not known, which is like nothing.

    Returns
    -------
    ndarray of shape (n, n), float64
        The mean of two cosines, in [0, 1]: of their genres, and of how their posters depart from the average one.
    """
    names = sorted({genre for film in films for genre in film.genres})
    marks = [[genre in film.genres for genre in names] for film in films]
    genres = np.array(marks, float).reshape(len(films), len(names))
    known = np.isfinite(looks).all(axis=1) if looks.shape[1] else np.zeros(len(films), bool)
    departures = np.zeros(looks.shape)
    if known.any():
        departures[known] = looks[known] - looks[known].mean(axis=0)
    return np.asarray((_cosines(genres) + _cosines(departures)).clip(0, 2) / 2)


def _cosines(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    directions = rows / np.where(lengths > 0, lengths, 1)
    return np.asarray(directions @ directions.T)
