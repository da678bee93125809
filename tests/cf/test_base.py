from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from catalog.errors import ConfigError
from cf import base
from cf.base import best, cosine_similarities, rows_of
from cf.models.baseline import Baseline
from cf.registry import MODELS, make, model_class
from tests.contracts import random_stars, ratings_of

NAN = np.nan


def test_rows_of_maps_unknown_ids_to_minus_1() -> None:
    ids = np.array([3, 5, 9], np.int32)
    assert rows_of(ids, [9, 3, 4, 10, -1, 2**40]).tolist() == [2, 0, -1, -1, -1, -1]
    assert rows_of(np.empty(0, np.int32), [1]).tolist() == [-1]


@pytest.mark.parametrize(
    ("scores", "k", "expected"),
    [
        ([1, 3, 2], 2, [1, 2]),
        ([2, 2, 2, 2], 2, [0, 1]),
        ([1, 2, 2, 2], 2, [1, 2]),
        ([NAN, 1, NAN, 2], 3, [3, 1]),
        ([NAN, NAN], 1, []),
        ([1, 2], 10, [1, 0]),
        ([], 1, []),
    ],
)
def test_best_breaks_ties_by_ascending_column(scores: list[float], k: int, expected: list[int]) -> None:
    assert [found.tolist() for found in best(np.array([scores], float), k)] == [expected]


def test_best_equals_a_full_sort() -> None:
    scores = np.random.default_rng(1).integers(0, 5, (50, 30)).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")
    for k in (1, 7, 30):
        np.testing.assert_array_equal(np.array(best(scores, k)), order[:, :k])


def test_best_excludes_stored_cells_even_if_zero() -> None:
    without = sparse.csr_array((np.zeros(1), np.array([1]), np.array([0, 1])), shape=(1, 3))
    assert best(np.array([[1.0, 3.0, 2.0]]), 3, without=without)[0].tolist() == [2, 0]


def test_cosine_similarity_of_a_zero_vector_is_nan() -> None:
    found = cosine_similarities(np.array([[1.0, 0], [2, 0], [0, 3], [0, 0]]), np.arange(2))
    np.testing.assert_allclose(found, [[1, 1, 0, NAN]] * 2, atol=1e-6)


def test_block_size_does_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    ratings = ratings_of(random_stars(4)).matrix()
    model = Baseline().fit(ratings)
    users, films = np.repeat(ratings.user_ids, 2), np.resize(ratings.movie_ids, 2 * len(ratings.user_ids))
    whole = model.recommend(ratings.user_ids, 5), base.Recommender._predict(model, users - 101, films - 11)
    monkeypatch.setattr(base, "BLOCK_CELLS", 60)
    np.testing.assert_array_equal(base.Recommender._predict(model, users - 101, films - 11), whole[1])
    for one, other in zip(model.recommend(ratings.user_ids, 5), whole[0], strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)


def test_histories_are_aligned_to_the_columns_of_the_model() -> None:
    model = Baseline().fit(ratings_of([[1, 2, 3]]).matrix())
    histories = ratings_of([[0, 5, 4]], [10, 12, 13]).matrix()
    np.testing.assert_array_equal(model.aligned(histories).toarray(), [[0, 5, 4]])


@pytest.mark.parametrize("name", MODELS)
def test_every_registered_model_can_be_made(name: str) -> None:
    model = make(name)
    assert isinstance(model, model_class(name))
    assert MODELS[name].summary


def test_rejects_unknown_models_and_parameters() -> None:
    with pytest.raises(ConfigError, match="no model is called 'most-rate'; did you mean most-rated"):
        make("most-rate")
    with pytest.raises(ConfigError, match="most-rated has no parameter 'rank'; it has none"):
        make("most-rated", rank=3)
    with pytest.raises(ConfigError, match="damped-mean has no parameter 'rank'; its parameters are damping"):
        make("damped-mean", rank=3)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("als.n_factors", "abc", "a whole number from 1 on"),
        ("als.n_factors", 0, "a whole number from 1 on"),
        ("als.n_factors", True, "a whole number from 1 on"),
        ("als.n_factors", 2.5, "a whole number from 1 on"),
        ("als.seed", -1, "a whole number from 0 on"),
        ("als.penalty", -0.1, "a number from 0 on"),
        ("als.penalty", float("nan"), "a number from 0 on"),
        ("ranking.batch_size", 0, "a whole number from 1 on, or none"),
        ("ranking.decay", 1, "true or false"),
        ("ranking.optimizer", 1, "text"),
        ("keras-sigmoid.output", "tanh", "sigmoid or relu"),
    ],
)
def test_rejects_invalid_parameter_values(name: str, value: object, expected: str) -> None:
    model, _, parameter = name.partition(".")
    with pytest.raises(ConfigError, match=f"{name}: expected {expected}, received {value!r}"):
        make(model, **{parameter: value})


def test_accepts_integers_for_floats_and_none_where_allowed() -> None:
    assert make("als", penalty=1).parameters["penalty"] == 1
    assert make("ranking", batch_size=None).parameters["batch_size"] is None
