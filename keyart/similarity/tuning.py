"""What the blend of looks, ratings and content is fitted to: films with a part of the ratings, judged by the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, NotBuiltError
from catalog.io.progress import Advance, Progress, silent
from catalog.scored_ids import ScoredIds
from cf.base import Recommender, rows_of
from cf.evaluation.splits import by_user
from cf.hybrid.blend import candidate_ids
from cf.hybrid.tuning import BUCKETS, Query, co_likes
from cf.models.neighbors import ItemCosine
from cf.ratings import Ratings
from cf.registry import make
from keyart.similarity.blending import nearest
from keyart.similarity.content import ContentSimilarity

_HELD_OUT = 0.3


class VisualIndex(Protocol):
    """The part of `index.comparison.Comparison` that is needed here."""

    def __contains__(self, movie_id: int) -> bool: ...

    def scan(self, movie_id: int) -> Any:
        """Compute the similarity of every other film to one."""


def held_out_queries(
    index: VisualIndex,
    ratings: Ratings,
    model: str,
    content: ContentSimilarity,
    *,
    n_films: int = 200,
    seed: int = 0,
    progress: Progress = silent,
) -> Iterator[Query]:
    """Yield up to `n_films` films of each bucket of numbers of ratings, each with what held-out ratings say of it."""
    split = by_user(ratings, _HELD_OUT, seed)
    fitted = make(model).fit(split.train.matrix())
    if not any(len(result.ids) for result in fitted.similar_items(fitted.movie_ids_[:100].tolist(), 1)):
        raise ConfigError(f"{model} has no item similarities; choose a model that has, such as {ItemCosine.name}")
    films = list(_draw_films(index, split.train, split.test, n_films, seed))
    if not films:
        raise NotBuiltError(
            "no film has both a poster in the index and held-out likes; import more posters, or ratings"
        )
    with progress("tune", len(films), "films") as advance:
        yield from _queries(index, fitted, content, split.train, films, advance)


def _draw_films(
    index: VisualIndex, train: Ratings, held_out: Ratings, n_films: int, seed: int
) -> Iterator[tuple[int, int, ScoredIds]]:
    """Draw films of every bucket: their ids, their training ratings, their co-likes."""
    movie_ids, counts = co_likes(held_out)
    n_ratings = _counter(train)(movie_ids)
    candidates = np.flatnonzero((np.diff(counts.indptr) > 0) & [movie_id in index for movie_id in movie_ids.tolist()])
    rng = np.random.default_rng(seed)
    for least, most in BUCKETS:
        rows = candidates[(n_ratings[candidates] >= least) & (n_ratings[candidates] <= most)]
        for row in np.sort(rng.permutation(rows)[:n_films]).tolist():
            start, stop = counts.indptr[row : row + 2]
            gains = ScoredIds(movie_ids[counts.indices[start:stop]], counts.data[start:stop])
            yield int(movie_ids[row]), int(n_ratings[row]), gains


def _queries(
    index: VisualIndex,
    model: Recommender,
    content: ContentSimilarity,
    train: Ratings,
    films: list[tuple[int, int, ScoredIds]],
    advance: Advance,
) -> Iterator[Query]:
    count = _counter(train)
    for movie_id, n_ratings, gains in films:
        scan = index.scan(movie_id)
        visual, cf = ScoredIds(scan.movie_ids, scan.similarities), nearest(model, movie_id)
        of_content = content.to_film(movie_id)
        yield Query(n_ratings, visual, cf, count(candidate_ids(visual, cf, of_content)), gains, of_content)
        advance(1)


def _counter(ratings: Ratings) -> Callable[[npt.NDArray[np.integer]], npt.NDArray[np.int64]]:
    """Return a function that counts the ratings of films."""
    rated, n_ratings, _ = ratings.film_statistics()
    # A 0 at the end is what row -1, a film without ratings, is taken to have.
    counts = np.append(n_ratings, 0)
    return lambda movie_ids: counts[rows_of(rated, movie_ids)]
