"""Search one generation of an index, until ties and duplicates are settled; or scan all its films."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from catalog.scored_ids import ScoredIds
from index.backends.base import Allowed
from index.generation import Generation
from index.source import Ids
from index.vectors import FloatMatrix

_BLOCK_ROWS = 256


class Scan:
    """The cosines of all films with one query, the query film left out: exact where `is_exact`, else estimated."""

    def __init__(
        self,
        movie_ids: Ids,
        similarities: FloatMatrix,
        is_exact: npt.NDArray[np.bool_],
        n_listed: Callable[[int], int],
        exact_cosines: Callable[[Ids], FloatMatrix],
    ) -> None:
        self.movie_ids = movie_ids
        self.similarities = similarities
        self.is_exact = is_exact
        # Returns how many of the most similar films must be exact before the first k of them are reliable.
        self.n_listed = n_listed
        self._exact_cosines = exact_cosines

    @classmethod
    def of(cls, generation: Generation, unit: FloatMatrix, own_row: int | None) -> Scan:
        """Compare a vector of length 1, less the mean, with all films; `own_row` is the row that it is, if any."""
        similarities, is_exact = generation.rows.scan(unit, generation.usable, own_row)
        included = np.ones(len(similarities), bool) if generation.usable is None else generation.usable.copy()
        if own_row is not None:
            included[own_row] = False
        rows = np.flatnonzero(included)
        return cls(
            generation.movie_ids[rows],
            similarities[rows],
            is_exact[rows],
            generation.rows.n_listed,
            lambda chosen: generation.rows.cosines(unit, rows[chosen]),
        )

    def without(self, movie_ids: npt.ArrayLike) -> Scan:
        """Leave films out; ignores unknown ones."""
        remaining = np.flatnonzero(~np.isin(self.movie_ids, np.asarray(movie_ids, np.int64)))
        return Scan(
            self.movie_ids[remaining],
            self.similarities[remaining],
            self.is_exact[remaining],
            self.n_listed,
            lambda chosen: self._exact_cosines(remaining[chosen]),
        )

    def settle(self, movie_ids: npt.ArrayLike) -> bool:
        """Make the similarities of some films exact; returns whether any of them was not. Ignores unknown films."""
        if self.is_exact.all():
            return False
        wanted = np.flatnonzero(np.isin(self.movie_ids, np.asarray(movie_ids, np.int64)) & ~self.is_exact)
        if len(wanted):
            self.similarities[wanted], self.is_exact[wanted] = self._exact_cosines(wanted), True
        return bool(len(wanted))


class Searcher:
    """Searches one generation for the films that are allowed."""

    def __init__(self, generation: Generation, allowed: Allowed, duplicate_similarity: float | None) -> None:
        self._generation = generation
        self._allowed = allowed
        self._n_allowed = len(generation.movie_ids) if allowed is None else int(allowed.sum())
        self._duplicate_similarity = duplicate_similarity

    def nearest(self, units: FloatMatrix, k: int, own_rows: Ids) -> list[ScoredIds]:
        """Find the films nearest to vectors of length 1; `own_rows` are the rows that they are, -1 for none."""
        # One more for the film itself, and one to see whether a tie goes on beyond the last.
        n = min(k + 2, self._n_allowed)
        if not n:
            return [ScoredIds(np.empty(0, np.int64), np.empty(0, np.float32))] * len(units)
        own = None if (own_rows < 0).any() else own_rows
        results = self._generation.rows.search(units, n, self._allowed, own)
        return [
            self._settled(unit, one, n, k, int(own_row))
            for unit, one, own_row in zip(units, results, own_rows, strict=True)
        ]

    def _settled(self, unit: FloatMatrix, nearest: ScoredIds, n: int, k: int, own_row: int) -> ScoredIds:
        """Search further while the k-th hit may be another one."""
        while True:
            others = nearest.take(nearest.ids != own_row)
            ranked = ScoredIds.ranked(others.ids, others.scores)
            distinct = ranked.take(self._firsts(ranked.ids))
            complete = n >= self._n_allowed
            if complete or (len(distinct) > k and distinct.scores[k - 1] > ranked.scores[-1]):
                return ScoredIds(self._generation.movie_ids[distinct.ids[:k]], distinct.scores[:k])
            n = min(2 * n, self._n_allowed)
            (nearest,) = self._generation.rows.search(unit[None], n, self._allowed)

    def _firsts(self, rows: Ids) -> Ids | slice:
        """Select the first row of every artwork."""
        if self._duplicate_similarity is None:
            return slice(None)
        groups = artwork_groups(self._generation, rows, self._duplicate_similarity)
        return np.flatnonzero(groups == np.arange(len(rows)))


def artwork_groups(generation: Generation, rows: Ids, bound: float) -> Ids:
    """Group rows that show the same artwork: the same poster, or posters whose cosine reaches a bound.

    Returns for each row the position of the first one of its group. Memory: a block of rows, and one row for each
    artwork.
    """
    hashes = np.array([generation.poster_sha256s[row] for row in rows.tolist()])
    groups = np.arange(len(rows))
    firsts, first_units = np.empty(0, np.int64), None
    # A block at a time: of an image that stands in for thousands of posters, only the first is kept in memory.
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = groups[start : start + _BLOCK_ROWS].copy()
        units = generation.rows.units(rows[block])
        others = np.concatenate([firsts, block])
        other_units = units if first_units is None else np.concatenate([first_units, units])
        is_same = units @ other_units.T >= bound
        is_same |= (hashes[block, None] == hashes[others]) & (hashes[block, None] != "")
        for position, is_like in zip(block.tolist(), is_same, strict=True):
            # Only with the first of a group: else a chain of small steps would join what is not alike.
            earlier = others[is_like & (others < position) & (groups[others] == others)]
            if len(earlier):
                groups[position] = earlier[0]
        is_first = groups[others] == others
        firsts, first_units = others[is_first], other_units[is_first]
    return groups
