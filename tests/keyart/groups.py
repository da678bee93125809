"""Films in known groups, each of one genre and with features around one point; every poster has its own color."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from catalog.film import Film, FilmTag
from catalog.films import Catalog
from features.identity import Identity
from features.store import FeatureStore
from keyart.atlas.record import Atlas
from keyart.workspace.layout import Workspace
from posters.store import Origin, PosterStore, Source

GENRES = ("Horror", "Comedy", "Western")
N_FILMS = 60
N_COLUMNS = 64
IDENTITY = Identity("made-up", "ab" * 32, "ef" * 32, "antialias", N_COLUMNS)
ORIGIN = {"backbone": "made-up", "weights": "imagenet", "seed": 0, "engine": "keras"}


def group(movie_id: int) -> int:
    return movie_id % len(GENRES)


def features_of(movie_id: int) -> npt.NDArray[np.float32]:
    """Deterministic features near the center of the film's group."""
    center = np.random.default_rng(group(movie_id)).random(N_COLUMNS)
    return (center + 0.15 * np.random.default_rng(1000 + movie_id).random(N_COLUMNS)).astype(np.float32)


def color_of(movie_id: int) -> tuple[int, int, int]:
    return (movie_id * 37 % 256, movie_id * 91 % 256, movie_id * 151 % 256)


def poster_of(movie_id: int) -> bytes:
    stream = io.BytesIO()
    picture = Image.new("RGB", (100, 150), color_of(movie_id))
    # A poster of a single color would be rejected as a placeholder.
    picture.paste("white", (0, 0, 100, 30))
    picture.paste("black", (0, 120, 100, 150))
    picture.save(stream, "PNG")
    return stream.getvalue()


def add_posters(workspace: Workspace, movie_ids: Iterable[int], looking_like: int | None = None) -> None:
    """Add posters and features of films, or those of another film in their place."""
    store = FeatureStore.create(workspace.features_dir, IDENTITY, ORIGIN)
    rows = []
    with PosterStore.open(workspace.posters_dir) as posters, posters.writer_lock():
        for movie_id in movie_ids:
            poster = posters.put(movie_id, poster_of(looking_like or movie_id), Origin(Source.IMPORT))
            rows.append((movie_id, poster.sha256, 100, 150, poster.path.name))
        posters.confirm()
    table = pd.DataFrame(rows, columns=["movie_id", "poster_sha256", "width", "height", "source"])
    table = table.astype({"movie_id": np.int64, "width": np.int32, "height": np.int32})
    numbers = [features_of(looking_like or movie_id) for movie_id in table["movie_id"]]
    store.append(table, np.stack(numbers).astype(np.float16))


def list_films(workspace: Workspace, movie_ids: Iterable[int]) -> None:
    """Write the catalog; every third horror film is tagged, by two users."""
    films = [Film(number, f"Film {number}", 1950 + number, genres=(GENRES[group(number)],)) for number in movie_ids]
    tags = [FilmTag(film.movie_id, "creepy", 2) for film in films if film.movie_id % 9 == 0]
    tags += [FilmTag(film.movie_id, "my shelf", 1) for film in films if group(film.movie_id) == 1]
    Catalog.create(workspace.catalog_path, films, {"numbering": "movielens", "source": "test"}, tags=tags)


def arrange(workspace: Workspace) -> None:
    """Set positions of an atlas that are the same on every machine: a block per group, and film 8 beside 7."""
    atlas = Atlas.open(workspace.atlas_dir)
    block, number = atlas.movie_ids % len(GENRES), atlas.movie_ids // len(GENRES)
    positions = np.stack([0.75 * (block - 1) + 0.12 * (number % 4), 0.3 * (number // 4) - 0.75], axis=1)
    positions[atlas.movie_ids == 8] = positions[atlas.movie_ids == 7] + [0.02, 0]
    replace(atlas, positions=positions.astype(np.float32)).save(workspace.atlas_dir)


def make_groups(home: Path) -> Workspace:
    workspace = Workspace.create(home)
    list_films(workspace, range(1, N_FILMS + 1))
    add_posters(workspace, range(1, N_FILMS + 1))
    return workspace
