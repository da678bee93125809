"""Look-alikes of a film or of an embedding: visual and rating similarities fetched, blended and explained in notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, UnknownFilmError
from catalog.film import Film
from catalog.films import Catalog
from catalog.filters import Filter
from catalog.lazy import lazy
from catalog.scored_ids import ScoredIds
from cf.base import Recommender, rows_of
from cf.hybrid.blend import n_ratings_of_pairs
from cf.hybrid.calibration import FloatArray
from cf.models.neighbors import ItemCosine
from index.blend import AnyComparison, BlendedIndex, Index
from index.region import Region
from index.search import Scan
from keyart.results import Alpha, Hit, Query, SimilarFilms, query_of
from keyart.similarity.blending import MIN_ALPHA, Hybrid, compared_by, nearest, stale_blend
from keyart.similarity.hits import Ranking, Shares
from keyart.similarity.mixes import ARTICLES, MixedQuery, Part, looks_left_out
from keyart.similarity.query import Embedding, SimilarOptions
from keyart.workspace.contents import ratings_name
from keyart.workspace.index import open_maps
from keyart.workspace.layout import Workspace
from keyart.workspace.steps import index_steps, no_index

_N_REGIONS = 2


@dataclass(frozen=True)
class LookAlikes:
    """Finds look-alikes in the opened parts of a workspace. Safe to use from several threads."""

    workspace: Workspace
    catalog: Catalog
    index: Index | None
    comparison: AnyComparison | None
    cf: Recommender | None
    hybrid: Hybrid
    poster_paths: Mapping[int, Path]
    index_notes: tuple[str, ...] = ()

    def by_region(self, region: Region) -> LookAlikes:
        """Return the same by the looks of one region of posters alone."""
        return replace(self, comparison=self._comparison_of(region), cf=None)

    def of_film(self, film: Film, options: SimilarOptions) -> SimilarFilms:
        """Find the films that look like a film and are liked like it."""
        self._check_region(film)
        scan, cf = self._scan(film), ScoredIds.empty() if self.cf is None else nearest(self.cf, film.movie_id)
        if scan is None and not len(cf):
            raise UnknownFilmError(
                f"{film.label} has neither features nor ratings in common with other films; run "
                f"{index_steps(self.workspace, film.movie_id)}"
            )
        self._check_alpha(film, scan, cf, options.alpha)
        self._check_diverse(options)
        shares = self._shares(film.n_ratings, scan, cf, options.alpha)
        query = query_of(film, self.poster_paths.get(film.movie_id))
        hits = self._ranking.hits(scan, cf, shares, options)
        notes = (*self._notes(film, scan, cf, options.alpha), *self._notes_on_filter(hits, options.filter))
        return self._result(query, options, hits, notes, scan, cf)

    def of_mix(self, like: Sequence[Part], unlike: Sequence[Part], options: SimilarOptions) -> SimilarFilms:
        """Find the films that look like several parts, and not like others, and are liked like the former."""
        mix = MixedQuery(tuple(like), tuple(unlike), self.workspace, self.comparison, self.cf)
        scan, cf = mix.scan(options.alpha), mix.nearest_by_ratings()
        mix.check(scan, cf, options.alpha)
        self._check_diverse(options)
        shares = self._shares(mix.n_ratings, scan, cf, options.alpha)
        hits = mix.with_nearest(self._ranking.hits(scan, cf, shares, options), scan)
        notes = (
            *self._notes_on_sources(),
            *mix.notes(scan, cf, options.alpha),
            *self._notes_on_tuning(mix.n_ratings, scan, cf, options.alpha),
            *self._notes_on_filter(hits, options.filter),
        )
        if not mix.has_liked_films:
            options = replace(options, alpha=1.0)
        like_these, unlike_these = self._queries(mix.like), self._queries(mix.unlike)
        query = Query(None, mix.label, None, n_ratings=mix.n_ratings, like=like_these, unlike=unlike_these)
        return self._result(query, options, hits, notes, scan, cf)

    def _queries(self, parts: Sequence[Part]) -> tuple[Query, ...]:
        return tuple(
            query_of(one, self.poster_paths.get(one.movie_id)) if isinstance(one, Film) else one.query for one in parts
        )

    def of_embedding(self, embedding: Embedding, options: SimilarOptions, query: Query) -> SimilarFilms:
        """Find the films whose posters look like an image or a description, by looks alone."""
        if self.comparison is None:
            raise no_index(self.workspace)
        kind = "image" if query.text is None else "description"
        if options.alpha == 0.0:
            raise looks_left_out(kind)
        scan = self.comparison.scan_features(embedding)
        hits = self._ranking.hits(scan, ScoredIds.empty(), _looks_alone, replace(options, alpha=1.0))
        notes = () if options.alpha in ("auto", 1.0) else (f"{ARTICLES[kind]} has no ratings: compared by looks alone",)
        notes = (*self.index_notes, *notes, *self._notes_on_filter(hits, options.filter))
        return self._result(query, replace(options, alpha=1.0), hits, notes, scan, ScoredIds.empty())

    def _result(
        self,
        query: Query,
        options: SimilarOptions,
        hits: tuple[Hit, ...],
        notes: tuple[str, ...],
        scan: Scan | None,
        cf: ScoredIds,
    ) -> SimilarFilms:
        n_visual = len(scan.movie_ids) if scan else 0
        region, grid = (self.comparison.region, self.comparison.grid) if self.comparison else (None, None)
        return SimilarFilms(query, options.alpha, hits, notes, n_visual, len(cf), options.diverse, region, grid)

    @lazy
    def _comparison_of(self) -> Callable[[Region], AnyComparison]:
        """Open the features that regions are read from."""
        if self.index is None:
            raise no_index(self.workspace)
        if isinstance(self.index, BlendedIndex):
            names = " and ".join(self.index.parts)
            raise ConfigError(f"regions are compared by one encoder, not by a blend; choose one of {names}")
        features, map_shape = open_maps(self.workspace, self.index.identity)
        compare = partial(self.index.region_comparison, features=features, map_shape=map_shape)
        # Further pages and other films are often asked about by the same region.
        return lru_cache(maxsize=_N_REGIONS)(compare)

    @lazy
    def _ranking(self) -> Ranking:
        return Ranking(self.catalog, self.index, self.comparison, self.hybrid.blending.calibration, self.poster_paths)

    @lazy
    def _n_ratings(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return the movie_ids of all films, ascending, and their numbers of ratings."""
        counts = [(film.movie_id, film.n_ratings) for film in self.catalog]
        movie_ids, n_ratings = np.array(counts, np.int32).reshape(-1, 2).T
        # A 0 at the end is what row -1, a film that left the catalog, is taken to have.
        return movie_ids, np.append(n_ratings, np.int32(0))

    def _scan(self, film: Film) -> Scan | None:
        if self.comparison is None or film.movie_id not in self.comparison:
            return None
        scan = self.comparison.scan(film.movie_id)
        return scan if len(scan.movie_ids) else None

    def _shares(self, n_rated: int, scan: Scan | None, cf: ScoredIds, alpha: Alpha) -> Shares:
        """Return the function that computes each candidate's visual share; see `n_ratings_of_pairs`."""

        def shares(candidates: npt.NDArray[np.int64]) -> FloatArray:
            if scan is None or not len(cf):
                return np.full(len(candidates), 0.0 if len(cf) else 1.0)
            if alpha != "auto":
                return np.full(len(candidates), float(alpha))
            movie_ids, n_ratings = self._n_ratings
            is_known = np.isin(candidates, cf.ids)
            pairs = n_ratings_of_pairs(n_rated, n_ratings[rows_of(movie_ids, candidates)], is_known)
            return self.hybrid.blending.alphas(pairs)

        return shares

    def _check_diverse(self, options: SimilarOptions) -> None:
        if options.diverse and self.index is None:
            raise no_index(self.workspace)

    def _check_region(self, film: Film) -> None:
        if self.comparison and self.comparison.region and film.movie_id not in self.comparison:
            raise ConfigError(
                f"{film.label} is not in the index of posters, so no region of its poster can be compared; run "
                f"{index_steps(self.workspace, film.movie_id)}"
            )

    def _check_alpha(self, film: Film, scan: Scan | None, cf: ScoredIds, alpha: Alpha) -> None:
        """Refuse a comparison by one side alone that is not known of the film."""
        if alpha == 1.0 and scan is None:
            raise ConfigError(
                f"{film.label} is not in the index of posters, so it cannot be compared by looks alone; set alpha to "
                f"auto, or run {index_steps(self.workspace, film.movie_id)}"
            )
        if alpha == 0.0 and not len(cf):
            why = "too few ratings" if film.n_ratings else "no ratings"
            raise ConfigError(f"{film.label} has {why} to be compared by ratings alone; set alpha to auto")

    def _notes_on_filter(self, hits: Sequence[Hit], wanted: Filter | None) -> Iterator[str]:
        """Explain an empty result by how many films each condition of the filter leaves."""
        if hits or not wanted:
            return
        conditions = {
            "years": replace(Filter(), years=wanted.years),
            "genres": replace(Filter(), genres=wanted.genres),
            "number of ratings": replace(Filter(), min_ratings=wanted.min_ratings),
            "list of movie_ids": replace(Filter(), movie_ids=wanted.movie_ids),
        }
        counts = [f"{name} {len(self.catalog.movie_ids(one)):,}" for name, one in conditions.items() if one]
        n_passing = len(self.catalog.movie_ids(wanted))
        passing = f"{n_passing:,} of {len(self.catalog):,} films match the filter"
        yield f"nothing found: {passing} (by {', by '.join(counts)})" + ("; none can be compared" if n_passing else "")

    def _notes(self, film: Film, scan: Scan | None, cf: ScoredIds, alpha: Alpha) -> Iterator[str]:
        yield from self._notes_on_sources()
        if scan is None:
            why = "is not in the index" if film.movie_id in self.poster_paths else "has no poster"
            yield f"{film.label} {why}: compared by ratings alone"
        elif not len(cf) and alpha != 1.0:
            why = "too few ratings to compare by" if film.n_ratings else "no ratings"
            yield f"{film.label} has {why}: compared by looks alone"
        yield from self._notes_on_tuning(film.n_ratings, scan, cf, alpha)

    def _notes_on_tuning(self, n_rated: int, scan: Scan | None, cf: ScoredIds, alpha: Alpha) -> Iterator[str]:
        """Show the share of looks, where it is a tuned one, and whether it is of other similarities."""
        if not self.hybrid.is_tuned or alpha != "auto" or scan is None or not len(cf):
            return
        # Blends of encoders are not tuned.
        if self.index is not None and not isinstance(self.index, BlendedIndex):
            compared = compared_by(self.index.similarity, centered=self.index.centered)
            if note := stale_blend(self.hybrid, compared, ratings_name(self.catalog)):
                yield note
        share = float(self.hybrid.blending.alphas(n_rated))
        reset = "`keyart tune --reset` returns to the defaults"
        if share < MIN_ALPHA:
            yield (
                f"compared mostly by ratings (alpha {share:.2f}), as the blend was tuned; --alpha 1 compares by looks "
                f"alone, {reset}"
            )
        else:
            yield f"the blend was tuned: looks count for {share:.2f} of the score (alpha) or more; {reset}"

    def _notes_on_sources(self) -> Iterator[str]:
        yield from self.index_notes
        if self.cf is not None and self.cf.source != ratings_name(self.catalog):
            again = "keyart build" if self.cf.name == ItemCosine.name else f"keyart fit {self.hybrid.model}"
            yield f"rating similarities are of ratings loaded earlier; run `{again}`"


def _looks_alone(candidates: npt.NDArray[np.int64]) -> FloatArray:
    return np.ones(len(candidates))
