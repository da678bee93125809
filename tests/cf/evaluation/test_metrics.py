from __future__ import annotations

import numpy as np
import pytest

from cf.evaluation.metrics import bootstrap, item_coverage, novelty, ranking_scores

RANKED = np.array([7, 3, 9, 1, 5])


def test_ranking_scores_match_hand_computed_values() -> None:
    scores = ranking_scores([RANKED], [np.array([3, 1, 100])], k=3)
    # One of three relevant films is in the top three, at rank 2.
    np.testing.assert_allclose(scores.recall, [1 / 3])
    np.testing.assert_allclose(scores.ndcg, [(1 / np.log2(3)) / (1 + 1 / np.log2(3) + 1 / 2)])
    np.testing.assert_allclose(scores.reciprocal_rank, [1 / 2])


@pytest.mark.parametrize(
    ("relevant", "k", "expected"),
    [
        ([7], 1, (1, 1, 1)),
        ([7, 3, 9, 1, 5], 5, (1, 1, 1)),
        ([3], 1, (0, 0, 1 / 2)),
        ([8], 5, (0, 0, 0)),
        ([7, 3, 8], 2, (2 / 3, 1, 1)),
    ],
)
def test_ranking_scores_of_perfect_and_useless_rankings(
    relevant: list[int], k: int, expected: tuple[float, ...]
) -> None:
    scores = ranking_scores([RANKED], [np.array(relevant)], k)
    np.testing.assert_allclose([scores.recall[0], scores.ndcg[0], scores.reciprocal_rank[0]], expected)


def test_the_reciprocal_rank_looks_beyond_k() -> None:
    assert ranking_scores([RANKED], [np.array([5])], k=2).reciprocal_rank.tolist() == [1 / 5]


def test_rankings_shorter_than_k_are_scored() -> None:
    scores = ranking_scores([np.array([3]), np.empty(0, int)], [np.array([3, 4])] * 2, k=10)
    np.testing.assert_allclose(scores.ndcg, [1 / (1 + 1 / np.log2(3)), 0])


def test_coverage_and_novelty_count_the_top_k() -> None:
    rankings = [np.array([1, 2, 3]), np.array([2, 1, 4])]
    assert item_coverage(rankings, 2, 8) == 2 / 8
    assert item_coverage([], 2, 8) == 0
    popularity = {1: 16, 2: 4}
    assert novelty(rankings, 2, popularity, 16) == pytest.approx((0 + 2 + 2 + 0) / 4)
    assert novelty([np.array([99])], 2, popularity, 16) == 4
    assert np.isnan(novelty([], 2, popularity, 16))


def test_bootstrap_interval_matches_the_normal_approximation() -> None:
    scores = np.random.default_rng(1).normal(5, 2, 400)
    found = bootstrap(scores, np.ones(400), n=4000)
    assert found.value == pytest.approx(scores.mean())
    half = 1.96 * scores.std() / 20
    assert found.low == pytest.approx(scores.mean() - half, abs=0.03)
    assert found.high == pytest.approx(scores.mean() + half, abs=0.03)


def test_bootstrap_of_a_root_mean_square() -> None:
    errors = [np.array([1.0, 2.0]), np.array([3.0])]
    squares, counts = np.array([(e**2).sum() for e in errors]), np.array([2.0, 1.0])
    found = bootstrap(squares, counts, root=True)
    assert found.value == pytest.approx(np.sqrt((1 + 4 + 9) / 3))
    assert found.low < found.value < found.high
    assert bootstrap(squares, counts, root=True) == found


def test_one_user_has_no_interval() -> None:
    found = bootstrap(np.array([0.0, 6.0]), np.array([0.0, 2.0]))
    assert found.value == 3
    assert np.isnan([found.low, found.high]).all()


def test_bootstrap_of_no_scores_is_nan() -> None:
    assert np.isnan(bootstrap(np.empty(0), np.empty(0)).value)
