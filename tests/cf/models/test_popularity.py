from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cf.base import Recommender
from cf.models.popularity import DampedMean, MostRated
from tests.contracts import RecommenderContract, ratings_of


@pytest.mark.parametrize("model_class", [DampedMean, MostRated], ids=lambda model_class: model_class.__name__)
class TestPopularity(RecommenderContract):
    finds_similar = False

    @pytest.fixture
    def make(self, model_class: type[Recommender]) -> Callable[[], Recommender]:
        return model_class


STARS = [[5, 4, 0], [0, 4, 1], [0, 4, 1], [0, 4, 0]]


def test_one_good_rating_does_not_beat_many() -> None:
    raw, damped = (DampedMean(damping).fit(ratings_of(STARS).matrix()) for damping in (0.0, 10.0))
    assert raw.recommend([104], 3, exclude_seen=False)[0].ids[0] == 11
    assert damped.recommend([104], 3, exclude_seen=False)[0].ids[0] == 12


def test_the_mean_is_damped_towards_the_mean_of_all_ratings() -> None:
    mean = (5 + 4 * 4 + 1 + 1) / 7
    model = DampedMean(2.0).fit(ratings_of(STARS).matrix())
    expected = [(5 + 2 * mean) / 3, (16 + 2 * mean) / 6, (2 + 2 * mean) / 4]
    np.testing.assert_allclose(model.predict([101] * 3, [11, 12, 13]), expected, rtol=1e-6)


def test_most_rated_ranks_by_number_of_ratings() -> None:
    (found,) = MostRated().fit(ratings_of(STARS).matrix()).recommend([101], 3, exclude_seen=False)
    assert (found.ids.tolist(), found.scores.tolist()) == ([12, 13, 11], [4, 2, 1])
