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

# Few ratings want larger steps, and a checkerboard holds no noise to be guarded against.
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


def test_a_sigmoid_keeps_to_the_scale_of_the_ratings(model: KerasMF) -> None:
    scores = model._score(np.arange(40))
    assert scores.min() >= 1
    assert scores.max() <= 5


def test_the_arrays_predict_what_the_network_does(model: KerasMF) -> None:
    network, variables = model._network(40, 20)
    learned = (model.user_factors_, model.film_factors_, model.user_biases_[:, None], model.film_biases_[:, None])
    for variable, weight in zip(variables, (*learned, model.dense_[:1, None], model.dense_[1:]), strict=True):
        variable.assign(weight)
    users, films = (part.ravel() for part in np.indices((40, 20), np.int32))
    stars = np.array(network([users, films]))[:, 0]
    np.testing.assert_allclose(model._score(np.arange(40)).ravel(), stars, atol=1e-5)


@pytest.mark.parametrize("output", ["sigmoid", "relu"])
def test_a_new_user_is_given_what_an_old_one_of_the_same_ratings_is(
    ratings: RatingMatrix, model: KerasMF, output: str
) -> None:
    one = model if output == "sigmoid" else QUICK(output=output).fit(ratings)
    folded, fitted = one._score_new(ratings.values), one._score(np.arange(40))
    assert np.sqrt(np.mean((folded - fitted) ** 2)) < 0.15


def test_somebody_without_ratings_is_given_what_films_are_worth_by_themselves(model: KerasMF) -> None:
    nobody = RatingMatrix(np.ones(1, np.int32), model.movie_ids_, ratings_of(np.zeros((1, 1))).matrix().values)
    nobody.values.resize(1, 20)
    (found,) = model.recommend_new(nobody, 20)
    np.testing.assert_array_equal(found.ids, model.movie_ids_[np.argsort(-model.film_biases_, kind="stable")])


def test_published_settings_without_regularization_still_take_new_users(ratings: RatingMatrix) -> None:
    model = QUICK(regularization=0.0, bias_regularization=0.0, decay=False, n_epochs=1).fit(ratings)
    assert np.isfinite(model._score_new(ratings.values)).all()


def test_of_a_film_without_ratings_only_the_user_is_known() -> None:
    ratings = ratings_of(checkerboard()).matrix()
    ratings.values.resize(40, 21)
    wider = RatingMatrix(ratings.user_ids, np.append(ratings.movie_ids, 99).astype(np.int32), ratings.values)
    model = QUICK(n_epochs=1).fit(wider)
    assert not len(model.similar_items([99], 5)[0].ids)
    assert np.isfinite(model.predict([101], [99])).all()


def test_another_seed_is_another_model(ratings: RatingMatrix, model: KerasMF) -> None:
    other = QUICK(seed=1, n_epochs=1).fit(ratings)
    assert not np.allclose(other.film_factors_, model.film_factors_, atol=0.01)


def test_an_output_that_there_is_not_is_told() -> None:
    with pytest.raises(ConfigError, match="outputs sigmoid and relu, received 'tanh'"):
        KerasMF(output="tanh").fit(ratings_of(checkerboard()).matrix())  # type: ignore[arg-type]


def test_the_registry_has_both_outputs() -> None:
    assert make_by_name("keras-sigmoid").parameters == KerasMF().parameters
    published = make_by_name("keras-relu").parameters
    assert (published["output"], published["batch_size"], published["regularization"]) == ("relu", 512, 0)
