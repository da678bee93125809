"""Poster files imported into a workspace."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from features.encoders.keras import BackboneChoice
from keyart.engine import Engine
from keyart.pipeline.features import Extraction, extract
from keyart.pipeline.index import build
from keyart.pipeline.posters import import_posters
from keyart.workspace.layout import Workspace


def test_only_new_or_changed_posters_are_extracted(home: Path, poster_folder: Path, backbone_path: Path) -> None:
    workspace, how = Workspace.open(home), Extraction(BackboneChoice(str(backbone_path)))
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
