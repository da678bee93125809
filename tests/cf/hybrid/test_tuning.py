from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from catalog.scored_ids import ScoredIds
from cf.hybrid.calibration import Calibration
from cf.hybrid.tuning import Query, co_likes, tune
from tests.contracts import ratings_of


def measure(values: list[float], first_id: int = 1) -> ScoredIds:
    return ScoredIds(np.arange(first_id, first_id + len(values)), np.array(values, float))


# By looks films 1 to 5 are nearest, by ratings films 11 to 15.
LOOKS = measure([*np.linspace(1, 0.9, 5), *[0.1] * 10])
LIKED = measure(np.linspace(1, 0.9, 5).tolist(), 11)
LOOKS_ARE_RIGHT, RATINGS_ARE_RIGHT = measure([3, 2, 1, 1, 1]), measure([3, 2, 1, 1, 1], 11)


def query(n_ratings: int, gains: ScoredIds) -> Query:
    return Query(n_ratings, LOOKS, LIKED, np.full(15, 1000), gains)


def test_co_likes_are_counted() -> None:
    movie_ids, counts = co_likes(ratings_of([[5, 4, 1], [4, 4.5, 0], [5, 0, 5]]))
    assert movie_ids.tolist() == [11, 12, 13]
    assert counts.toarray().tolist() == [[0, 2, 1], [2, 0, 0], [1, 0, 0]]


def test_ratings_count_where_they_predict() -> None:
    tuned = tune([query(50, RATINGS_ARE_RIGHT)] * 3)
    (bucket,) = tuned.buckets
    assert (bucket.least, bucket.n_films) == (20, 3)
    assert bucket.cf == bucket.blended == 1
    assert bucket.visual < 0.1
    assert float(tuned.blending.alphas(50)) < 0.5


def test_ratings_do_not_count_where_looks_predict() -> None:
    tuned = tune([query(50, LOOKS_ARE_RIGHT)])
    assert tuned.buckets[0].blended == tuned.buckets[0].visual == 1
    assert tuned.blending.cf_share == 0


def test_few_ratings_count_little_and_many_much() -> None:
    tuned = tune([*[query(2, LOOKS_ARE_RIGHT)] * 5, *[query(500, RATINGS_ARE_RIGHT)] * 5])
    few, many = tuned.blending.alphas([2, 500])
    assert few > 0.5 > many
    assert [bucket.blended for bucket in tuned.buckets] == [1, 1]
    assert tuned.buckets[0].gain.low > 0
    assert tuned.buckets[1].gain.value == 0


def test_the_rarer_of_two_films_decides() -> None:
    rare = replace(query(500, LOOKS_ARE_RIGHT), candidate_n_ratings=np.array([1000] * 10 + [1] * 5))
    tuned = tune([rare, query(500, RATINGS_ARE_RIGHT)])
    assert [bucket.blended for bucket in tuned.buckets] == [1]


@pytest.mark.parametrize("calibration", Calibration)
def test_every_calibration_can_be_tuned(calibration: Calibration) -> None:
    tuned = tune([query(50, RATINGS_ARE_RIGHT)], calibration)
    assert tuned.blending.calibration == calibration
    # By proportions, the last of those that are known falls to the level of those that are not.
    assert tuned.buckets[0].blended > 0.9


def test_without_queries_tuning_is_refused() -> None:
    with pytest.raises(ValueError, match="one query or more"):
        tune([])
