from __future__ import annotations

import numpy as np

from cf.coldstart.base import scores_by_rank

KNOWN = np.array([0.1, 0.9, 0.5, 0.3])


def test_new_films_score_by_content_rank_among_known_films() -> None:
    mapped = scores_by_rank(KNOWN, np.array([1.0, 2.0, 3.0, 4.0]), np.array([5.0, 3.5, 2.5, 0.0]))
    np.testing.assert_allclose(mapped, [0.9, 0.5, 0.3, 0.1])


def test_equal_content_scores_put_a_new_film_in_the_middle() -> None:
    np.testing.assert_allclose(scores_by_rank(KNOWN, np.zeros(4), np.zeros(1)), [0.3])


def test_the_scale_of_content_scores_does_not_matter() -> None:
    content, new = np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.5, 0.5])
    np.testing.assert_array_equal(
        scores_by_rank(KNOWN, content, new), scores_by_rank(KNOWN, content * 7 - 3, new * 7 - 3)
    )


def test_a_sample_of_known_films_gives_nearly_the_same_scores() -> None:
    rng = np.random.default_rng(0)
    known, content = rng.random(10_000), rng.random(10_000)
    whole, part = (
        scores_by_rank(known, content, np.array([0.2, 0.9])),
        scores_by_rank(known, content[::10], np.array([0.2, 0.9])),
    )
    np.testing.assert_allclose(whole, part, atol=0.05)


def test_scores_grow_with_preferences() -> None:
    mapped = scores_by_rank(KNOWN, np.arange(4.0), np.linspace(-1, 5, 30))
    assert (np.diff(mapped) >= 0).all()


def test_without_known_films_scores_are_nan() -> None:
    assert np.isnan(scores_by_rank(np.zeros(0), np.zeros(0), np.ones(2))).all()
