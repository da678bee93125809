"""Ranked hits from similarities of looks, ratings and content: blended, filtered, and exact where they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isnan
from pathlib import Path
from typing import Any

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

InCommon = Callable[[int], tuple[str, ...]]
"""Names what a film has in common with the query."""

# So many of the films nearest by content are compared exactly by their looks.
_N_SETTLED = 200


def _nothing_in_common(_movie_id: int) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Evidence:
    """What is known of the films that may be like a query, and how much it counts."""

    scan: Scan | None
    cf: ScoredIds
    shares: Shares
    content: ScoredIds = field(default_factory=ScoredIds.empty)
    # Visual similarities of a typical film, for queries without a poster.
    scale: FloatArray | None = None
    in_common: InCommon = _nothing_in_common

    def settle(self) -> None:
        """Make the visual similarities exact of the films that ratings or content may lift."""
        if self.scan is None or self.scan.is_exact.all():
            return
        # Candidates are sorted; which of them an alpha is of does not matter here.
        alphas, _ = self.shares(np.sort(self.cf.ids).astype(np.int64))
        if (alphas < 1).any():
            self.scan.settle(self.cf.ids)
        if len(self.content):
            self.scan.settle(ScoredIds.ranked(self.content.ids, self.content.scores, _N_SETTLED).ids)

    def blend(self, calibration: Calibration, same_artwork: float) -> Blend:
        """Blend all sides as they are now."""
        scan = self.scan
        visual = ScoredIds(scan.movie_ids, scan.similarities) if scan is not None else ScoredIds.empty()
        candidates = candidate_ids(visual, self.cf, self.content)
        alphas, content_shares = self.shares(candidates)
        content = Content(self.content, content_shares, self.scale) if len(self.content) else None
        return blend(visual, self.cf, alphas, candidates, calibration, content, same_artwork)


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
            ranked = self._blend(evidence)
            rows, films = self._listed(ranked, scan.n_listed(n) if scan else n, allowed)
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
        groups_of_shown = [same[first] for first in firsts]
        hits = make_hits(ranked, shown, films, self._poster_paths, groups_of_shown, evidence.in_common)
        if not options.diverse:
            return hits
        return tuple(replace(hit, to_earlier=near) for hit, near in zip(hits, _known(to_earlier), strict=True))

    def hit_of(self, evidence: Evidence, movie_id: int) -> Hit | None:
        """Return the hit of one film, as if all were asked for; None where nothing is known that counts."""
        if evidence.scan is not None:
            evidence.settle()
            evidence.scan.settle([movie_id])
        ranked = self._blend(evidence)
        rows = np.flatnonzero(ranked.movie_ids == movie_id).tolist()
        films = self._catalog.films([movie_id])
        hits = make_hits(ranked, rows, films, self._poster_paths, in_common=evidence.in_common)
        return hits[0] if hits else None

    def _blend(self, evidence: Evidence) -> Blend:
        # A region, or a blend of encoders, has no bound of its own; that of whole posters is a high one for both.
        return evidence.blend(self._calibration, np.inf if self._index is None else self._index.duplicate_similarity)

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

    def _listed(self, ranked: Blend, n: int, allowed: set[int] | None) -> tuple[list[int], dict[int, Film]]:
        """List the first n rows whose films may be shown; a later load may have removed some from the catalog."""
        among = None
        if allowed is not None:
            among = np.flatnonzero(np.isin(ranked.movie_ids, np.fromiter(allowed, np.int64, len(allowed))))
        n_ranked = n
        while True:
            rows = ranked.best(n_ranked, among).tolist()
            movie_ids = ranked.movie_ids[rows].tolist()
            films = self._catalog.films(movie_ids)
            listed = [row for row, movie_id in zip(rows, movie_ids, strict=True) if movie_id in films]
            if len(listed) >= n or len(rows) < n_ranked:
                return listed[:n], films
            n_ranked *= 2


def make_hits(
    ranked: Blend,
    rows: Sequence[int],
    films: Mapping[int, Film],
    poster_paths: Mapping[int, Path],
    same_artwork: Sequence[Sequence[int]] | None = None,
    in_common: InCommon = _nothing_in_common,
) -> tuple[Hit, ...]:
    """Convert rows of a blend to hits; `same_artwork` lists the rows that each of them stands for."""
    columns, groups = _columns(ranked, rows), same_artwork or [()] * len(rows)
    hits = []
    for place, movie_id in enumerate(ranked.movie_ids[rows].tolist()):
        film = films[movie_id]
        hits.append(
            Hit(
                rank=place + 1,
                movie_id=movie_id,
                title=film.title,
                year=film.year,
                n_ratings=film.n_ratings,
                poster_path=poster_paths.get(movie_id),
                same_artwork=tuple(ranked.movie_ids[list(groups[place])].tolist()) if groups[place] else (),
                imdb_id=film.imdb_id,
                tmdb_id=film.tmdb_id,
                in_common=in_common(movie_id),
                **{name: column[place] for name, column in columns.items()},
            )
        )
    return tuple(hits)


def _columns(ranked: Blend, rows: Sequence[int]) -> dict[str, list[Any]]:
    """Return what a blend says of some rows, by fields of `Hit`.

    As lists: taken from arrays one by one, numbers would cost more than all else of a hit.
    """
    sides = {"visual": ranked.visual, "cf": ranked.cf, "content": ranked.content}
    shares = {"score": ranked.scores, "alpha": ranked.alphas, "content_share": ranked.content_shares}
    return {
        **{name: _rounded(share[rows]) for name, share in shares.items()},
        **{name: _known(side[rows]) for name, side in sides.items()},
        **{f"{name}_rank": _ranks(side, rows) for name, side in sides.items()},
    }


def _ranks(values: FloatArray, rows: Sequence[int]) -> list[int | None]:
    """Return the rank of the values of some rows among all that are known, from 1; None where one is not known."""
    chosen = values[rows]
    is_known = ~np.isnan(chosen)
    # Only values at least as high as these can be above any of them.
    highest = np.sort(values[values >= chosen[is_known].min(initial=np.inf)])
    ranks = (len(highest) - np.searchsorted(highest, chosen, side="right") + 1).tolist()
    return [rank if known else None for rank, known in zip(ranks, is_known.tolist(), strict=True)]


def _known(values: FloatArray) -> list[float | None]:
    return [None if isnan(value) else round(value, 6) for value in values.tolist()]


def _rounded(values: FloatArray) -> list[float]:
    return [round(value, 6) for value in values.tolist()]
