"""Rank films without ratings for one user, and merge them with the films that a recommender knows.

The factors of all films by content are computed once; scoring them for a user is a product of two small matrices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
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
from keyart.cold_start.content import Looks, content_of, open_looks, open_terms
from keyart.cold_start.predictor import open_cold_start
from keyart.workspace.layout import Workspace

# Known films to rank a new film among: so many are enough.
_SAMPLE = 5000
# Genres and years take some thousand numbers a film while they are encoded.
_BLOCK_FILMS = 2048

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Contents:
    """What a model of the cold start takes for the content of films."""

    cold: ContentRidge
    looks: Looks
    terms: Mapping[int, Sequence[str]]

    def of(self, films: Sequence[Film]) -> Iterator[FilmContent]:
        """Yield the content of films, block by block."""
        n_columns = self.cold.encoding_.n_columns
        for start in range(0, len(films), _BLOCK_FILMS):
            block = films[start : start + _BLOCK_FILMS]
            rows = self.looks.of([film.movie_id for film in block])
            if rows.shape[1] != n_columns:
                # The model was fitted without any poster.
                rows = np.full((len(block), n_columns), np.nan, np.float32)
            yield content_of(block, rows, self.terms)

    def factors(self, films: Sequence[Film]) -> Floats:
        """Predict the factors of films."""
        return self._stacked([self.cold.factors(content) for content in self.of(films)])

    def parts(self, films: Sequence[Film]) -> dict[str, Floats]:
        """Predict what each kind of content adds to the factors of films."""
        blocks = [self.cold.parts(content) for content in self.of(films)]
        return {name: self._stacked([block[name] for block in blocks]) for name in (blocks[0] if blocks else ())}

    def _stacked(self, blocks: Sequence[Floats]) -> Floats:
        return np.vstack(blocks) if blocks else np.empty((0, self.cold.user_factors_.shape[1]), np.float32)


@dataclass(frozen=True)
class Entry:
    """A film of a merged list."""

    movie_id: int
    score: float
    new: bool


@dataclass(frozen=True)
class UnratedFilms:
    """Films without ratings, and known films to rank them among; create it with `open`."""

    cold: ContentRidge
    new_ids: npt.NDArray[np.int32]  # ascending
    known_ids: npt.NDArray[np.int32]  # a sample
    new_factors: Floats  # (n_new, n_factors)
    parts: Mapping[str, Floats]  # what each kind of content adds to them
    known_factors: Floats  # (n_known, n_factors), by content alone
    means: Floats  # the expected mean ratings of the new films, in stars

    @classmethod
    def open(cls, workspace: Workspace, films: Sequence[Film], known_ids: npt.NDArray[np.int32]) -> Self | None:
        """Collect the films that a model does not know but that have content; None where there are none."""
        looks, terms, known = open_looks(workspace), open_terms(workspace), set(known_ids.tolist())
        with_more = {*looks.movie_ids.tolist(), *terms}
        described = (film for film in films if film.movie_id in with_more or film.genres or film.year)
        # A film that was rated since the model was fitted is not new; it waits for the model to be fitted again.
        new = [film for film in described if film.movie_id not in known and not film.n_ratings]
        cold = open_cold_start(workspace) if new else None
        if cold is None:
            return None
        return cls._of(_Contents(cold, looks, terms), new, [film for film in films if film.movie_id in known])

    @classmethod
    def _of(cls, contents: _Contents, new: Sequence[Film], known: Sequence[Film]) -> Self:
        sample = known[:: max(1, len(known) // _SAMPLE)]
        means = [contents.cold.expected_means(content).values for content in contents.of(new)]
        return cls(
            cold=contents.cold,
            new_ids=np.array([film.movie_id for film in new], np.int32),
            known_ids=np.array([film.movie_id for film in sample], np.int32),
            new_factors=contents.factors(new),
            parts=contents.parts(new),
            known_factors=contents.factors(sample),
            means=np.concatenate(means) if means else np.empty(0, np.float32),
        )

    def factors_of(self, user_id: int) -> Floats:
        """Return the factors of a user; 0 if unknown."""
        (row,) = rows_of(self.cold.user_ids_, [user_id])
        return self.cold.user_factors_[row] if row >= 0 else np.zeros_like(self.cold.user_factors_[0])

    def factors_of_new(self, history: RatingMatrix) -> Floats:
        """Compute the factors of a new user from their ratings, one row; 0 where no film is known."""
        # Column -1, which stands for a film that was not rated, is 0.
        rated = np.append(history.values.toarray()[0], 0)[rows_of(history.movie_ids, self.cold.movie_ids_)]
        factors: Floats = self.cold.user_factors(sparse.csr_array(rated[None]))[0]
        return factors

    def by_preference(self, factors: Floats, rated: ScoredIds, without: Collection[int] = ()) -> list[Entry]:
        """Rank new films for a user's factors, on the scale of the scores of `rated` films where there are some."""
        if not factors.any():
            return []
        preferences = self.new_factors @ factors
        if not len(rated) or not len(self.known_ids):
            return self._ranked(preferences, preferences, without)
        unseen = np.isin(self.known_ids, rated.ids)
        # Where the user has rated all of the sample, it still tells how a new film compares.
        among = self.known_factors[unseen] if unseen.any() else self.known_factors
        scores = scores_by_rank(rated.scores, among @ factors, preferences)
        return self._ranked(preferences, scores, without)

    def contributions(self, movie_ids: npt.NDArray[np.int32], new_ids: Sequence[int]) -> Floats:
        """Return how much films that somebody rated speak for new ones: (n_rated, n_new)."""
        return self.cold.contributions(movie_ids, self.new_factors[rows_of(self.new_ids, new_ids)])

    def preferences(self, factors: Floats, new_ids: Sequence[int]) -> dict[str, Floats]:
        """Return what each kind of content adds to a user's preference for new films, beside the mean film's."""
        rows = rows_of(self.new_ids, new_ids)
        return {name: part[rows] @ factors for name, part in self.parts.items()}

    def by_mean(self, without: Collection[int] = ()) -> list[Entry]:
        """Rank new films by their expected mean rating."""
        return self._ranked(self.means, self.means, without)

    def _ranked(
        self, values: npt.NDArray[np.floating], scores: npt.NDArray[np.floating], without: Collection[int]
    ) -> list[Entry]:
        # A stable sort leaves equal values in ascending movie_id.
        rows = np.argsort(-values, kind="stable")
        pairs = zip(self.new_ids[rows].tolist(), scores[rows].tolist(), strict=True)
        return [Entry(movie_id, score, new=True) for movie_id, score in pairs if movie_id not in without]


def merge(rated: ScoredIds, new: Sequence[Entry], k: int, fresh: float) -> list[Entry]:
    """Merge both by score; if the share `fresh` is not reached, spread more new films evenly over the list."""
    # No film beyond the k-th of either kind can come into a list of k.
    pairs = zip(rated.ids[:k].tolist(), rated.scores[:k].tolist(), strict=True)
    known = [Entry(movie_id, score, new=False) for movie_id, score in pairs]
    # A stable sort leaves known films before new ones with the same score.
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
    """Return the number of new films in a share of a list, rounded up."""
    # 0.1 · 30 is a little more than 3 in floating point.
    return ceil(round(fresh * k, 9))
