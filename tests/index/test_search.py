"""Filters, duplicates, and scans of all films."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import search
from index.cosine import CosineIndex
from index.source import FilmFeatures
from tests.contracts import films_of, ids_of, random_features
from tests.index.kinds import KINDS, SHORTLISTS, Kind, dense_cosines, n_nearest

N_FILMS = 200


@cache
def built(name: str) -> tuple[CosineIndex, npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Build an index of each kind once, and compute all its cosines."""
    features = random_features(11, N_FILMS, 48).astype(KINDS[name].dtype)
    cosines = dense_cosines(features, features, center=KINDS[name].center)
    return KINDS[name].build(films_of(features)), ids_of(features), cosines


# Filters


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_filters_still_return_k_films(name: str, data: st.DataObject) -> None:
    index, movie_ids, cosines = built(name)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32), "seed"))
    share = data.draw(st.sampled_from([0.0, 0.01, 0.05, 0.2, 0.9, 1.0]), "share")
    k = data.draw(st.sampled_from([1, 3, 10, 60, 500]), "k")
    among = movie_ids[rng.random(N_FILMS) < share]
    without = movie_ids[rng.random(N_FILMS) < data.draw(st.sampled_from([0.0, 0.5, 1.0]), "share without")]
    unknown_ids = np.array([1, 11, 10**12])
    rows = rng.choice(N_FILMS, 4, replace=False)
    found = index.similar(
        movie_ids[rows].tolist(), k, among=np.append(among, unknown_ids), without=np.append(without, unknown_ids)
    )
    for row, one in zip(rows, found, strict=True):
        allowed = np.isin(movie_ids, among) & ~np.isin(movie_ids, without) & (movie_ids != movie_ids[row])
        n_found = n_nearest(one, movie_ids[allowed], cosines[row, allowed], k)
        # So few films are all compared, in every kind of index.
        if not KINDS[name].rank or allowed.sum() <= k:
            assert n_found == min(k, allowed.sum())


@pytest.mark.parametrize("name", SHORTLISTS)
@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_filtered_shortlist_matches_plain_computation(name: str, share: float) -> None:
    index, movie_ids, cosines = built(name)
    is_allowed = np.random.default_rng(3).random(N_FILMS) < share
    found = index.search(random_features(11, N_FILMS, 48).astype(KINDS[name].dtype), 10, among=movie_ids[is_allowed])
    k = min(10, int(is_allowed.sum()))
    n_found = sum(
        n_nearest(one, movie_ids[is_allowed], row[is_allowed], 10) for one, row in zip(found, cosines, strict=True)
    )
    assert n_found >= KINDS[name].recall * k * N_FILMS


@pytest.mark.parametrize("name", KINDS)
def test_few_allowed_films_are_all_returned(name: str) -> None:
    index, movie_ids, cosines = built(name)
    for rows in ([], [7], [7, 8], [3, 50, 199]):
        (found,) = index.similar([movie_ids[7]], 5, among=movie_ids[rows])
        others = [row for row in rows if row != 7]
        assert n_nearest(found, movie_ids[others], cosines[7, others], 5) == len(others)


@pytest.mark.parametrize("name", KINDS)
def test_filtered_batch_equals_single_queries(name: str) -> None:
    index, movie_ids, _ = built(name)
    among = movie_ids[::3]
    batch = index.similar(movie_ids.tolist(), 5, among=among)
    for movie_id, one in zip(movie_ids.tolist(), batch, strict=True):
        (single,) = index.similar([movie_id], 5, among=among)
        np.testing.assert_array_equal(one.ids, single.ids)
        np.testing.assert_allclose(one.scores, single.scores, atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_filter_that_allows_no_film_returns_none(name: str) -> None:
    index, movie_ids, _ = built(name)
    for rules in ({"among": []}, {"among": [1, 2]}, {"without": movie_ids}, {"among": [16], "without": [16]}):
        found = index.similar([10, 13], 5, **rules)
        assert [(len(one), one.ids.dtype) for one in found] == [(0, np.int64)] * 2
        assert len(index.search(random_features(11, 3, 48), 5, **rules)) == 3


# Duplicates


def dense_groups(
    rows: list[int], cosines: npt.NDArray[np.float64], hashes: list[str], bound: float
) -> list[tuple[int, list[int]]]:
    """Group films, nearest first, with the first one of the same artwork."""
    groups: list[tuple[int, list[int]]] = []
    for row in rows:
        for first, folded in groups:
            if cosines[first, row] >= bound or (hashes[row] and hashes[row] == hashes[first]):
                folded.append(row)
                break
        else:
            groups.append((row, []))
    return groups


@cache
def artworks(name: str) -> tuple[CosineIndex, FilmFeatures, npt.NDArray[np.float64]]:
    """Build an index of films that share 40 artworks, with identical or slightly different posters."""
    rng = np.random.default_rng(12)
    artwork = rng.integers(0, 40, 180)
    drawn = random_features(12, 40, 48)[artwork]
    is_same = rng.random(180) < 0.3
    features = drawn * np.where(is_same[:, None], 1, rng.uniform(0.8, 1.2, drawn.shape))
    hashes = [f"{artwork[row] + 1:064x}" if is_same[row] else "" for row in range(180)]
    films = FilmFeatures.of(ids_of(features), features.astype(KINDS[name].dtype), hashes)
    cosines = dense_cosines(films.arrays[0], films.arrays[0], center=KINDS[name].center)
    return KINDS[name].build(films, target_recall=0.999), films, cosines


@pytest.mark.parametrize("name", ["exact", "exact, centered", "whole basis"])
@settings(max_examples=30, deadline=None)
@given(
    row=st.integers(0, 179),
    k=st.integers(1, 50),
    bound=st.sampled_from([0.9, 0.97, 0.985, 0.9999]),
    share=st.sampled_from([0.2, 1.0]),
    block_rows=st.sampled_from([7, 256]),
)
def test_folding_matches_plain_computation(
    name: str, row: int, k: int, bound: float, share: float, block_rows: int
) -> None:
    index, films, cosines = artworks(name)
    movie_ids, hashes = films.movie_ids, list(films.poster_sha256s)
    allowed = np.flatnonzero(np.random.default_rng(row).random(180) < share)
    with pytest.MonkeyPatch.context() as small:
        small.setattr(search, "_BLOCK_ROWS", block_rows)
        (found,) = index.similar([movie_ids[row]], k, among=movie_ids[allowed], duplicate_similarity=bound)
    others = allowed[allowed != row]
    # Rounded, because the index and the dense computation may order nearly equal cosines differently.
    order = others[np.lexsort((others, -np.round(cosines[row, others], 6)))]
    assert (np.abs(cosines[np.ix_(others, others)] - bound) > 1e-6).all()
    groups = dense_groups(order.tolist(), cosines, hashes, bound)
    assert found.ids.tolist() == [movie_ids[first] for first, _ in groups[:k]]
    np.testing.assert_allclose(found.scores, [cosines[row, first] for first, _ in groups[:k]], atol=2e-6)
    firsts = {other: first for first, folded in groups for other in (first, *folded)}
    assert order[index.artwork_groups(movie_ids[order], bound)].tolist() == [firsts[other] for other in order.tolist()]


@pytest.mark.parametrize("name", KINDS)
def test_folding_still_returns_k_distinct_hits(name: str) -> None:
    index, films, cosines = artworks(name)
    queried = range(0, 180, 3)
    found = index.similar(films.movie_ids[queried].tolist(), 20, duplicate_similarity=0.985)
    for row, one in zip(queried, found, strict=True):
        assert len(one) == len(set(one.ids.tolist())) == 20
        rows = np.searchsorted(films.movie_ids, one.ids)
        assert row not in rows
        between = cosines[np.ix_(rows, rows)]
        assert (between[~np.eye(20, dtype=bool)] < 0.985 + 1e-6).all()
        hashes = [films.poster_sha256s[hit] for hit in rows if films.poster_sha256s[hit]]
        assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("name", KINDS)
def test_copies_of_the_query_film_fold_into_one_hit(name: str) -> None:
    features = np.concatenate([np.repeat(random_features(13, 1), 70, axis=0), random_features(14, 60)])
    films = films_of(features.astype(KINDS[name].dtype))
    index = KINDS[name].build(films)
    (found,) = index.similar([10], 3, duplicate_similarity=0.99)
    assert found.ids[0] == 13
    assert (found.ids[1:] >= films.movie_ids[70]).all()
    assert index.artwork_groups(films.movie_ids[1:73], 0.99).tolist() == [0] * 69 + [69, 70, 71]


def test_nothing_is_folded_by_default() -> None:
    features = np.repeat(random_features(13, 1), 7, axis=0)
    (found,) = Kind().build(films_of(features)).similar([10], 5)
    assert found.ids.tolist() == [13, 16, 19, 22, 25]


def test_unknown_poster_hashes_are_not_equal() -> None:
    features = random_features(15, 30)
    found = Kind().build(films_of(features)).similar([10], 29, duplicate_similarity=0.9999)[0]
    assert len(found) == 29


def test_catalog_of_one_artwork_folds_into_one_hit() -> None:
    features = np.repeat(random_features(16, 1), 40, axis=0)
    for name in ("exact", "short basis", "inverted lists"):
        (found,) = KINDS[name].build(films_of(features)).similar([10], 5, duplicate_similarity=0.9)
        assert found.ids.tolist() == [13]


def test_artwork_groups_point_to_their_first_film() -> None:
    features = random_features(17, 6)
    features[4] = features[1] * 2
    hashes = [f"{row + 1:064x}" for row in (0, 1, 2, 0, 4, 5)]
    index = Kind().build(FilmFeatures.of(ids_of(features), features, hashes))
    # 11 and 12 are no films of the index.
    assert index.artwork_groups([19, 11, 22, 12, 10, 13, 25]).tolist() == [0, 1, 2, 3, 0, 2, 6]
    assert index.artwork_groups([]).tolist() == []


# Scans


@pytest.mark.parametrize("name", KINDS)
def test_scan_covers_every_film_and_settles_requested_ones(name: str) -> None:
    index, movie_ids, cosines = built(name)
    scan = index.comparison().scan(movie_ids[7])
    others = np.delete(movie_ids, 7)
    expected = np.delete(cosines[7], 7)
    np.testing.assert_array_equal(scan.movie_ids, others)
    np.testing.assert_allclose(scan.similarities[scan.is_exact], expected[scan.is_exact], atol=2e-6)
    assert scan.is_exact.sum() >= 10
    assert np.abs(scan.similarities).max() <= 1
    nearest = np.argsort(-expected)[:3]
    assert scan.is_exact[nearest].all()
    wanted = others[[0, 5, 100, 198]]
    rough = np.isin(others, wanted) & ~scan.is_exact
    assert scan.settle([*wanted, movie_ids[7], 11]) is bool(rough.any())
    assert scan.is_exact[np.isin(others, wanted)].all()
    assert scan.settle(wanted) is False
    scan.settle(others)
    assert scan.is_exact.all()
    np.testing.assert_allclose(scan.similarities, expected, atol=2e-6)


@pytest.mark.parametrize("name", KINDS)
def test_scan_of_features_covers_every_film(name: str) -> None:
    index, movie_ids, cosines = built(name)
    scan = index.comparison().scan_features(random_features(11, N_FILMS, 48)[7].astype(KINDS[name].dtype))
    np.testing.assert_array_equal(scan.movie_ids, movie_ids)
    scan.settle(movie_ids)
    np.testing.assert_allclose(scan.similarities, cosines[7], atol=2e-6)
