"""A query of several films: their looks and ratings as one, and which of them each hit is nearest to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, UnknownFilmError
from catalog.film import Film
from catalog.lazy import lazy
from catalog.scored_ids import ScoredIds
from cf.base import Recommender
from index.comparison import Comparison
from index.search import Scan
from keyart.results import Alpha, Hit
from keyart.similarity.blending import mean_of_nearest, positive_similarities
from keyart.workspace.layout import Workspace
from keyart.workspace.steps import index_steps, no_index

UNLIKE_WEIGHT = 0.5
"""How much the mean of the unliked films counts against the mean of the liked ones."""

_Matrix = npt.NDArray[np.floating]


@dataclass(frozen=True)
class FilmMix:
    """Films that are sought for and films that are not, in the opened parts of a workspace."""

    like: tuple[Film, ...]
    unlike: tuple[Film, ...]
    workspace: Workspace
    comparison: Comparison | None
    cf: Recommender | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "like", tuple({film.movie_id: film for film in self.like}.values()))
        object.__setattr__(self, "unlike", tuple({film.movie_id: film for film in self.unlike}.values()))
        if both := [film.label for film in self.like if film.movie_id in _ids(self.unlike)]:
            raise ConfigError(f"{' and '.join(both)} cannot be both sought for and avoided; name it once")

    @property
    def label(self) -> str:
        """The films in words."""
        liked = " + ".join(film.label for film in self.like)
        return liked + (f", unlike {' + '.join(film.label for film in self.unlike)}" if self.unlike else "")

    @lazy
    def liking(self) -> tuple[ScoredIds, ...]:
        """Return the similarities by ratings to each of the liked films; empty for one that has none."""
        return positive_similarities(self.cf, _ids(self.like)) if self.cf else (ScoredIds.empty(),) * len(self.like)

    def nearest_by_ratings(self) -> ScoredIds:
        """Return the films nearest to the liked ones by ratings."""
        return mean_of_nearest(self.liking, _ids((*self.like, *self.unlike)))

    @property
    def n_ratings(self) -> int:
        """The number of ratings of the rarest of the liked films that have similarities by ratings."""
        rated = [film.n_ratings for film, one in zip(self.like, self.liking, strict=True) if len(one)]
        return min(rated, default=0)

    def scan(self, alpha: Alpha) -> Scan | None:
        """Compare the looks of the films with all others; None where ratings alone are compared."""
        if self.unlike and alpha == 0.0:
            raise ConfigError("films are avoided by their looks, which alpha 0 leaves out; set alpha to auto")
        if self.comparison is None and (self.unlike or alpha == 1.0):
            raise no_index(self.workspace)
        if self.comparison is None or alpha == 0.0:
            return None
        for film in (*self.like, *self.unlike):
            if film.movie_id not in self.comparison:
                raise ConfigError(
                    f"{film.label} is not in the index of posters, so its looks cannot be combined with others; leave "
                    f"it out, or run {index_steps(self.workspace, film.movie_id)}"
                )
        scan = self.comparison.scan_mix(_ids(self.like), _ids(self.unlike), UNLIKE_WEIGHT)
        return scan if len(scan.movie_ids) else None

    def check(self, scan: Scan | None, cf: ScoredIds, alpha: Alpha) -> None:
        """Refuse a comparison by what is not known."""
        if alpha == 0.0 and not len(cf):
            raise ConfigError(f"{self.label}: too few ratings to compare by ratings alone; set alpha to auto")
        if scan is None and (alpha == 1.0 or not len(cf)):
            raise UnknownFilmError(f"{self.label}: neither features nor ratings in common with other films")

    def notes(self, scan: Scan | None, cf: ScoredIds, alpha: Alpha) -> Iterator[str]:
        """Explain what was left out."""
        if scan is None and alpha != 0.0:
            yield "no other posters are indexed: compared by ratings alone"
        if alpha == 1.0:
            return
        if not len(cf):
            yield "none of the films has enough ratings: compared by looks alone"
            return
        without = [film.label for film, one in zip(self.like, self.liking, strict=True) if not len(one)]
        if without:
            yield f"too few ratings to compare by, so these count in looks alone: {', '.join(without)}"

    def with_nearest(self, hits: Sequence[Hit], scan: Scan | None) -> tuple[Hit, ...]:
        """Add to each hit which of the liked films it is nearest to, and its cosines with all."""
        asked, found = _ids((*self.like, *self.unlike)), [hit.movie_id for hit in hits]
        cosines = np.full((len(found), len(asked)), np.nan)
        if self.comparison is not None and scan is not None:
            cosines = self.comparison.cosines(found, asked).astype(np.float64)
        liking = np.stack([_aligned(one, found) for one in self.liking], axis=1)
        return tuple(
            replace(
                hit,
                nearest_to=self._nearest(row[: len(self.like)], liked),
                to_each=tuple(None if np.isnan(value) else round(float(value), 6) for value in row),
            )
            for hit, row, liked in zip(hits, cosines, liking, strict=True)
        )

    def _nearest(self, looks: _Matrix, liked: _Matrix) -> int | None:
        known = liked if np.isnan(looks).all() else looks
        return None if np.isnan(known).all() else self.like[int(np.nanargmax(known))].movie_id


def _ids(films: Sequence[Film]) -> list[int]:
    return [film.movie_id for film in films]


def _aligned(one: ScoredIds, movie_ids: Sequence[int]) -> _Matrix:
    scores = dict(zip(one.ids.tolist(), one.scores.tolist(), strict=True))
    return np.array([scores.get(movie_id, np.nan) for movie_id in movie_ids], np.float64)
