"""The table of nearest films of every film, which is computed in parts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from catalog.errors import ConfigError, StoreError
from catalog.io.locks import exclusive
from index import neighbors
from index.blend import BlendedIndex
from index.cosine import CosineIndex
from index.neighbors import write_neighbors
from index.options import IndexOptions
from index.source import FilmFeatures

N_FILMS, N_FEATURES = 900, 64


def features_of(seed: int) -> FilmFeatures:
    rows = np.random.default_rng(seed).standard_normal((N_FILMS, N_FEATURES)).astype(np.float16)
    return FilmFeatures.of(10 + 3 * np.arange(N_FILMS), rows)


def build(seed: int = 1) -> CosineIndex:
    identity = {"backbone": "vgg16", "n_features": N_FEATURES}
    return CosineIndex.build(features_of(seed), identity, IndexOptions("exact"), fingerprint=f"posters {seed}")


def test_table_equals_search_results(tmp_path: Path) -> None:
    index, path = build(), tmp_path / "neighbors.parquet"
    assert write_neighbors(index, 7, path) == 7 * N_FILMS
    table = pd.read_parquet(path)
    assert table.dtypes.astype(str).tolist() == ["int64", "int32", "int64", "float32"]
    found = index.similar(index.movie_ids.tolist(), 7)
    np.testing.assert_array_equal(table["movie_id"], np.repeat(index.movie_ids, 7))
    np.testing.assert_array_equal(table["rank"], np.tile(np.arange(1, 8), N_FILMS))
    np.testing.assert_array_equal(table["neighbor_id"], np.concatenate([nearest.ids for nearest in found]))
    np.testing.assert_allclose(table["similarity"], np.concatenate([nearest.scores for nearest in found]))
    assert list(tmp_path.iterdir()) == [path]


def test_k_beyond_all_films_gives_fewer_neighbors(tmp_path: Path) -> None:
    rows = np.eye(3, 8, dtype=np.float16)
    index = CosineIndex.build(FilmFeatures.of([1, 2, 3], rows), {"backbone": "tiny", "n_features": 8})
    assert write_neighbors(index, 50, tmp_path / "n.parquet") == 6


@pytest.mark.parametrize("is_blend", [False, True])
def test_films_left_out_are_neither_films_nor_neighbors(is_blend: bool, tmp_path: Path) -> None:
    index = BlendedIndex({"one": build(1), "two": build(2)}) if is_blend else build()
    gone, path = index.movie_ids[::3].tolist(), tmp_path / "neighbors.parquet"
    assert write_neighbors(index, 3, path, without=gone) == 3 * (N_FILMS - len(gone))
    table = pd.read_parquet(path)
    assert set(table["movie_id"]) == set(index.movie_ids.tolist()) - set(gone)
    assert not set(table["neighbor_id"]) & set(gone)
    # As many as without anything left out, and in the same order.
    first = int(table["movie_id"][0])
    (nearest,) = index.similar([first], N_FILMS)
    kept = [movie_id for movie_id in nearest.ids.tolist() if movie_id not in gone]
    assert table["neighbor_id"][:3].tolist() == kept[:3]


def test_partial_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "a[1].parquet"
    leftover, own = tmp_path / f".{path.name}.0123abcd.partial", tmp_path / ".other.parquet.0123abcd.partial"
    for one in (leftover, own):
        one.touch()
    write_neighbors(build(), 1, path)
    assert not leftover.exists()
    assert own.exists()


def test_progress_counts_every_film_once(tmp_path: Path) -> None:
    seen: list[int] = []
    write_neighbors(build(), 3, tmp_path / "n.parquet", advance=seen.append)
    assert sum(seen) == N_FILMS
    assert len(seen) > 1


def test_resumes_after_kill(tmp_path: Path) -> None:
    index, expected, path = build(), tmp_path / "expected.parquet", tmp_path / "n.parquet"
    write_neighbors(index, 5, expected)
    # Killed by SIGKILL after its second part.
    program = (
        "import os, signal, sys; from pathlib import Path; from tests.index.test_neighbors import build\n"
        "from index.neighbors import write_neighbors\n"
        "parts = []\n"
        "def advance(n):\n"
        "    parts.append(n)\n"
        "    if len(parts) == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_neighbors(build(), 5, Path(sys.argv[1]), advance=advance)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    parts = sorted((tmp_path / "n.parquet.parts").glob("part-*.parquet"))
    assert len(parts) == 2
    times = [part.stat().st_mtime_ns for part in parts]
    still = []
    write_neighbors(index, 5, path, advance=lambda _: still.append([part.stat().st_mtime_ns for part in parts]))
    assert still[-1] == times
    assert path.read_bytes() == expected.read_bytes()


def test_lists_the_parts_as_often_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    glob, listed, counts = Path.glob, [], []

    def counted(folder: Path, pattern: str) -> Iterator[Path]:
        listed.append(pattern)
        return iter(glob(folder, pattern))

    index = build()
    monkeypatch.setattr(Path, "glob", counted)
    for block_films in (N_FILMS // 3, N_FILMS // 9):
        monkeypatch.setattr(neighbors, "_BLOCK_FILMS", block_films)
        listed.clear()
        write_neighbors(index, 2, tmp_path / f"{block_films}.parquet")
        counts.append(len(listed))
    assert counts[0] == counts[1]


def write_parts_only(index: CosineIndex, k: int, path: Path) -> list[Path]:
    """Write every part, then fail before joining them."""

    def fail(*_: object) -> int:
        raise StoreError("no space")

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(neighbors, "_join", fail)
        with pytest.raises(StoreError, match="no space"):
            write_neighbors(index, k, path)
    return sorted(path.with_name(f"{path.name}.parts").glob("part-*"))


@pytest.mark.parametrize("position", [0.0, 0.2, 0.5, 0.8, 0.99])
def test_damaged_part_is_recomputed(tmp_path: Path, position: float) -> None:
    index, expected, path = build(), tmp_path / "expected.parquet", tmp_path / "n.parquet"
    write_neighbors(index, 5, expected)
    part = write_parts_only(index, 5, path)[1]
    content = bytearray(part.read_bytes())
    content[int(position * len(content))] ^= 4
    part.write_bytes(content)
    write_neighbors(index, 5, path)
    assert path.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("change", ["k", "index"])
def test_parts_of_other_options_are_not_reused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "n.parquet"
    assert write_parts_only(build(1), 5, path)
    index, k = (build(1), 6) if change == "k" else (build(2), 5)
    write_neighbors(index, k, path)
    table = pd.read_parquet(path)
    found = index.similar(index.movie_ids.tolist(), k)
    np.testing.assert_array_equal(table["neighbor_id"], np.concatenate([nearest.ids for nearest in found]))


def test_folder_at_the_output_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "n.parquet").mkdir()
    with pytest.raises(ConfigError, match="is a folder; expected the name of a file"):
        write_neighbors(build(), 5, tmp_path / "n.parquet")


@pytest.mark.parametrize("record", [None, '{"kind": "mine"}'])
def test_folder_of_other_files_beside_the_output_is_refused(tmp_path: Path, record: str | None) -> None:
    parts_dir = tmp_path / "n.parquet.parts"
    parts_dir.mkdir()
    (parts_dir / "part-00000-mine.parquet").write_text("mine")
    if record:
        (parts_dir / "parts.json").write_text(record)
    before = {path: path.read_bytes() for path in parts_dir.iterdir()}
    with pytest.raises(ConfigError, match=r"n\.parquet\.parts, .* holds other files"):
        write_neighbors(build(), 5, tmp_path / "n.parquet")
    assert {path: path.read_bytes() for path in parts_dir.iterdir()} == before


def test_other_files_among_the_parts_survive(tmp_path: Path) -> None:
    write_parts_only(build(), 5, tmp_path / "n.parquet")
    (tmp_path / "n.parquet.parts" / "notes.txt").write_text("mine")
    write_neighbors(build(), 5, tmp_path / "n.parquet")
    assert [path.name for path in (tmp_path / "n.parquet.parts").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["n.csv", "n", "n.parquet.gz"])
def test_other_file_types_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}: expected a name ending in \.parquet"):
        write_neighbors(build(), 5, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_concurrent_runs_are_refused(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "n.parquet.parts"),
        pytest.raises(StoreError, match=rf"process {os.getpid()} is writing"),
    ):
        write_neighbors(build(), 5, tmp_path / "n.parquet")
