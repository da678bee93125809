"""Further posters of films: an index of their own, in the space of the films' index, and the best of a film's posters.

A further poster is numbered by its film and its place among the film's further posters, so that the index of them needs
no table of films. It is embedded as the films are, by what was fitted to these; nothing is fitted to further posters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from index.comparison import Comparison
from index.generation import Generation
from index.search import Scan
from index.source import Ids
from index.vectors import FloatMatrix

MOST_ALTERNATES = 64
"""A film has fewer further posters than this."""


def number_of(movie_id: int, place: int) -> int:
    """Return the number of a further poster, by its place from 0."""
    return movie_id * MOST_ALTERNATES + place


class BestComparison(Comparison):
    """Compares whole posters; of films that have several, those two that are most alike.

    A mix is made of the films' own posters, and `cosines` are those of own posters alone.
    """

    def __init__(self, generation: Generation, n_features: int, backbone: str, alternates: Generation) -> None:
        super().__init__(generation, n_features, backbone)
        self._alternates = alternates
        self._films = alternates.movie_ids // MOST_ALTERNATES

    def scan(self, movie_id: int) -> Scan:
        """Compare a film with all others; errors as of `Comparison`."""
        (own_row,) = self._generation.rows_of([movie_id])
        scans = [*self._parts(self._units(np.array([own_row]))[0], int(own_row))]
        for unit in self._alternates.rows.units(self._rows_of(movie_id)):
            scans += self._parts(unit, None)
        return _best(scans)

    def _scan(self, unit: FloatMatrix, own_row: int | None) -> Scan:
        return _best(self._parts(unit, own_row))

    def _parts(self, unit: FloatMatrix, own_row: int | None) -> tuple[Scan, Scan]:
        """Compare a vector with the films' own posters, and with all further ones."""
        own, further = Scan.of(self._generation, unit, own_row), Scan.of(self._alternates, unit, None)
        return own, further

    def _rows_of(self, movie_id: int) -> Ids:
        usable = self._alternates.usable
        return np.flatnonzero(self._films == movie_id if usable is None else (self._films == movie_id) & usable)


def _best(scans: Sequence[Scan]) -> Scan:
    """Join scans of films and of further posters, in turns: each film of the first as its best poster."""
    movie_ids = scans[0].movie_ids
    columns = [_columns(movie_ids, scan.movie_ids, further=number % 2 == 1) for number, scan in enumerate(scans)]
    similarities = np.full(len(movie_ids), -1.0, np.float32)
    is_exact = np.ones(len(movie_ids), bool)
    for scan, own in zip(scans, columns, strict=True):
        known = own >= 0
        np.maximum.at(similarities, own[known], scan.similarities[known])
        np.logical_and.at(is_exact, own[known], scan.is_exact[known])

    def exact(chosen: Ids) -> FloatMatrix:
        best = np.full(len(movie_ids), -1.0, np.float32)
        for scan, own in zip(scans, columns, strict=True):
            rows = np.flatnonzero(np.isin(own, chosen))
            scan.settle(scan.movie_ids[rows])
            np.maximum.at(best, own[rows], scan.similarities[rows])
        return best[chosen]

    def n_listed(k: int) -> int:
        # A film may be listed by its own poster or by a further one.
        return k if is_exact.all() else sum(scan.n_listed(k) for scan in scans[:2])

    return Scan(movie_ids, similarities, is_exact, n_listed, exact)


def _columns(movie_ids: Ids, numbers: Ids, *, further: bool) -> Ids:
    """Return the position of each poster's film among movie_ids, ascending; -1 for one that is not compared."""
    films = numbers // MOST_ALTERNATES if further else numbers
    columns = np.minimum(np.searchsorted(movie_ids, films), max(len(movie_ids) - 1, 0))
    if not len(movie_ids):
        return np.full(len(films), -1)
    return np.where(movie_ids[columns] == films, columns, -1)
