"""One state of an index, and how the next one comes of it.

A generation never changes: a search sees one of them from beginning to end, whatever is added meanwhile. May import
`catalog` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from index.backends.base import Allowed, Rows
from index.backends.projection import residuals
from index.backends.shortlist import ShortlistRows
from index.source import FilmFeatures, Ids

# Films added later fit the basis worse than those it was fitted on; so much worse, and it is fitted anew.
_DRIFT_BOUND = 1.15
_DRIFT_FILMS = 50


@dataclass(frozen=True)
class Growth:
    """How well a basis fits the films that came after it.

    Parameters
    ----------
    n_fitted, n_added : int
        Films that were there when it was fitted, and films added since.
    residual_fitted, residual_added : float
        What it leaves out, as the mean of the squared length of the rest, in [0, 1]: of films that were there but held
        out from fitting it (it suits those that it was fitted on better than any others), and of those added.
    """

    n_fitted: int
    residual_fitted: float = 0.0
    n_added: int = 0
    residual_added: float = 0.0

    @property
    def drift(self) -> float:
        """How much more it leaves out of the films added than of the others; 1 for no more."""
        if not self.n_added or not self.residual_fitted:
            return 1.0
        return self.residual_added / self.residual_fitted

    @property
    def is_too_much(self) -> bool:
        """Whether the index should be built anew."""
        drifted = self.n_added >= _DRIFT_FILMS and self.drift > _DRIFT_BOUND
        return drifted or self.n_added > self.n_fitted

    def after(self, added: npt.NDArray[np.floating]) -> Growth:
        """Count films that were added.

        Parameters
        ----------
        added : ndarray of shape (n,), float
            What the basis leaves out of each.

        Returns
        -------
        Growth
            With these.
        """
        n_added = self.n_added + len(added)
        total = self.residual_added * self.n_added + float(added.sum())
        return replace(self, n_added=n_added, residual_added=total / max(n_added, 1))


@dataclass(frozen=True)
class Generation:
    """All that changes when films are added or removed.

    Parameters
    ----------
    movie_ids : ndarray of shape (n,), int64
        The film of each row, ascending.
    poster_sha256s : tuple of str, of length n
        The posters they were indexed by; empty texts where that is not known.
    rows : Rows
        The vectors.
    growth : Growth
        How well the basis fits.
    left_out : mapping of int to str
        Films that cannot be compared, and why.
    usable : ndarray of shape (n,), bool, or None
        Which rows still have their features; None for all.
    """

    movie_ids: Ids
    poster_sha256s: tuple[str, ...]
    rows: Rows
    growth: Growth
    left_out: Mapping[int, str] = field(default_factory=dict)
    usable: Allowed = None

    def with_films(self, added: FilmFeatures | None, faulty: Mapping[int, str]) -> Generation:
        """Add films; those that are there already are replaced.

        Parameters
        ----------
        added : FilmFeatures or None
            Films that can be compared.
        faulty : mapping of int to str
            Films that cannot, and why.

        Returns
        -------
        Generation
            The next one.
        """
        named = [*(added.movie_ids.tolist() if added else ()), *faulty]
        return self._with_left_out(named, faulty)._merged(~np.isin(self.movie_ids, named), added)

    def without_films(self, movie_ids: Ids) -> Generation:
        """Remove films; those that are not there are passed over.

        Parameters
        ----------
        movie_ids : ndarray of shape (m,), int64
            The films.

        Returns
        -------
        Generation
            The next one.

        Raises
        ------
        DataError
            None would be left.
        """
        return self._with_left_out(movie_ids.tolist(), {})._merged(~np.isin(self.movie_ids, movie_ids), None)

    def row_of(self, movie_id: int) -> int | None:
        """Find a film's row.

        Parameters
        ----------
        movie_id : int
            The film.

        Returns
        -------
        int or None
            None where it cannot be found.
        """
        row = int(np.searchsorted(self.movie_ids, movie_id))
        there = row < len(self.movie_ids) and int(self.movie_ids[row]) == movie_id
        return row if there and (self.usable is None or bool(self.usable[row])) else None

    def allowed(self, among: npt.ArrayLike | None, without: npt.ArrayLike | None) -> Allowed:
        """Tell which rows a search may find.

        Parameters
        ----------
        among, without : array_like of int or None
            The movie_ids that may, and that may not be found; None for no such rule.

        Returns
        -------
        ndarray of shape (n,), bool, or None
            None for all of them.
        """
        rules = [] if self.usable is None else [self.usable]
        if among is not None:
            rules.append(np.isin(self.movie_ids, np.asarray(among, np.int64)))
        if without is not None:
            rules.append(~np.isin(self.movie_ids, np.asarray(without, np.int64)))
        return np.logical_and.reduce(rules) if rules else None

    def _with_left_out(self, named: list[int], faulty: Mapping[int, str]) -> Generation:
        others = {film: reason for film, reason in self.left_out.items() if film not in set(named)}
        return replace(self, left_out={**others, **faulty})

    def _merged(self, is_kept: npt.NDArray[np.bool_], added: FilmFeatures | None) -> Generation:
        kept = np.flatnonzero(is_kept if self.usable is None else is_kept & self.usable)
        if not len(kept) and added is None:
            raise DataError("no film would be left in the index; remove its folder instead")
        if added is None and len(kept) == len(self.movie_ids):
            return self
        movie_ids = np.concatenate([self.movie_ids[kept], added.movie_ids if added else np.empty(0, np.int64)])
        hashes = [*(self.poster_sha256s[row] for row in kept.tolist()), *(added.poster_sha256s if added else ())]
        order = np.argsort(movie_ids)
        rows, growth = self.rows.merged(kept, added, order), self.growth
        if added:
            growth = growth.after(_residuals_of(rows, np.flatnonzero(order >= len(kept))))
        ordered = tuple(hashes[place] for place in order.tolist())
        return Generation(movie_ids[order], ordered, rows, growth, self.left_out)


def _residuals_of(rows: Rows, places: Ids) -> npt.NDArray[np.floating]:
    if not isinstance(rows, ShortlistRows):
        return np.zeros(len(places))
    return residuals(rows.projected(places))
