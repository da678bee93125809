"""Paired comparison of embeddings."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from keyart.similarity.evaluation.paired import compare


def test_gains_are_relative_to_the_first() -> None:
    (first, of_first), (second, gain) = compare([np.array([0.5, 0.5, 1]), np.array([0.5, 1, 1])], ["a", "b", "c"])
    assert (first.value, second.value) == pytest.approx((2 / 3, 5 / 6))
    assert gain.value == pytest.approx(25)
    assert gain.low <= gain.value <= gain.high
    assert (of_first.low, of_first.high) == (0, 0)


def test_the_interval_of_a_mean_is_near_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(5, 1, 400)
    ((mean, _),) = compare([values], [str(number) for number in range(400)])
    assert (mean.low, mean.high) == pytest.approx(
        (values.mean() - 1.96 / 20 * values.std(), values.mean() + 1.96 / 20 * values.std()), abs=0.02
    )


def test_groups_are_drawn_whole() -> None:
    values = np.random.default_rng(0).random(100)
    # The same ten values ten times are no more certain than once.
    repeated, groups = np.repeat(values[:10], 10), np.repeat(np.arange(10), 10).astype(str).tolist()
    ((by_group, _),) = compare([repeated], groups)
    ((once, _),) = compare([values[:10]], [str(number) for number in range(10)])
    ((alone, _),) = compare([repeated], [str(number) for number in range(100)])
    assert astuple(by_group) == pytest.approx(astuple(once))
    assert alone.high - alone.low < 0.5 * (by_group.high - by_group.low)


def test_pairing_makes_a_small_but_steady_gain_certain() -> None:
    values = np.random.default_rng(0).random(200)
    _, (_, gain) = compare([values, values * 1.02], [str(number) for number in range(200)])
    assert (gain.low, gain.high) == pytest.approx((2, 2))


def test_is_seeded() -> None:
    values, groups = [np.random.default_rng(1).random(30)], [str(number) for number in range(30)]
    assert compare(values, groups, seed=1) == compare(values, groups, seed=1) != compare(values, groups, seed=2)


def test_nothing_is_claimed_without_two_groups_or_above_zero() -> None:
    ((mean, gain),) = compare([np.array([1.0, 0.5])], ["a", "a"])
    assert mean.value == 0.75
    assert np.isnan([mean.low, mean.high, gain.low]).all()
    _, (mean, gain) = compare([np.zeros(3), np.ones(3)], ["a", "b", "c"])
    assert mean.value == 1
    assert np.isnan([gain.value, gain.low, gain.high]).all()
