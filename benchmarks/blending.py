"""Measure what content adds to look-alikes: on held-out likes, on genres and on tags.

    python benchmarks/blending.py --home WORKSPACE [--films 60] [--half report]

The workspace needs ratings and an index. Three tenths of each user's ratings are held out, and item similarities are
fitted to the others. The defaults were chosen by films with even movie_ids; films with odd ones are what is reported.
Tags are left out of content here, so that they can judge it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.tables import print_header, print_row  # noqa: E402 - needs the path

if TYPE_CHECKING:
    from keyart.engine import Engine

K = 10
# Shares of the three sides; the second way is what a catalog without posters and content has.
WAYS: dict[str, dict[str, Any]] = {
    "looks and ratings": {"content": 0.0},
    "ratings alone": {"alpha": 0.0, "content": 0.0},
    "default": {},
    "content": {"content": 1.0},
}
COMPARED = ("looks and ratings", "ratings alone")
# A true gain of so many half widths of the 95 % interval is found in four of five such evaluations: 2.8 / 1.96.
IN_HALF_WIDTHS = 1.43
LABELS = {
    "likes": "held-out likes, NDCG@10",
    "genres": "genres in common, Jaccard",
    "tags": "hits with a common tag",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="a workspace with ratings and an index")
    parser.add_argument("--films", type=int, default=60, help="films of each range of numbers of ratings")
    parser.add_argument("--half", choices=("choose", "report"), default="report")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    films, engine, gains = prepare(arguments.home, arguments.seed)
    chosen = list(draw(films, gains, arguments.films, arguments.half, arguments.seed))
    for has_poster in (True, False):
        wanted = [movie_id for movie_id in chosen if (movie_id in engine._index) == has_poster]
        print_group("with" if has_poster else "without", engine, wanted, gains)


def prepare(home: Path, seed: int):
    """Open an engine by a part of the ratings; returns films' training counts, the engine, and held-out co-likes."""
    from catalog.films import Catalog
    from cf.evaluation.splits import by_user
    from cf.hybrid.tuning import co_likes
    from cf.models.neighbors import ItemCosine
    from keyart.engine import Engine
    from keyart.similarity.blending import Hybrid
    from keyart.similarity.content import ContentSimilarity
    from keyart.workspace.contents import open_ratings
    from keyart.workspace.index import open_index
    from keyart.workspace.layout import Workspace

    workspace = Workspace.open(home)
    ratings = open_ratings(workspace)
    split = by_user(ratings, 0.3, seed)
    model = ItemCosine(source=ratings.source).fit(split.train.matrix())
    engine = Engine(workspace, Catalog.open(workspace.catalog_path), open_index(workspace), model, Hybrid())
    engine._look_alikes.__dict__["_content"] = ContentSimilarity(engine.catalog)
    rated, n_ratings, _ = split.train.film_statistics()
    movie_ids, counts = co_likes(split.test)
    gains = {}
    for row in np.flatnonzero(np.diff(counts.indptr)).tolist():
        start, stop = counts.indptr[row : row + 2]
        pairs = zip(movie_ids[counts.indices[start:stop]].tolist(), counts.data[start:stop].tolist(), strict=True)
        gains[int(movie_ids[row])] = dict(pairs)
    return dict(zip(rated.tolist(), n_ratings.tolist(), strict=True)), engine, gains


def draw(n_ratings: dict[int, int], gains: dict[int, dict[int, float]], n: int, half: str, seed: int) -> Iterator[int]:
    from cf.hybrid.tuning import BUCKETS

    rng = np.random.default_rng(seed)
    films = [movie_id for movie_id in sorted(gains) if movie_id % 2 == (half == "report")]
    for least, most in BUCKETS:
        inside = [movie_id for movie_id in films if least <= n_ratings.get(movie_id, 0) <= most]
        yield from sorted(rng.permutation(inside)[:n].tolist())


def print_group(name: str, engine: Engine, movie_ids: Sequence[int], gains: dict[int, dict[int, float]]) -> None:
    from cf.evaluation.metrics import bootstrap
    from keyart.cli.estimates import estimate

    tags: dict[int, set[str]] = {}
    for tag in engine.catalog.tags():
        tags.setdefault(tag.movie_id, set()).add(tag.tag)
    found = {way: [measure(engine, one, shares, gains[one], tags) for one in movie_ids] for way, shares in WAYS.items()}
    gain_columns = [f"default over {way}" for way in COMPARED]
    print_header(f"{len(movie_ids)} films {name} a poster", "measure", "films", *WAYS, *gain_columns, "detectable")
    for measured in ("likes", "genres", "tags"):
        values = {way: np.array([row[measured] for row in rows]) for way, rows in found.items()}
        known = ~np.isnan(values["default"])
        if not known.any():
            continue
        over = [bootstrap((values["default"] - values[way])[known], np.ones(known.sum())) for way in COMPARED]
        means = (f"{one[known].mean():.3f}" for one in values.values())
        detectable = (f"{IN_HALF_WIDTHS * (gain.high - gain.low) / 2:.3f}" for gain in over)
        gains_of_default = (estimate(gain, "+.3f") for gain in over)
        print_row(LABELS[measured], int(known.sum()), *means, *gains_of_default, ", ".join(detectable))


def measure(
    engine: Engine, movie_id: int, shares: dict[str, Any], gains: dict[int, float], tags: dict[int, set[str]]
) -> dict[str, float]:
    """Measure the first ten look-alikes of a film."""
    from catalog.errors import ConfigError, UnknownFilmError

    film = engine.find(movie_id)
    try:
        hits = [hit.movie_id for hit in engine.similar(movie_id, K, **shares)]
    except (ConfigError, UnknownFilmError):
        # Neither a poster nor enough ratings in common with others.
        hits = []
    films = engine.catalog.films(hits)
    discounts = 1 / np.log2(np.arange(2, K + 2))
    ideal = np.sort(list(gains.values()))[::-1][:K]
    likes = sum(gains.get(hit, 0) * discount for hit, discount in zip(hits, discounts, strict=False))
    own = tags.get(movie_id, set())
    return {
        "likes": likes / (ideal @ discounts[: len(ideal)]),
        "genres": sum(jaccard(set(film.genres), set(films[hit].genres)) for hit in hits) / K if film.genres else np.nan,
        "tags": sum(bool(own & tags.get(hit, set())) for hit in hits) / K if own else np.nan,
    }


def jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0


if __name__ == "__main__":
    main()
