"""The files of an index: complete, verified when opened, and of one generation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import DamageError, DataError, IncompleteError, NotBuiltError, StoreError
from index import manifest
from index.cosine import CosineIndex
from index.source import FilmFeatures
from tests.contracts import assert_same_nearest, films_of, random_features
from tests.index import swapping
from tests.index.kinds import KINDS, SHORTLISTS, SOME, Kind, dense_cosines, n_nearest
from tests.records import rewrite_record

ROOT = Path(__file__).parents[2]
# Forked children have only one thread.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
FEW = films_of(random_features(1, 40, 64))
MANY = films_of(random_features(2, 150, 64))


def stored_as(films: FilmFeatures, kind: Kind) -> FilmFeatures:
    return FilmFeatures.of(films.movie_ids, films.arrays[0].astype(kind.dtype))


@pytest.fixture(params=SOME)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def saved_dir(kind: Kind, tmp_path: Path) -> Path:
    """A folder with an index of few films."""
    kind.build(stored_as(FEW, kind)).save(tmp_path / "index")
    return tmp_path / "index"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# Damage


def _flipped(content: bytes, position: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    return bytes(changed)


def test_every_flipped_bit_is_detected(kind: Kind, saved_dir: Path) -> None:
    rng = np.random.default_rng(5)
    films = stored_as(FEW, kind)
    expected = CosineIndex.open(saved_dir, films).search(films.arrays[0], 5)
    for path in sorted(saved_dir.iterdir()):
        content = path.read_bytes()
        # Headers of FAISS and NumPy, both ends, and random positions.
        positions = {0, 33, 60, len(content) - 1, *rng.integers(0, len(content), 20).tolist()}
        for position in sorted(position for position in positions if position < len(content)):
            changed = _flipped(content, position, int(rng.integers(8)))
            path.write_bytes(changed)
            if path.name == "index.json" and _is_equal_json(changed, content):
                assert_same_nearest(CosineIndex.open(saved_dir, films).search(films.arrays[0], 5), expected)
                continue
            with pytest.raises(
                DataError,
                match=r"run `keyart build`|run `keyart check --repair`|should be a record|this keyart reads version",
            ):
                CosineIndex.open(saved_dir, films)
        path.write_bytes(content)
    assert_same_nearest(CosineIndex.open(saved_dir, films).search(films.arrays[0], 5), expected)


def _is_equal_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_every_byte_of_the_record_is_verified_except_white_space(step: int, tmp_path: Path) -> None:
    kind = KINDS["inverted lists"]
    films = stored_as(FEW, kind)
    kind.build(films).save(tmp_path)
    path = tmp_path / "index.json"
    content = path.read_bytes()
    for position in range(0, len(content), step):
        path.write_bytes(_flipped(content, position, position % 7))
        if not _is_equal_json(path.read_bytes(), content):
            with pytest.raises(DataError):
                CosineIndex.open(tmp_path, films)
    for space in (b" ", b"\n\t"):
        path.write_bytes(content.replace(b": ", b":" + space))
        assert len(CosineIndex.open(tmp_path, films)) == 40


def test_file_of_another_length_or_index_is_detected(kind: Kind, saved_dir: Path, tmp_path: Path) -> None:
    kind.build(stored_as(MANY, kind)).save(tmp_path / "other")
    records = [manifest.read(folder)["files"] for folder in (saved_dir, tmp_path / "other")]
    for part, facts in records[0].items():
        path = saved_dir / facts["name"]
        content = path.read_bytes()
        another = (tmp_path / "other" / records[1][part]["name"]).read_bytes()
        for damaged in (content[:-1], content + b"\0", b"", another):
            path.write_bytes(damaged)
            with pytest.raises(DataError, match=rf"is damaged \({path.name} has .*\); run `keyart build` again"):
                CosineIndex.open(saved_dir, stored_as(FEW, kind))
        path.write_bytes(content)


def test_missing_file_error_names_build(kind: Kind, saved_dir: Path) -> None:
    for path in sorted(saved_dir.iterdir()):
        content = path.read_bytes()
        path.unlink()
        # Only an index without a record was never built.
        expected = NotBuiltError if path.name == "index.json" else DamageError
        with pytest.raises(expected, match="run `keyart build`"):
            CosineIndex.open(saved_dir, stored_as(FEW, kind))
        path.write_bytes(content)


def test_a_record_without_its_entries_is_refused(kind: Kind, saved_dir: Path) -> None:
    record = manifest.read(saved_dir)
    names = {part: facts["name"] for part, facts in record.pop("files").items()}
    entries = {"files", "type", "growth", "left_out", "identity", "report", "centred"}
    for entry in entries | ({"settings"} if kind.rank else set()):
        # With a valid checksum, as another program would write it.
        rest = {name: value for name, value in record.items() if name != entry}
        manifest.write(saved_dir, {} if entry == "files" else names, rest)
        with pytest.raises(DataError, match=r"is damaged \(.*\); run `keyart build` again"):
            CosineIndex.open(saved_dir, stored_as(FEW, kind))


def test_an_index_of_another_version_is_refused(kind: Kind, saved_dir: Path) -> None:
    rewrite_record(saved_dir / "index.json", lambda record: {**record, "version": 99})
    with pytest.raises(DataError, match="is of version 99, this keyart reads version 2"):
        CosineIndex.open(saved_dir, stored_as(FEW, kind))


@pytest.mark.parametrize("name", SHORTLISTS)
def test_next_save_does_not_hide_damage_to_the_basis(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    films = stored_as(MANY, kind)
    kind.build(films.take(np.arange(100))).save(tmp_path)
    index = CosineIndex.open(tmp_path, films)
    (path,) = tmp_path.glob("*-basis.npy")
    # A new file, because the index still has the old one open.
    damaged = _flipped(path.read_bytes(), 1000, 6)
    path.unlink()
    path.write_bytes(damaged)
    index.add(films.take(np.arange(100, 150)))
    index.save(tmp_path)
    with pytest.raises(DataError, match="has another checksum than when it was written"):
        CosineIndex.open(tmp_path, films)


@pytest.mark.parametrize("name", SHORTLISTS)
def test_flipped_bit_of_features_is_detected_when_read(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    rows = stored_as(MANY, kind).arrays[0]
    kind.build(films_of(rows)).save(tmp_path / "index")
    np.save(tmp_path / "features.npy", rows)
    rng = np.random.default_rng(3)
    for row in (0, 77, 149):
        with (tmp_path / "features.npy").open("r+b") as stream:
            position = 128 + (row * 64 + int(rng.integers(64))) * rows.itemsize + int(rng.integers(rows.itemsize))
            stream.seek(position)
            was = stream.read(1)
            stream.seek(position)
            stream.write(bytes([was[0] ^ 1 << int(rng.integers(8))]))
        mapped: npt.NDArray[np.floating] = np.load(tmp_path / "features.npy", mmap_mode="r")
        index = CosineIndex.open(tmp_path / "index", films_of(mapped))
        message = f"the features of movie_id {10 + 3 * row} are not those that the index was built from"
        with pytest.raises(DataError, match=message):
            index.similar([10 + 3 * row], 5)
        with pytest.raises(DataError, match=message):
            index.search(rows[row], 5)
        # Searches that do not read the film are not affected.
        index.search(rows[row], 5, without=[10 + 3 * row])
        with (tmp_path / "features.npy").open("r+b") as stream:
            stream.seek(position)
            stream.write(was)


# A full disk


def test_full_disk_keeps_the_old_index(
    kind: Kind, saved_dir: Path, tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    larger = kind.build(stored_as(MANY, kind))
    larger.save(tmp_path / "larger")
    sizes = sorted({path.stat().st_size for path in (tmp_path / "larger").iterdir()})
    before = contents(saved_dir)
    # Writing fails at once, half-way, within the last buffer and at the last byte of each file.
    for n_bytes in sorted({0, *(size - cut for size in sizes for cut in (1, 40, size // 2) if cut < size)}):
        with pytest.raises(StoreError, match=r"cannot write .*; free some space and run"), full_disk(n_bytes):
            larger.save(saved_dir)
        assert contents(saved_dir) == before
    larger.save(saved_dir)
    assert len(CosineIndex.open(saved_dir, stored_as(MANY, kind))) == 150


def test_full_disk_keeps_the_index_without_added_films(
    kind: Kind, saved_dir: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    # The basis exists already; the record is the smallest of the other files.
    more = FilmFeatures.of([1_000_000], random_features(3, 1, 64).astype(kind.dtype))
    index = CosineIndex.open(saved_dir, stored_as(FEW, kind))
    index.add(more)
    before = contents(saved_dir)
    for n_bytes in (0, 100, 600):
        with pytest.raises(StoreError, match=r"cannot write .*; free some space and run"), full_disk(n_bytes):
            index.save(saved_dir)
        assert contents(saved_dir) == before
    index.save(saved_dir)
    if not kind.rank:
        assert 1_000_000 in CosineIndex.open(saved_dir)


def test_save_that_fails_at_its_record_keeps_the_old_index(kind: Kind, saved_dir: Path) -> None:
    larger = kind.build(stored_as(MANY, kind))
    larger.fingerprint = object()  # type: ignore[assignment]  # no JSON can hold it
    before = contents(saved_dir)
    with pytest.raises(TypeError):
        larger.save(saved_dir)
    assert contents(saved_dir) == before
    assert len(CosineIndex.open(saved_dir, stored_as(FEW, kind))) == 40


def test_file_at_the_folders_path_is_a_store_error(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot write"):
        kind.build(stored_as(FEW, kind)).save(tmp_path / "index")


def test_removing_an_index_keeps_other_files(kind: Kind, saved_dir: Path) -> None:
    (saved_dir / "notes.txt").write_text("mine")
    manifest.remove_all(saved_dir)
    assert [path.name for path in saved_dir.iterdir()] == ["notes.txt"]
    with pytest.raises(NotBuiltError):
        CosineIndex.open(saved_dir)
    manifest.remove_all(saved_dir)


def test_files_of_an_index_whose_record_is_lost_stay_until_the_next_is_written(kind: Kind, saved_dir: Path) -> None:
    (saved_dir / manifest.RECORD).unlink()
    before = manifest.names_of(saved_dir)
    manifest.clear_leftovers(saved_dir)
    assert manifest.names_of(saved_dir) == before
    with pytest.raises(IncompleteError):
        CosineIndex.open(saved_dir, stored_as(FEW, kind))
    kind.build(stored_as(FEW, kind)).save(saved_dir)
    assert not manifest.names_of(saved_dir) & before


# Other processes


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "step"),
    [("inverted lists", 6), *(pytest.param(name, 1, marks=pytest.mark.slow) for name in KINDS)],
)
def test_killed_save_leaves_the_old_or_the_new_generation(name: str, step: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.index.killed", str(tmp_path), name, str(step)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    n_kills = {tuple(line.split()[:2]): line.split()[2:] for line in done.stdout.splitlines()}
    for work in ("build", "change"):
        n_old, n_new = map(int, n_kills[work, "changes"])
        # Each of three files is flushed, renamed, and its folder flushed; then the old ones are removed.
        assert n_old >= (3 * 3 - 2) // step
        assert n_new >= 1
        assert int(n_kills[work, "moments"][0]) >= 1


@pytest.mark.parametrize("name", ["inverted lists", pytest.param("exact", marks=pytest.mark.slow)])
def test_opens_while_another_process_swaps_generations(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    kind.build(swapping.ALL).save(tmp_path)
    features = swapping.ALL.arrays[0]
    cosines = dense_cosines(features, features)
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.index.swapping", str(tmp_path), name],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
    )
    seen, n_refused = set(), 0
    try:
        while len(seen) < 4:
            assert writer.poll() is None
            try:
                index = CosineIndex.open(tmp_path, swapping.ALL)
            except NotBuiltError:
                # The writer never pauses, so every attempt of one call may come too late.
                n_refused += 1
                assert n_refused < 100
                continue
            seen.add(len(index))
            assert len(index) in (120, 100, 80, 60)
            for row, found in zip(cosines[:20], index.search(features[:20], 10), strict=True):
                n_nearest(found, swapping.ALL.movie_ids[: len(index)], row[: len(index)], 10)
    finally:
        writer.communicate(b"enough")
    assert writer.returncode == 0
    index = CosineIndex.open(tmp_path, swapping.ALL)
    assert len(index) in seen
