"""Measures of look-alikes, against values by hand and plain definitions."""

from __future__ import annotations

import numpy as np
import pytest

from index import measures
from index.measures import agreement, chance_agreement, first_ranks, hubness, nearest_rows, recall

# Directions in the plane, in degrees.
ANGLES = np.radians([0, 10, 25, 90, 180])
UNITS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)


def draw_units(n: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_nearest_rows_by_hand() -> None:
    assert nearest_rows(UNITS, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1], [3, 2]]


def test_equal_cosines_are_ranked_by_row() -> None:
    same = np.repeat(UNITS[:1], 6, axis=0)
    assert nearest_rows(same, 3).tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], *[[0, 1, 2]] * 3]
    assert first_ranks(same[:2], same, [np.array([4]), np.array([0])]).tolist() == [5, 1]


def test_lists_are_shorter_where_there_are_fewer_films() -> None:
    assert nearest_rows(UNITS[:3], 10).shape == (3, 2)
    assert nearest_rows(UNITS[:1], 10).shape == (1, 0)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    units = draw_units(50)
    targets = [np.array([(row + 7) % 50, (row + 20) % 50]) for row in range(50)]
    lists, ranks = nearest_rows(units, 5), first_ranks(units, units, targets, np.arange(50))
    labels = np.random.default_rng(1).random((50, 4)) < 0.5
    agreed, by_chance = agreement(labels, lists), chance_agreement(labels)
    monkeypatch.setattr(measures, "_BLOCK_ROWS", 7)
    assert np.array_equal(nearest_rows(units, 5), lists)
    assert np.array_equal(first_ranks(units, units, targets, np.arange(50)), ranks)
    assert np.allclose(agreement(labels, lists), agreed)
    assert np.allclose(chance_agreement(labels), by_chance)


def test_advances_by_all_rows() -> None:
    done: list[int] = []
    nearest_rows(draw_units(20), 3, lambda n_units, doing="": done.append(n_units))
    assert sum(done) == 20


def test_first_ranks_count_the_films_before_the_nearest_target() -> None:
    targets = [np.array([3]), np.array([4, 2]), np.array([0])]
    assert first_ranks(UNITS[:3], UNITS, targets).tolist() == [4, 3, 3]
    assert first_ranks(UNITS[:3], UNITS, targets, own=np.arange(3)).tolist() == [3, 2, 2]


def test_recall_is_of_as_many_targets_as_fit() -> None:
    lists = np.array([[1, 2], [0, 2], [0, 1]])
    assert recall(lists, [np.array([1]), np.array([2, 3, 4]), np.array([3])]).tolist() == [1, 0.5, 0]


def test_hubness_by_hand() -> None:
    # Film 0 is in three lists, 1 in one, 2 and 3 in none.
    found = hubness(np.array([[1], [0], [0], [0]]))
    counts = np.array([3, 1, 0, 0])
    assert (found.most, found.share_in_none) == (3, 0.5)
    assert found.skewness == pytest.approx(((counts - 1) ** 3).mean() / counts.std() ** 3)
    assert hubness(np.array([[1], [0]])).skewness == 0


def test_agreement_of_sets_and_of_single_labels() -> None:
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 0]], bool)
    assert agreement(labels, np.array([[1], [0], [0], [0]])) == pytest.approx([1 / 2, 1 / 2, 1 / 3, 0])
    assert chance_agreement(labels) == pytest.approx([(1 / 2 + 1 / 3) / 3, 1 / 6, 1 / 9, 0])
    decades = np.eye(2, dtype=bool)[[0, 0, 1]]
    assert agreement(decades, np.array([[1, 2], [0, 2], [0, 1]])) == pytest.approx([0.5, 0.5, 0])
