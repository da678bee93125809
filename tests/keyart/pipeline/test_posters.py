"""Poster files imported into a workspace."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from features.options import ExtractOptions
from keyart.engine import Engine
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import Run


def test_import_takes_a_path_as_text_and_reports_a_dictionary(home: Path, poster_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(poster_folder, tmp_path / "posters"))
    shutil.copy(folder / "1.jpg", folder / "999.jpg")
    (folder / "2.jpg").write_text("no image")
    report = import_posters(str(home), str(folder), "movie").to_dict()
    assert json.loads(json.dumps(report)) == report
    assert (report["n_imported"], report["n_unchanged"]) == (0, 4)
    assert report["unmatched"] == [str(folder / "999.jpg")]
    assert [one["path"] for one in report["rejected"]] == [str(folder / "2.jpg")]


def test_only_new_or_changed_posters_are_extracted(home: Path, poster_folder: Path, backbone_path: Path) -> None:
    workspace, how = Workspace.open(home), ExtractOptions(str(backbone_path))
    assert extract(workspace, how).n_new == 0
    folder = home / "more"
    folder.mkdir()
    shutil.copy(poster_folder / "2.jpg", folder / "1.jpg")
    shutil.copy(poster_folder / "2.jpg", folder / "4.jpg")
    import_posters(workspace, folder, "movie")
    report = extract(workspace, how)
    assert (report.n_new, report.n_known) == (2, 4)
    build(workspace)
    (first, *_) = Engine.open(home).similar(4, alpha=1)
    assert (first.movie_id, first.visual) == (1, pytest.approx(1, abs=1e-5))


def test_posters_that_nobody_registered_are_kept(
    run: Run, movielens: Path, poster_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMDB_API_KEY", "0" * 32)
    home = tmp_path / "home"
    load(home, movielens)
    own = Workspace.open(home).posters_dir
    own.mkdir()
    shutil.copy(poster_folder / "2.jpg", own / "1.jpg")
    for words in (["fetch"], ["import", poster_folder, "--by", "movie"]):
        outcome = run(*words, "--home", home)
        assert outcome.code == 1
        assert f"register them with `keyart import {own} --by movie" in outcome.err
    assert [path.name for path in own.iterdir()] == ["1.jpg"]
    assert run("import", own, "--by", "movie", "--home", home).code == 0
    assert (own / "1.jpg").read_bytes() == (poster_folder / "2.jpg").read_bytes()
    assert run("import", poster_folder, "--by", "movie", "--home", home).code == 0
