"""A small workspace whose network is a file of ONNX, which is loaded and run in milliseconds."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from catalog.io.files import write_bytes
from features.options import ExtractOptions
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.workspace.layout import Workspace
from tests.posters.pictures import draw_poster

N_FILMS, N_USERS = 12, 16
_SIDE, _N_CHANNELS = 32, 4


def save_network(path: Path) -> Path:
    """Save a network that gives maps of 4 × 4 × 4 numbers."""
    weights = np.random.default_rng(0).normal(size=(_N_CHANNELS, 3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["pictures"], ["coarse"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Conv", ["coarse", "weights"], ["maps"]),
    ]
    pictures = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["n", 3, _SIDE, _SIDE])
    maps = helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", _N_CHANNELS, _SIDE // 8, _SIDE // 8])
    graph = helper.make_graph(nodes, "small", [pictures], [maps], [numpy_helper.from_array(weights, "weights")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    path.with_suffix(".json").write_text('{"preprocessing": "caffe"}')
    return path


def write_films(folder: Path, seed: int = 0, n_films: int = N_FILMS) -> Path:
    """Write films with genres and ratings, other ones for another seed, as a MovieLens folder."""
    rng = Random(seed)
    films = [f"{film},Film {film} ({1980 + film}),{'Drama' if film % 2 else 'Comedy'}" for film in _films(n_films)]
    links = [f"{film},{film:07},{100 + film}" for film in _films(n_films)]
    ratings = [
        f"{user},{film},{rng.choice([1, 2, 4, 5])},{film}"
        for user in range(1, N_USERS + 1)
        for film in _films(n_films)
        if rng.random() < 0.7
    ]
    for name, header, lines in (
        ("movies", "movieId,title,genres", films),
        ("links", "movieId,imdbId,tmdbId", links),
        ("ratings", "userId,movieId,rating,timestamp", ratings),
    ):
        write_bytes(folder / f"{name}.csv", "\n".join([header, *lines]).encode())
    return folder


def write_posters(folder: Path, seed: int = 0, n_films: int = N_FILMS) -> Path:
    """Draw a poster for each film, other ones for another seed; their files are named by movie_id."""
    for film in _films(n_films):
        write_bytes(folder / f"{film}.jpg", draw_poster(1000 * seed + film, size=(60, 90)))
    return folder


def _films(n_films: int) -> range:
    return range(1, n_films + 1)


def make_workspace(folder: Path) -> Path:
    """Make a workspace with posters, features and index; its sources are in folders beside it."""
    home = folder / "workspace"
    load(home, write_films(folder / "films"))
    import_posters(home, write_posters(folder / "posters"), "movie")
    extract(home, ExtractOptions(str(save_network(folder / "network.onnx"))))
    build(Workspace.open(home))
    return home


def layout(home: Path) -> list[str]:
    """List the files of a workspace, random and hashed parts of their names left out."""
    names = (path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    return sorted(re.sub(r"[0-9a-f]{8,}", "*", name) for name in names)
