from __future__ import annotations

import numpy as np
import pytest

from cf.coldstart.intervals import ratio


def test_intervals_hold_the_truth_where_users_and_draws_differ() -> None:
    rng = np.random.default_rng(0)
    held, found, smallest = [], [], []
    for _ in range(300):
        draws, users = rng.normal(0, 0.3, (5, 1)), rng.normal(0, 1, (1, 100))
        cells = 2 + draws + users + rng.normal(0, 1, (5, 100))
        measured = ratio(cells, np.ones_like(cells), 5)
        held.append(measured.estimate.low <= 2 <= measured.estimate.high)
        smallest.append(measured.detectable)
    assert 0.91 < np.mean(held) < 0.99
    # A true value of this size is told from 0 about as often as promised.
    effect = float(np.median(smallest))
    for _ in range(300):
        cells = effect + rng.normal(0, 0.3, (5, 1)) + rng.normal(0, 1, (1, 100)) + rng.normal(0, 1, (5, 100))
        found.append(ratio(cells, np.ones_like(cells), 5).estimate.low > 0)
    assert 0.7 < np.mean(found) < 0.9


def test_draws_that_differ_widen_the_interval() -> None:
    users = np.random.default_rng(1).normal(5, 1, (1, 50))
    alike, different = np.repeat(users, 4, axis=0), users + np.array([[-1.0], [0], [0], [1]])
    narrow, wide = (ratio(cells, np.ones_like(cells), 4).estimate for cells in (alike, different))
    assert narrow.value == pytest.approx(wide.value)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_ranking_the_same_films_again_does_not_narrow_the_part_of_the_draws() -> None:
    rng = np.random.default_rng(2)
    cells = np.repeat(rng.normal(0, 1, (40, 1)), 2000, axis=1)
    apart, repeated = (ratio(cells, np.ones_like(cells), n).estimate for n in (40, 10))
    assert repeated.high - repeated.low == pytest.approx(2 * (apart.high - apart.low), rel=0.05)


def test_a_ratio_is_of_the_sums() -> None:
    measured = ratio(np.array([[1.0, 4], [0, 3]]), np.array([[2.0, 4], [0, 2]]), 2).estimate
    assert measured.value == 1
    assert measured.low < 1 < measured.high


def test_a_single_draw_has_an_interval_over_users_and_a_single_user_none() -> None:
    one_draw = ratio(np.array([[1.0, 2, 3]]), np.ones((1, 3)), 5)
    assert one_draw.estimate.low < 2 < one_draw.estimate.high
    one_user = ratio(np.array([[1.0], [2]]), np.ones((2, 1)), 5)
    assert one_user.estimate.value == 1.5
    assert np.isnan(one_user.estimate.low)
    assert np.isnan(one_user.detectable)
    assert np.isnan(ratio(np.zeros((2, 3)), np.zeros((2, 3)), 5).estimate.value)
