"""Fixtures for the tests of `keyart`: small workspaces, built once and copied for each test."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from catalog.io.files import write_bytes
from features.options import ExtractOptions
from keyart.cli import main
from keyart.engine import Engine
from keyart.pipeline.encoders import remove_encoder
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.workspace.encoders import list_encoders, name_of
from keyart.workspace.layout import Workspace
from tests.installation import Demonstration
from tests.posters.pictures import draw_poster

# Films 1 to 4 are rated by everyone, 5 by one user, 6 by nobody; 4 has no poster; two share a title.
MOVIES = """movieId,title,genres
1,"Harbour, The (1990)",Drama
2,Twin (1991),Drama
3,Twin (1992),Comedy
4,No Poster (1993),(no genres listed)
5,Seldom Seen (1994),Drama
6,Café Zürich (a.k.a. Coffee) (1995),Drama
"""
LINKS = """movieId,imdbId,tmdbId
1,0000011,101
2,0000012,102
3,0000013,103
4,0000014,104
5,0000015,
6,0000016,106
"""


@dataclass(frozen=True)
class Outcome:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run commands in this process, so that TensorFlow is imported once."""

    def typed(*words: str | Path) -> Outcome:
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        captured = capfd.readouterr()
        return Outcome(int(left.value.code or 0), captured.out, captured.err)

    return typed


def write_movielens(folder: Path) -> Path:
    """Write the small catalog as a MovieLens folder with seeded ratings."""
    rng = Random(0)
    write_bytes(folder / "movies.csv", MOVIES.encode())
    write_bytes(folder / "links.csv", LINKS.encode())
    with (folder / "ratings.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["userId", "movieId", "rating", "timestamp"])
        for user in range(1, 41):
            # 1 and 2 are liked by the same users, 3 and 4 by the others.
            likes = (1, 2) if user % 2 else (3, 4)
            for movie_id in (1, 2, 3, 4):
                writer.writerow([user, movie_id, rng.choice([4, 4.5, 5] if movie_id in likes else [1, 1.5, 2]), user])
        writer.writerow([1, 5, 3, 1])
    return folder


@pytest.fixture(scope="session")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_movielens(tmp_path_factory.mktemp("movielens"))


@pytest.fixture(scope="session")
def poster_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Posters named by movie_id; 1 and 3 are nearly the same picture."""
    folder = tmp_path_factory.mktemp("pictures")
    for movie_id, seed in ((1, 1), (2, 2), (3, 1), (5, 5), (6, 6)):
        write_bytes(folder / f"{movie_id}.jpg", draw_poster(seed, size=(120, 180)))
    with Image.open(folder / "3.jpg") as image:
        changed = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changed.save(folder / "3.jpg", quality=90)
    return folder


def save_tiny_network(path: Path, seed: int = 0) -> None:
    """Save a network small enough for tests: one convolution on coarse pixels, 7 × 7 × 8 numbers."""
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            layers.AveragePooling2D(16),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
        ],
        name="tiny",
    )
    network.save(path)
    path.with_suffix(".json").write_text('{"preprocessing": "caffe"}')


@pytest.fixture(scope="session")
def backbone_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backbone") / "tiny.keras"
    save_tiny_network(path)
    return path


@pytest.fixture(scope="session")
def other_backbone_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backbone") / "Other One.keras"
    save_tiny_network(path, seed=1)
    return path


@pytest.fixture(scope="session")
def _built_home(
    movielens: Path, poster_folder: Path, backbone_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    home = tmp_path_factory.mktemp("built") / "workspace"
    load(home, movielens)
    workspace = Workspace.open(home)
    import_posters(workspace, poster_folder, "movie")
    extract(workspace, ExtractOptions(str(backbone_path)))
    build(workspace)
    return home


@pytest.fixture
def home(_built_home: Path, tmp_path: Path) -> Path:
    """A workspace with posters, features and index; a copy for each test."""
    return Path(shutil.copytree(_built_home, tmp_path / "workspace"))


@pytest.fixture(scope="session")
def _built_home_of_two(_built_home: Path, other_backbone_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Path(shutil.copytree(_built_home, tmp_path_factory.mktemp("built-two") / "workspace"))
    extract(home, ExtractOptions(str(other_backbone_path), preprocessing="caffe"))
    build(home)
    return home


@pytest.fixture
def home_of_two(_built_home_of_two: Path, tmp_path: Path) -> Path:
    """A workspace with features and indexes of two encoders, tiny and other-one; a copy for each test."""
    return Path(shutil.copytree(_built_home_of_two, tmp_path / "two"))


@pytest.fixture
def engine(home: Path) -> Engine:
    return Engine.open(home)


# Two tastes: even users rate dramas, odd users comedies; the later half of the films is liked.
N_USERS, N_FILMS = 40, 40


def write_tastes(folder: Path) -> Path:
    """Write films of two genres as a MovieLens folder, each with a poster; film 41 is an unrated drama."""
    rng = Random(0)
    genres = {film: "Drama" if film % 2 == 0 else "Comedy" for film in range(1, N_FILMS + 1)} | {N_FILMS + 1: "Drama"}
    films = [f"{film},Film {film} ({1960 + film}),{genre}" for film, genre in genres.items()]
    write_bytes(folder / "movies.csv", "\n".join(["movieId,title,genres", *films]).encode())
    ratings = [
        f"{user},{film},{4.5 if film > N_FILMS // 2 else 2.5},{film}"
        for user in range(1, N_USERS + 1)
        for film in range(1, N_FILMS + 1)
        if rng.random() < (0.6 if user % 2 == film % 2 else 0.05)
    ]
    write_bytes(folder / "ratings.csv", "\n".join(["userId,movieId,rating,timestamp", *ratings]).encode())
    for film in genres:
        write_bytes(folder / "posters" / f"{film}.jpg", draw_poster(film, size=(60, 90)))
    return folder


@pytest.fixture(scope="session")
def tastes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tastes(tmp_path_factory.mktemp("tastes"))


@pytest.fixture(scope="session")
def _built_tastes(tastes: Path, backbone_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("built-tastes") / "workspace"
    load(home, tastes)
    workspace = Workspace.open(home)
    import_posters(workspace, tastes / "posters", "movie")
    extract(workspace, ExtractOptions(str(backbone_path)))
    build(workspace)
    return home


@pytest.fixture
def tastes_home(_built_tastes: Path, tmp_path: Path) -> Path:
    """A workspace of two tastes with posters, features and index; a copy for each test."""
    return Path(shutil.copytree(_built_tastes, tmp_path / "tastes"))


@pytest.fixture(scope="session")
def pair_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair of networks that aligns words with the demonstration's posters."""
    word_pair = pytest.importorskip("tests.word_pair")
    return Path(word_pair.save_pair(tmp_path_factory.mktemp("encoders") / "pair"))


@pytest.fixture(scope="session")
def built_words(demonstration: Demonstration, pair_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("built-words") / "workspace"
    shutil.copytree(demonstration.folder / "workspace", home)
    workspace = Workspace.open(home)
    for encoder in list_encoders(workspace):
        remove_encoder(home, name_of(encoder))
    extract(workspace, ExtractOptions(pair_folder))
    build(workspace)
    return home


@pytest.fixture
def words_home(built_words: Path, tmp_path: Path) -> Path:
    """The demonstration's workspace with features of a pair that takes words; a copy for each test."""
    return Path(shutil.copytree(built_words, tmp_path / "words"))
