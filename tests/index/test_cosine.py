from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import DataError, NotBuiltError, StoreError
from index.cosine import CosineIndex
from tests.contracts import Build, IndexContract, ids_of, random_features

IDENTITY = {"backbone": "vgg16", "weights_sha256": "f00d"}


def build_index(
    movie_ids: npt.NDArray[np.int64],
    features: npt.NDArray[np.floating],
    *,
    centre: bool = False,
    block_rows: int = 1000,
) -> CosineIndex:
    """Build an index of features that come in blocks of so many rows."""
    starts = range(0, len(features), block_rows)
    return CosineIndex.build(
        movie_ids,
        lambda: iter([features[start : start + block_rows] for start in starts]),
        {**IDENTITY, "n_features": features.shape[1]},
        fingerprint="posters of Tuesday",
        centre=centre,
    )


def dense_cosines(
    features: npt.NDArray[np.floating], queries: npt.NDArray[np.floating], *, centre: bool = False
) -> npt.NDArray[np.float64]:
    """Compute all cosines the plain way."""
    rows, asked = features.astype(np.float64), queries.astype(np.float64)
    if centre:
        rows, asked = rows - rows.mean(axis=0), asked - rows.mean(axis=0)
    lengths = np.linalg.norm(asked, axis=1)[:, None] * np.linalg.norm(rows, axis=1)[None]
    return np.divide(asked @ rows.T, lengths, out=np.zeros(lengths.shape), where=lengths > 0)


@pytest.mark.parametrize("centre", [False, True], ids=["exact", "exact, centred"])
class TestCosineIndex(IndexContract):
    @pytest.fixture
    def build(self, centre: bool) -> Build:
        return lambda movie_ids, features: build_index(movie_ids, features, centre=centre)


# Exactness


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("n_queries", [1, 19, 20, 200])
@pytest.mark.parametrize("k", [1, 10, 150])
def test_it_finds_what_a_plain_computation_finds(centre: bool, n_queries: int, k: int) -> None:
    features, queries = random_features(1, 150, 64), random_features(2, n_queries, 64)
    cosines = dense_cosines(features, queries, centre=centre)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    found = build_index(ids_of(features), features, centre=centre).search(queries, k)
    np.testing.assert_allclose(found.similarities, np.take_along_axis(cosines, order, axis=1), atol=1e-6)
    rows = (found.movie_ids - 10) // 3
    np.testing.assert_allclose(np.take_along_axis(cosines, rows, axis=1), found.similarities, atol=1e-6)


@pytest.mark.parametrize("centre", [False, True])
def test_similar_is_the_plain_computation_without_the_film(centre: bool) -> None:
    features = random_features(3)
    cosines = dense_cosines(features, features, centre=centre)
    np.fill_diagonal(cosines, -2)
    found = build_index(ids_of(features), features, centre=centre).similar(ids_of(features).tolist(), 10)
    np.testing.assert_array_equal(found.movie_ids, ids_of(features)[np.argsort(-cosines, axis=1)[:, :10]])


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("block_rows", [1, 7, 60])
def test_the_size_of_the_blocks_does_not_matter(centre: bool, block_rows: int) -> None:
    features = random_features(4)
    whole = build_index(ids_of(features), features, centre=centre)
    found = build_index(ids_of(features), features, centre=centre, block_rows=block_rows).search(features, 60)
    np.testing.assert_allclose(found.similarities, whole.search(features, 60).similarities, atol=1e-6)


def test_centring_spreads_features_that_all_point_one_way() -> None:
    features = 5 + 0.1 * random_features(5)
    plain, centred = (build_index(ids_of(features), features, centre=centre) for centre in (False, True))
    assert plain.search(features, 60).similarities.min() > 0.99
    assert centred.search(features, 60).similarities.min() < 0
    assert (plain.centred, centred.centred) == (False, True)


def test_float16_features_are_searched_as_the_numbers_they_are() -> None:
    features = random_features(6).astype(np.float16)
    found = build_index(ids_of(features), features).search(features, 60)
    np.testing.assert_allclose(
        found.similarities, -np.sort(-dense_cosines(features, features), axis=1), atol=1e-6, rtol=0
    )


def test_a_film_of_zeros_is_near_to_nothing() -> None:
    features = random_features(7)
    features[3] = 0
    index = build_index(ids_of(features), features)
    assert not index.similar([19], 5).similarities.any()
    found = index.similar([10], 59)
    assert not found.similarities[found.movie_ids == 19].any()
    assert np.isfinite(index.search(np.zeros(32), 60).similarities).all()


def test_a_single_film_is_like_no_other() -> None:
    features = random_features(8, n_films=1)
    assert build_index(ids_of(features), features).similar([10], 5).movie_ids.shape == (1, 0)


# Building


@pytest.mark.parametrize("movie_ids", [[], [1, 1, 2], [1, 3, 2]], ids=["none", "twice", "unordered"])
def test_ids_must_ascend(movie_ids: list[int]) -> None:
    with pytest.raises(DataError, match=rf"each once and in ascending order; received {len(movie_ids)} movie_ids"):
        build_index(np.array(movie_ids), random_features(1, n_films=3))


def test_every_film_needs_its_row() -> None:
    with pytest.raises(DataError, match="expected features of 4 films, received 3 rows"):
        build_index(np.arange(4), random_features(1, n_films=3))


# The files


def test_what_it_was_built_of_is_kept(tmp_path: Path) -> None:
    features = random_features(1)
    build_index(ids_of(features), features, centre=True).save(tmp_path)
    opened = CosineIndex.open(tmp_path)
    assert opened.identity == {**IDENTITY, "n_features": 32}
    assert (opened.fingerprint, opened.centred, opened.n_features) == ("posters of Tuesday", True, 32)


@pytest.fixture
def saved_dir(tmp_path: Path) -> Path:
    """A folder with an index of 5 films; the next one to be saved is larger."""
    features = random_features(1, n_films=5)
    build_index(ids_of(features), features).save(tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def larger() -> CosineIndex:
    features = random_features(2, n_films=100, n_features=64)
    return build_index(ids_of(features), features)


# 25,645 bytes of FAISS: a refusal at once, half-way, within the last buffer, and at the last byte.
@pytest.mark.parametrize("n_bytes", [0, 10_000, 25_000, 25_644])
def test_a_full_disk_keeps_the_old_index(
    saved_dir: Path, larger: CosineIndex, full_disk: Callable[[int], AbstractContextManager[None]], n_bytes: int
) -> None:
    before = sorted(saved_dir.iterdir())
    with pytest.raises(StoreError, match=r"cannot write .*\.faiss .*; free some space and run"), full_disk(n_bytes):
        larger.save(saved_dir)
    assert sorted(saved_dir.iterdir()) == before
    assert len(CosineIndex.open(saved_dir)) == 5


def test_a_save_that_breaks_off_before_its_record_keeps_the_old_index(saved_dir: Path, larger: CosineIndex) -> None:
    before = sorted(saved_dir.iterdir())
    larger.fingerprint = object()  # type: ignore[assignment]  # no JSON can hold it
    with pytest.raises(TypeError):
        larger.save(saved_dir)
    assert sorted(saved_dir.iterdir()) == before
    assert len(CosineIndex.open(saved_dir)) == 5


@pytest.mark.parametrize(("suffix", "error"), [("json", NotBuiltError), ("npz", NotBuiltError), ("faiss", DataError)])
def test_a_missing_file_says_to_build_again(saved_dir: Path, suffix: str, error: type[Exception]) -> None:
    next(saved_dir.glob(f"*.{suffix}")).unlink()
    with pytest.raises(error, match="run `keyart build`"):
        CosineIndex.open(saved_dir)


def test_rows_of_another_index_are_refused(saved_dir: Path, larger: CosineIndex, tmp_path: Path) -> None:
    larger.save(tmp_path / "larger")
    rows_path = next(saved_dir.glob("*.faiss"))
    rows_path.write_bytes(next((tmp_path / "larger").glob("*.faiss")).read_bytes())
    with pytest.raises(DataError, match="has 100 rows for 5 films; run `keyart build` again"):
        CosineIndex.open(saved_dir)


def test_a_record_without_its_entries_is_refused(saved_dir: Path) -> None:
    record = json.loads((saved_dir / "index.json").read_text())
    del record["rows"]
    (saved_dir / "index.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"is damaged \('rows'\); run `keyart build` again"):
        CosineIndex.open(saved_dir)


def test_an_index_of_another_version_is_refused(saved_dir: Path) -> None:
    record = json.loads((saved_dir / "index.json").read_text())
    (saved_dir / "index.json").write_text(json.dumps({**record, "version": 99}))
    with pytest.raises(DataError, match="is of version 99, this keyart reads version 1"):
        CosineIndex.open(saved_dir)
