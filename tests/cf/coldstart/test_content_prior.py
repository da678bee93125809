from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from cf.coldstart.content import FilmContent
from cf.coldstart.content_prior import SOURCES, PriorALS
from cf.coldstart.prior_evaluation import evaluate_prior
from cf.coldstart.support import BUCKETS
from cf.models.als import ALS
from cf.ratings import RatingMatrix
from tests.cf.coldstart.synthetic import rated_films


@pytest.fixture(scope="module")
def matrix() -> RatingMatrix:
    """All ratings except those of the first ten films, whose columns are empty."""
    films = rated_films()
    whole = films.ratings.matrix()
    masked = sparse.csr_array(whole.values.multiply(np.arange(whole.values.shape[1]) >= 10))
    masked.eliminate_zeros()
    return RatingMatrix(whole.user_ids, whole.movie_ids, masked)


def test_without_content_equals_als(matrix: RatingMatrix) -> None:
    plain, prior = ALS().fit(matrix), PriorALS(rated_films().content).fit(matrix)
    np.testing.assert_allclose(prior.film_factors_, plain.film_factors_, atol=1e-5)
    np.testing.assert_array_equal(prior.film_biases_, plain.film_biases_)


@pytest.mark.parametrize(("source", "share"), [("genres-years", 0.9), ("posters", 0.9), ("both", 0.75)])
def test_content_lowers_the_error_of_unrated_films(matrix: RatingMatrix, source: str, share: float) -> None:
    films = rated_films()
    whole = films.ratings.matrix().values.tocoo()
    cold = whole.col < 10
    users, movie_ids = matrix.user_ids[whole.row[cold]], matrix.movie_ids[whole.col[cold]]
    errors = {}
    for name in ("none", source):
        model = PriorALS(films.content, SOURCES[name], ridge=1.0).fit(matrix)
        errors[name] = np.sqrt(np.mean((model.predict(users, movie_ids) - whole.data[cold]) ** 2))
    assert errors[source] < share * errors["none"]


def test_content_of_unrated_films_does_not_affect_training(matrix: RatingMatrix) -> None:
    content = rated_films().content
    posters = content.posters.copy()
    posters[:10] = 1e6
    genres = [["Absurd"]] * 10 + list(content.genres[10:])
    absurd = FilmContent(genres, [9999] * 10 + list(content.years[10:]), posters)
    one, other = (PriorALS(known, SOURCES["both"]).fit(matrix) for known in (content, absurd))
    np.testing.assert_array_equal(one.film_factors_[10:], other.film_factors_[10:])
    np.testing.assert_array_equal(one.film_biases_[10:], other.film_biases_[10:])


def test_films_without_content_keep_the_prior_of_als(matrix: RatingMatrix) -> None:
    content = rated_films().content
    nothing = FilmContent([[]] * len(content), [None] * len(content), np.full_like(content.posters, np.nan))
    np.testing.assert_allclose(
        PriorALS(nothing, SOURCES["both"]).fit(matrix).film_factors_, ALS().fit(matrix).film_factors_, atol=1e-5
    )


def test_evaluation_reports_rmse_by_support_and_gain_from_content() -> None:
    scores = evaluate_prior(rated_films(density=0.3), seeds=range(2))
    found = {(score.source, score.support): score for score in scores}
    assert len(found) == len(SOURCES) * (len(BUCKETS) + 1)
    assert found["both", "all"].difference.high < 0
    assert found["none", "all"].difference.value == 0
    for score in scores:
        baseline = found["none", score.support].rmse.value
        if score.n_ratings:
            assert score.difference.value == pytest.approx(score.rmse.value - baseline)
    whole = found["none", "all"].n_ratings
    assert whole == sum(found["none", bucket].n_ratings for bucket in ("0", "1–4", "5–19", "20–99", "100+"))


def test_films_that_differ_widen_the_interval_of_errors() -> None:
    films = rated_films(density=0.3)
    is_odd = films.ratings.movie_ids % 2 == 1
    extremes = np.random.default_rng(3).choice([1.0, 5.0], len(is_odd))
    stars = np.where(is_odd, extremes, 3.0).astype(films.ratings.values.dtype)
    noisy = replace(films, ratings=replace(films.ratings, values=stars))
    (whole,) = (
        score for score in evaluate_prior(noisy, seeds=range(2)) if (score.source, score.support) == ("none", "all")
    )
    # Users err alike here, and films do not: over users alone the interval is 0.26 wide.
    assert whole.rmse.high - whole.rmse.low > 0.4
