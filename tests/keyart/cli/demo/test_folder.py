"""Which folders the demonstration may write to."""

from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.errors import ConfigError
from keyart.cli.demo.catalog import movies_csv
from keyart.cli.demo.folder import claim_folder
from keyart.pipeline.movielens import load
from tests.keyart.conftest import Run
from tests.records import rewrite_record


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _own_movielens(folder: Path) -> None:
    (folder / "movielens").mkdir(parents=True)
    (folder / "movielens" / "movies.csv").write_text("movieId,title,genres\n1,Mine (1990),Drama\n")


def _own_notes(folder: Path) -> None:
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")


def _own_record(folder: Path) -> None:
    folder.mkdir()
    (folder / "keyart-demo.json").write_text('{"kind": "mine"}')


def _later_version(folder: Path) -> None:
    claim_folder(folder)
    rewrite_record(folder / "keyart-demo.json", lambda record: {**record, "version": 99})


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (_own_movielens, "neither empty nor of an earlier `keyart demo`"),
        (_own_notes, "neither empty nor of an earlier `keyart demo`"),
        (_own_record, "another version of keyart"),
        (_later_version, "another version of keyart"),
        (lambda folder: folder.write_text("mine"), "is a file"),
    ],
)
def test_a_folder_in_other_use_is_refused_untouched(
    prepare: Callable[[Path], None], reason: str, tmp_path: Path, run: Run
) -> None:
    prepare(tmp_path / "out")
    before = _files(tmp_path)
    outcome = run("demo", "--out", tmp_path / "out")
    assert outcome.code == 1
    assert reason in outcome.err
    assert "--out DIR" in outcome.err
    assert outcome.out == ""
    assert _files(tmp_path) == before


def test_a_folder_below_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no folder .*no; create it first"):
        claim_folder(tmp_path / "no" / "demo")


def test_films_loaded_into_the_workspace_are_kept(tmp_path: Path, movielens: Path) -> None:
    claim_folder(tmp_path / "demo")
    load(tmp_path / "demo" / "workspace", movielens)
    with pytest.raises(ConfigError, match="holds other films than the demonstration's"):
        claim_folder(tmp_path / "demo")


def test_new_interrupted_and_earlier_demonstrations_are_accepted(tmp_path: Path) -> None:
    claim_folder(tmp_path / "new")
    claim_folder(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    claim_folder(tmp_path / "empty")
    # Earlier versions wrote no record.
    (tmp_path / "earlier" / "movielens").mkdir(parents=True)
    (tmp_path / "earlier" / "movielens" / "movies.csv").write_bytes(movies_csv())
    claim_folder(tmp_path / "earlier")
    assert (tmp_path / "earlier" / "movielens" / "movies.csv").read_bytes() == movies_csv()
    load(tmp_path / "earlier" / "workspace", tmp_path / "earlier" / "movielens")
    claim_folder(tmp_path / "earlier")
