"""Folders whose names are not UTF-8, as archives of other systems unpack them, hold what other folders hold."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from catalog.errors import DataError
from features.encoders.loading import load_backbone
from features.options import ExtractOptions
from keyart import pipeline
from keyart.workspace.films import loaded_files
from keyart.workspace.layout import Workspace
from tests.damage import flip_bit
from tests.keyart.conftest import Run


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9"))
    try:
        path.mkdir()
    except OSError:
        pytest.skip("this file system has only names of UTF-8")
    return path


def test_a_workspace_gives_the_same_answers_there(home: Path, odd_folder: Path, run: Run) -> None:
    right = run("similar", 1, "--csv", "--home", home)
    moved = Path(shutil.copytree(home, odd_folder / "workspace"))
    assert pipeline.check(moved).is_whole
    assert run("similar", 1, "--csv", "--home", moved).out == right.out


def test_a_data_set_is_loaded_from_there(movielens: Path, odd_folder: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(movielens, odd_folder / "movielens"))
    pipeline.load(tmp_path / "ws", source)
    assert loaded_files(Workspace.open(tmp_path / "ws"))[0].name == "movielens"


def test_a_network_there_is_refused_with_the_reason(odd_folder: Path) -> None:
    (odd_folder / "network.onnx").write_bytes(b"content")
    with pytest.raises(DataError, match="is not UTF-8"):
        load_backbone(ExtractOptions(str(odd_folder / "network.onnx"), preprocessing="caffe"), odd_folder)


def test_the_command_that_loads_again_can_be_copied(movielens: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(movielens, tmp_path / "my films"))
    home = tmp_path / "ws"
    pipeline.load(home, source)
    path = home / "catalog.sqlite"
    flip_bit(path, path.read_bytes().rindex(b"Comedy") + 1)
    (finding,) = [one for one in pipeline.check(home).findings if "catalog.sqlite" in one.path]
    assert f"keyart load '{source}'" in finding.remedy
