"""What is no file, such as a pipe, hangs nothing and does not pass for a file that is not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

import keyart
from catalog.errors import ConfigError, DataError, KeyartError
from catalog.film_ids import read_film_ids
from catalog.io.files import check_input, read_bytes, read_input
from cf.ratings import read_ratings
from features.preprocessing_files import read_preprocessing
from keyart import pipeline
from keyart.recommend.personal_files import read_personal_file
from keyart.workspace.settings import Secret, Setting
from posters.id_export import read_live_ids
from tests.faults.damage import KINDS, Damaged, make_whole
from tests.keyart.conftest import Run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes and devices are those of POSIX")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.mkdir()


MAKE: dict[str, Callable[[Path], None]] = {"pipe": os.mkfifo, "endless": _endless, "loop": _loop, "folder": _folder}


@pytest.fixture(params=sorted(MAKE))
def make(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    return MAKE[request.param]


READERS: dict[str, Callable[[Path], object]] = {
    "a.bin": check_input,
    "b.bin": read_input,
    "ratings.csv": read_ratings,
    "ratings.dat": read_ratings,
    "ratings.parquet": read_ratings,
    "u.data": read_ratings,
    "ids.txt": read_film_ids,
    "own.csv": read_personal_file,
    "preprocessing.json": read_preprocessing,
    "export.json.gz": lambda path: read_live_ids(str(path), [1], lambda _address, _what: b""),
}


@pytest.mark.parametrize("name", sorted(READERS))
def test_readers_refuse_what_is_no_file(tmp_path: Path, make: Callable[[Path], None], name: str) -> None:
    make(tmp_path / name)
    with pytest.raises((DataError, ConfigError), match=name):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("name", ["movies.csv", "ratings.csv", "links.csv", "tags.csv"])
def test_load_does_not_pass_over_what_it_cannot_read(
    movielens: Path, tmp_path: Path, make: Callable[[Path], None], name: str
) -> None:
    folder = Path(shutil.copytree(movielens, tmp_path / "data"))
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    with pytest.raises(DataError, match=f"cannot read .*{name}"):
        pipeline.load(tmp_path / "home", folder)


def test_load_refuses_a_source_that_is_no_file(tmp_path: Path, make: Callable[[Path], None], movielens: Path) -> None:
    for name in ("films.csv", "data.zip", "films.csv.gz"):
        make(tmp_path / name)
        with pytest.raises(KeyartError, match=r"data|films"):
            pipeline.load(tmp_path / "home", tmp_path / name)
    make(tmp_path / "stars.csv")
    with pytest.raises(KeyartError, match="stars"):
        pipeline.load(tmp_path / "home", movielens, tmp_path / "stars.csv")


def test_images_are_refused(home: Path, tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "poster.jpg"
    make(path)
    with keyart.open(home) as engine, pytest.raises(DataError, match=r"poster\.jpg"):
        engine.similar(keyart.Image(path))
    with pytest.raises(DataError, match=r"cannot be read|it is|expected"):
        pipeline.add(home, [keyart.NewFilm(path, title="New")])


def test_import_rejects_them_and_goes_on(home: Path, poster_folder: Path, tmp_path: Path, make) -> None:
    folder = Path(shutil.copytree(poster_folder, tmp_path / "pictures"))
    (folder / "2.jpg").unlink()
    make(folder / "2.jpg")
    report = pipeline.import_posters(home, folder, "movie")
    assert report.n_unchanged == 4
    table = tmp_path / "posters.csv"
    table.write_text("movie_id,path\n2,pictures/2.jpg\n")
    report = pipeline.import_posters(home, table)
    assert [path.name for path, _ in report.rejected] == ["2.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        *("workspace.json", "catalog.sqlite.json", "catalog.sqlite", "posters/posters.sqlite", "hybrid.json"),
        *("posters/posters.sqlite.json", "features/features.json", "index/index.json", "features/features-00000.json"),
    ],
)
def test_records_are_refused(home: Path, make: Callable[[Path], None], name: str, run: Run) -> None:
    right = run("similar", 1, "--csv", "--home", home).out
    (home / name).unlink(missing_ok=True)
    make(home / name)
    for words in (("similar", 1, "--csv"), ("info",), ("check",), ("build",)):
        outcome = run(*words, "--home", home)
        assert "unexpected" not in outcome.err
        if words[0] == "similar":
            assert outcome.code != 0 or outcome.out == right


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("sklearn")
    return Damaged(make_whole(tmp_path_factory.mktemp("whole")), tmp_path_factory.mktemp("damaged"))


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_no_file_of_a_workspace_is_waited_for(damaged: Damaged, kind: str) -> None:
    def replace(path: Path) -> None:
        path.unlink()
        os.mkfifo(path)

    name = damaged.file_of(kind, Random(kind))
    assert not damaged.wrong_with(name, replace, frozenset({"similar", "cold-start", "info"}))


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["hybrid.json", "looks/looks.json", "looks/*.npz", "index/*.npz", "atlas/*.webp"])
def test_no_file_of_a_workspace_is_read_without_a_bound(damaged: Damaged, kind: str) -> None:
    def replace(path: Path) -> None:
        path.unlink()
        _endless(path)

    name = damaged.file_of(kind, Random(kind))
    assert not damaged.wrong_with(name, replace)


def test_a_file_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(101))
    assert len(read_bytes(tmp_path / "large", 101)) == 101
    with pytest.raises(DataError, match="it has more than 100 bytes"):
        read_bytes(tmp_path / "large", 100)


def test_a_file_of_a_secret_is_bounded(tmp_path: Path, make, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "key")
    monkeypatch.setenv("A_KEY_FILE", str(tmp_path / "key"))
    secret = Secret("key", Setting("A_KEY", None, ""), Setting("A_KEY_FILE", None, ""))
    with pytest.raises(ConfigError, match="cannot be read as text"):
        secret.value()
