import numpy as np
import pytest

from catalog.scored_ids import ScoredIds

IDS, SCORES = np.array([7, 3, 5]), np.array([0.5, 0.5, 0.9])


def test_ranks_best_first_and_ties_by_ascending_id() -> None:
    ranked = ScoredIds.ranked(IDS, SCORES)
    assert ranked.ids.tolist() == [5, 3, 7]
    assert ranked.scores.tolist() == [0.9, 0.5, 0.5]


@pytest.mark.parametrize(("k", "n"), [(0, 0), (2, 2), (9, 3)])
def test_keeps_at_most_k(k: int, n: int) -> None:
    assert len(ScoredIds.ranked(IDS, SCORES, k)) == n


def test_takes_by_position_and_by_mask() -> None:
    scored = ScoredIds(IDS, SCORES)
    assert scored.take(np.array([2, 0])).ids.tolist() == [5, 7]
    assert scored.take(SCORES < 0.9).scores.tolist() == [0.5, 0.5]
    assert scored.take(slice(1)).ids.tolist() == [7]


def test_empty_has_no_ids() -> None:
    assert len(ScoredIds.empty()) == 0


@pytest.mark.parametrize("scores", [np.zeros(2), np.zeros((3, 1))])
def test_refuses_scores_that_do_not_match(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match="as many scores as ids"):
        ScoredIds(IDS, scores)
