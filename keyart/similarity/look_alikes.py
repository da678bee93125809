"""Look-alikes of a film or of an embedding: similarities of all sides fetched, blended and explained in notes."""

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
from keyart.results import Alpha, Hit, PairScore, Query, SimilarFilms, query_of
from keyart.similarity.blending import MIN_ALPHA, Hybrid, compared_by, nearest, stale_blend
from keyart.similarity.content import ContentSimilarity
from keyart.similarity.hits import Evidence, Ranking, Shares
from keyart.similarity.mixes import ARTICLES, MixedQuery, Part, looks_left_out
from keyart.similarity.query import Embedding, SimilarOptions
from keyart.workspace.contents import ratings_name
from keyart.workspace.index import open_maps
from keyart.workspace.layout import Workspace
from keyart.workspace.steps import index_steps, no_index

_N_REGIONS = 2
# So many posters show how alike posters are, if there are at least so many.
_N_SAMPLE, _N_SAMPLE_LEAST = 128, 8


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

    def warm_up(self) -> None:
        """Read what the first look-up would wait for: facts and numbers of ratings of all films."""
        _ = self._content, self._n_ratings

    def by_region(self, region: Region) -> LookAlikes:
        """Return the same by the looks of one region of posters alone."""
        return replace(self, comparison=self._comparison_of(region), cf=None)

    def of_film(self, film: Film, options: SimilarOptions) -> SimilarFilms:
        """Find the films that look like a film, are liked like it and have as much in common with it."""
        self._check_region(film)
        evidence = self._evidence(film, options)
        if not (evidence.scan or len(evidence.cf) or len(evidence.content)):
            raise UnknownFilmError(
                f"{film.label} has neither features nor ratings in common with other films; run "
                f"{index_steps(self.workspace, film.movie_id)}"
            )
        self._check_alpha(film, evidence, options.alpha)
        self._check_diverse(options)
        query = query_of(film, self.poster_paths.get(film.movie_id))
        hits = self._ranking.hits(evidence, options)
        notes = (*self._notes(film, evidence, options), *self._notes_on_filter(hits, options.filter))
        return self._result(query, options, hits, notes, evidence)

    def compare(self, film: Film, other: Film) -> PairScore:
        """Score two films in both directions."""
        options = SimilarOptions()
        pairs = ((film, other), (other, film))
        hits = [self._ranking.hit_of(self._evidence(one, options), another.movie_id) for one, another in pairs]
        known = [hit for hit in hits if hit is not None]
        first, second = (query_of(one, self.poster_paths.get(one.movie_id)) for one in (film, other))
        return PairScore(
            (first, second),
            _mean([hit.score for hit in known]) or 0.0,
            _mean([hit.visual for hit in known]),
            _mean([hit.cf for hit in known]),
            _mean([hit.content for hit in known]),
            known[0].in_common if known else (),
        )

    def _evidence(self, film: Film, options: SimilarOptions) -> Evidence:
        scan, cf = self._scan(film), ScoredIds.empty() if self.cf is None else nearest(self.cf, film.movie_id)
        shares = self._shares(film.n_ratings, scan, cf, options)
        if not options.counts_content:
            return Evidence(scan, cf, shares)
        return Evidence(
            scan,
            cf,
            shares,
            self._content.to_film(film.movie_id),
            None if scan else self._typical_scale,
            self._content.in_common_with(film.movie_id),
        )

    def of_mix(self, like: Sequence[Part], unlike: Sequence[Part], options: SimilarOptions) -> SimilarFilms:
        """Find the films that look like several parts, and not like others, and are liked like the former."""
        mix = MixedQuery(tuple(like), tuple(unlike), self.workspace, self.comparison, self.cf)
        scan, cf = mix.scan(options.alpha), mix.nearest_by_ratings()
        mix.check(scan, cf, options.alpha)
        self._check_diverse(options)
        evidence = self._evidence_of_mix(mix, scan, cf, options)
        content = self._content if len(evidence.content) else None
        hits = mix.with_nearest(self._ranking.hits(evidence, options), scan, content)
        notes = (
            *self._notes_on_sources(),
            *mix.notes(scan, cf, options.alpha),
            *self._notes_on_tuning(mix.n_ratings, evidence, options),
            *self._notes_on_filter(hits, options.filter),
        )
        if not mix.has_liked_films:
            options = replace(options, alpha=1.0)
        like_these, unlike_these = self._queries(mix.like), self._queries(mix.unlike)
        query = Query(None, mix.label, None, n_ratings=mix.n_ratings, like=like_these, unlike=unlike_these)
        return self._result(query, options, hits, notes, evidence)

    def _evidence_of_mix(self, mix: MixedQuery, scan: Scan | None, cf: ScoredIds, options: SimilarOptions) -> Evidence:
        # Images and descriptions have no content.
        if not (options.counts_content and mix.liked_ids):
            return Evidence(scan, cf, self._shares(mix.n_ratings, scan, cf, replace(options, content=0.0)))
        return Evidence(
            scan,
            cf,
            self._shares(mix.n_ratings, scan, cf, options),
            self._content.to_films(mix.liked_ids, mix.all_ids),
            None if scan else self._typical_scale,
        )

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
        if options.content == 1.0:
            raise ConfigError(f"{kind}s have no content; leave content at auto")
        evidence = Evidence(self.comparison.scan_features(embedding), ScoredIds.empty(), _looks_alone)
        alone = replace(options, alpha=1.0, content=0.0)
        hits = self._ranking.hits(evidence, alone)
        lacking = [
            *([] if options.alpha in ("auto", 1.0) else ["ratings"]),
            *([] if options.content in ("auto", 0.0) else ["content"]),
        ]
        notes = (f"{ARTICLES[kind]} has no {' and no '.join(lacking)}: compared by looks alone",) if lacking else ()
        notes = (*self.index_notes, *notes, *self._notes_on_filter(hits, options.filter))
        return self._result(query, alone, hits, notes, evidence)

    def _result(
        self,
        query: Query,
        options: SimilarOptions,
        hits: tuple[Hit, ...],
        notes: tuple[str, ...],
        evidence: Evidence,
    ) -> SimilarFilms:
        region, grid = (self.comparison.region, self.comparison.grid) if self.comparison else (None, None)
        n_content = len(evidence.content)
        return SimilarFilms(
            query,
            options.alpha,
            hits,
            notes,
            len(evidence.scan.movie_ids) if evidence.scan else 0,
            len(evidence.cf),
            options.diverse,
            region,
            grid,
            options.content if n_content else 0.0,
            n_content,
        )

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
    def _content(self) -> ContentSimilarity:
        return ContentSimilarity.of(self.catalog)

    @lazy
    def _typical_scale(self) -> FloatArray | None:
        """Return the cosines of a sample of posters with each other, as a scale for films that have none."""
        if self.comparison is None or self.index is None or len(self.index) < _N_SAMPLE_LEAST:
            return None
        movie_ids = self.index.movie_ids
        sample = movie_ids[np.linspace(0, len(movie_ids) - 1, min(len(movie_ids), _N_SAMPLE)).astype(np.int64)]
        cosines = self.comparison.cosines(sample, sample)[np.triu_indices(len(sample), 1)].astype(np.float64)
        return cosines[~np.isnan(cosines)]

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

    def _shares(self, n_rated: int, scan: Scan | None, cf: ScoredIds, options: SimilarOptions) -> Shares:
        """Return the function that computes each candidate's shares; see `n_ratings_of_pairs`."""
        has_visual, has_cf = scan is not None, len(cf) > 0
        blending, counts_content = self.hybrid.blending, options.counts_content

        def shares(candidates: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
            n = len(candidates)
            if counts_content and not (has_visual or has_cf):
                return np.ones(n), np.ones(n)
            if options.alpha == "auto" and options.content == "auto":
                pairs = self._n_of_pairs(n_rated, cf, candidates)
                return blending.shares(pairs, has_visual=has_visual, has_cf=has_cf)
            content = np.full(n, float(options.content) if options.content != "auto" else 0.0)
            if not (has_visual and has_cf):
                return np.full(n, 0.0 if has_cf else 1.0), content
            if options.alpha != "auto":
                return np.full(n, float(options.alpha)), content
            return blending.alphas(self._n_of_pairs(n_rated, cf, candidates)), content

        return shares

    def _n_of_pairs(self, n_rated: int, cf: ScoredIds, candidates: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        movie_ids, n_ratings = self._n_ratings
        is_known = np.zeros(len(candidates), bool)
        is_known[np.searchsorted(candidates, cf.ids)] = True
        return n_ratings_of_pairs(n_rated, n_ratings[rows_of(movie_ids, candidates)], is_known)

    def _check_diverse(self, options: SimilarOptions) -> None:
        if options.diverse and self.index is None:
            raise no_index(self.workspace)

    def _check_region(self, film: Film) -> None:
        if self.comparison and self.comparison.region and film.movie_id not in self.comparison:
            raise ConfigError(
                f"{film.label} is not in the index of posters, so no region of its poster can be compared; run "
                f"{index_steps(self.workspace, film.movie_id)}"
            )

    def _check_alpha(self, film: Film, evidence: Evidence, alpha: Alpha) -> None:
        """Refuse a comparison by one side alone that is not known of the film."""
        if alpha == 1.0 and evidence.scan is None:
            raise ConfigError(
                f"{film.label} is not in the index of posters, so it cannot be compared by looks alone; set alpha to "
                f"auto, or run {index_steps(self.workspace, film.movie_id)}"
            )
        if alpha == 0.0 and not len(evidence.cf):
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

    def _notes(self, film: Film, evidence: Evidence, options: SimilarOptions) -> Iterator[str]:
        scan, cf, alpha = evidence.scan, evidence.cf, options.alpha
        yield from self._notes_on_sources()
        no_poster = "is not in the index" if film.movie_id in self.poster_paths else "has no poster"
        no_ratings = "has too few ratings to compare by" if film.n_ratings else "has no ratings"
        has_content = len(evidence.content) > 0
        if options.content == 1.0:
            return
        if scan is None and not len(cf):
            yield f"{film.label} {no_poster} and {no_ratings}: compared by content alone"
        elif scan is None:
            yield f"{film.label} {no_poster}: compared by ratings {'and content' if has_content else 'alone'}"
        elif not len(cf) and alpha != 1.0:
            yield f"{film.label} {no_ratings}: compared by looks {'and content' if has_content else 'alone'}"
        yield from self._notes_on_tuning(film.n_ratings, evidence, options)

    def _notes_on_tuning(self, n_rated: int, evidence: Evidence, options: SimilarOptions) -> Iterator[str]:
        """Show the share of looks, where it is a tuned one, and whether it is of other similarities."""
        if not self.hybrid.is_tuned or options.alpha != "auto" or evidence.scan is None or not len(evidence.cf):
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
            content = self.hybrid.blending.content_share if options.content == "auto" else options.content
            yield f"the blend was tuned: looks count for {share * (1 - content):.2f} of the score or more; {reset}"

    def _notes_on_sources(self) -> Iterator[str]:
        yield from self.index_notes
        if self.cf is not None and self.cf.source != ratings_name(self.catalog):
            again = "keyart build" if self.cf.name == ItemCosine.name else f"keyart fit {self.hybrid.model}"
            yield f"rating similarities are of ratings loaded earlier; run `{again}`"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None


def _looks_alone(candidates: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    return np.ones(len(candidates)), np.zeros(len(candidates))
