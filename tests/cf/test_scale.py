"""Predicted stars lie within the scale of the ratings, and clipping them leaves their order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cf.base import Recommender
from cf.ratings import Ratings
from cf.registry import MODELS, make, model_class
from cf.scale import clip_to_ratings
from keyart.recommend.history import history_of
from tests.contracts import ratings_of

STARS = [name for name, entry in MODELS.items() if not entry.needs and model_class(name).predicts_stars]
# Few draws and passes: what is tested holds for any.
QUICK = {"bayesian": {"n_draws": 4, "burn_in": 2}}
# 0 means unrated.
TABLES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    elements=st.sampled_from([0, *np.arange(0.5, 5.5, 0.5)]),
)


def fitted(name: str, ratings: Ratings) -> Recommender:
    return make(name, **QUICK.get(name, {})).fit(ratings.matrix())


def check_scale(model: Recommender, ratings: Ratings) -> None:
    least, most = ratings.values.min(), ratings.values.max()
    newcomer = history_of(model.movie_ids_[:2], [0.5, 5][: len(model.movie_ids_)])
    pairs = [(model.recommend(model.user_ids_, 9, exclude_seen=False, raw=raw) for raw in (False, True))]
    if model.takes_new_users:
        pairs.append(model.recommend_new(newcomer, 9, exclude_seen=False, raw=raw) for raw in (False, True))
    for shown, raw in pairs:
        for stars, scores in zip(shown, raw, strict=True):
            assert stars.ids.tolist() == scores.ids.tolist()
            assert ((stars.scores >= least) & (stars.scores <= most)).all()
            assert stars.scores.tolist() == np.clip(scores.scores, least, most).tolist()
    users, films = (part.ravel() for part in np.meshgrid(model.user_ids_, model.movie_ids_))
    predicted = model.predict(users, films)
    assert ((predicted >= least) & (predicted <= most))[~np.isnan(predicted)].all()


@pytest.mark.parametrize("name", STARS)
@settings(max_examples=20, deadline=None)
@given(table=TABLES)
def test_stars_of_any_small_table_are_within_its_scale(name: str, table: np.ndarray) -> None:
    if not table.any():
        table[0, 0] = 4
    ratings = ratings_of(table)
    check_scale(fitted(name, ratings), ratings)


def test_stars_beyond_the_scale_are_clipped_in_the_order_of_raw_scores() -> None:
    # One user loves what another hates, and a generous one likes all: biases add up to more than 5 stars.
    ratings = ratings_of([[5, 5, 5, 0], [5, 1, 0, 5], [1, 0, 1, 5]])
    model = make("sgd", n_epochs=200, regularization=0.0).fit(ratings.matrix())
    (shown,), (raw,) = (model.recommend([101], 4, exclude_seen=False, raw=raw) for raw in (False, True))
    assert raw.scores[0] > 5
    assert shown.scores[0] == 5
    assert shown.ids.tolist() == raw.ids.tolist()


def test_preferences_are_not_clipped() -> None:
    model = make("most-rated").fit(ratings_of(np.full((9, 2), 4.0)).matrix())
    assert model.recommend([101], 1, exclude_seen=False)[0].scores.tolist() == [9]


def test_without_ratings_the_scale_is_that_of_half_stars() -> None:
    clipped = clip_to_ratings(np.array([-1, 3, 9, np.nan]), np.empty(0))
    np.testing.assert_array_equal(clipped, [0.5, 3, 5, np.nan])
