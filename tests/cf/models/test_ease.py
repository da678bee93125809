from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import ConfigError
from cf.base import Recommender
from cf.evaluation.evaluation import evaluate
from cf.evaluation.splits import by_user
from cf.models import ease
from cf.models.ease import EASE
from cf.ratings import RatingMatrix, read_movielens
from cf.registry import make as make_model
from tests.contracts import RecommenderContract, random_stars, ratings_of


class TestEase(RecommenderContract):
    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        return EASE


def plain(regularization: float) -> EASE:
    return EASE(regularization, popularity_exponent=0, activity_exponent=0, largest_diagonal=0)


def random_ratings(seed: int = 1) -> RatingMatrix:
    return ratings_of(random_stars(seed, n_users=60, n_films=20)).matrix()


def ridge_without(gram: npt.NDArray[np.float64], film: int, regularization: float) -> npt.NDArray[np.float64]:
    """Regress one film on all others."""
    others = np.arange(len(gram)) != film
    weights = np.zeros(len(gram))
    system = gram[np.ix_(others, others)] + regularization * np.eye(others.sum())
    weights[others] = np.linalg.solve(system, gram[others, film])
    return weights


def test_zero_diagonal_equals_ridge_regressions_on_other_films() -> None:
    ratings = random_ratings()
    chosen = (ratings.values.toarray() > 0).astype(float)
    expected = np.stack([ridge_without(chosen.T @ chosen, film, 7.0) for film in range(20)], axis=1)
    np.testing.assert_allclose(plain(7.0).fit(ratings).weights_, expected, atol=1e-6)


def test_free_diagonal_equals_one_ridge_regression() -> None:
    ratings = random_ratings()
    chosen = (ratings.values.toarray() > 0).astype(float)
    gram = chosen.T @ chosen
    model = EASE(7.0, popularity_exponent=0, activity_exponent=0, largest_diagonal=1).fit(ratings)
    np.testing.assert_allclose(model.weights_, np.linalg.solve(gram + 7.0 * np.eye(20), gram), atol=1e-6)


def test_weights_of_users_and_films_match_the_formula() -> None:
    ratings = random_ratings()
    chosen = (ratings.values.toarray() > 0).astype(float)
    n_of_user, n_of_film = chosen.sum(axis=1), chosen.sum(axis=0)
    users, films = n_of_user**-0.5, n_of_film**-0.25
    users /= np.average(users, weights=n_of_user)
    films /= np.sqrt(np.average(films**2, weights=n_of_film))
    scaled = chosen * films
    gram = scaled.T @ (users[:, None] * scaled)
    within = np.linalg.solve(gram + 3.0 * np.eye(20), gram) * films[:, None] / films
    model = EASE(3.0, popularity_exponent=0.25, activity_exponent=0.5, largest_diagonal=1).fit(ratings)
    np.testing.assert_allclose(model.weights_, within, atol=1e-6)


def test_few_users_of_many_films_match_the_formula() -> None:
    ratings = ratings_of(random_stars(5, n_users=9, n_films=70)).matrix()
    chosen = (ratings.values.toarray() > 0).astype(float)
    gram = chosen.T @ chosen
    n_films = len(ratings.movie_ids)
    expected = np.stack([ridge_without(gram, film, 0.5) for film in range(n_films)], axis=1)
    np.testing.assert_allclose(plain(0.5).fit(ratings).weights_, expected, atol=1e-6)
    free = EASE(0.5, popularity_exponent=0, activity_exponent=0, largest_diagonal=1).fit(ratings).weights_
    np.testing.assert_allclose(free, np.linalg.solve(gram + 0.5 * np.eye(n_films), gram), atol=1e-6)


def test_few_users_and_many_users_are_fitted_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    ratings = ratings_of(random_stars(6, n_users=12, n_films=90)).matrix()
    by_users = EASE(0.01).fit(ratings).weights_
    monkeypatch.setattr(ease, "_SHARE_OF_FEW_USERS", 0.0)
    monkeypatch.setattr(ease, "_FILMS_AT_ONCE", 7)
    by_films = EASE(0.01).fit(ratings).weights_
    np.testing.assert_allclose(by_users, by_films, atol=1e-5)
    assert by_users.flags.c_contiguous
    assert by_films.flags.c_contiguous


@pytest.mark.parametrize("largest", [0.0, 0.1, 0.4])
def test_diagonal_stays_within_its_bound(largest: float) -> None:
    diagonal = np.diag(EASE(2.0, largest_diagonal=largest).fit(random_ratings()).weights_)
    assert diagonal.max() == pytest.approx(largest, abs=1e-6)


def test_values_of_ratings_do_not_matter() -> None:
    stars = random_stars(3)
    one, other = (plain(5.0).fit(ratings_of(table).matrix()) for table in (stars, np.where(stars > 0, 3, 0)))
    np.testing.assert_array_equal(one.weights_, other.weights_)


def test_new_users_match_fitted_users_with_the_same_ratings() -> None:
    ratings = random_ratings()
    model = EASE().fit(ratings)
    for known, new in zip(model.recommend(ratings.user_ids, 5), model.recommend_new(ratings, 5), strict=True):
        np.testing.assert_array_equal(known.ids, new.ids)
        np.testing.assert_array_equal(known.scores, new.scores)


def test_contributions_add_up_to_the_scores() -> None:
    model = EASE().fit(ratings_of(random_stars(seed=2)).matrix())
    history = ratings_of([[5, 1, 4]], [12, 15, 20]).matrix()
    (scores,) = model.recommend_new(history, 100)
    found = model.contributions(history, scores.ids)
    np.testing.assert_allclose(found.sum(axis=0), scores.scores, rtol=1e-4, atol=1e-6)


def test_refuses_more_films_than_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "BYTES_OF_A_PAIR", 10**13)
    with pytest.raises(ConfigError, match=r"20 films need 4,000,000\.0 GB of memory, and .* GB are free; name another"):
        EASE().fit(random_ratings())


def test_refuses_a_singular_system_without_regularization() -> None:
    with pytest.raises(ConfigError, match="set regularization above 0"):
        plain(0.0).fit(ratings_of([[5, 5]] * 4).matrix())


@pytest.mark.parametrize("regularization", [0.0, 1e-30])
def test_refuses_users_who_do_not_determine_a_solution(regularization: float) -> None:
    with pytest.raises(ConfigError, match="set regularization above 0"):
        plain(regularization).fit(ratings_of([[5, 4, 3, 2, 1, 5]] * 2).matrix())


def test_ranks_real_films_better_than_plain_ease(shared) -> None:
    ratings = read_movielens(shared / "data/ml-100k")
    makers = {name: lambda name=name: make_model(name) for name in ("ease-plain", "ease")}
    before, after = evaluate(makers, [by_user(ratings, 0.25, seed=0)], n_resamples=1)
    assert before.ndcg.value > 0.475
    assert after.ndcg.value > before.ndcg.value + 0.002
