"""Reported recall of shortlists, compared with recall measured from dense cosines."""

from __future__ import annotations

import numpy as np
import pytest

from index.build import build_shortlist
from index.plan import Plan
from index.recall import recall_of
from index.vectors import unit_rows
from tests.contracts import films_of, random_features
from tests.index.kinds import KINDS, SHORTLISTS, Kind, dense_cosines


@pytest.mark.parametrize("name", SHORTLISTS)
@pytest.mark.parametrize("target_recall", [0.8, 0.99])
def test_reported_recall_is_measured_on_held_out_films(name: str, target_recall: float) -> None:
    kind = KINDS[name]
    features = random_features(1, 500, 128).astype(kind.dtype)
    films = films_of(features)
    rng = np.random.default_rng(0)
    mean = features.astype(np.float64).mean(axis=0).astype(np.float32) if kind.center else None
    rows, trial = build_shortlist(films, kind.plan(500), mean, rng, target_recall)
    assert len(trial.rows) == len(np.unique(trial.rows)) == 50
    cosines = dense_cosines(features, features, center=kind.center)
    np.fill_diagonal(cosines, -2)
    truth = np.sort(cosines[trial.rows], axis=1)[:, ::-1]
    np.testing.assert_allclose(trial.cosines, truth[:, :100], atol=2e-6)
    recall = recall_of(rows, trial)
    assert list(recall) == [1, 10, 100]
    if not kind.n_lists:
        assert min(recall[10], recall[100]) >= target_recall
    for k, reported in recall.items():
        found = rows.search(unit_rows(features[trial.rows], mean)[0], k + 1, None)
        n_found = 0
        for own, hits, best in zip(trial.rows, found, truth, strict=True):
            n_found += min(k, int((cosines[own, hits.ids[hits.ids != own]] >= best[k - 1] - 1e-5).sum()))
        assert reported == pytest.approx(n_found / (50 * k), abs=1e-9)


@pytest.mark.parametrize("name", SHORTLISTS)
def test_measured_recall_holds_for_all_films(name: str) -> None:
    kind = KINDS[name]
    features = random_features(2, 400, 128).astype(kind.dtype)
    index = kind.build(films_of(features), target_recall=0.9)
    reported = index.record.build.quality.recall
    cosines = dense_cosines(features, features, center=kind.center)
    np.fill_diagonal(cosines, -2)
    for k in (10, 100):
        n_found = 0
        for row, found in zip(cosines, index.similar(index.movie_ids.tolist(), k), strict=True):
            n_found += int((row[np.searchsorted(index.movie_ids, found.ids)] >= np.sort(row)[-k] - 1e-5).sum())
        assert n_found / (400 * k) == pytest.approx(reported[k], abs=0.05)


def test_higher_target_recall_needs_longer_shortlists() -> None:
    films = films_of(random_features(3, 600, 128))
    listed = []
    for target_recall in (0.5, 0.9, 0.999):
        index = Kind(rank=8).build(films, target_recall=target_recall)
        assert index.record.build.quality.target_met is True
        listed.append(index.record.settings["shortlist"]["10"])
    assert listed[0] < listed[1] < listed[2]


def test_product_quantizer_accepts_any_rank() -> None:
    # 13 numbers divide into equal parts only as 1 or 13.
    films = films_of(random_features(6, 400, 64))
    for rank, n_lists in ((13, 0), (16, 0), (13, 1)):
        plan = Plan("shortlist", "to be tested", 0, 0.0, rank, "PQ", n_lists)
        rows, trial = build_shortlist(films, plan, None, np.random.default_rng(2), 0.9)
        assert min(recall_of(rows, trial).values()) >= 0.9


def test_low_rank_features_get_a_short_basis() -> None:
    rng = np.random.default_rng(7)
    features = (np.abs(rng.standard_normal((300, 3))) @ np.abs(rng.standard_normal((3, 80)))).astype(np.float32)
    settings = Kind(rank=64).build(films_of(features)).record.settings
    assert settings["rank"] <= 8
