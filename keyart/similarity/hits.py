"""What is shown of two lists, of looks and of ratings: blended, filtered, folded, and exact where it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from catalog.films import Catalog
from catalog.filters import Filter
from cf.hybrid.blend import Blend, Calibration, FloatArray, Similarities, blend, candidate_ids
from index.cosine import CosineIndex
from index.search import Scan
from keyart.results import Hit

Shares = Callable[[npt.NDArray[np.int64]], FloatArray]
"""Tells the visual share of each candidate."""


class Ranking:
    """Makes hits of similarities. Safe to use from several threads.

    Parameters
    ----------
    catalog : Catalog
        The films.
    index : CosineIndex or None
        The index that scans are of, where there is one.
    calibration : Calibration
        What brings the similarities of ratings onto the scale of looks.
    poster_paths : mapping of int to Path
        The posters, by movie_id.
    """

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

    def hits(
        self, scan: Scan | None, cf: Similarities, shares: Shares, k: int, wanted: Filter | None, fold_artwork: bool
    ) -> tuple[Hit, ...]:
        """Blend looks and ratings, until the similarities of looks are exact for all that might be shown.

        Parameters
        ----------
        scan : Scan or None
            How near every film is by looks; None where that is not known.
        cf : Similarities
            How near films are by ratings.
        shares : callable
            Tells the visual share of each candidate.
        k : int
            How many films.
        wanted : Filter or None
            Which films may be found.
        fold_artwork : bool
            Whether films with the same artwork are shown once, as the best of them.

        Returns
        -------
        tuple of Hit
            Best first.

        Raises
        ------
        ConfigError
            The filter names a genre that there is not.
        """
        allowed = self._catalog.movie_ids(wanted) if wanted else None
        if scan is not None and (shares(cf.movie_ids.astype(np.int64)) < 1).any():
            scan.settle(cf.movie_ids)
        n = k
        while True:
            ranked = self._blended(scan, cf, shares)
            rows = self._listed(ranked, scan.n_listed(n) if scan else n, allowed)
            if scan is not None and scan.settle(ranked.movie_ids[rows]):
                continue
            places = self._artwork_groups(ranked.movie_ids[rows], fold_artwork)
            firsts = [row for row, place in enumerate(places) if row == place][:k]
            if len(firsts) == k or len(rows) < n:
                break
            n *= 2
        same = {first: [rows[at] for at, place in enumerate(places) if place == first != at] for first in firsts}
        return self._as_hits(ranked, [rows[first] for first in firsts], [same[first] for first in firsts])

    def _blended(self, scan: Scan | None, cf: Similarities, shares: Shares) -> Blend:
        visual = Similarities(scan.movie_ids, scan.similarities) if scan is not None else Similarities.none()
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
            ranks = _place(ranked.visual, row), _place(ranked.cf, row)
            hits.append(Hit(rank, *facts, score, visual, cf, film.n_ratings, alpha, path, same, *ranks))
        return tuple(hits)

    def _listed(self, ranked: Blend, n: int, allowed: set[int] | None) -> list[int]:
        """Name the first n rows whose films may be shown; another load may have left some out of the catalog."""
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


def _place(values: FloatArray, row: int) -> int | None:
    # Comparisons with what is not known are false.
    return None if np.isnan(values[row]) else int((values > values[row]).sum()) + 1


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
