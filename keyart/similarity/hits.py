"""Ranked hits from similarities of looks, ratings and content: blended, filtered, and exact where they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from catalog.film import Film
from catalog.films import Catalog
from catalog.scored_ids import ScoredIds
from cf.hybrid.blend import Blend, Content, blend, candidate_ids
from cf.hybrid.calibration import Calibration, FloatArray
from index.blend import AnyComparison, Index
from index.search import Scan
from keyart.results import Hit
from keyart.similarity.diversity import diversify, n_candidates
from keyart.similarity.query import SimilarOptions

Shares = Callable[[npt.NDArray[np.int64]], tuple[FloatArray, FloatArray]]
"""Maps candidate movie_ids to their visual shares of what looks and ratings count, and to their shares of content."""

# So many of the films nearest by content are compared exactly by their looks.
_N_SETTLED = 200


@dataclass(frozen=True)
class Evidence:
    """What is known of the films that may be like a query, and how much it counts."""

    scan: Scan | None
    cf: ScoredIds
    shares: Shares
    content: ScoredIds = field(default_factory=ScoredIds.empty)
    # Visual similarities of a typical film, for queries without a poster.
    scale: FloatArray | None = None
    # Names what a film has in common with the query.
    in_common: Callable[[int], tuple[str, ...]] = lambda _movie_id: ()

    def settle(self) -> None:
        """Make the visual similarities exact of the films that ratings or content may lift."""
        if self.scan is None:
            return
        alphas, _ = self.shares(self.cf.ids.astype(np.int64))
        if (alphas < 1).any():
            self.scan.settle(self.cf.ids)
        if len(self.content):
            nearest = np.argsort(-self.content.scores, kind="stable")[:_N_SETTLED]
            self.scan.settle(self.content.ids[nearest])

    def blend(self, calibration: Calibration) -> Blend:
        """Blend all sides as they are now."""
        scan = self.scan
        visual = ScoredIds(scan.movie_ids, scan.similarities) if scan is not None else ScoredIds.empty()
        candidates = candidate_ids(visual, self.cf, self.content)
        alphas, content_shares = self.shares(candidates)
        content = Content(self.content, content_shares, self.scale) if len(self.content) else None
        return blend(visual, self.cf, alphas, candidates, calibration, content)


class Ranking:
    """Turns similarities into ranked hits. Safe to use from several threads."""

    def __init__(
        self,
        catalog: Catalog,
        index: Index | None,
        comparison: AnyComparison | None,
        calibration: Calibration,
        poster_paths: Mapping[int, Path],
    ) -> None:
        self._catalog = catalog
        self._index = index
        self._comparison = comparison
        self._calibration = calibration
        self._poster_paths = poster_paths

    def hits(self, evidence: Evidence, options: SimilarOptions) -> tuple[Hit, ...]:
        """Blend all sides until the visual similarities are exact for every film that may be shown."""
        scan = evidence.scan
        k = n_candidates(options.k) if options.diverse else options.k
        allowed = self._catalog.movie_ids(options.filter) if options.filter else None
        evidence.settle()
        n = k
        while True:
            ranked = evidence.blend(self._calibration)
            rows = self._listed(ranked, scan.n_listed(n) if scan else n, allowed)
            if scan is not None and scan.settle(ranked.movie_ids[rows]):
                continue
            groups = self._artwork_groups(ranked.movie_ids[rows], options.merge_duplicates)
            firsts = [row for row, group in enumerate(groups) if row == group][:k]
            if len(firsts) == k or len(rows) < n:
                break
            n *= 2
        same = {first: [rows[at] for at, group in enumerate(groups) if group == first != at] for first in firsts}
        to_earlier = np.full(len(firsts), np.nan)
        if options.diverse:
            firsts, to_earlier = self._diverse(ranked, rows, firsts, options)
        shown = [rows[first] for first in firsts]
        films = self._catalog.films(ranked.movie_ids[shown].tolist())
        hits = make_hits(ranked, shown, films, self._poster_paths, [same[first] for first in firsts])
        return tuple(
            replace(hit, to_earlier=_known(near), in_common=evidence.in_common(hit.movie_id))
            for hit, near in zip(hits, to_earlier, strict=True)
        )

    def hit_of(self, evidence: Evidence, movie_id: int) -> Hit | None:
        """Return the hit of one film, as if all were asked for; None where nothing is known that counts."""
        if evidence.scan is not None:
            evidence.settle()
            evidence.scan.settle([movie_id])
        ranked = evidence.blend(self._calibration)
        rows = np.flatnonzero(ranked.movie_ids == movie_id).tolist()
        hits = make_hits(ranked, rows, self._catalog.films([movie_id]), self._poster_paths)
        return replace(hits[0], in_common=evidence.in_common(movie_id)) if hits else None

    def _diverse(
        self, ranked: Blend, rows: Sequence[int], firsts: Sequence[int], options: SimilarOptions
    ) -> tuple[list[int], FloatArray]:
        candidates = [rows[first] for first in firsts]
        movie_ids = ranked.movie_ids[candidates]
        unknown = np.full((len(movie_ids), len(movie_ids)), np.nan)
        cosines = unknown if self._comparison is None else self._comparison.cosines(movie_ids, movie_ids)
        chosen, to_earlier = diversify(ranked.scores[candidates], cosines, options.k, options.diverse)
        return [firsts[position] for position in chosen], to_earlier

    def _artwork_groups(self, movie_ids: npt.NDArray[np.int64], merge_duplicates: bool) -> list[int]:
        if self._index is None or not merge_duplicates:
            return list(range(len(movie_ids)))
        groups: list[int] = self._index.artwork_groups(movie_ids).tolist()
        return groups

    def _listed(self, ranked: Blend, n: int, allowed: set[int] | None) -> list[int]:
        """List the first n rows whose films may be shown; a later load may have removed some from the catalog."""
        if allowed is not None:
            return [row for row, movie_id in enumerate(ranked.movie_ids.tolist()) if movie_id in allowed][:n]
        rows: list[int] = []
        for start in range(0, len(ranked.movie_ids), 2 * n):
            movie_ids = ranked.movie_ids[start : start + 2 * n].tolist()
            films = self._catalog.films(movie_ids)
            rows += [start + row for row, movie_id in enumerate(movie_ids) if movie_id in films]
            if len(rows) >= n:
                break
        return rows[:n]


def make_hits(
    ranked: Blend,
    rows: Sequence[int],
    films: Mapping[int, Film],
    poster_paths: Mapping[int, Path],
    same_artwork: Sequence[Sequence[int]] | None = None,
) -> tuple[Hit, ...]:
    """Convert rows of a blend to hits; `same_artwork` lists the rows that each of them stands for."""
    hits = []
    for rank, row in enumerate(rows, start=1):
        film = films[int(ranked.movie_ids[row])]
        others = list(same_artwork[rank - 1]) if same_artwork else []
        hits.append(
            Hit(
                rank=rank,
                movie_id=film.movie_id,
                title=film.title,
                year=film.year,
                score=round(float(ranked.scores[row]), 6),
                visual=_known(ranked.visual[row]),
                cf=_known(ranked.cf[row]),
                n_ratings=film.n_ratings,
                alpha=round(float(ranked.alphas[row]), 6),
                poster_path=poster_paths.get(film.movie_id),
                same_artwork=tuple(ranked.movie_ids[others].tolist()),
                visual_rank=_rank(ranked.visual, row),
                cf_rank=_rank(ranked.cf, row),
                content=_known(ranked.content[row]),
                content_share=round(float(ranked.content_shares[row]), 6),
                content_rank=_rank(ranked.content, row),
                imdb_id=film.imdb_id,
                tmdb_id=film.tmdb_id,
            )
        )
    return tuple(hits)


def _rank(values: FloatArray, row: int) -> int | None:
    # Comparisons with what is not known are false.
    return None if np.isnan(values[row]) else int((values > values[row]).sum()) + 1


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
