"""Further posters of films, from their files to look-alikes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import keyart
from catalog.io.files import write_bytes
from features.options import ExtractOptions
from keyart.pipeline.features import extract, extract_missing
from keyart.pipeline.index import build
from keyart.pipeline.integrity import check
from keyart.workspace.layout import Workspace
from posters.database import Origin, Source
from posters.store import PosterStore
from tests.damage import flip_bit
from tests.faults.small_workspace import save_network
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster

pytestmark = pytest.mark.heavy


def put_alternates(home: Path, movie_id: int, *seeds: int) -> None:
    """Register pictures as further posters of a film, as `fetch` does."""
    with PosterStore.open(Workspace.open(home).posters_dir) as store:
        poster = store.poster(movie_id)
        assert poster is not None
        written = store.write_file(movie_id, poster.path.read_bytes())
        origins = [Origin(Source.TMDB_MOVIE, poster_path=f"/{seed}.jpg") for seed in seeds]
        alternates = [
            store.alternates.write_file(movie_id, draw_poster(seed, size=(120, 180)), origin)
            for seed, origin in zip(seeds, origins, strict=True)
        ]
        store.register(movie_id, written, Origin(Source.TMDB_MOVIE, poster_path="/own.jpg"), alternates)


def looks(home: Path, query: object, encoder: str | None = None) -> dict[int, float]:
    with keyart.open(home, encoder) as engine:
        found = engine.similar(query, alpha=1.0)  # type: ignore[call-overload]
        assert found.notes == ()
    return {hit.movie_id: hit.visual for hit in found.hits}


def test_look_alikes_take_the_best_of_a_films_posters(home: Path, run: Run, tmp_path: Path) -> None:
    before = {film: looks(home, film) for film in (1, 2, 6)}
    # A further poster of film 5 is the poster of film 2, another one a new picture.
    put_alternates(home, 5, 2, 77)
    waiting = "2 further posters are not compared yet: run `keyart extract"
    assert waiting in run("info", "--home", home).out
    outcome = run("extract", "--home", home)
    assert "features of 2 further posters computed, 0 already here" in outcome.out
    outcome = run("build", "--home", home)
    assert "2 further posters of these films indexed" in outcome.out
    assert "further poster" not in run("info", "--home", home).out
    after = {film: looks(home, film) for film in (1, 2, 5, 6)}
    assert after[2][5] == after[5][2] == pytest.approx(1, abs=1e-4)
    assert before[2][5] < 0.999
    for film in (1, 2, 6):
        # In the whole catalog nothing else has changed but likeness to film 5.
        assert after[film].keys() == before[film].keys()
        assert after[film][5] >= before[film][5]
        assert {other: one for other, one in after[film].items() if other != 5} == {
            other: one for other, one in before[film].items() if other != 5
        }
    picture = tmp_path / "picture.jpg"
    write_bytes(picture, draw_poster(77, size=(120, 180)))
    assert looks(home, picture)[5] == pytest.approx(1, abs=1e-4)
    assert "0 computed, 2 already here" in run("extract", "--home", home).out.replace("further posters ", "")


def test_what_is_made_of_further_posters_follows_them(home: Path, backbone_path: Path) -> None:
    put_alternates(home, 5, 2)
    extract(home, ExtractOptions(str(backbone_path)))
    assert build(home).n_alternates == 1
    before = looks(home, 2)
    put_alternates(home, 5, 88)
    # Until they are made again, the earlier ones count.
    assert looks(home, 2) == before
    (report,) = extract_missing(home).reports.values()
    assert report.alternates is not None
    assert (report.alternates.n_new, report.alternates.n_dropped) == (1, 1)
    assert build(home).n_alternates == 1
    assert looks(home, 2)[5] < before[5]
    put_alternates(home, 5)
    extract_missing(home)
    assert build(home).n_alternates == 0
    assert build(home, keyart.IndexOptions(rebuild=True)).n_alternates == 0


def test_an_index_built_anew_takes_its_further_posters_along(home: Path) -> None:
    put_alternates(home, 5, 2)
    extract_missing(home)
    build(home)
    assert build(home, keyart.IndexOptions(center=True)).n_alternates == 1
    assert looks(home, 2)[5] == pytest.approx(1, abs=1e-3)


def test_damaged_further_posters_are_left_out_and_said(home: Path) -> None:
    put_alternates(home, 5, 2)
    extract_missing(home)
    build(home)
    (path,) = (Workspace.open(home).index_dir / "alternates").glob("*.faiss")
    path.write_bytes(path.read_bytes()[:-9])
    with keyart.open(home) as engine:
        found = engine.similar(2, alpha=1.0)
    assert any(note.startswith("further posters are left out: the index in ") for note in found.notes)
    assert build(home).n_alternates == 1
    assert looks(home, 2)[5] == pytest.approx(1, abs=1e-3)


def test_each_encoder_has_features_of_further_posters(home_of_two: Path) -> None:
    put_alternates(home_of_two, 5, 2)
    assert all(report.alternates for report in extract_missing(home_of_two).reports.values())
    build(home_of_two)
    for encoder in ("tiny", "other-one"):
        assert looks(home_of_two, 2, encoder)[5] == pytest.approx(1, abs=1e-3)


def test_a_workspace_without_further_posters_is_as_before(home: Path) -> None:
    extract_missing(home)
    report = build(home)
    assert report.n_alternates == 0
    workspace = Workspace.open(home)
    assert not (workspace.features_dir / "alternates").exists()
    assert not (workspace.index_dir / "alternates").exists()
    shutil.rmtree(workspace.posters_dir / "alternates", ignore_errors=True)
    assert looks(home, 2)


@pytest.mark.parametrize("name", ["whitening.npz", "skipped.json"])
def test_what_lies_beside_features_of_further_posters_is_checked_and_mended(home: Path, name: str) -> None:
    put_alternates(home, 5, 77)
    network = Workspace.open(home).home.parent / "network.onnx"
    pytest.importorskip("onnxruntime")
    extract(home, ExtractOptions(str(save_network(network)), pooling="gem", whiten=True))
    build(home)
    before, path = check(home).findings, f"encoders/network/features/alternates/{name}"
    flip_bit(home / path)
    assert [finding.path for finding in check(home).findings if finding not in before] == [path]
    check(home, repair=True)
    assert path not in [finding.path for finding in check(home).findings], before
