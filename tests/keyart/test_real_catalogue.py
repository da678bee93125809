"""All steps on real films, ratings and posters, with a trained network."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

import keyart
from keyart.engine import Engine
from keyart.pipeline.movielens import load
from tests.keyart.conftest import Run

N_POSTERS = 300


@pytest.fixture(scope="module")
def real_home(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from features.options import ExtractOptions
    from keyart.pipeline.features import extract
    from keyart.pipeline.index import build
    from keyart.pipeline.posters import import_posters
    from keyart.workspace.layout import Workspace

    root = tmp_path_factory.mktemp("real")
    folder = root / "posters"
    folder.mkdir()
    for path in sorted((shared / "data" / "posters").glob("*.jpg"))[:: 2000 // N_POSTERS][:N_POSTERS]:
        (folder / path.name).symlink_to(path)
    load(root / "home", shared / "data" / "ml-latest-small")
    workspace = Workspace.open(root / "home")
    assert import_posters(workspace, folder, "imdb").n_imported == N_POSTERS
    options = ExtractOptions(str(shared / "weights" / "squeezenet_v1_1_imagenet.keras"), preprocessing="caffe")
    assert extract(workspace, options).n_new == N_POSTERS
    assert build(workspace).n_indexed == N_POSTERS
    return root / "home"


def test_finds_similar_films_by_title(real_home: Path, run: Run) -> None:
    engine = Engine.open(real_home)
    known = [film for film in engine.catalog if (real_home / "posters" / f"{film.movie_id}.jpg").exists()]
    most_rated = sorted(known, key=lambda film: -film.n_ratings)[:5]
    for film in most_rated:
        result = json.loads(run("similar", film.label, "--json", "--home", real_home).out)
        names = ("movie_id", "title", "year", "imdb_id", "tmdb_id")
        assert result["query"] == {name: getattr(film, name) for name in names}
        assert len(result["results"]) == 10
        scores = [hit["score"] for hit in result["results"]]
        assert scores == sorted(scores, reverse=True)
        assert film.movie_id not in {hit["movie_id"] for hit in result["results"]}


def test_a_film_without_a_poster_is_compared_by_its_ratings(real_home: Path, run: Run) -> None:
    outcome = run("similar", "Matrix, The (1999)", "--home", real_home)
    assert "The Matrix (1999) has no poster: compared by ratings and content" in outcome.err
    assert "Fight Club (1999)" in outcome.out or "Star Wars" in outcome.out


def test_a_copy_of_a_poster_finds_its_film(real_home: Path, tmp_path: Path) -> None:
    """The copies are cropped, smaller, darker and compressed, as posters on other sites are."""
    engine = Engine.open(real_home)
    found = 0
    paths = sorted((real_home / "posters").glob("*.jpg"))[::15]
    for path in paths:
        with Image.open(path) as poster:
            width, height = poster.size
            copy = poster.convert("RGB").crop((4, 6, width - 4, height - 6)).resize((140, 205))
        copy.point(lambda value: round(0.9 * value)).save(tmp_path / "copy.jpg", quality=60)
        found += engine.similar(keyart.Image(tmp_path / "copy.jpg"), k=1).hits[0].movie_id == int(path.stem)
    assert found >= 0.9 * len(paths)


@pytest.mark.release
def test_another_network_finds_films_by_other_posters_of_theirs(shared: Path, tmp_path: Path, run: Run) -> None:
    """A network of its own preprocessing and 62,720 numbers, from the command line."""
    with (shared / "data/posters-alternate/pairs.csv").open() as stream:
        pairs = [pair for pair in csv.DictReader(stream) if float(pair["phash_distance"]) >= 0.15][:40]
    (tmp_path / "posters").mkdir()
    for pair in pairs:
        name = f"{pair['imdb_id']}.jpg"
        (tmp_path / "posters" / name).symlink_to(shared / "data/posters" / name)
    home = ("--home", tmp_path / "home")
    run("load", shared / "data/ml-latest-small", *home)
    run("import", tmp_path / "posters", "--by", "imdb", *home)
    network = ("--encoder", shared / "weights/efficientnet_lite0_imagenet.keras")
    assert run("extract", *network, "--preprocessing", "rgb,127,128", *home).code == 0
    assert run("extract", *network, *home).code == 0
    assert run("extract", *network, "--preprocessing", "caffe", *home).code == 1
    run("build", "--index", "shortlist", *home)
    ranks = []
    with keyart.open(home[1]) as engine:
        for pair in pairs:
            other = keyart.Image(shared / "data/posters-alternate" / f"{pair['movie_id']}.jpg")
            ranks.append([hit.movie_id for hit in engine.similar(other, k=40)].index(int(pair["movie_id"])) + 1)
        found = engine.explain(*(int(pair["movie_id"]) for pair in pairs[:2]))
    # By chance 0.11.
    assert sum(1 / rank for rank in ranks) / len(ranks) > 0.6
    assert found.grid.shape == (7, 7)
    assert found.grid.sum() == pytest.approx(found.similarity)
