"""`check` names what is wrong with a workspace, and mends what can be mended."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import keyart
from catalog.errors import NotBuiltError, StoreError
from catalog.io.checksums import checksums_path, has_recorded_checksum
from catalog.io.locks import exclusive
from cf.ratings import Ratings
from features.options import ExtractOptions
from features.store import FeatureStore
from index.options import IndexOptions
from keyart import NewFilm, pipeline
from keyart.atlas.build import AtlasOptions, drop_from_atlas, make_atlas
from keyart.atlas.record import Atlas
from keyart.pipeline import checks, integrity
from keyart.pipeline.findings import Findings
from keyart.pipeline.index import build
from keyart.pipeline.status import read_status
from keyart.recommend.models import open_model
from keyart.similarity.blending import open_hybrid
from keyart.workspace import contents
from keyart.workspace.layout import Workspace
from tests.damage import flip_bit, unreadable
from tests.faults.small_workspace import make_workspace
from tests.keyart.conftest import Run

pytestmark = pytest.mark.heavy

# By a pattern of the file: what `check` says of it, and whether a repair mends it.
PARTS = {
    "workspace.json": ("workspace.json", True),
    "catalog.sqlite": ("catalog.sqlite", False),
    "catalog.sqlite.json": ("catalog.sqlite.json", True),
    "ratings-*.parquet": ("ratings-", False),
    "posters/posters.sqlite": ("posters/posters.sqlite", False),
    "posters/posters.sqlite.json": ("posters/posters.sqlite.json", True),
    "posters/7.jpg": ("posters/7.jpg", True),
    "features/features-00000.npy": ("features/features-00000.npy", True),
    "features/features-00000.parquet": ("features/features-00000.npy", True),
    "features/features-00000.json": ("features/features-00000.npy", True),
    "features/features.json": ("features/features.json", False),
    "index/index.json": ("index/index.json", True),
    "index/*.npz": ("index/index.json", True),
    "looks/looks.json": ("looks/looks.json", True),
    "looks/looks-*.npz": ("looks/looks.json", True),
    "cf/cold-start/*.npz": ("cf/cold-start/cold-start.json", True),
    "cf/item-cosine/*.npz": ("cf/item-cosine/item-cosine.json", True),
    "cf/most-rated/most-rated.json": ("cf/most-rated/most-rated.json", True),
    "atlas/atlas.json": ("atlas/atlas.json", True),
    "atlas/sheet-*.webp": ("atlas/sheet-", True),
    "hybrid.json": ("hybrid.json", True),
}


@pytest.fixture(scope="module")
def _whole(_built_tastes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Path(shutil.copytree(_built_tastes, tmp_path_factory.mktemp("whole") / "workspace"))
    with keyart.open(home) as engine:
        engine.cold_start([NewFilm(home / "posters" / "1.jpg")])
    pipeline.fit(home, "most-rated")
    pipeline.tune(home)
    make_atlas(Workspace.open(home), AtlasOptions())
    return home


@pytest.fixture
def whole(_whole: Path, tmp_path: Path) -> Path:
    """A workspace that has every part; a copy for each test."""
    return Path(shutil.copytree(_whole, tmp_path / "whole"))


def answers(home: Path) -> list[int]:
    with keyart.open(home) as engine:
        return [hit.movie_id for hit in engine.similar(1, 5)]


def test_a_whole_workspace_has_no_findings(whole: Path, run: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()}
    report = pipeline.check(whole)
    assert (report.findings, report.notes, report.is_whole) == ((), (), True)
    after = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()}
    assert {path.name for path in after if before.get(path) != after[path]} <= {
        *("writer.pid", "posters.sqlite-shm", "posters.sqlite-wal")
    }
    outcome = run("check", "--home", whole)
    assert (outcome.code, outcome.out) == (0, "all files, ids and fingerprints are right\n")


@pytest.mark.parametrize("pattern", sorted(PARTS))
def test_a_flipped_bit_is_named_and_mended(whole: Path, pattern: str, tastes: Path, run: Run) -> None:
    said, is_mended = PARTS[pattern]
    right = answers(whole)
    path = sorted(whole.glob(pattern))[0]
    flip_bit(path)
    report = pipeline.check(whole)
    assert any(finding.path.startswith(said) for finding in report.findings), report
    assert all(finding.remedy for finding in report.findings)
    outcome = run("check", "--repair", "--json", "--home", whole)
    mended = json.loads(outcome.out)
    assert mended["is_whole"] is is_mended, outcome.out
    assert outcome.code == (0 if is_mended else 1)
    if is_mended:
        assert mended["mended"]
        if pattern.startswith("posters/7"):
            assert (whole / "posters" / "7.jpg.damaged").exists()
            pipeline.import_posters(whole, tastes / "posters", "movie")
            pipeline.extract_missing(whole)
            build(whole)
        assert answers(whole) == right
    else:
        # What cannot be had again is never removed.
        assert path.exists()
        assert any(finding["path"].startswith(said) and finding["remedy"] for finding in mended["findings"])


def test_parts_that_do_not_fit_are_named(whole: Path, movielens: Path, tastes: Path, run: Run) -> None:
    with pytest.raises(NotBuiltError):
        pipeline.check(whole / "nowhere")
    (whole / "posters" / "5.jpg").unlink()
    assert "posters/5.jpg: it is missing or has another length" in run("check", "--home", whole).out
    pipeline.import_posters(whole, tastes / "posters", "movie")
    assert pipeline.check(whole).is_whole
    # Of other ratings.
    lines = (tastes / "ratings.csv").read_text().splitlines()
    other = Path(shutil.copytree(tastes, whole.parent / "other"))
    (other / "ratings.csv").write_text("\n".join(lines[:-5]))
    pipeline.load(whole, other)
    found = {finding.path: finding for finding in pipeline.check(whole).findings}
    assert {"cf/item-cosine/item-cosine.json", "cf/most-rated/most-rated.json", "hybrid.json"} == found.keys()
    assert found["hybrid.json"].problem == "the blend was tuned on ratings loaded earlier"
    assert "it was fitted on other ratings than there are now" in found["cf/most-rated/most-rated.json"].problem
    # With other posters.
    shutil.copy(tastes / "posters" / "3.jpg", other / "posters" / "2.jpg")
    pipeline.import_posters(whole, other / "posters", "movie")
    found = {finding.path: finding for finding in pipeline.check(whole).findings}
    assert {"features", "index/index.json", "atlas/atlas.json"} <= found.keys()
    assert "1 poster has no features (movie_id 2)" in found["features"].problem
    report = pipeline.check(whole, repair=True)
    assert report.is_whole, report
    assert pipeline.check(whole).is_whole


@pytest.mark.parametrize("name", ["catalog.sqlite", "posters/posters.sqlite"])
def test_a_damaged_name_that_is_no_text_is_damage(whole: Path, name: str) -> None:
    """SQLite's message repeats the name of a column that it does not find, which cannot be decoded then."""
    path = whole / name
    content, column = path.read_bytes(), {"catalog": b"(imdb_id)", "posters": b"(sha256)"}[path.stem]
    assert column in content
    path.write_bytes(content.replace(column, b"(\xf9" + column[2:]))
    report = pipeline.check(whole)
    assert name in {finding.path for finding in report.findings}, report


def test_leftovers_are_named_and_removed(whole: Path) -> None:
    leftovers = [
        *("ratings-0123456789abcdef.parquet", ".catalog.sqlite.1.partial", "index/0badf00d.npz", "index/.x.partial"),
        *("cf/most-rated/most-rated-0badf00d.npz", "atlas/sheet-0.webp", "atlas/atlas-0badf00d.npz"),
        *("features/features-00007.npy", "posters/7-0badf00d.jpg", "posters/writer.pid.1.tmp"),
    ]
    for name in leftovers:
        (whole / name).write_bytes(b"left")
    # As SQLite leaves it before its header is written.
    leftovers.append("posters/posters.sqlite-journal")
    (whole / leftovers[-1]).write_bytes(bytes(512))
    (whole / "mine.txt").write_text("mine")
    report = pipeline.check(whole)
    assert sorted(finding.path for finding in report.findings) == sorted(leftovers)
    assert all("leftover" in finding.problem for finding in report.findings)
    report = pipeline.check(whole, repair=True)
    assert report.is_whole, report
    assert not any((whole / name).exists() for name in leftovers)
    assert (whole / "mine.txt").exists()


def test_a_workspace_of_an_earlier_version_is_checked_as_far_as_it_can_be(whole: Path) -> None:
    for path in (whole / "catalog.sqlite.json", whole / "posters" / "posters.sqlite.json"):
        path.unlink()
    record = json.loads((whole / "hybrid.json").read_text())
    del record["checksum"]
    (whole / "hybrid.json").write_text(json.dumps(record))
    report = pipeline.check(whole)
    assert report.is_whole
    (note,) = report.notes
    assert note.startswith("3 files of an earlier version have no checksum and cannot be verified (catalog.sqlite, ")


LOST = {
    "index/index.json": "run `keyart build",
    "atlas/atlas.json": "run `keyart atlas",
    "cf/item-cosine/item-cosine.json": "run `keyart build",
    "cf/most-rated/most-rated.json": "run `keyart fit most-rated",
}


@pytest.mark.parametrize("name", sorted(LOST))
def test_a_lost_record_is_named_and_mended(whole: Path, name: str) -> None:
    right = answers(whole)
    (whole / name).unlink()
    (reason,) = read_status(Workspace.open(whole)).damaged
    assert f"is incomplete ({whole / name} is missing): it was never finished, or its record is lost; run" in reason
    (finding,) = pipeline.check(whole).findings
    assert finding.path == name
    assert "it was never finished, or is lost" in finding.problem
    assert finding.remedy.startswith(LOST[name])
    assert pipeline.check(whole, repair=True).is_whole
    assert answers(whole) == right


@pytest.mark.parametrize("name", ["index/index.json", "cf/item-cosine/item-cosine.json"])
def test_answers_note_a_part_whose_record_is_lost(whole: Path, name: str) -> None:
    (whole / name).unlink()
    with keyart.open(whole) as engine:
        assert any(note.startswith("left out: ") and name in note for note in engine.similar(1).notes)


def test_nothing_is_built_where_records_are_lost(whole: Path) -> None:
    for name in ("index/index.json", "cf/item-cosine/item-cosine.json", "cf/most-rated/most-rated.json"):
        (whole / name).unlink()
    with pytest.raises(NotBuiltError, match=r"the index is incomplete .*; run `keyart build"):
        keyart.open(whole)
    with pytest.raises(NotBuiltError, match="most-rated is incomplete"):
        open_model(Workspace.open(whole), "most-rated")


def test_the_options_of_an_index_whose_record_is_lost_are_noted(whole: Path) -> None:
    build(whole, IndexOptions(kind="exact", center=True, rebuild=True))
    (whole / "index" / "index.json").unlink()
    notes = " ".join(build(whole).notes)
    assert "index.json was missing, so the options of an earlier index, if there was one, are lost" in notes
    assert "lost" not in " ".join(build(whole).notes)


def test_arrays_without_a_record_are_leftovers_where_they_are_computed_anew(whole: Path) -> None:
    (whole / "looks" / "looks.json").unlink()
    (finding,) = pipeline.check(whole).findings
    assert finding.path.startswith("looks/looks-")
    assert pipeline.check(whole, repair=True).is_whole
    assert not list((whole / "looks").glob("*.npz"))


def test_posters_without_their_database_are_named(whole: Path) -> None:
    (whole / "posters" / "posters.sqlite").unlink()
    (whole / "posters" / "posters.sqlite.json").unlink()
    said = "holds posters that are not registered, such as 1.jpg"
    assert any(said in reason for reason in read_status(Workspace.open(whole)).damaged)
    assert any(said in finding.problem for finding in pipeline.check(whole).findings)
    with keyart.open(whole) as engine:
        assert any(said in note for note in engine.similar(1).notes)
    pipeline.import_posters(whole, whole / "posters", "movie")
    assert pipeline.check(whole).is_whole


def update(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("catalog.sqlite", "UPDATE films SET mean_rating = 5 WHERE movie_id = 1"),
        ("posters/posters.sqlite", "UPDATE posters SET attempts = 9"),
    ],
)
def test_a_database_that_another_program_wrote_is_noted(whole: Path, name: str, statement: str) -> None:
    update(whole / name, statement)
    report = pipeline.check(whole)
    assert report.is_whole, report
    (note,) = report.notes
    assert note.startswith(f"{name} was changed by another program")


@pytest.mark.parametrize("name", ["catalog.sqlite", "posters/posters.sqlite"])
def test_a_database_is_trusted_when_the_user_says_so(whole: Path, name: str, run: Run) -> None:
    # In a text, which SQLite's own check does not read; a write that leaves no trace looks the same.
    flip_bit(whole / name, (whole / name).read_bytes().rindex(b"Comedy" if name == "catalog.sqlite" else b".jpg") + 1)
    for options in ([], ["--repair"]):
        outcome = run("check", *options, "--home", whole)
        assert outcome.code == 1
        assert "or, if another program wrote it, run `keyart check --repair --trust-databases --home" in outcome.out
    assert "give --repair too" in run("check", "--trust-databases", "--home", whole).err
    outcome = run("check", "--repair", "--trust-databases", "--home", whole)
    assert f"mended: the checksum of {name} was written anew" in outcome.out
    assert has_recorded_checksum(whole / name)
    assert answers(whole)


def test_a_database_that_sqlite_finds_damaged_is_never_trusted(whole: Path) -> None:
    path = whole / "catalog.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:4200] = bytes(104)
    path.write_bytes(content)
    before = checksums_path(path).read_bytes()
    report = pipeline.check(whole, repair=True, trust_databases=True)
    (finding, *_) = report.findings
    assert finding.path == "catalog.sqlite"
    assert "--trust" not in finding.remedy
    assert checksums_path(path).read_bytes() == before


def test_a_writer_at_work_is_not_taken_for_a_killed_one(whole: Path) -> None:
    (whole / "posters" / ".7.jpg.partial").write_bytes(b"half")
    with exclusive(whole / "posters"):
        (whole / "posters" / ".7.jpg.partial").write_bytes(b"half")
        with pytest.raises(StoreError, match="is writing into"):
            pipeline.check(whole)
    assert (whole / "posters" / ".7.jpg.partial").exists()


def test_missing_posters_database_and_catalog_are_named(whole: Path) -> None:
    for name in ("posters/posters.sqlite", "catalog.sqlite"):
        (whole / name).rename(whole / "kept")
        report = pipeline.check(whole, repair=True)
        assert name in {finding.path for finding in report.findings}, report
        (whole / "kept").rename(whole / name)
    assert pipeline.check(whole).is_whole


def test_an_atlas_whose_films_are_all_removed_leaves_nothing(whole: Path) -> None:
    workspace = Workspace.open(whole)
    drop_from_atlas(workspace, Atlas.open(workspace.atlas_dir).movie_ids.tolist())
    assert {path.name for path in workspace.atlas_dir.iterdir()} <= {"writer.pid"}
    assert pipeline.check(whole).is_whole


def meanwhile(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Let other processes do something after the first look of a check, before anything is mended."""
    works = [work]

    def check_workspace(*arguments: Any, **options: Any) -> Findings:
        result = checks.check_workspace(*arguments, **options)
        if works:
            works.pop()()
        return result

    monkeypatch.setattr(integrity, "check_workspace", check_workspace)


@pytest.fixture
def other_films(tastes: Path, tmp_path: Path) -> Path:
    """A data set of the same films with a few ratings less."""
    other = Path(shutil.copytree(tastes, tmp_path / "other"))
    lines = (other / "ratings.csv").read_text().splitlines()
    (other / "ratings.csv").write_text("\n".join(lines[:-5]))
    return other


def ratings_of(home: Path) -> list[str]:
    return sorted(path.name for path in home.glob("ratings-*.parquet"))


def test_ratings_that_are_loaded_during_a_check_are_kept(
    whole: Path, other_films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = [lambda: pipeline.load(whole, other_films)]

    def open_ratings(workspace: Workspace) -> Ratings:
        result = contents.open_ratings(workspace)
        if loads:
            loads.pop()()
        return result

    # After the check has read which ratings the catalog names, before it lists their files.
    monkeypatch.setattr(checks, "open_ratings", open_ratings)
    assert pipeline.check(whole, repair=True).is_whole
    assert len(contents.open_ratings(Workspace.open(whole)))


def test_a_leftover_that_a_load_takes_into_use_is_kept(
    whole: Path, other_films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.load(tmp_path / "elsewhere", other_films)
    (name,) = ratings_of(tmp_path / "elsewhere")
    shutil.copy(tmp_path / "elsewhere" / name, whole / name)
    meanwhile(monkeypatch, lambda: pipeline.load(whole, other_films))
    assert pipeline.check(whole, repair=True).is_whole
    assert ratings_of(whole) == [name]


def test_a_poster_that_is_imported_during_a_check_is_kept(
    whole: Path, tastes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_bit(whole / "posters" / "5.jpg")
    meanwhile(monkeypatch, lambda: pipeline.import_posters(whole, tastes / "posters", "movie"))
    report = pipeline.check(whole, repair=True)
    assert (report.mended, report.is_whole) == ((), True)
    assert (whole / "posters" / "5.jpg").read_bytes() == (tastes / "posters" / "5.jpg").read_bytes()
    assert not list((whole / "posters").glob("*.damaged"))


def test_what_is_computed_anew_during_a_check_is_kept(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, right = whole / "looks" / "looks.json", (whole / "looks" / "looks.json").read_bytes()
    flip_bit(record)
    meanwhile(monkeypatch, lambda: record.write_bytes(right))
    assert pipeline.check(whole, repair=True).mended == ()
    assert record.read_bytes() == right


def test_a_default_encoder_that_is_chosen_during_a_check_is_kept(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole / "workspace.json").unlink()

    def opened(home: Path) -> Any:
        result = integrity_opened(home)
        Workspace(whole).set_default("other")
        monkeypatch.setattr(integrity, "_opened", integrity_opened)
        return result

    integrity_opened = integrity._opened
    monkeypatch.setattr(integrity, "_opened", opened)
    pipeline.check(whole, repair=True)
    assert Workspace.open(whole).encoder == "other"


def test_a_model_that_is_fitted_and_a_blend_that_is_tuned_during_a_check_stay(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cf/most-rated/most-rated.json", "hybrid.json"):
        flip_bit(whole / name)

    def mend() -> None:
        pipeline.fit(whole, "most-rated")
        pipeline.tune(whole, calibration="z-score")

    meanwhile(monkeypatch, mend)
    report = pipeline.check(whole, repair=True)
    assert (report.mended, report.is_whole) == ((), True)
    assert open_hybrid(Workspace.open(whole)).blending.calibration == "z-score"


def test_a_record_of_checksums_that_is_written_during_a_check_is_kept(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [checksums_path(whole / name) for name in ("catalog.sqlite", "posters/posters.sqlite")]
    right = [path.read_bytes() for path in paths]
    for path in paths:
        flip_bit(path)

    def mend() -> None:
        for path, content in zip(paths, right, strict=True):
            path.write_bytes(content)

    meanwhile(monkeypatch, mend)
    report = pipeline.check(whole, repair=True)
    assert (report.mended, report.is_whole) == ((), True)


def test_an_interrupted_repair_of_a_poster_is_finished(whole: Path) -> None:
    poster = whole / "posters" / "7.jpg"
    poster.rename(poster.with_name("7.jpg.damaged"))
    (finding,) = (one for one in pipeline.check(whole).findings if one.path == "posters/7.jpg")
    assert "it is set aside as damaged" in finding.problem
    report = pipeline.check(whole, repair=True)
    assert report.is_whole
    assert "posters/7.jpg is set to be fetched or imported again, kept as 7.jpg.damaged" in report.mended


def contents_of(home: Path) -> dict[Path, bytes]:
    """Read all files but those of locks and logs."""
    paths = (path for path in home.rglob("*") if path.is_file() and path.suffix not in (".pid", ".lock"))
    return {path: path.read_bytes() for path in paths if not path.name.endswith(("-shm", "-wal"))}


@pytest.mark.parametrize("pattern", sorted(name for name in PARTS if not name.endswith(".sqlite")))
def test_what_cannot_be_read_for_a_while_is_no_damage(whole: Path, pattern: str, run: Run) -> None:
    path = sorted(whole.glob(pattern))[0]
    before = contents_of(whole)
    with unreadable(path):
        outcome = run("check", "--repair", "--home", whole)
    assert outcome.code == 1
    assert "cannot read" in outcome.out + outcome.err
    assert "check disk and rights" in outcome.out + outcome.err
    assert "mended" not in outcome.out
    assert contents_of(whole) == before
    assert pipeline.check(whole).is_whole


def test_a_poster_that_could_not_be_read_for_a_while_lacks_features(tmp_path: Path) -> None:
    home = make_workspace(tmp_path)
    shutil.rmtree(home / "features")
    with unreadable(home / "posters" / "3.jpg"):
        report = pipeline.extract(home, ExtractOptions(str(tmp_path / "network.onnx")))
    assert [one.picture_id for one in report.skipped] == [3]
    found = [finding for finding in pipeline.check(home).findings if finding.path == "features"]
    assert [finding.problem for finding in found] == ["1 poster has no features (movie_id 3)"]
    assert any("1 poster has no features" in note for note in pipeline.build(home).notes)
    assert pipeline.check(home, repair=True).is_whole
    assert 3 in FeatureStore.open(home / "features").rows().movie_ids


def test_features_whose_record_is_lost_are_kept_where_the_network_is_gone(tmp_path: Path) -> None:
    home = make_workspace(tmp_path)
    record, network = home / "features" / "features-00000.json", tmp_path / "network.onnx"
    lost, kept = record.read_bytes(), network.rename(tmp_path / "kept.onnx")
    record.unlink()
    before = contents_of(home / "features")
    report = pipeline.check(home, repair=True)
    finding = next(one for one in report.findings if one.path == "features/features-00000.json")
    assert "12 posters have no features that are known to be whole" in finding.problem
    assert finding.remedy.startswith("put back a copy of it, or run `keyart extract")
    assert any("was not mended" in note and "network.onnx" in note for note in report.notes)
    assert contents_of(home / "features") == before
    record.write_bytes(lost)
    assert pipeline.check(home, repair=True).is_whole
    # With the network, they are computed again, and the files without a record go.
    record.unlink()
    kept.rename(network)
    assert pipeline.check(home, repair=True).is_whole
    assert len(list((home / "features").glob("*.npy"))) == 1


def test_an_interrupted_removal_of_an_encoder_is_named_and_finished(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Workspace.open(whole).with_encoder("other")
    shutil.copytree(whole / "features", other.features_dir)

    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as changed:
        changed.setattr("keyart.pipeline.encoders.remove_for_good", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pipeline.remove_encoder(whole, "other")
    (left,) = (whole / "encoders").iterdir()
    (finding,) = pipeline.check(whole).findings
    assert finding.path == f"encoders/{left.name}"
    assert "the removal of an encoder was interrupted: a leftover" in finding.problem
    report = pipeline.check(whole, repair=True)
    assert (report.mended, report.is_whole) == ((f"encoders/{left.name} was removed",), True)
    assert not left.exists()
