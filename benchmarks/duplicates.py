"""Measure from which similarity on two posters are the same artwork: distorted copies among the posters of other films.

    python benchmarks/duplicates.py --shared ../shared --work DIR [--copied 200] [--strength 2] [--seed 1]
    python benchmarks/duplicates.py --shared ../shared --work DIR --only alternates
    python benchmarks/duplicates.py --shared ../shared --work DIR --only few

DIR is that of `benchmarks/look_alikes.py`, which stores the posters and their features there. Copies are distorted as
`features.distortion` does. A copy is found where its similarity to its own poster reaches the bound; precision is the
share of own posters among all posters that reach it with any copy, with its 95 % interval (Wilson).

The alternates are other posters of the same films: the same picture again where their perceptual hashes differ by less
than 0.15, else another picture. A wrong pair is one of a poster with another film's that reaches the bound: among all
pairs of an alternate with another film, and of two films of the catalog. They are listed, for they may be right.

The last part embeds few films: in how many draws two different posters reach the bound.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.stats import binomtest

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.look_alikes import NETWORKS, network  # noqa: E402 - needs the path
from benchmarks.tables import print_header, print_row  # noqa: E402 - needs the path
from features.distortion import KINDS, Kind, distort, strengths_of  # noqa: E402 - needs the path

if TYPE_CHECKING:
    from features.store import FeatureStore

N_DRAWS = 50
Rows = npt.NDArray[np.floating]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder of networks")
    parser.add_argument("--work", type=Path, required=True, help="where benchmarks/look_alikes.py stored features")
    parser.add_argument("--copied", type=int, default=200, help="posters that are copied")
    parser.add_argument("--strength", type=int, default=2, choices=(1, 2, 3, 4), help="of the distortions")
    parser.add_argument("--seed", type=int, default=1, help="of the posters and distortions")
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    arguments = parser.parse_args()
    from features.store import FeatureStore

    for name in NETWORKS:
        store = FeatureStore.open(arguments.work / name)
        for part in [arguments.only] if arguments.only else PARTS:
            PARTS[part](arguments, name, store)


def copies_found(arguments: argparse.Namespace, name: str, store: FeatureStore) -> None:
    """Print the precision, and the share of copies that are found by each way of copying."""
    from index.artwork import DUPLICATE_SIMILARITIES

    movie_ids, features = read(store)
    own = np.sort(np.random.default_rng(arguments.seed).choice(len(movie_ids), arguments.copied, replace=False))
    copies = {
        kind: copied(arguments, name, kind, step, movie_ids[own].tolist())
        for kind in KINDS
        for step in [min(arguments.strength, strengths_of(kind)[-1])]
    }
    title = f"{name}, {len(own)} of {len(movie_ids):,} posters copied, strength {arguments.strength}"
    print_header(title, "similarity", "bound", "precision", *(f"found: {kind}" for kind in copies))
    for similarity, embed in embeddings(store, features).items():
        bound = DUPLICATE_SIMILARITIES[similarity]  # type: ignore[index]
        reaches = {kind: embed(rows) @ embed(features).T >= bound for kind, rows in copies.items()}
        found = {kind: reached[np.arange(len(own)), own] for kind, reached in reaches.items()}
        n_reached = sum(int(reached.sum()) for reached in reaches.values())
        n_found = sum(int(one.sum()) for one in found.values())
        precision = share(n_found, n_reached)
        print_row(similarity, bound, precision, *(f"{one.mean():.2f}" for one in found.values()))


def alternates_found(arguments: argparse.Namespace, name: str, store: FeatureStore) -> None:
    """Print which alternates are found, and which pairs of two films reach the bound."""
    from features.store import FeatureStore
    from index.artwork import DUPLICATE_SIMILARITIES
    from keyart.pipeline import extract_images
    from keyart.similarity.evaluation.questions import MIN_HASH_DISTANCE

    folder = arguments.shared / "data" / "posters-alternate"
    with (folder / "pairs.csv").open(encoding="utf-8") as stream:
        distances = {int(row["movie_id"]): float(row["phash_distance"]) for row in csv.DictReader(stream)}
    extract_images(folder, arguments.work / f"{name}-alternates", network(arguments.shared, name), drop_missing=True)
    others, pictures = read(FeatureStore.open(arguments.work / f"{name}-alternates"))
    movie_ids, features = read(store)
    asked = np.isin(others, movie_ids) & np.isin(others, list(distances))
    others, pictures = others[asked], pictures[asked]
    own = np.searchsorted(movie_ids, others)
    is_same = np.array([distances[one] < MIN_HASH_DISTANCE for one in others.tolist()])
    title = f"{name}, {len(others)} alternates among {len(movie_ids):,} films"
    print_header(title, "similarity", "bound", "same picture", "another one", "wrong", "precision", "wrong in catalog")
    for similarity, embed in embeddings(store, features).items():
        bound = DUPLICATE_SIMILARITIES[similarity]  # type: ignore[index]
        units = embed(features)
        reached = embed(pictures) @ units.T >= bound
        found = reached[np.arange(len(own)), own]
        n_wrong = int(reached.sum() - found.sum())
        pairs = pairs_reaching(units, bound)
        print_row(
            similarity,
            bound,
            share(int(found[is_same].sum()), int(is_same.sum())),
            share(int(found[~is_same].sum()), int((~is_same).sum())),
            f"{n_wrong} of {len(others) * (len(movie_ids) - 1):,}",
            share(int(found.sum()), int(reached.sum())),
            f"{len(pairs)} of {len(movie_ids) * (len(movie_ids) - 1) // 2:,}",
        )
        listed = ", ".join(f"{movie_ids[one]}/{movie_ids[other]}" for one, other in pairs)
        print(f"\npairs of films in the catalog by {similarity}: {listed or 'none'}", flush=True)


def pairs_reaching(units: Rows, bound: float) -> list[tuple[int, int]]:
    pairs = []
    for start in range(0, len(units), 512):
        rows, columns = np.nonzero(units[start : start + 512] @ units.T >= bound)
        pairs += [(start + row, column) for row, column in zip(rows.tolist(), columns.tolist(), strict=True)]
    return [(one, other) for one, other in pairs if one < other]


def few_films(arguments: argparse.Namespace, name: str, store: FeatureStore) -> None:
    """Print in how many draws of few films two of them are the same artwork."""
    from index.artwork import duplicate_similarity
    from index.embedding import WhitenedEmbedding
    from index.source import FilmFeatures

    _, features = read(store)
    rng = np.random.default_rng(arguments.seed)
    print_header(f"{name}, {N_DRAWS} draws of each number of films", "films", "dimensions", "draws with a wrong pair")
    for n in (3, 4, 5, 6, 8, 12, 16, 24, 32, 64):
        n_wrong = 0
        for _ in range(N_DRAWS):
            drawn = features[np.sort(rng.choice(len(features), n, replace=False))]
            # As when an index is built, a tenth is held out.
            fitted = FilmFeatures.of(np.arange(n - max(1, n // 10)), drawn[max(1, n // 10) :])
            embedding = WhitenedEmbedding.fit(fitted, store.row_shape(), rng)  # type: ignore[arg-type]
            units = embedding.units(drawn)
            n_wrong += bool(pairs_reaching(units, duplicate_similarity("whitened", units)))
        print_row(n, embedding.n_dimensions, f"{n_wrong} of {N_DRAWS}")


def share(n: int, n_all: int) -> str:
    """Print a share with its 95 % interval."""
    if not n_all:
        return "–"
    low, high = binomtest(n, n_all).proportion_ci(method="wilson")
    return f"{n / n_all:.3f} [{low:.3f}, {high:.3f}] of {n_all}"


def copied(arguments: argparse.Namespace, name: str, kind: Kind, strength: int, movie_ids: list[int]) -> Rows:
    """Write distorted copies of posters, and compute their features, in the order of the movie_ids."""
    from features.store import FeatureStore
    from keyart.pipeline import extract_images

    folder = arguments.work / "copies" / f"{kind}-{strength}-{arguments.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    for movie_id in movie_ids:
        with Image.open(arguments.work / "posters" / f"{movie_id}.jpg") as poster:
            distort(poster.convert("RGB"), kind, strength, arguments.seed + movie_id).save(folder / f"{movie_id}.png")
    features = arguments.work / "copies" / f"{name}-{folder.name}"
    extract_images(folder, features, network(arguments.shared, name), drop_missing=True)
    # The folder may hold the copies of an earlier run, too.
    known, rows = read(FeatureStore.open(features))
    return rows[np.searchsorted(known, movie_ids)]


def read(store: FeatureStore) -> tuple[npt.NDArray[np.int64], Rows]:
    """Read features in the order of the movie_ids that the pictures are named by."""
    rows = store.rows()
    movie_ids = np.array([int(Path(name).stem) for name in rows.picture_ids])
    order = np.argsort(movie_ids)
    return movie_ids[order], np.concatenate(list(store.blocks(rows)))[order]


def embeddings(store: FeatureStore, features: Rows) -> dict[str, Any]:
    from index.source import FilmFeatures
    from keyart.similarity.evaluation.candidates import fit_candidate

    films = FilmFeatures.of(np.arange(len(features)), features)
    return {name: fit_candidate(name, films, store.row_shape()).embed_rows for name in ("cosine", "whitened")}


PARTS: dict[str, Callable[[argparse.Namespace, str, FeatureStore], None]] = {
    "copies": copies_found,
    "alternates": alternates_found,
    "few": few_films,
}


if __name__ == "__main__":
    main()
