"""Ranked hits from visual and rating similarities: blended, filtered, and exact where they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from catalog.films import Catalog
from catalog.scored_ids import ScoredIds
from cf.hybrid.blend import Blend, blend, candidate_ids
from cf.hybrid.calibration import Calibration, FloatArray
from index.cosine import CosineIndex
from index.search import Scan
from keyart.results import Hit
from keyart.similarity.query import SimilarOptions

Shares = Callable[[npt.NDArray[np.int64]], FloatArray]
"""Maps candidate movie_ids to their visual shares."""


class Ranking:
    """Turns visual and rating similarities into ranked hits. Safe to use from several threads."""

    def __init__(
        self,
        catalog: Catalog,
        index: CosineIndex | None,
        calibration: Calibration,
        poster_paths: Mapping[int, Path],
    ) -> None:
        self._catalog = catalog
        self._index = index
        self._calibration = calibration
        self._poster_paths = poster_paths

    def hits(self, scan: Scan | None, cf: ScoredIds, shares: Shares, options: SimilarOptions) -> tuple[Hit, ...]:
        """Blend looks and ratings until the visual similarities are exact for every film that may be shown."""
        k = options.k
        allowed = self._catalog.movie_ids(options.filter) if options.filter else None
        if scan is not None and (shares(cf.ids.astype(np.int64)) < 1).any():
            scan.settle(cf.ids)
        n = k
        while True:
            ranked = self._blended(scan, cf, shares)
            rows = self._listed(ranked, scan.n_listed(n) if scan else n, allowed)
            if scan is not None and scan.settle(ranked.movie_ids[rows]):
                continue
            groups = self._artwork_groups(ranked.movie_ids[rows], options.fold_artwork)
            firsts = [row for row, group in enumerate(groups) if row == group][:k]
            if len(firsts) == k or len(rows) < n:
                break
            n *= 2
        same = {first: [rows[at] for at, group in enumerate(groups) if group == first != at] for first in firsts}
        return self._as_hits(ranked, [rows[first] for first in firsts], [same[first] for first in firsts])

    def _blended(self, scan: Scan | None, cf: ScoredIds, shares: Shares) -> Blend:
        visual = ScoredIds(scan.movie_ids, scan.similarities) if scan is not None else ScoredIds.empty()
        candidates = candidate_ids(visual, cf)
        return blend(visual, cf, shares(candidates), candidates, self._calibration)

    def _artwork_groups(self, movie_ids: npt.NDArray[np.int64], fold_artwork: bool) -> list[int]:
        if self._index is None or not fold_artwork:
            return list(range(len(movie_ids)))
        groups: list[int] = self._index.artwork_groups(movie_ids).tolist()
        return groups

    def _as_hits(self, ranked: Blend, kept: list[int], same_artwork: list[list[int]]) -> tuple[Hit, ...]:
        films = self._catalog.films(ranked.movie_ids[kept].tolist())
        paths = self._poster_paths
        hits = []
        for rank, (row, others) in enumerate(zip(kept, same_artwork, strict=True), start=1):
            film = films[int(ranked.movie_ids[row])]
            visual, cf = _known(ranked.visual[row]), _known(ranked.cf[row])
            score, alpha = round(float(ranked.scores[row]), 6), round(float(ranked.alphas[row]), 6)
            path, same = paths.get(film.movie_id), tuple(ranked.movie_ids[others].tolist())
            facts = film.movie_id, film.title, film.year
            ranks = _rank(ranked.visual, row), _rank(ranked.cf, row)
            hits.append(Hit(rank, *facts, score, visual, cf, film.n_ratings, alpha, path, same, *ranks))
        return tuple(hits)

    def _listed(self, ranked: Blend, n: int, allowed: set[int] | None) -> list[int]:
        """List the first n rows whose films may be shown; a later load may have removed some from the catalog."""
        if allowed is not None:
            return [row for row, movie_id in enumerate(ranked.movie_ids.tolist()) if movie_id in allowed][:n]
        kept: list[int] = []
        for start in range(0, len(ranked.movie_ids), 2 * n):
            movie_ids = ranked.movie_ids[start : start + 2 * n].tolist()
            listed = self._catalog.films(movie_ids)
            kept += [start + row for row, movie_id in enumerate(movie_ids) if movie_id in listed]
            if len(kept) >= n:
                break
        return kept[:n]


def _rank(values: FloatArray, row: int) -> int | None:
    # Comparisons with what is not known are false.
    return None if np.isnan(values[row]) else int((values > values[row]).sum()) + 1


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
