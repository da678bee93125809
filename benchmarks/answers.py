"""Measure queries of an open engine on ten thousand films: blended, and for new films alone and in a batch.

Films and ratings are those of ml-latest-small; films without a poster get one of the shared posters, cropped and
mirrored, so that each film has its own. Blended queries are compared with a scan of all features by FAISS' flat index,
new films with the network that embeds their posters::

    python benchmarks/answers.py --shared ../shared --work DIR

DIR keeps the workspace between runs. With ``--texts`` only descriptions are measured, on 20,000 invented films of 512
numbers each, with a text network that only looks up words::

    python benchmarks/answers.py --texts --work DIR
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

N_QUERIES, N_NEW, N_BATCH, N_DESCRIBED = 300, 60, 1000, 20_000
WORDS = [f"word{number}" for number in range(5000)]
NETWORK = "weights/squeezenet_v1_1_imagenet.keras"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--texts", action="store_true", help="measure descriptions only")
    arguments = parser.parse_args()
    from keyart.engine import Engine

    if arguments.texts:
        measure_texts(arguments.work / "texts")
        return
    if arguments.shared is None:
        parser.error("--shared DIR has the films and posters")
    home = arguments.work / "workspace"
    if not (home / "index" / "index.json").is_file():
        prepare(arguments.shared, arguments.work, home)
    engine = Engine.open(home)
    print("| what | median | 95th percentile | beside |\n|---|---|---|---|")
    measure_blend(engine)
    measure_new_films(engine, sorted((arguments.work / "posters").glob("*.jpg")))


def prepare(shared: Path, work: Path, home: Path) -> None:
    """Make a workspace in which every film has a poster."""
    from catalog.io.progress import bar
    from features.options import ExtractOptions
    from keyart.pipeline.features import extract
    from keyart.pipeline.index import build
    from keyart.pipeline.movielens import load
    from keyart.pipeline.posters import import_posters
    from keyart.workspace.layout import Workspace

    folder, posters = shared / "data" / "ml-latest-small", work / "posters"
    posters.mkdir(parents=True, exist_ok=True)
    with (folder / "links.csv").open() as stream:
        imdb_ids = {int(row["movieId"]): row["imdbId"] for row in csv.DictReader(stream)}
    own = {movie_id: shared / "data" / "posters" / f"{imdb_id}.jpg" for movie_id, imdb_id in imdb_ids.items()}
    real = [path for path in own.values() if path.is_file()]
    rng = np.random.default_rng(0)
    for number, (movie_id, path) in enumerate(sorted(own.items())):
        with Image.open(path if path.is_file() else real[number % len(real)]) as picture:
            drawn = picture.convert("RGB") if path.is_file() else altered(picture.convert("RGB"), rng)
            drawn.save(posters / f"{movie_id}.jpg", quality=90)
    load(home, folder)
    workspace = Workspace.open(home)
    import_posters(workspace, posters, "movie", progress=bar)
    extract(workspace, ExtractOptions(str(shared / NETWORK), preprocessing="caffe"), progress=bar)
    build(workspace, progress=bar)


def altered(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Crop up to a fifth off each side, and mirror."""
    width, height = picture.size
    left, top, right, bottom = (rng.random(4) * 0.2 * np.array([width, height, width, height])).tolist()
    return ImageOps.mirror(picture.crop((left, top, width - right, height - bottom)))


def measure_blend(engine) -> None:
    """Measure queries for films with posters and ratings, and the scan alone."""
    import faiss

    films = [film.movie_id for film in engine.catalog if film.n_ratings > 1]
    queries = np.random.default_rng(1).permutation(films)[:N_QUERIES].tolist()
    engine.similar(queries[0])
    index = engine._index  # Its number of rows and columns.
    units = np.random.default_rng(2).random((1, index.n_features), dtype=np.float32)
    flat = faiss.IndexFlatIP(index.n_features)
    flat.add(np.random.default_rng(3).random((len(index), index.n_features), dtype=np.float32))
    scan = times(lambda _: flat.search(units, len(index)), queries[:60])
    for label, query in (
        ("`similar`, blended", lambda movie_id: engine.similar(movie_id)),
        ("`similar`, looks alone", lambda movie_id: engine.similar(movie_id, alpha=1.0)),
        ("`similar`, ratings alone", lambda movie_id: engine.similar(movie_id, alpha=0.0)),
    ):
        found = times(query, queries)
        print_row(
            label, found, f"{np.median(found) / np.median(scan):.2f} × a scan of {len(index):,} rows by FAISS flat"
        )
    print_row("FAISS flat, all rows", scan, "")


def measure_new_films(engine, posters: Sequence[Path]) -> None:
    """Measure predictions for new films one by one and a thousand at once, and the network alone."""
    from features.images import read_image
    from keyart.cold_start.new_film import NewFilm, describe

    def new_films(n: int) -> list[NewFilm]:
        # New objects each time, because images cache their embeddings.
        return [describe(path, "New", 1999, "Comedy", known_genres=known) for path in posters[:n]]

    known = engine.catalog.genres()
    engine.cold_start(new_films(1))
    engine.cold_start(new_films(2))
    pictures = [read_image(path)[0][None] for path in posters[:N_NEW]]
    alone = times(engine.encoder, pictures)
    found = times(lambda film: engine.cold_start([film]), new_films(N_NEW))
    print_row(
        "`cold_start`, one film",
        found,
        f"network {np.median(alone):.1f} ms; all else {np.median(found) - np.median(alone):.1f} ms",
    )
    films = new_films(N_BATCH)
    (whole,) = times(engine.cold_start, [films])
    each = whole / len(films)
    print_row(
        f"`cold_start`, {len(films):,} at once, a film",
        [each],
        f"{np.median(found) / each:.1f} × as fast as one by one",
    )


def measure_texts(work: Path) -> None:
    """Measure descriptions alone and with a film, each of them new, and the text network alone."""
    from keyart.engine import Engine
    from keyart.similarity.query import Mix, Text

    home = work / "workspace"
    if not (home / "index" / "index.json").is_file():
        prepare_texts(work, home)
    engine, rng = Engine.open(home), np.random.default_rng(4)
    films = [film.movie_id for film in engine.catalog]
    described = [[" ".join(words) for words in rng.choice(WORDS, (N_QUERIES, 5))] for _ in range(3)]
    engine.similar(Mix([Text(WORDS[0]), films[0]]))
    embed = engine.encoder.text
    alone = times(lambda words: embed([words]), described[0])
    print("| what | median | 95th percentile | beside |\n|---|---|---|---|")
    queries = [Mix([Text(words), film]) for words, film in zip(described[2], films, strict=False)]
    for label, texts in (("`similar`, a description", list(map(Text, described[1]))), ("with a film", queries)):
        began = time.process_time()
        found = times(engine.similar, texts)
        processor_ms = 1000 * (time.process_time() - began) / len(texts)
        print_row(label, found, f"text network {np.median(alone):.1f} ms; {processor_ms:.1f} ms of processor time")


def prepare_texts(work: Path, home: Path) -> None:
    """Make a workspace of invented features, and a text network that adds up invented rows of words."""
    import onnx
    import pandas as pd
    from onnx import TensorProto, helper, numpy_helper
    from tokenizers import Tokenizer, models, pre_tokenizers

    from features.identity import Identity
    from features.options import ExtractOptions
    from features.store import FeatureStore
    from keyart.pipeline.index import build
    from keyart.pipeline.movielens import load
    from keyart.pipeline.posters import import_posters
    from keyart.workspace.films import list_posters
    from keyart.workspace.layout import Workspace

    films, pair, rng = work / "films", work / "pair", np.random.default_rng(5)
    (films / "posters").mkdir(parents=True, exist_ok=True)
    pair.mkdir(exist_ok=True)
    rows = [f"{film},Film {film} ({1930 + film % 90}),Drama" for film in range(1, N_DESCRIBED + 1)]
    (films / "movies.csv").write_text("\n".join(["movieId,title,genres", *rows]), encoding="utf-8")
    for film in range(1, N_DESCRIBED + 1):
        noise = rng.integers(0, 256, (90, 60, 3), np.uint8)
        Image.fromarray(noise).save(films / "posters" / f"{film}.jpg")
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(("<pad>", *WORDS))}, "<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(pair / "tokenizer.json"))
    (pair / "tokenizer_config.json").write_text('{"pad_token": "<pad>", "model_max_length": 77}')
    table = rng.standard_normal((len(WORDS) + 1, 512)).astype(np.float32)
    constants = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axis"], ["text_embeds"], keepdims=0),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "length"])
    output = helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, ["n", 512])
    graph = helper.make_graph(nodes, "words", [ids], [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, pair / "textual.onnx")
    for name in ("visual.onnx", "preprocess_cfg.json"):
        (pair / name).touch()
    load(home, films)
    workspace = Workspace.open(home)
    import_posters(workspace, films / "posters", "movie")
    posters = list_posters(workspace)
    identity = Identity("invented", "0" * 64, "0" * 64, "antialias", 512)
    store = FeatureStore.create(workspace.features_dir, identity, ExtractOptions(str(pair)).origin, map_shape=(512,))
    columns = {"movie_id": [one.movie_id for one in posters], "poster_sha256": [one.sha256 for one in posters]}
    # Rows of a network have much in common.
    shared = 2 * rng.standard_normal(512)
    store.append(pd.DataFrame(columns), (shared + rng.standard_normal((len(posters), 512))).astype(np.float16))
    build(workspace)


def times(function: Callable, arguments: Sequence) -> list[float]:
    """Time a call with each argument, in milliseconds."""
    found = []
    for argument in arguments:
        started = time.perf_counter()
        function(argument)
        found.append(1000 * (time.perf_counter() - started))
    return found


def print_row(label: str, found: Sequence[float], beside: str) -> None:
    print(f"| {label} | {np.median(found):.1f} ms | {np.percentile(found, 95):.1f} ms | {beside} |", flush=True)


if __name__ == "__main__":
    main()
