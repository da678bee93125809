from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import DataError
from features.extraction import extract_features
from features.pipeline import Picture
from features.store import FeatureStore
from tests.damage import flip_bit
from tests.features import killed
from tests.features.killed import ENCODER, FIRST, LATER, SHARD_ROWS

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_resumes_after_kill_with_identical_bits(tmp_path: Path, step: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.features.killed", str(tmp_path), str(step)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    n_kills = dict(line.split() for line in done.stdout.splitlines())
    # A shard is three files, each of them flushed, renamed and its folder flushed; there are three.
    assert int(n_kills["first"]) >= 3 * 3 * 3 // step
    assert int(n_kills["later"]) >= 3 * 3 * 3 // step


def _run(folder: Path, pictures: list[Picture]) -> FeatureStore:
    store = FeatureStore.create(folder, ENCODER.identity, {})
    extract_features(pictures, ENCODER, store, shard_rows=SHARD_ROWS)
    return store


def test_a_later_run_leaves_the_rows_of_the_present_pictures_in_full_shards_but_one(tmp_path: Path) -> None:
    _run(tmp_path, FIRST)
    store = _run(tmp_path, LATER)
    rows = store.rows()
    assert rows.picture_ids.tolist() == [picture.picture_id for picture in LATER]
    sizes = np.unique(rows.shards, return_counts=True)[1].tolist()
    assert sorted(sizes)[1:] == [SHARD_ROWS] * (len(sizes) - 1)
    assert store.skipped() == ()


@pytest.mark.parametrize("suffix", ["npy", "parquet", "json"])
@pytest.mark.parametrize("damage", ["one bit", "cut off", "emptied", "gone"])
def test_a_damaged_shard_is_found_and_its_pictures_computed_again(tmp_path: Path, suffix: str, damage: str) -> None:
    whole = _run(tmp_path / "whole", FIRST)
    hurt = _run(tmp_path / "hurt", FIRST)
    path = hurt.folder / f"features-00001.{suffix}"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    after = {"one bit": content, "cut off": content[:-1], "emptied": b""}
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(after[damage])
    report = extract_features(FIRST, ENCODER, hurt, shard_rows=SHARD_ROWS)
    assert (report.n_new, report.n_known) == (SHARD_ROWS, 8 - SHARD_ROWS)
    # Without its record, a shard was never complete, which is no damage.
    assert len(report.damaged) == (0 if (suffix, damage) == ("json", "gone") else 1)
    assert all("features-00001" in reason and "run `" not in reason for reason in report.damaged)
    expected, received = whole.rows(check=True), hurt.rows(check=True)
    assert received.poster_sha256s == expected.poster_sha256s
    np.testing.assert_array_equal(
        np.concatenate(list(hurt.blocks(received))).view(np.uint16),
        np.concatenate(list(whole.blocks(expected))).view(np.uint16),
    )


def test_remains_of_an_interrupted_run_are_removed(tmp_path: Path) -> None:
    store = _run(tmp_path, FIRST)
    before = killed.files_of(tmp_path)
    for name in ("features-00099.npy", "features-00098.parquet", ".features-00097.npy.12ab34cd.partial"):
        (tmp_path / name).write_bytes(b"half")
    extract_features(FIRST, ENCODER, store, shard_rows=SHARD_ROWS)
    assert killed.files_of(tmp_path) == before


def test_a_file_that_cannot_be_read_for_once_keeps_its_row(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(killed.draw(1))
    pictures = [Picture("a", tmp_path / "a.png"), Picture("b", killed.draw(2))]
    store = _run(tmp_path / "features", pictures)
    (tmp_path / "a.png").unlink()
    _run(tmp_path / "features", pictures)
    assert store.rows().picture_ids.tolist() == ["a", "b"]
    assert [one.picture_id for one in store.skipped()] == ["a"]
    _run(tmp_path / "features", pictures[1:])
    assert store.rows().picture_ids.tolist() == ["b"]


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
def test_images_of_a_damaged_shard_that_are_not_given_again_are_counted(tmp_path: Path, suffix: str) -> None:
    store = _run(tmp_path, FIRST)
    flip_bit(tmp_path / f"features-00001.{suffix}")
    given = [*FIRST[:SHARD_ROWS], Picture(99, killed.draw(99))]
    report = extract_features(given, ENCODER, store, drop_missing=False, shard_rows=SHARD_ROWS)
    # Where the list of the shard's images is damaged, the new one may be among them.
    assert report.n_lost == SHARD_ROWS - (suffix == "parquet")
    assert len(report.damaged) == 1
    assert extract_features(FIRST, ENCODER, store, drop_missing=False, shard_rows=SHARD_ROWS).n_lost == 0
    assert store.rows().picture_ids.tolist() == [0, 1, 3, 4, 5, 6, 8, 9, 99]


def test_ids_that_no_shard_can_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected ids of 64 bits, received 9223372036854775808"):
        _run(tmp_path, [Picture(2**63, killed.draw(1))])
