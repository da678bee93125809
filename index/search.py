"""Searching one generation of an index: ties, filters, duplicates; and a scan of all films.

May import `catalog` only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from index.backends.base import Allowed, Found
from index.generation import Generation
from index.source import Ids
from index.vectors import FloatMatrix

DUPLICATE_SIMILARITY = 0.97
"""From this cosine on, two posters count as the same artwork."""

_BLOCK_ROWS = 256


@dataclass(frozen=True)
class Nearest:
    """The films nearest to one query.

    Parameters
    ----------
    movie_ids : ndarray of shape (k,), int64
        Nearest first, ties in ascending movie_id.
    similarities : ndarray of shape (k,), float32
        Exact cosines in [-1, 1].
    folded : tuple of tuple of int
        For each hit, the films with the same artwork that it stands for; empty unless asked for.
    """

    movie_ids: Ids
    similarities: FloatMatrix
    folded: tuple[tuple[int, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.movie_ids)


class Scan:
    """How near every film is to one query: exactly where `is_exact`, by the projection elsewhere.

    Parameters
    ----------
    movie_ids : ndarray of shape (n,), int64
        Ascending, without the film asked about.
    similarities : ndarray of shape (n,), float32
        Cosines.
    is_exact : ndarray of shape (n,), bool
        Which are exact.
    n_listed : callable
        Tells how many of the most similar films should be made exact before the first k of them are believed.
    settle : callable
        Given rows of these arrays, returns their exact cosines.
    """

    def __init__(
        self,
        movie_ids: Ids,
        similarities: FloatMatrix,
        is_exact: npt.NDArray[np.bool_],
        n_listed: Callable[[int], int],
        settle: Callable[[Ids], FloatMatrix],
    ) -> None:
        self.movie_ids = movie_ids
        self.similarities = similarities
        self.is_exact = is_exact
        self.n_listed = n_listed
        self._settle = settle

    @classmethod
    def of(cls, now: Generation, unit: FloatMatrix, own_row: int | None) -> Scan:
        """Ask a generation about one vector.

        Parameters
        ----------
        now : Generation
            The films.
        unit : ndarray of shape (n_features,), float32
            Of length 1, less the mean.
        own_row : int or None
            The row that it is, which is left out.

        Returns
        -------
        Scan
            Of all films but that one.
        """
        similarities, is_exact = now.rows.scan(unit, now.usable, own_row)
        told = np.ones(len(similarities), bool) if now.usable is None else now.usable.copy()
        if own_row is not None:
            told[own_row] = False
        rows = np.flatnonzero(told)
        return cls(
            now.movie_ids[rows],
            similarities[rows],
            is_exact[rows],
            now.rows.n_listed,
            lambda chosen: now.rows.cosines(unit, rows[chosen]),
        )

    def settle(self, movie_ids: npt.ArrayLike) -> bool:
        """Make some films' similarities exact.

        Parameters
        ----------
        movie_ids : array_like of int
            The films; strangers are passed over.

        Returns
        -------
        bool
            Whether any of them was not exact before.
        """
        wanted = np.flatnonzero(np.isin(self.movie_ids, np.asarray(movie_ids, np.int64)) & ~self.is_exact)
        if len(wanted):
            self.similarities[wanted], self.is_exact[wanted] = self._settle(wanted), True
        return bool(len(wanted))


class Searcher:
    """Searches one generation, until ties and duplicates are settled."""

    def __init__(self, now: Generation, allowed: Allowed, duplicate_similarity: float | None) -> None:
        self._now = now
        self._allowed = allowed
        self._n_allowed = len(now.movie_ids) if allowed is None else int(allowed.sum())
        self._duplicate_similarity = duplicate_similarity

    def nearest(self, units: FloatMatrix, k: int, own_rows: Ids) -> list[Nearest]:
        """Find the films nearest to vectors of length 1.

        Parameters
        ----------
        units : ndarray of shape (n, n_features), float32
            The vectors, less the mean.
        k : int
            How many films each.
        own_rows : ndarray of shape (n,), int64
            The rows that the vectors are, which are left out; -1 for none.

        Returns
        -------
        list of Nearest
            One a vector.
        """
        # One more for a film itself, and one to see whether a tie goes on beyond the last.
        n = min(k + 2, self._n_allowed)
        if not n:
            return [_result(self._now, (np.empty(0, np.int64), np.empty(0, np.float32)), None)] * len(units)
        own = None if (own_rows < 0).any() else own_rows
        found = self._now.rows.search(units, n, self._allowed, own)
        return [
            self._settled(unit, one, n, k, int(own_row))
            for unit, one, own_row in zip(units, found, own_rows, strict=True)
        ]

    def _settled(self, unit: FloatMatrix, found: Found, n: int, k: int, own_row: int) -> Nearest:
        """Search further while the k-th hit may be another one."""
        while True:
            rows, cosines = found
            others = rows != own_row
            rows, cosines = rows[others], cosines[others]
            order = np.lexsort((rows, -cosines))
            rows, cosines = rows[order], cosines[order]
            bound = self._duplicate_similarity
            groups = None if bound is None else artwork_groups(self._now, rows, bound)
            firsts = np.arange(len(rows)) if groups is None else np.flatnonzero(groups == np.arange(len(rows)))
            complete = n >= self._n_allowed
            if complete or (len(firsts) > k and cosines[firsts[k - 1]] > cosines[-1]):
                kept = firsts[:k]
                folded = (
                    None if groups is None else [rows[(groups == at) & (np.arange(len(rows)) != at)] for at in kept]
                )
                return _result(self._now, (rows[kept], cosines[kept]), folded)
            n = min(2 * n, self._n_allowed)
            (found,) = self._now.rows.search(unit[None], n, self._allowed)


def artwork_groups(now: Generation, rows: Ids, bound: float) -> Ids:
    """Tell which rows show the same artwork: the same poster, or posters as similar as a bound.

    Memory: a block of rows, and one row for each artwork.

    Parameters
    ----------
    now : Generation
        What the rows are of.
    rows : ndarray of shape (n,), int64
        The rows, the ones to stand for others first.
    bound : float
        A cosine.

    Returns
    -------
    ndarray of shape (n,), int64
        For each row, the place of the first one that stands for it; its own where that is itself.
    """
    hashes = np.array([now.poster_sha256s[row] for row in rows.tolist()])
    groups = np.arange(len(rows))
    firsts, first_units = np.empty(0, np.int64), None
    # A block at a time: of a picture that stands in for thousands of posters, only the first is kept in memory.
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = groups[start : start + _BLOCK_ROWS].copy()
        units = now.rows.units(rows[block])
        others = np.concatenate([firsts, block])
        other_units = units if first_units is None else np.concatenate([first_units, units])
        alike = units @ other_units.T >= bound
        alike |= (hashes[block, None] == hashes[others]) & (hashes[block, None] != "")
        for place, is_alike in zip(block.tolist(), alike, strict=True):
            # With a film that stands for itself only: else a chain of small steps would join what is not alike.
            earlier = others[is_alike & (others < place) & (groups[others] == others)]
            if len(earlier):
                groups[place] = earlier[0]
        stands = groups[others] == others
        firsts, first_units = others[stands], other_units[stands]
    return groups


def _result(now: Generation, found: Found, folded: Iterable[Ids] | None) -> Nearest:
    groups = () if folded is None else tuple(tuple(now.movie_ids[rows].tolist()) for rows in folded)
    return Nearest(now.movie_ids[found[0]], found[1], groups)
