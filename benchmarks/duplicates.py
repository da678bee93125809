"""Measure from which similarity on two posters are the same artwork: distorted copies among the posters of other films.

    python benchmarks/duplicates.py --shared ../shared --work DIR [--copied 200] [--strength 2] [--seed 1]

DIR is that of `benchmarks/look_alikes.py`, which stores the posters and their features there. Copies are distorted as
`features.distortion` does. A copy is found where its similarity to its own poster reaches the bound; precision is the
share of own posters among all posters that reach it with any copy.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.look_alikes import NETWORKS, network  # noqa: E402 - needs the path
from benchmarks.tables import print_header, print_row  # noqa: E402 - needs the path
from features.distortion import KINDS, Kind, distort, strengths_of  # noqa: E402 - needs the path

if TYPE_CHECKING:
    from features.store import FeatureStore

Rows = npt.NDArray[np.floating]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder of networks")
    parser.add_argument("--work", type=Path, required=True, help="where benchmarks/look_alikes.py stored features")
    parser.add_argument("--copied", type=int, default=200, help="posters that are copied")
    parser.add_argument("--strength", type=int, default=2, choices=(1, 2, 3, 4), help="of the distortions")
    parser.add_argument("--seed", type=int, default=1, help="of the posters and distortions")
    arguments = parser.parse_args()
    from features.store import FeatureStore
    from index.artwork import DUPLICATE_SIMILARITIES

    for name in NETWORKS:
        store = FeatureStore.open(arguments.work / name)
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
            precision = f"{n_found / n_reached:.3f}" if n_reached else "–"
            print_row(similarity, bound, precision, *(f"{one.mean():.2f}" for one in found.values()))


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


if __name__ == "__main__":
    main()
