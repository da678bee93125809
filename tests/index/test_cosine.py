from __future__ import annotations

import gc
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import ConfigError, DataError, NotBuiltError
from index.cosine import CosineIndex
from index.options import IndexOptions
from index.source import FilmFeatures
from tests.contracts import Build, IndexContract, films_of, ids_of, random_features
from tests.index.kinds import IDENTITY, KINDS, SHORTLISTS, Kind, dense_cosines, n_nearest


def build(
    films: FilmFeatures, options: IndexOptions | None = None, advance: Callable[[int], None] = lambda _: None
) -> CosineIndex:
    """Build an index of the kind that the options select."""
    return CosineIndex.build(films, {**IDENTITY, "n_features": films.n_features}, options, advance=advance)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(params=SHORTLISTS)
def shortlist(request: pytest.FixtureRequest) -> Kind:
    return SHORTLISTS[request.param]


@cache
def _built(kind: Kind, features: bytes, n_films: int) -> CosineIndex:
    return kind.build(films_of(np.frombuffer(features, kind.dtype).reshape(n_films, -1)))


class TestCosineIndex(IndexContract):
    @pytest.fixture
    def build(self, kind: Kind) -> Build:
        # Built once, because the contract does not change the index.
        return lambda films: _built(kind, films.read(np.arange(len(films))).tobytes(), len(films))

    @pytest.fixture
    def dtype(self, kind: Kind) -> type[np.floating]:
        return kind.dtype


# Exactness


def test_search_matches_plain_computation(kind: Kind) -> None:
    features, queries = random_features(1, 400, 96).astype(kind.dtype), random_features(2, 60, 96)
    cosines = dense_cosines(features, queries, center=kind.center)
    index = kind.build(films_of(features))
    for k in (1, 10, 100):
        found = index.search(queries, k)
        n_found = sum(n_nearest(one, ids_of(features), row, k) for one, row in zip(found, cosines, strict=True))
        assert n_found >= kind.recall * k * len(queries)


def test_similar_matches_plain_computation_without_the_film_itself(kind: Kind) -> None:
    features = random_features(3, 250, 96).astype(kind.dtype)
    cosines, movie_ids = dense_cosines(features, features, center=kind.center), ids_of(features)
    n_found = 0
    for row, found in enumerate(kind.build(films_of(features)).similar(movie_ids.tolist(), 10)):
        n_found += n_nearest(found, np.delete(movie_ids, row), np.delete(cosines[row], row), 10)
    assert n_found >= kind.recall * 10 * len(features)


@pytest.mark.parametrize("n_films", [2, 3, 5, 16])
def test_few_films_are_all_returned(kind: Kind, n_films: int) -> None:
    features = random_features(4, n_films).astype(kind.dtype)
    cosines, movie_ids = dense_cosines(features, features, center=kind.center), ids_of(features)
    for row, found in enumerate(kind.build(films_of(features)).similar(movie_ids.tolist(), n_films)):
        assert n_nearest(found, np.delete(movie_ids, row), np.delete(cosines[row], row), n_films - 1) == n_films - 1


def test_several_arrays_equal_one_array(kind: Kind) -> None:
    features = random_features(5, 200).astype(kind.dtype)
    order = np.random.default_rng(5).permutation(200)
    arrays = [features[order[:80]], features[order[80:81]], features[order[81:]]]
    positions = np.argsort(order)
    numbers = np.searchsorted([80, 81], positions, side="right")
    films = FilmFeatures(ids_of(features), arrays, numbers, positions - np.array([0, 80, 81])[numbers], [""] * 200)
    expected = kind.build(films_of(features)).similar(ids_of(features).tolist(), 5)
    for one, other in zip(kind.build(films).similar(ids_of(features).tolist(), 5), expected, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.scores, other.scores)


def test_memory_layout_does_not_matter(kind: Kind) -> None:
    features = random_features(5, 100).astype(kind.dtype)
    expected = kind.build(films_of(features)).similar(ids_of(features).tolist(), 5)
    for variant in (np.asfortranarray(features), np.repeat(features, 2, axis=1)[:, ::2], features[::-1].copy()[::-1]):
        for one, other in zip(
            kind.build(films_of(variant)).similar(ids_of(features).tolist(), 5), expected, strict=True
        ):
            np.testing.assert_array_equal(one.ids, other.ids)


def test_centering_spreads_features_of_nearly_one_direction() -> None:
    features = 5 + 0.1 * random_features(5)
    plain, centered = (build(films_of(features), IndexOptions(center=center)) for center in (False, True))
    assert min(found.scores.min() for found in plain.search(features, 60)) > 0.99
    assert max(found.scores.min() for found in centered.search(features, 60)) < 0
    assert (plain.centered, centered.centered) == (False, True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_centered_cosines_of_nearly_one_direction_are_exact(dtype: type[np.floating]) -> None:
    features = (50 + random_features(5, 200, 64)).astype(dtype)
    cosines = dense_cosines(features, features, center=True)
    index = Kind(center=True, rank=512).build(films_of(features))
    for found, row in zip(index.search(features, 10), cosines, strict=True):
        # A hundred-fold offset costs two digits.
        assert n_nearest(found, ids_of(features), row, 10, atol=1e-4) == 10


def test_film_equal_to_the_mean_has_zero_similarity() -> None:
    # Integers, so that the mean is an integer too.
    features = np.random.default_rng(1).integers(0, 9, (60, 16)).astype(np.float32) * 60
    features[59] = features[:59].mean(axis=0)
    for kind in (Kind(center=True), Kind(center=True, rank=512)):
        index = kind.build(films_of(features))
        others = index.similar([10], 59)[0]
        assert np.abs(others.scores[others.ids == 10 + 3 * 59]).max() < 1e-2
        assert np.isfinite(index.similar([10 + 3 * 59], 59)[0].scores).all()


# Building


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (0.0, "its features are all zero"),
        (np.nan, "its features are not all finite numbers"),
    ],
)
def test_faulty_films_are_left_out_with_a_reason(kind: Kind, number: float, reason: str, tmp_path: Path) -> None:
    features = random_features(1, 100).astype(kind.dtype)
    good = np.delete(features, [0, 41, 99], axis=0)
    features[[0, 41, 99]] = number if number == 0 else features[[0, 41, 99]]
    features[[0, 41, 99], 7] = number
    n_done: list[int] = []
    index = kind.build(films_of(features), advance=n_done.append)
    assert sum(n_done) == 100
    index.save(tmp_path)
    movie_ids = np.delete(ids_of(features), [0, 41, 99])
    cosines = dense_cosines(good, good, center=kind.center)
    for one in (index, CosineIndex.open(tmp_path, films_of(features))):
        assert one.left_out == dict.fromkeys((10, 10 + 3 * 41, 10 + 3 * 99), reason)
        np.testing.assert_array_equal(one.movie_ids, movie_ids)
        with pytest.raises(DataError, match=f"movie_id 133 cannot be compared: {reason}"):
            one.similar([13, 133], 5)
        for found, row in zip(one.search(good, 97), cosines, strict=True):
            assert n_nearest(found, movie_ids, row, 97) == 97


def test_overflow_of_half_floats_leaves_a_film_out(kind: Kind) -> None:
    features = random_features(1).astype(np.float64)
    features[3, 5] = 1e6
    with np.errstate(over="ignore"):
        halved = features.astype(np.float16)
    assert list(kind.build(films_of(halved)).left_out) == [19]
    # As doubles, they can be compared.
    assert kind.build(films_of(features)).left_out == {}
    features[3, 5] = 1e200
    assert list(kind.build(films_of(features)).left_out) == [19]


def test_index_of_faulty_films_only_is_refused(kind: Kind) -> None:
    with pytest.raises(DataError, match="none of the 5 films can be compared; movie_id 10: its features are all zero"):
        kind.build(films_of(np.zeros((5, 8), kind.dtype)))


def test_features_of_another_width_than_the_identity_are_refused() -> None:
    with pytest.raises(DataError, match="expected features of 64 columns, received 32"):
        CosineIndex.build(films_of(random_features(1)), {**IDENTITY, "n_features": 64})


@pytest.mark.parametrize("target_recall", [0, 1, -0.5, 1.5, np.nan])
def test_target_recall_outside_0_and_1_is_refused(target_recall: float) -> None:
    with pytest.raises(ValueError, match="the recall should lie between 0 and 1, received"):
        IndexOptions(target_recall=target_recall)


@pytest.mark.parametrize("kind", ["exact", "shortlist", "auto"])
@pytest.mark.parametrize("max_memory_bytes", [0, 1, 1000])
def test_too_little_memory_is_refused_before_work_begins(
    kind: Literal["exact", "shortlist", "auto"], max_memory_bytes: int
) -> None:
    done: list[int] = []
    with pytest.raises(ConfigError, match=r"0 MB are too little: .* needs \d+ MB; allow it with --max-memory \d+MB"):
        build(films_of(random_features(1, 200)), IndexOptions(kind, max_memory_bytes=max_memory_bytes), done.append)
    assert done == []


@pytest.mark.parametrize("name", KINDS)
def test_same_seed_builds_the_same_index(name: str) -> None:
    films = films_of(random_features(1, 200).astype(KINDS[name].dtype))
    one, other = (KINDS[name].build(films, seed=7) for _ in range(2))
    assert one.record.settings == other.record.settings
    for left, right in zip(one.similar([10, 13], 20), other.similar([10, 13], 20), strict=True):
        np.testing.assert_array_equal(left.ids, right.ids)


def test_small_catalog_gets_an_exact_index_by_default() -> None:
    index = build(films_of(random_features(1)))
    assert index.kind == "exact"
    assert "few enough to compare with all of them" in index.record.build.reason


# The report


def test_record_contains_measurements(kind: Kind, tmp_path: Path) -> None:
    index = kind.build(films_of(random_features(1, 400, 64).astype(kind.dtype)), target_recall=0.95)
    index.save(tmp_path)
    record = json.loads((tmp_path / "index.json").read_text())
    assert (record["n_films"], record["n_features"], record["centred"]) == (400, 64, kind.center)
    report = record["report"]
    assert report["n_queries"] == 40
    assert list(report["recall"]) == ["1", "10", "100"]
    assert report["target_met"] is all(value >= 0.95 for value in report["recall"].values())
    assert report["latency_ms"]["p99"] >= report["latency_ms"]["average"] > 0
    if not kind.rank:
        assert set(report["recall"].values()) == {1.0}


# The files


def test_saved_index_keeps_identity_fingerprint_and_posters(kind: Kind, tmp_path: Path) -> None:
    features = random_features(1).astype(kind.dtype)
    hashes = [f"{row:064x}" if row % 2 else "" for row in range(60)]
    films = FilmFeatures.of(ids_of(features), features, hashes)
    built = kind.build(films, fingerprint="posters of Tuesday")
    built.save(tmp_path)
    opened = CosineIndex.open(tmp_path, films)
    assert opened.identity == {**IDENTITY, "n_features": 32}
    assert (opened.fingerprint, opened.centered, opened.n_features) == ("posters of Tuesday", kind.center, 32)
    assert opened.poster_sha256s == dict(zip(ids_of(features).tolist(), hashes, strict=True))
    assert opened.record == built.record
    assert opened.kind == built.kind == ("shortlist" if kind.rank else "exact")


# Missing or changed features


@pytest.fixture
def hashed() -> FilmFeatures:
    features = random_features(1, 100)
    return FilmFeatures.of(ids_of(features), features, [f"{row + 1:064x}" for row in range(100)])


def without(films: FilmFeatures, dropped: list[int], replaced: list[int]) -> FilmFeatures:
    """Drop the features of some films, and give others the hash of another poster."""
    hashes = ["f" * 64 if row in replaced else sha256 for row, sha256 in enumerate(films.poster_sha256s)]
    changed = FilmFeatures.of(films.movie_ids, films.arrays[0], hashes)
    return changed.take(np.setdiff1d(np.arange(len(films)), dropped))


def test_films_with_missing_or_changed_features_are_not_returned(
    shortlist: Kind, hashed: FilmFeatures, tmp_path: Path
) -> None:
    films = FilmFeatures.of(hashed.movie_ids, hashed.arrays[0].astype(shortlist.dtype), hashed.poster_sha256s)
    shortlist.build(films).save(tmp_path)
    assert CosineIndex.open(tmp_path, films).n_stale == 0
    index = CosineIndex.open(tmp_path, without(films, dropped=[0, 50, 99], replaced=[1, 51]))
    current = np.setdiff1d(np.arange(100), [0, 1, 50, 51, 99])
    assert (index.n_stale, len(index)) == (5, 95)
    np.testing.assert_array_equal(index.movie_ids, films.movie_ids[current])
    assert 13 not in index
    with pytest.raises(LookupError, match="no features of movie_id 13 in this index of 95 films"):
        index.similar([13], 5)
    cosines = dense_cosines(films.arrays[0], films.arrays[0], center=shortlist.center)[:, current]
    for found, row in zip(index.search(films.arrays[0], 95), cosines, strict=True):
        assert n_nearest(found, films.movie_ids[current], row, 95) == 95
    scan = index.comparison().scan(films.movie_ids[2])
    np.testing.assert_array_equal(scan.movie_ids, films.movie_ids[np.setdiff1d(current, [2])])
    assert scan.is_exact.any()
    scan.settle(scan.movie_ids)
    np.testing.assert_allclose(scan.similarities, np.delete(cosines[2], np.searchsorted(current, 2)), atol=2e-6)


def test_stale_films_are_dropped_by_the_next_change(shortlist: Kind, hashed: FilmFeatures, tmp_path: Path) -> None:
    films = FilmFeatures.of(hashed.movie_ids, hashed.arrays[0].astype(shortlist.dtype), hashed.poster_sha256s)
    shortlist.build(films).save(tmp_path)
    now = without(films, dropped=[0], replaced=[7])
    index = CosineIndex.open(tmp_path, now)
    index.add(now.take(np.array([6])))
    assert (index.n_stale, len(index)) == (0, 99)
    assert index.poster_sha256s[31] == "f" * 64


def test_index_without_any_current_features_returns_nothing(hashed: FilmFeatures, tmp_path: Path) -> None:
    Kind(rank=16).build(hashed).save(tmp_path)
    index = CosineIndex.open(tmp_path, without(hashed, dropped=[], replaced=list(range(100))))
    assert (len(index), index.n_stale) == (0, 100)
    assert [len(found) for found in index.search(hashed.arrays[0][:2], 5)] == [0, 0]


def test_shortlist_without_features_error_names_extract(shortlist: Kind, tmp_path: Path) -> None:
    shortlist.build(films_of(random_features(1).astype(shortlist.dtype))).save(tmp_path)
    with pytest.raises(NotBuiltError, match="reads features, and there are none; run `keyart extract`"):
        CosineIndex.open(tmp_path)


def test_exact_index_needs_no_features(tmp_path: Path) -> None:
    features = random_features(1)
    Kind().build(films_of(features)).save(tmp_path)
    assert CosineIndex.open(tmp_path).similar([10], 5)[0].ids.shape == (5,)


@pytest.mark.parametrize("change", ["width", "numbers", "type"])
def test_other_features_of_the_same_posters_are_refused(
    shortlist: Kind, hashed: FilmFeatures, tmp_path: Path, change: str
) -> None:
    features: npt.NDArray[np.floating] = hashed.arrays[0].astype(shortlist.dtype)
    films = FilmFeatures.of(hashed.movie_ids, features, hashed.poster_sha256s)
    shortlist.build(films).save(tmp_path)
    other_type = np.float32 if shortlist.dtype is np.float16 else np.float16
    other = {"width": features[:, :16], "numbers": features * 2, "type": features.astype(other_type)}[change]
    with pytest.raises(DataError, match=r"32 columns, not 16|not those that the index was built from"):
        CosineIndex.open(tmp_path, FilmFeatures.of(films.movie_ids, other, films.poster_sha256s)).similar([13], 5)


# Closing


@pytest.mark.heavy
def test_close_releases_the_files(kind: Kind, tmp_path: Path) -> None:
    films = films_of(random_features(1, 200).astype(kind.dtype))
    kind.build(films).save(tmp_path)
    maps = Path("/proc/self/maps")
    with CosineIndex.open(tmp_path, films) as index:
        assert str(tmp_path) in maps.read_text()
        assert len(index.similar([10], 5)[0]) == 5
    gc.collect()
    assert str(tmp_path) not in maps.read_text()


def test_closed_index_is_refused(kind: Kind) -> None:
    films = films_of(random_features(1).astype(kind.dtype))
    index = kind.build(films)
    index.close()
    index.close()
    for use in (lambda: index.similar([10], 5), lambda: index.search(films.arrays[0], 5), lambda: len(index)):
        with pytest.raises(ValueError, match="the index is closed"):
            use()


def test_searches_finish_while_the_index_closes(kind: Kind) -> None:
    films = films_of(random_features(1, 300).astype(kind.dtype))
    index = kind.build(films)
    expected = index.similar(films.movie_ids.tolist(), 5)
    scan = index.comparison().scan(10)
    index.close()
    scan.settle(films.movie_ids)
    order = np.lexsort((scan.movie_ids, -scan.similarities))[:5]
    np.testing.assert_allclose(scan.similarities[order], expected[0].scores, atol=2e-6)
