"""Recall of an index, measured against dense cosines."""

from __future__ import annotations

import numpy as np
import pytest

from index.backends.exact import ExactRows
from index.backends.shortlist import Sizes
from index.build import build_shortlist
from index.recall import make_trial, measure
from tests.contracts import films_of, random_features
from tests.index.kinds import Kind, dense_cosines


def test_missed_target_recall_is_reported() -> None:
    # One direction of noise carries almost no information.
    films = films_of(np.random.default_rng(4).standard_normal((300, 64)).astype(np.float32))
    rows, trial = build_shortlist(films, Kind(rank=1).plan(300), None, np.random.default_rng(0), 0.5)
    short = rows.with_sizes(Sizes({1: 60, 10: 60, 100: 103}))
    quality = measure(short, trial, 0.9)
    assert quality.recall[10] < 0.9
    assert (quality.target_recall, quality.target_met) == (0.9, False)
    assert measure(short, trial, 0.01).target_met is True


@pytest.mark.parametrize("center", [False, True])
def test_trial_matches_plain_computation(center: bool) -> None:
    features = random_features(5, 700)
    mean = features.mean(axis=0) if center else None
    trial = make_trial(ExactRows.build(films_of(features), mean), np.random.default_rng(1))
    cosines = dense_cosines(features, features, center=center)
    np.fill_diagonal(cosines, -2)
    np.testing.assert_allclose(trial.cosines, -np.sort(-cosines[trial.rows], axis=1)[:, :100], atol=2e-6)
    own = np.take_along_axis(cosines[trial.rows], trial.neighbors, axis=1)
    np.testing.assert_allclose(own, trial.cosines, atol=2e-6)


@pytest.mark.parametrize("row", range(4))
def test_exact_search_finds_copies_of_half_floats(row: int) -> None:
    # Rounded to half floats, rows are a little longer or shorter than 1.
    features = random_features(3, 150, 48)
    films = films_of(np.concatenate([features, np.repeat(features[row : row + 1], 100, axis=0)]))
    rows = ExactRows.build(films, None, half=True)
    quality = measure(rows, make_trial(rows, np.random.default_rng(1)), 0.99)
    assert set(quality.recall.values()) == {1.0}
    assert quality.target_met
