"""Precomputed cosines of all pairs of films, which exact indexes use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from index.backends.pairwise import all_pairs, extended_pairs, pairs_bytes
from index.cosine import CosineIndex
from index.source import FilmFeatures
from tests.contracts import films_of, ids_of, random_features
from tests.index.kinds import Kind, dense_cosines

WIDTH = 128


def assert_scans(index: CosineIndex, movie_ids: np.ndarray, features: np.ndarray, *, center: bool = False) -> None:
    cosines = dense_cosines(features, features, center=center)
    for row, movie_id in enumerate(movie_ids.tolist()):
        scan = index.comparison().scan(movie_id)
        np.testing.assert_array_equal(scan.movie_ids, np.delete(movie_ids, row))
        np.testing.assert_allclose(scan.similarities, np.delete(cosines[row], row), atol=2e-6)
        assert scan.is_exact.all()


def forbid_reading(index: CosineIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    def search(*_: object) -> None:
        raise AssertionError("the features were read")

    monkeypatch.setattr(index._generation.rows, "search", search)


@pytest.mark.parametrize("center", [False, True])
def test_scans_use_the_pairs(center: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    features = random_features(1, 30, WIDTH)
    built = Kind(center=center).build(films_of(features))
    built.save(tmp_path)
    for index in (built, CosineIndex.open(tmp_path)):
        forbid_reading(index, monkeypatch)
        assert_scans(index, ids_of(features), features, center=center)


def test_pairs_follow_added_removed_and_replaced_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, newer = random_features(2, 24, WIDTH), random_features(3, 6, WIDTH)
    movie_ids = ids_of(features)
    index = Kind().build(films_of(features))
    index.remove(movie_ids[[0, 7]])
    # One film is replaced, the others are new: before, between and after the existing ones.
    added = np.array([1, movie_ids[3], movie_ids[3] + 1, movie_ids[12] + 1, 900, 901])
    index.add(FilmFeatures.of(added, newer))
    removed = np.isin(movie_ids, [*movie_ids[[0, 7]], movie_ids[3]])
    order = np.argsort(merged_ids := np.concatenate([movie_ids[~removed], added]))
    merged = np.concatenate([features[~removed], newer])[order]
    index.save(tmp_path)
    for one in (index, CosineIndex.open(tmp_path)):
        forbid_reading(one, monkeypatch)
        assert_scans(one, merged_ids[order], merged)


def test_pairs_are_dropped_when_the_catalog_outgrows_them() -> None:
    features = random_features(4, 40, WIDTH)
    index = Kind().build(films_of(features[:30]))
    index.add(FilmFeatures.of(ids_of(features)[30:], features[30:]))
    assert_scans(index, ids_of(features), features)
    index.remove(ids_of(features)[20:])
    assert_scans(index, ids_of(features)[:20], features[:20])


def test_equal_rows_tie_to_the_last_bit() -> None:
    rows = random_features(5, 700, 512)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[[3, 350, 699]] = rows[0]
    pairs = all_pairs(rows.__getitem__, len(rows))
    for row in (3, 350, 699):
        np.testing.assert_array_equal(pairs[:, row], pairs[:, 0])
        np.testing.assert_array_equal(pairs[row], pairs[0])


def test_added_rows_tie_with_equal_ones_to_the_last_bit() -> None:
    rows = random_features(7, 60, 512)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    # Of two kept ones, of a kept and an added one, and of two added ones.
    equal = ((4, 2), (55, 3), (59, 57))
    for row, other in equal:
        rows[row] = rows[other]
    order = np.random.default_rng(0).permutation(60)
    units: Callable[[np.ndarray], np.ndarray] = rows[order].__getitem__
    found = extended_pairs(all_pairs(rows[:50].__getitem__, 50), np.arange(50), order, units)
    place = np.argsort(order)
    for row, other in equal:
        np.testing.assert_array_equal(found[:, place[row]], found[:, place[other]])
        np.testing.assert_array_equal(found[place[row]], found[place[other]])


def test_extended_pairs_equal_all_pairs() -> None:
    rows = random_features(6, 90, WIDTH)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    remaining = np.delete(np.arange(60), [5, 59])
    order = np.random.default_rng(0).permutation(88)
    merged = np.concatenate([rows[remaining], rows[60:]])[order]
    units: Callable[[np.ndarray], np.ndarray] = merged.__getitem__
    found = extended_pairs(all_pairs(rows[:60].__getitem__, 60), remaining, order, units)
    np.testing.assert_allclose(found, all_pairs(units, 88), atol=1e-6)


def test_pairs_add_at_most_a_quarter_of_memory() -> None:
    assert pairs_bytes(6_273, 25_088) == 0
    assert 0 < pairs_bytes(6_272, 25_088) <= 6_272 * 25_088 * 4 / 4
