r"""Choose films for a new user to rate: films that most people know and that reveal their preferences.

A film that few have seen wastes a question, and one that everybody rates the same reveals nothing. Popularity times
entropy needs few questions for what it learns [1]_:

.. math:: \log_2 n_i \cdot H_i, \quad H_i = -\sum_s p_i(s) \log_2 p_i(s)

with :math:`n_i` the number of ratings of film i and :math:`p_i(s)` the share of them with s stars. That alone ranks ten
blockbusters of one kind first, so films are chosen one by one, trading this value against the similarity to those
before, by genres and posters [2]_.

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
from keyart.workspace.contents import open_films_and_ratings, rating_matrix
from keyart.workspace.films import list_posters
from keyart.workspace.layout import Workspace

# Beyond these, a search finds films that the user knows better.
_MOST_FILMS = 240
# Subtracted at a similarity of 1 to an earlier film, relative to the value of the best film.
_SIMILARITY_COST = 1.0
# The largest random reduction of a film's value, in the same unit, so that another seed chooses other films.
_NOISE = 0.15

Floats = npt.NDArray[np.float64]


class FilmsToRate:
    """The films of a workspace for a new user to rate; create it with `open`. Safe from several threads."""

    def __init__(self, films: Sequence[Film], values: Floats, similarities: Floats) -> None:
        self._films = films
        self._values = values
        self._similarities = similarities

    @classmethod
    def open(cls, workspace: Workspace) -> Self:
        """Value the films of a workspace that have a poster and at least two ratings."""
        by_id, all_ratings = open_films_and_ratings(workspace)
        ratings = rating_matrix(all_ratings)
        values = values_of(ratings)
        with_poster = {poster.movie_id for poster in list_posters(workspace)}
        n_ratings = np.bincount(ratings.values.indices, minlength=len(values))
        # Films of equal value: the best known first.
        ranked = np.lexsort((ratings.movie_ids, -n_ratings, -values))
        rows = ranked[n_ratings[ranked] > 1].tolist()
        known = [(by_id[movie_id], row) for row in rows if (movie_id := int(ratings.movie_ids[row])) in by_id]
        chosen = [(film, row) for film, row in known if film.movie_id in with_poster][:_MOST_FILMS]
        films = [film for film, _ in chosen]
        looks = open_looks(workspace).of([film.movie_id for film in films])
        best = values[[row for _, row in chosen]] / max(values.max(initial=0), 1e-9)
        return cls(films, best, similarities_of(films, looks))

    def listed(self, k: int, offset: int = 0, seed: int = 0) -> list[Film]:
        """List k films from an offset; the same seed gives the same order."""
        values = self._values - np.random.default_rng(seed).uniform(0, _NOISE, len(self._films))
        nearest = np.zeros(len(self._films))
        order: list[int] = []
        for _ in range(min(offset + k, len(self._films))):
            row = int(np.argmax(values - _SIMILARITY_COST * nearest))
            order.append(row)
            values[row] = -np.inf
            nearest = np.maximum(nearest, self._similarities[row])
        return [self._films[row] for row in order[offset:]]


def values_of(ratings: RatingMatrix) -> Floats:
    """Return popularity times entropy of each film, in bits."""
    values, n_films = ratings.values, len(ratings.movie_ids)
    # Half stars, from 1 to 10.
    halves = np.rint(2 * values.data).astype(np.intp)
    counts = np.bincount(values.indices * 11 + halves, minlength=11 * n_films).reshape(n_films, 11)
    n_ratings = counts.sum(axis=1)
    shares = counts / np.maximum(n_ratings, 1)[:, None]
    entropy = -(shares * np.log2(shares, out=np.zeros_like(shares), where=shares > 0)).sum(axis=1)
    return np.asarray(np.log2(np.maximum(n_ratings, 1)) * entropy)


def similarities_of(films: Sequence[Film], looks: npt.NDArray[np.float32]) -> Floats:
    """Return the mean of the cosines of genres and of looks, in [0, 1], (n, n); NaN looks are similar to none."""
    names = sorted({genre for film in films for genre in film.genres})
    marks = [[genre in film.genres for genre in names] for film in films]
    genres = np.array(marks, float).reshape(len(films), len(names))
    known = np.isfinite(looks).all(axis=1) if looks.shape[1] else np.zeros(len(films), bool)
    deviations = np.zeros(looks.shape)
    if known.any():
        deviations[known] = looks[known] - looks[known].mean(axis=0)
    return np.asarray((_cosines(genres) + _cosines(deviations)).clip(0, 2) / 2)


def _cosines(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    directions = rows / np.where(lengths > 0, lengths, 1)
    return np.asarray(directions @ directions.T)
