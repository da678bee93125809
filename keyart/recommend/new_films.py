"""Films that nobody has rated yet, ranked for one user, and put among the films that a model of ratings knows.

All that is known of films by their content is computed once, when they are gathered; what is left for one user is a
product of two small matrices. `cf.coldstart.base.scores_by_rank` brings new films onto the scale of the known ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.film import Film
from catalog.scored_ids import ScoredIds
from cf.base import rows_of
from cf.coldstart.base import scores_by_rank
from cf.coldstart.content import FilmContent
from cf.coldstart.ridge import ContentRidge
from cf.ratings import RatingMatrix
from keyart.cold_start.content import Looks, content_of

# To place a new film among known ones, so many of these will do.
_SAMPLE = 5000
# Genres and years take some thousand numbers a film while they are encoded.
_BLOCK_FILMS = 2048

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Entry:
    """One film of a list in the making.

    Parameters
    ----------
    movie_id : int
        The film.
    score : float
        On the scale of the list.
    new : bool
        Whether nobody has rated it.
    """

    movie_id: int
    score: float
    new: bool


@dataclass(frozen=True)
class Newcomers:
    """New films, and known ones to place them among; make them with `gather`.

    Parameters
    ----------
    cold : ContentRidge
        Tells preferences from content.
    new_ids : ndarray of shape (n,), int32
        The new films, ascending.
    known_ids : ndarray of shape (m,), int32
        Films that the model of ratings knows, or a sample of them.
    of_new : ndarray of shape (n, n_factors), float32
        What the cold start holds of the new films.
    of_known : ndarray of shape (m, n_factors), float32
        The same of the known ones, from their content alone.
    means : ndarray of shape (n,), float32
        The mean ratings that the new films are expected to get, in stars.
    """

    cold: ContentRidge
    new_ids: npt.NDArray[np.int32]
    known_ids: npt.NDArray[np.int32]
    of_new: Floats
    of_known: Floats
    means: Floats

    @classmethod
    def gather(cls, cold: ContentRidge, looks: Looks, new: Sequence[Film], known: Sequence[Film]) -> Self:
        """Tell once what films are like.

        Parameters
        ----------
        cold : ContentRidge
            Fitted.
        looks : Looks
            Of posters.
        new : sequence of Film
            Films that the model of ratings does not know, by movie_id.
        known : sequence of Film
            Films that it does know; of very many, every so many-th.

        Returns
        -------
        Newcomers
            To be asked for any user.
        """
        sample = known[:: max(1, len(known) // _SAMPLE)]
        means = [cold.expected_means(content).values for content in _contents(cold, looks, new)]
        return cls(
            cold=cold,
            new_ids=np.array([film.movie_id for film in new], np.int32),
            known_ids=np.array([film.movie_id for film in sample], np.int32),
            of_new=_factors(cold, looks, new),
            of_known=_factors(cold, looks, sample),
            means=np.concatenate(means) if means else np.empty(0, np.float32),
        )

    def taste_of(self, user_id: int) -> Floats:
        """Tell what a user likes.

        Parameters
        ----------
        user_id : int
            The user.

        Returns
        -------
        ndarray of shape (n_factors,), float32
            0 for somebody unknown.
        """
        (row,) = rows_of(self.cold.user_ids_, [user_id])
        return self.cold.user_factors_[row] if row >= 0 else np.zeros_like(self.cold.user_factors_[0])

    def taste_of_new(self, history: RatingMatrix) -> Floats:
        """Tell what somebody likes who brings ratings.

        Parameters
        ----------
        history : RatingMatrix
            One row.

        Returns
        -------
        ndarray of shape (n_factors,), float32
            0 where none of the films is known.
        """
        # A 0 at the end is what column -1, a film that was not rated, is taken to have.
        rated = np.append(history.values.toarray()[0], 0)[rows_of(history.movie_ids, self.cold.movie_ids_)]
        taste: Floats = self.cold.user_factors(sparse.csr_array(rated[None]))[0]
        return taste

    def by_taste(self, taste: Floats, found: ScoredIds, without: Collection[int] = ()) -> list[Entry]:
        """Rank new films for somebody, on the scale of the known films that were found for them, if there are some.

        Parameters
        ----------
        taste : ndarray of shape (n_factors,), float32
            As `taste_of` tells it.
        found : ScoredIds
            All known films that may be recommended.
        without : collection of int, optional
            New films that the person has seen.

        Returns
        -------
        list of Entry
            Best first; none for somebody of whom nothing is known.
        """
        if not taste.any():
            return []
        of_new = self.of_new @ taste
        unseen = np.isin(self.known_ids, found.ids)
        if not unseen.any():
            return self._ranked(of_new, of_new, without)
        return self._ranked(of_new, scores_by_rank(found.scores, self.of_known[unseen] @ taste, of_new), without)

    def by_mean(self, without: Collection[int] = ()) -> list[Entry]:
        """Rank new films by the mean rating that they are expected to get.

        Parameters
        ----------
        without : collection of int, optional
            New films that the person has seen.

        Returns
        -------
        list of Entry
            Best first.
        """
        return self._ranked(self.means, self.means, without)

    def _ranked(
        self, values: npt.NDArray[np.floating], scores: npt.NDArray[np.floating], without: Collection[int]
    ) -> list[Entry]:
        # The films stand in ascending movie_id, which a stable sort keeps between equal values.
        rows = np.argsort(-values, kind="stable")
        pairs = zip(self.new_ids[rows].tolist(), scores[rows].tolist(), strict=True)
        return [Entry(movie_id, score, new=True) for movie_id, score in pairs if movie_id not in without]


def merged(found: ScoredIds, new: Sequence[Entry], k: int, fresh: float) -> list[Entry]:
    """Put new films where they belong in a list; where these are too few, the next one ends every so many places.

    Parameters
    ----------
    found : ScoredIds
        Known films, best first.
    new : sequence of Entry
        New films on the same scale, best first.
    k : int
        How many films at most.
    fresh : float in [0, 1]
        The share of the list that goes to new films at least.

    Returns
    -------
    list of Entry
        Best first, but for new films that came up to make the share.
    """
    # No film beyond the k-th of either kind can come into a list of k.
    pairs = zip(found.ids[:k].tolist(), found.scores[:k].tolist(), strict=True)
    known = [Entry(movie_id, score, new=False) for movie_id, score in pairs]
    # A stable sort leaves known films before new ones of the same score.
    waiting = sorted([*known, *new[:k]], key=lambda entry: -entry.score)
    n = min(k, len(waiting))
    n_fresh = min(n_new_wanted(fresh, k), len(new), n)
    ends = {round((turn + 1) * n / n_fresh) for turn in range(n_fresh)}
    listed: list[Entry] = []
    n_new = n_due = 0
    for rank in range(1, n + 1):
        n_due += rank in ends
        entry = new[n_new] if n_new < n_due else waiting[0]
        waiting.remove(entry)
        listed.append(entry)
        n_new += entry.new
    return listed


def n_new_wanted(fresh: float, k: int) -> int:
    """Count the new films that a share of a list means.

    Parameters
    ----------
    fresh : float in [0, 1]
        The share.
    k : int
        The length of the list.

    Returns
    -------
    int
        Rounded up.
    """
    # 0.1 · 30 is a little more than 3 in floating point.
    return ceil(round(fresh * k, 9))


def _contents(cold: ContentRidge, looks: Looks, films: Sequence[Film]) -> Iterator[FilmContent]:
    n_columns = cold.encoding_.n_columns
    for start in range(0, len(films), _BLOCK_FILMS):
        block = films[start : start + _BLOCK_FILMS]
        rows = looks.of([film.movie_id for film in block])
        if rows.shape[1] != n_columns:
            # The cold start was fitted without any poster.
            rows = np.full((len(block), n_columns), np.nan, np.float32)
        yield content_of(block, rows)


def _factors(cold: ContentRidge, looks: Looks, films: Sequence[Film]) -> Floats:
    blocks = [cold.factors(content) for content in _contents(cold, looks, films)]
    return np.vstack(blocks) if blocks else np.empty((0, cold.user_factors_.shape[1]), np.float32)
