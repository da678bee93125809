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


# Films 1 to 5 are nearest visually, films 11 to 15 by CF.
VISUAL = measure([*np.linspace(1, 0.9, 5), *[0.1] * 10])
CF = measure(np.linspace(1, 0.9, 5).tolist(), 11)
VISUAL_GAINS, CF_GAINS = measure([3, 2, 1, 1, 1]), measure([3, 2, 1, 1, 1], 11)


def query(n_ratings: int, gains: ScoredIds) -> Query:
    return Query(n_ratings, VISUAL, CF, np.full(15, 1000), gains)


def test_co_likes_are_counted() -> None:
    movie_ids, counts = co_likes(ratings_of([[5, 4, 1], [4, 4.5, 0], [5, 0, 5]]))
    assert movie_ids.tolist() == [11, 12, 13]
    assert counts.toarray().tolist() == [[0, 2, 1], [2, 0, 0], [1, 0, 0]]


def test_cf_gets_weight_where_it_predicts() -> None:
    tuned = tune([query(50, CF_GAINS)] * 3)
    (bucket,) = tuned.buckets
    assert (bucket.least, bucket.n_films) == (20, 3)
    assert bucket.cf == bucket.blended == 1
    assert bucket.visual < 0.1
    assert float(tuned.blending.alphas(50)) < 0.5


@pytest.mark.parametrize("max_cf_share", [0.0, 0.5, 0.7])
def test_cf_weight_is_bounded(max_cf_share: float) -> None:
    tuned = tune([query(50, CF_GAINS)] * 3, max_cf_share=max_cf_share)
    assert tuned.blending.cf_share <= max_cf_share
    assert (tuned.blending.alphas([1, 100, 10**6]) >= 1 - max_cf_share).all()


def test_cf_gets_no_weight_where_visual_similarity_predicts() -> None:
    tuned = tune([query(50, VISUAL_GAINS)])
    assert tuned.buckets[0].blended == tuned.buckets[0].visual == 1
    assert tuned.blending.cf_share == 0


def test_cf_weight_grows_with_the_number_of_ratings() -> None:
    tuned = tune([*[query(2, VISUAL_GAINS)] * 5, *[query(500, CF_GAINS)] * 5])
    few, many = tuned.blending.alphas([2, 500])
    assert few > 0.5 > many
    assert [bucket.blended for bucket in tuned.buckets] == [1, 1]
    assert tuned.buckets[0].gain.low > 0
    assert tuned.buckets[1].gain.value == 0


def test_support_of_a_pair_is_that_of_the_rarer_film() -> None:
    rare = replace(query(500, VISUAL_GAINS), candidate_n_ratings=np.array([1000] * 10 + [1] * 5))
    tuned = tune([rare, query(500, CF_GAINS)])
    assert [bucket.blended for bucket in tuned.buckets] == [1]


@pytest.mark.parametrize("calibration", Calibration)
def test_every_calibration_can_be_tuned(calibration: Calibration) -> None:
    tuned = tune([query(50, CF_GAINS)], calibration)
    assert tuned.blending.calibration == calibration
    # Min-max maps the lowest known score to the level of unknown films.
    assert tuned.buckets[0].blended > 0.9


def test_without_queries_tuning_is_refused() -> None:
    with pytest.raises(ValueError, match="one query or more"):
        tune([])


def test_content_counts_where_it_predicts() -> None:
    content = measure([*[0.1] * 5, *np.linspace(1, 0.9, 5), *[0.1] * 5])
    by_content = measure([3, 2, 1, 1, 1], 6)
    tuned = tune([replace(query(0, by_content), content=content)] * 3)
    assert tuned.blending.content_share >= 0.5
    assert tuned.buckets[0].content == tuned.buckets[0].blended == 1


def test_content_that_predicts_nothing_does_not_count() -> None:
    tuned = tune([replace(query(50, VISUAL_GAINS), content=measure([0.5] * 15))])
    assert tuned.blending.content_share == 0
