"""Groups of films with the same artwork, among all films of an index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from catalog.io.progress import Advance, ignore
from catalog.scored_ids import ScoredIds
from index.generation import Generation
from index.source import Ids

_BLOCK_ROWS = 256
# A film is compared with all others only if so many of them have its artwork.
_N_NEAREST = 32


def duplicate_groups(generation: Generation, bound: float, advance: Advance = ignore) -> list[ScoredIds]:
    """Group films with the same poster, or with posters whose cosine reaches a bound.

    Each group begins with the film that most others of it were like; their scores are cosines with this one, and all
    reach the bound. `advance` receives numbers of films that are done. Memory: a block of rows, and 32 numbers a film.
    """
    copies = _same_files(generation)
    advance(sum(map(len, copies.values())) - len(copies))
    partners = _Partners(generation, np.array(sorted(copies), np.int64), bound, advance)
    groups = []
    for center, others in _stars(partners):
        scored = [(center, 1.0), *others]
        rows, scores = zip(*((row, score) for first, score in scored for row in copies[first]), strict=True)
        groups.append(ScoredIds(generation.movie_ids[list(rows)], np.array(scores, np.float32)))
    return [group for group in groups if len(group) > 1]


def _same_files(generation: Generation) -> dict[int, list[int]]:
    """Return the rows of every poster by the first of them."""
    firsts: dict[str, int] = {}
    copies: defaultdict[int, list[int]] = defaultdict(list)
    for row, sha256 in enumerate(generation.poster_sha256s):
        if generation.usable is None or generation.usable[row]:
            copies[firsts.setdefault(sha256, row) if sha256 else row].append(row)
    return dict(copies)


class _Partners:
    """The rows that reach a bound with each row, among some rows."""

    def __init__(self, generation: Generation, rows: Ids, bound: float, advance: Advance) -> None:
        self._rows, self._usable, self._bound = generation.rows, generation.usable, bound
        # Not a filter of the search, without which FAISS is many times faster.
        self._included = np.zeros(len(generation.movie_ids), bool)
        self._included[rows] = True
        self.listed: dict[int, ScoredIds] = {}
        self._cut: set[int] = set()
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = rows[start : start + _BLOCK_ROWS]
            results = self._rows.search(self._rows.units(block), _N_NEAREST, self._usable, block)
            for row, nearest in zip(block.tolist(), results, strict=True):
                self.listed[row] = self._reaching(row, nearest)
                if not self._is_complete(nearest, _N_NEAREST):
                    self._cut.add(row)
            advance(len(block))

    def of(self, row: int, free: set[int]) -> list[tuple[int, float]]:
        """Return the partners that are free, nearest first."""
        partners = self._all(row) if row in self._cut else self.listed[row]
        result = zip(partners.ids.tolist(), partners.scores.tolist(), strict=True)
        return [(one, score) for one, score in result if one in free]

    def _all(self, row: int) -> ScoredIds:
        unit, n = self._rows.units(np.array([row])), _N_NEAREST
        while True:
            n *= 2
            (nearest,) = self._rows.search(unit, n, self._usable)
            if self._is_complete(nearest, n):
                return self._reaching(row, nearest)

    def _is_complete(self, nearest: ScoredIds, n: int) -> bool:
        return len(nearest) < n or bool(nearest.scores[-1] < self._bound)

    def _reaching(self, row: int, nearest: ScoredIds) -> ScoredIds:
        return nearest.take((nearest.scores >= self._bound) & (nearest.ids != row) & self._included[nearest.ids])


def _stars(partners: _Partners) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """Take the row with the most partners, with those of them that are free; then the next.

    Only with a center: else a chain of small steps would join what is not alike.
    """
    free = set(partners.listed)
    for row in sorted(partners.listed, key=lambda row: -len(partners.listed[row])):
        if row in free:
            free.remove(row)
            result = partners.of(row, free)
            free.difference_update(one for one, _ in result)
            yield row, result
