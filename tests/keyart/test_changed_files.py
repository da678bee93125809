"""Files that changed behind the back of their checksums, at equal length, are noticed by whatever reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keyart
from catalog.errors import DamageError, DataError, StoreError
from features.options import ExtractOptions
from features.store import FeatureStore
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.atlas.record import Atlas
from keyart.cold_start.content import open_looks
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.pipeline.integrity import check
from keyart.pipeline.posters import import_posters
from keyart.render.drawing import read_shown
from keyart.web.services.atlas import AtlasService
from keyart.web.services.thumbnails import Thumbnails
from keyart.workspace.layout import Workspace
from tests.damage import flip_bit


def features_of(home: Path) -> dict[int, bytes]:
    store = FeatureStore.open(home / "features")
    rows = store.rows()
    return {
        movie_id: row.tobytes()
        for movie_id, row in zip(rows.movie_ids.tolist(), np.concatenate([*store.blocks(rows)]), strict=True)
    }


def put_another_in_place(path: Path, other: Path) -> bytes:
    """Replace a poster by another one of the same length; returns what it was."""
    before, content = path.read_bytes(), other.read_bytes()
    shared = min(len(before), len(content))
    path.write_bytes(content[:shared] + bytes(len(before) - shared))
    return before


def test_features_are_never_those_of_what_a_poster_has_become(
    home: Path, poster_folder: Path, backbone_path: Path
) -> None:
    right = features_of(home)
    shutil.rmtree(home / "features")
    put_another_in_place(home / "posters" / "2.jpg", poster_folder / "6.jpg")
    report = extract(home, ExtractOptions(str(backbone_path)))
    (skipped,) = report.skipped
    assert skipped.picture_id == 2
    assert "has another hash than recorded; import or fetch it again" in skipped.reason
    assert features_of(home) == {movie_id: row for movie_id, row in right.items() if movie_id != 2}
    import_posters(home, poster_folder, "movie")
    assert extract(home, ExtractOptions(str(backbone_path))).skipped == ()
    assert features_of(home) == right


def test_no_picture_of_a_changed_poster_is_shown(home: Path, poster_folder: Path) -> None:
    path = home / "posters" / "2.jpg"
    thumbnails = Thumbnails.open(home / "posters")
    put_another_in_place(path, poster_folder / "6.jpg")
    with pytest.raises((DamageError, StoreError), match=r"2\.jpg"):
        thumbnails.jpeg(2, 92)
    with pytest.raises(DamageError, match=r"2\.jpg has changed since it was stored; run `keyart check --repair`"):
        read_shown(path)
    # Of no store, or of no row of one.
    assert read_shown(poster_folder / "2.jpg")
    shutil.copy(poster_folder / "2.jpg", home / "posters" / "mine.jpg")
    assert read_shown(home / "posters" / "mine.jpg")


def test_looks_are_not_those_of_what_a_poster_has_become(
    home: Path, poster_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = put_another_in_place(home / "posters" / "2.jpg", poster_folder / "6.jpg")
    workspace = Workspace.open(home)
    assert 2 not in open_looks(workspace).movie_ids.tolist()
    assert "cannot be read, so the cold start goes without their looks" in caplog.text
    (home / "posters" / "2.jpg").write_bytes(before)
    assert 2 in open_looks(workspace).movie_ids.tolist()


@pytest.mark.parametrize("suffix", ["npy", "parquet", "json"])
def test_damaged_features_reach_neither_the_atlas_nor_the_cold_start(tastes_home: Path, suffix: str) -> None:
    (path,) = (tastes_home / "features").glob(f"features-*.{suffix}")
    flip_bit(path)
    workspace = Workspace.open(tastes_home)
    with pytest.raises(DataError, match=r"features-00000.*damaged"):
        make_atlas(workspace, AtlasOptions(rebuild=True))
    with pytest.raises(DataError, match=r"features-00000.*damaged"):
        open_looks(workspace)
    with pytest.raises(DataError, match=r"features-00000.*damaged"):
        build(workspace)


def test_a_poster_that_was_damaged_during_an_extraction_lacks_features(
    home: Path, poster_folder: Path, backbone_path: Path
) -> None:
    shutil.rmtree(home / "features")
    before = put_another_in_place(home / "posters" / "2.jpg", poster_folder / "6.jpg")
    assert [one.picture_id for one in extract(home, ExtractOptions(str(backbone_path))).skipped] == [2]
    # Nothing takes it for a picture without features once its file is put back.
    (home / "posters" / "2.jpg").write_bytes(before)
    problems = [one.problem for one in check(home).findings if one.path == "features"]
    assert problems == ["1 poster has no features (movie_id 2)"]


def test_a_damaged_sheet_of_the_atlas_is_not_served_and_is_drawn_again(tastes_home: Path) -> None:
    workspace = Workspace.open(tastes_home)
    make_atlas(workspace, AtlasOptions())
    (path,) = (one for one in workspace.atlas_dir.glob("sheet-*.webp") if "small" not in one.name)
    whole = path.read_bytes()
    flip_bit(path)
    service = AtlasService(workspace, lambda _name, _succeeded: None)
    with pytest.raises(DamageError, match=rf"{path.name} of the atlas is damaged .*; run `keyart atlas`"):
        service.sheet_path(path.name)
    report = make_atlas(workspace, AtlasOptions())
    assert (report.how, report.n_drawn) == ("up to date", 1)
    assert path.read_bytes() == whole
    assert service.sheet_path(path.name) == path
    service.close()
    assert make_atlas(workspace, AtlasOptions()).n_drawn == 0


def test_a_blank_cell_is_drawn_once_its_poster_is_back(tastes_home: Path, tastes: Path) -> None:
    workspace = Workspace.open(tastes_home)
    make_atlas(workspace, AtlasOptions())
    drawn = {path.name: path.read_bytes() for path in workspace.atlas_dir.glob("sheet-*.webp")}
    for name in drawn:
        (workspace.atlas_dir / name).unlink()
    before = put_another_in_place(tastes_home / "posters" / "7.jpg", tastes / "posters" / "8.jpg")
    report = make_atlas(workspace, AtlasOptions())
    assert any("blank on the map" in note for note in report.notes)
    (tastes_home / "posters" / "7.jpg").write_bytes(before)
    assert make_atlas(workspace, AtlasOptions()).n_drawn == 1
    (sheet,) = Atlas.open(workspace.atlas_dir).sheets
    assert (sheet.n_blank, all(sheet.is_drawn(workspace.atlas_dir, name) for name in sheet.files)) == (0, True)
    assert {path.name: path.read_bytes() for path in workspace.atlas_dir.glob("sheet-*.webp")} == drawn


def test_a_contact_sheet_leaves_a_changed_poster_blank(home: Path, poster_folder: Path, tmp_path: Path) -> None:
    with keyart.open(home) as engine:
        result = engine.similar(1, 3)
        whole, other = tmp_path / "whole.png", tmp_path / "other.png"
        keyart.write_contact_sheet(result, whole)
        put_another_in_place(home / "posters" / "2.jpg", poster_folder / "6.jpg")
        keyart.write_contact_sheet(result, other)
    with Image.open(whole) as one, Image.open(other) as two:
        assert one.tobytes() != two.tobytes()


def test_load_mends_a_damaged_catalog_and_keeps_it(home: Path, movielens: Path) -> None:
    path = home / "catalog.sqlite"
    flip_bit(path)
    damaged = path.read_bytes()
    with pytest.raises(DamageError, match=r"catalog\.sqlite is damaged"):
        keyart.open(home)
    report = keyart.pipeline.load(home, movielens)
    assert "the earlier catalog is damaged, and kept as catalog.sqlite.damaged" in " ".join(report.notes)
    assert (home / "catalog.sqlite.damaged").read_bytes() == damaged
    assert keyart.pipeline.check(home).is_whole
