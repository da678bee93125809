from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from catalog.errors import DataError, NotBuiltError
from cf.coldstart import ContentRidge, FilmContent, Source
from cf.coldstart.ridge import Ridge
from cf.ratings import RatingMatrix
from tests.contracts import ratings_of

SOURCES = {"facts": Source(1.0, 0.1), "posters": Source(1.0, 0.1, by_column=True)}
N_USERS, N_FILMS, N_NEW = 60, 200, 40
GENRES = ("Comedy", "Drama")


def genre_films(seed: int = 0) -> tuple[RatingMatrix, FilmContent, npt.NDArray[np.bool_]]:
    """Even users rate films of the first genre, odd users the others; films with loud posters get 5 stars."""
    rng = np.random.default_rng(seed)
    genre, loud = rng.integers(0, 2, N_FILMS), rng.integers(0, 2, N_FILMS)
    liked = np.arange(N_USERS)[:, None] % 2 == genre
    rated = rng.random((N_USERS, N_FILMS)) < np.where(liked, 0.5, 0.05)
    stars = np.where(rated, np.where(loud, 5.0, 2.0), 0)
    posters = rng.normal(0, 0.3, (N_FILMS, 6)) + np.outer(loud, np.arange(6))
    content = FilmContent([(GENRES[kind],) for kind in genre], [None] * N_FILMS, posters.astype(np.float32))
    return ratings_of(stars).matrix(), content, liked


def warm(ratings: RatingMatrix) -> RatingMatrix:
    return RatingMatrix(ratings.user_ids, ratings.movie_ids[N_NEW:], ratings.values[:, N_NEW:])


@pytest.fixture(scope="module")
def model() -> ContentRidge:
    ratings, content, _ = genre_films()
    return ContentRidge(SOURCES, n_factors=8).fit(warm(ratings), content.rows(slice(N_NEW, None)))


def test_unrated_films_suit_users_who_like_their_genre(model: ContentRidge) -> None:
    _, content, liked = genre_films()
    preferences = model.preferences(content.rows(slice(N_NEW)))
    assert preferences.shape == (N_USERS, N_NEW)
    np.testing.assert_array_equal(preferences > 0, liked[:, :N_NEW])


def test_audience_is_users_with_positive_preference_sorted(model: ContentRidge) -> None:
    _, content, liked = genre_films()
    for film, audience in enumerate(model.audience(content.rows(slice(3)))):
        assert set(audience.ids - 101) == set(np.flatnonzero(liked[:, film]))
        assert (audience.scores > 0).all()
        assert (np.diff(audience.scores) <= 0).all()
    assert [len(audience.ids) for audience in model.audience(content.rows(slice(3)), k=7)] == [7, 7, 7]


def test_posters_predict_the_mean_rating(model: ContentRidge) -> None:
    ratings, content, _ = genre_films()
    expected = model.expected_means(content.rows(slice(N_NEW)))
    totals = np.asarray(ratings.values[:, :N_NEW].sum(axis=0))
    means = totals / np.bincount(ratings.values.indices, minlength=N_FILMS)[:N_NEW]
    np.testing.assert_allclose(expected.values, means, atol=1)
    assert (expected.low <= expected.values).all()
    assert (expected.values <= expected.high).all()
    # Whole stars are on a scale from 1 to 5, whatever was given of them.
    assert ((expected.low >= 1) & (expected.high <= 5)).all()
    assert ((expected.low <= means + 1e-6) & (means <= expected.high + 1e-6)).mean() >= 0.9


@pytest.mark.parametrize("stars", [[[4, 4, 4], [4, 4, 4]], [[4]], [[4, 3.5, 4], [3.5, 4, 4]]])
def test_a_few_films_leave_the_mean_uncertain(stars: list[list[float]]) -> None:
    ratings = ratings_of(stars).matrix()
    n = len(ratings.movie_ids)
    content = FilmContent([("Drama",)] * n, [1990] * n, np.ones((n, 2), np.float32))
    expected = ContentRidge(n_factors=2).fit(ratings, content).expected_means(content)
    assert (expected.high - expected.low > 1.5).all()
    assert ((expected.low >= 0.5) & (expected.high <= 5)).all()


def test_intervals_of_few_films_hold_the_means_of_others() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(100):
        means = rng.normal(3.3, 0.5, 6).clip(1, 5)
        stars = np.rint(2 * rng.normal(means, 1, (30, 6))).clip(1, 10) / 2
        n_known = 3
        content = FilmContent([("Drama",)] * 6, [1990] * 6, rng.normal(size=(6, 3)).astype(np.float32))
        fitted = ContentRidge(n_factors=2).fit(ratings_of(stars[:, :n_known]).matrix(), content.rows(slice(n_known)))
        expected = fitted.expected_means(content.rows(slice(n_known, None)))
        held += ((expected.low <= means[n_known:]) & (means[n_known:] <= expected.high)).tolist()
    assert np.mean(held) > 0.93


def test_batch_equals_single_films(model: ContentRidge) -> None:
    _, content, _ = genre_films()
    singles = [model.preferences(content.rows([film])) for film in range(N_NEW)]
    np.testing.assert_allclose(model.preferences(content.rows(slice(N_NEW))), np.hstack(singles), rtol=1e-4, atol=1e-5)


def test_save_and_open_round_trip(model: ContentRidge, tmp_path: Path) -> None:
    _, content, _ = genre_films()
    model.save(tmp_path)
    opened = ContentRidge.open(tmp_path)
    new = content.rows(slice(N_NEW))
    np.testing.assert_array_equal(opened.preferences(new), model.preferences(new))
    np.testing.assert_array_equal(opened.expected_means(new), model.expected_means(new))
    assert (opened.sources, opened.n_factors) == (model.sources, model.n_factors)


def test_opening_an_empty_folder_is_not_built(tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match="cold-start"):
        ContentRidge.open(tmp_path)


def test_fit_is_repeatable() -> None:
    ratings, content, _ = genre_films()
    first, second = (ContentRidge(SOURCES, n_factors=8).fit(ratings, content) for _ in range(2))
    np.testing.assert_array_equal(first.preferences(content), second.preferences(content))


def test_content_of_unrated_films_does_not_affect_training() -> None:
    ratings, content, _ = genre_films()
    posters = content.posters.copy()
    posters[:N_NEW] = 1e6
    odd = [("Musical",)] * N_NEW
    changed = FilmContent(odd + list(content.genres[N_NEW:]), [1] * N_NEW + [None] * (N_FILMS - N_NEW), posters)
    empty = sparse.csr_array((N_USERS, N_NEW), dtype=np.float32)
    values = sparse.csr_array(sparse.hstack([empty, ratings.values[:, N_NEW:]]))
    silent = RatingMatrix(ratings.user_ids, ratings.movie_ids, values)
    one, other = (ContentRidge(SOURCES, n_factors=8).fit(silent, known) for known in (content, changed))
    np.testing.assert_array_equal(one.preferences(content), other.preferences(content))


def test_film_without_poster_is_predicted_from_its_facts(model: ContentRidge) -> None:
    _, content, liked = genre_films()
    new = replace(content.rows(slice(N_NEW)), posters=np.full((N_NEW, 6), np.nan, np.float32))
    np.testing.assert_array_equal(model.preferences(new) > 0, liked[:, :N_NEW])


def test_ratings_outweigh_misleading_content() -> None:
    ratings, content, liked = genre_films()
    fitted = ContentRidge(SOURCES, n_factors=8, half_support=0.1).fit(warm(ratings), content.rows(slice(N_NEW, None)))
    misleading = replace(
        content.rows(slice(N_NEW)), genres=[(GENRES[kind == (GENRES[0],)],) for kind in content.genres[:N_NEW]]
    )
    unrated = fitted.preferences(misleading, sparse.csr_array((N_USERS, N_NEW), dtype=np.float32))
    np.testing.assert_allclose(unrated, fitted.preferences(misleading), atol=1e-5)
    rated = fitted.preferences(misleading, sparse.csr_array(ratings.values[:, :N_NEW]))
    assert ((rated > 0) == liked[:, :N_NEW]).mean() > 0.9
    assert ((unrated > 0) == liked[:, :N_NEW]).mean() < 0.1


def test_user_factors_of_training_ratings_equal_the_fitted_ones(model: ContentRidge) -> None:
    ratings, _, _ = genre_films()
    folded_in = model.user_factors(warm(ratings).values)
    np.testing.assert_allclose(folded_in, model.user_factors_, atol=1e-4)
    assert not model.user_factors(sparse.csr_array((1, N_FILMS - N_NEW), dtype=np.float32)).any()


def test_fit_on_no_ratings_gives_no_audience() -> None:
    _, content, _ = genre_films()
    ids = np.arange(1, N_FILMS + 1, dtype=np.int32)
    nothing = RatingMatrix(np.arange(3, dtype=np.int32), ids, sparse.csr_array((3, N_FILMS), dtype=np.float32))
    silent = ContentRidge(SOURCES).fit(nothing, content)
    assert [len(audience.ids) for audience in silent.audience(content.rows(slice(2)))] == [0, 0]
    assert np.isfinite(silent.expected_means(content.rows(slice(2))).values).all()


def test_rejects_content_or_ratings_of_other_shapes(model: ContentRidge) -> None:
    ratings, content, _ = genre_films()
    with pytest.raises(ValueError, match="6 columns, received 5"):
        model.preferences(replace(content, posters=content.posters[:, :5]))
    with pytest.raises(ValueError, match="200 films"):
        ContentRidge(SOURCES).fit(ratings, content.rows(slice(5)))
    with pytest.raises(ValueError, match="users × films"):
        model.preferences(content, sparse.csr_array((N_USERS, 1), dtype=np.float32))


def test_a_damaged_record_is_a_data_error(model: ContentRidge, tmp_path: Path) -> None:
    model.save(tmp_path)
    record = tmp_path / "cold-start.json"
    record.write_text(record.read_text().replace("encoding", "encodin"))
    with pytest.raises(DataError, match="damaged"):
        ContentRidge.open(tmp_path)


def test_poster_scale_matters_only_without_row_normalization() -> None:
    ratings, content, _ = genre_films()
    posters = content.posters - content.posters[N_NEW:].mean(axis=0)
    louder = replace(content, posters=np.vstack([posters[:N_NEW] * 3, posters[N_NEW:]]))
    quiet = replace(content, posters=posters)
    for by_row in (True, False):
        sources = {"posters": Source(1.0, 0.1, by_row=by_row)}
        fitted = ContentRidge(sources, n_factors=8).fit(warm(ratings), quiet.rows(slice(N_NEW, None)))
        one, other = (fitted.factors(films.rows(slice(N_NEW))) for films in (quiet, louder))
        assert np.allclose(one, other, atol=1e-5) == by_row


@pytest.mark.parametrize("n_rows", [0, 1, 5, 8, 20])
def test_few_rows_and_many_give_the_ridge_regression_of_its_formula(n_rows: int) -> None:
    rng = np.random.default_rng(n_rows)
    rows, weights, targets = rng.normal(size=(n_rows, 8)), rng.uniform(size=n_rows), rng.normal(size=(n_rows, 3))
    weights[1:2] = 0
    ridge = Ridge(rows, weights, 0.5)
    inverse = np.linalg.inv((rows.T * weights) @ rows + 0.5 * np.eye(8))
    np.testing.assert_allclose(ridge.coefficients(targets), inverse @ (rows.T * weights) @ targets, atol=1e-9)
    np.testing.assert_allclose(ridge.leverages(), np.diag((rows * weights[:, None]) @ inverse @ rows.T), atol=1e-9)
