from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from catalog.errors import ConfigError
from cf.base import Recommender
from cf.models.keras_mf import KerasMF
from cf.ratings import RatingMatrix
from cf.registry import make as make_by_name
from tests.contracts import RecommenderContract, checkerboard, ratings_of

pytestmark = pytest.mark.heavy

# Few ratings need larger steps, and a checkerboard has no noise to regularize against.
QUICK = partial(KerasMF, n_factors=8, n_epochs=5, batch_size=16, learning_rate=0.05, regularization=0.02)


class TestKerasFactors(RecommenderContract):
    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        return QUICK


@pytest.fixture(scope="module")
def ratings() -> RatingMatrix:
    return ratings_of(checkerboard()).matrix()


@pytest.fixture(scope="module")
def model(ratings: RatingMatrix) -> KerasMF:
    return QUICK().fit(ratings)


def test_sigmoid_scores_stay_on_the_rating_scale(model: KerasMF) -> None:
    scores = model._score(np.arange(40))
    assert scores.min() >= 1
    assert scores.max() <= 5


def test_saved_arrays_predict_as_the_network_does(model: KerasMF) -> None:
    network, variables = model._network(40, 20)
    learned = (model.user_factors_, model.film_factors_, model.user_biases_[:, None], model.film_biases_[:, None])
    for variable, weight in zip(variables, (*learned, model.dense_[:1, None], model.dense_[1:]), strict=True):
        variable.assign(weight)
    users, films = (part.ravel() for part in np.indices((40, 20), np.int32))
    stars = np.array(network([users, films]))[:, 0]
    np.testing.assert_allclose(model._score(np.arange(40)).ravel(), stars, atol=1e-5)


@pytest.mark.parametrize("output", ["sigmoid", "relu"])
def test_new_users_match_fitted_users_with_the_same_ratings(ratings: RatingMatrix, model: KerasMF, output: str) -> None:
    one = model if output == "sigmoid" else QUICK(output=output).fit(ratings)
    folded, fitted = one._score_new(ratings.values), one._score(np.arange(40))
    assert np.sqrt(np.mean((folded - fitted) ** 2)) < 0.15


def test_user_without_ratings_gets_films_in_order_of_bias(model: KerasMF) -> None:
    no_ratings = RatingMatrix(np.ones(1, np.int32), model.movie_ids_, ratings_of(np.zeros((1, 1))).matrix().values)
    no_ratings.values.resize(1, 20)
    (found,) = model.recommend_new(no_ratings, 20)
    np.testing.assert_array_equal(found.ids, model.movie_ids_[np.argsort(-model.film_biases_, kind="stable")])


def test_published_settings_support_new_users(ratings: RatingMatrix) -> None:
    model = QUICK(regularization=0.0, bias_regularization=0.0, decay=False, n_epochs=1).fit(ratings)
    assert np.isfinite(model._score_new(ratings.values)).all()


def test_unrated_film_has_a_prediction_and_no_neighbors() -> None:
    ratings = ratings_of(checkerboard()).matrix()
    ratings.values.resize(40, 21)
    wider = RatingMatrix(ratings.user_ids, np.append(ratings.movie_ids, 99).astype(np.int32), ratings.values)
    model = QUICK(n_epochs=1).fit(wider)
    assert not len(model.similar_items([99], 5)[0].ids)
    assert np.isfinite(model.predict([101], [99])).all()


def test_another_seed_gives_other_factors(ratings: RatingMatrix, model: KerasMF) -> None:
    other = QUICK(seed=1, n_epochs=1).fit(ratings)
    assert not np.allclose(other.film_factors_, model.film_factors_, atol=0.01)


def test_rejects_unknown_output() -> None:
    with pytest.raises(ConfigError, match="outputs sigmoid and relu, received 'tanh'"):
        KerasMF(output="tanh").fit(ratings_of(checkerboard()).matrix())  # type: ignore[arg-type]


def test_the_registry_has_both_outputs() -> None:
    assert make_by_name("keras-sigmoid").parameters == KerasMF().parameters
    published = make_by_name("keras-relu").parameters
    assert (published["output"], published["batch_size"], published["regularization"]) == ("relu", 512, 0)
