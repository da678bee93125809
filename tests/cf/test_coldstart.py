from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from catalog.errors import DataError, NotBuiltError
from cf.coldstart import ColdStart, Source
from cf.content import GenresAndYears, Standardisation
from cf.ratings import RatingMatrix
from tests.contracts import ratings_of

SOURCES = {"facts": Source(1.0, 0.1), "posters": Source(1.0, 0.1, by_column=True)}
N_USERS, N_FILMS, N_NEW = 60, 200, 40
Arrays = dict[str, npt.NDArray[np.float32]]


def world(seed: int = 0) -> tuple[RatingMatrix, Arrays, npt.NDArray[np.bool_]]:
    """Users of even place rate what is of the first genre, the others the rest; those with loud posters get 5 stars."""
    rng = np.random.default_rng(seed)
    genre, loud = rng.integers(0, 2, N_FILMS), rng.integers(0, 2, N_FILMS)
    liked = np.arange(N_USERS)[:, None] % 2 == genre
    rated = rng.random((N_USERS, N_FILMS)) < np.where(liked, 0.5, 0.05)
    stars = np.where(rated, np.where(loud, 5.0, 2.0), 0)
    posters = rng.normal(0, 0.3, (N_FILMS, 6)) + np.outer(loud, np.arange(6))
    content = {"facts": np.eye(2)[genre].astype(np.float32), "posters": posters.astype(np.float32)}
    return ratings_of(stars).matrix(), content, liked


def warm(ratings: RatingMatrix) -> RatingMatrix:
    return RatingMatrix(ratings.user_ids, ratings.movie_ids[N_NEW:], ratings.values[:, N_NEW:])


def of(content: Arrays, films: slice | list[int]) -> Arrays:
    return {name: rows[films] for name, rows in content.items()}


@pytest.fixture(scope="module")
def model() -> ColdStart:
    ratings, content, _ = world()
    return ColdStart(SOURCES, n_factors=8).fit(warm(ratings), of(content, slice(N_NEW, None)))


def test_films_without_ratings_go_to_the_users_whom_they_suit(model: ColdStart) -> None:
    _, content, liked = world()
    preferences = model.preferences(of(content, slice(N_NEW)))
    assert preferences.shape == (N_USERS, N_NEW)
    np.testing.assert_array_equal(preferences > 0, liked[:, :N_NEW])


def test_the_audience_is_who_likes_the_film_better_than_the_average_one(model: ColdStart) -> None:
    _, content, liked = world()
    for film, audience in enumerate(model.audience(of(content, slice(3)))):
        assert set(audience.user_ids - 101) == set(np.flatnonzero(liked[:, film]))
        assert (audience.scores > 0).all()
        assert (np.diff(audience.scores) <= 0).all()
    assert [len(audience.user_ids) for audience in model.audience(of(content, slice(3)), k=7)] == [7, 7, 7]


def test_the_poster_tells_the_mean_rating_that_the_facts_do_not(model: ColdStart) -> None:
    ratings, content, _ = world()
    expected = model.expected_means(of(content, slice(N_NEW)))
    totals = np.asarray(ratings.values[:, :N_NEW].sum(axis=0))
    means = totals / np.bincount(ratings.values.indices, minlength=N_FILMS)[:N_NEW]
    np.testing.assert_allclose(expected.values, means, atol=1)
    assert (expected.low <= expected.values).all()
    assert (expected.values <= expected.high).all()
    assert ((expected.low >= 2) & (expected.high <= 5)).all()
    assert ((expected.low <= means + 1e-6) & (means <= expected.high + 1e-6)).mean() >= 0.9


def test_a_batch_gives_what_its_films_give_one_by_one(model: ColdStart) -> None:
    _, content, _ = world()
    singles = [model.preferences(of(content, [film])) for film in range(N_NEW)]
    np.testing.assert_allclose(model.preferences(of(content, slice(N_NEW))), np.hstack(singles), rtol=1e-4, atol=1e-5)


def test_saved_and_opened_it_answers_as_before(model: ColdStart, tmp_path: Path) -> None:
    _, content, _ = world()
    model.save(tmp_path)
    opened = ColdStart.open(tmp_path)
    new = of(content, slice(N_NEW))
    np.testing.assert_array_equal(opened.preferences(new), model.preferences(new))
    np.testing.assert_array_equal(opened.expected_means(new), model.expected_means(new))
    assert (opened.sources, opened.n_factors) == (model.sources, model.n_factors)


def test_nothing_saved_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match="cold-start"):
        ColdStart.open(tmp_path)


def test_fitted_twice_it_is_the_same() -> None:
    ratings, content, _ = world()
    first, second = (ColdStart(SOURCES, n_factors=8).fit(ratings, content) for _ in range(2))
    np.testing.assert_array_equal(first.preferences(content), second.preferences(content))


def test_what_a_film_without_ratings_looks_like_teaches_nothing() -> None:
    ratings, content, _ = world()
    changed = {name: rows.copy() for name, rows in content.items()}
    for rows in changed.values():
        rows[:N_NEW] = 1e6
    empty = sparse.csr_array((N_USERS, N_NEW), dtype=np.float32)
    values = sparse.csr_array(sparse.hstack([empty, ratings.values[:, N_NEW:]]))
    silent = RatingMatrix(ratings.user_ids, ratings.movie_ids, values)
    one, other = (ColdStart(SOURCES, n_factors=8).fit(silent, known) for known in (content, changed))
    np.testing.assert_array_equal(one.preferences(content), other.preferences(content))


def test_a_film_without_a_poster_is_told_by_its_facts(model: ColdStart) -> None:
    _, content, liked = world()
    new = of(content, slice(N_NEW)) | {"posters": np.full((N_NEW, 6), np.nan, np.float32)}
    np.testing.assert_array_equal(model.preferences(new) > 0, liked[:, :N_NEW])


def test_the_more_ratings_a_film_has_the_less_its_content_counts() -> None:
    ratings, content, liked = world()
    fitted = ColdStart(SOURCES, n_factors=8, half_support=0.1).fit(warm(ratings), of(content, slice(N_NEW, None)))
    misleading = of(content, slice(N_NEW)) | {"facts": content["facts"][:N_NEW, ::-1]}
    unrated = fitted.preferences(misleading, sparse.csr_array((N_USERS, N_NEW), dtype=np.float32))
    np.testing.assert_allclose(unrated, fitted.preferences(misleading), atol=1e-5)
    rated = fitted.preferences(misleading, sparse.csr_array(ratings.values[:, :N_NEW]))
    assert ((rated > 0) == liked[:, :N_NEW]).mean() > 0.9
    assert ((unrated > 0) == liked[:, :N_NEW]).mean() < 0.1


def test_a_new_user_stands_where_the_same_ratings_stood(model: ColdStart) -> None:
    ratings, _, _ = world()
    placed = model.user_factors(warm(ratings).values)
    np.testing.assert_allclose(placed, model.user_factors_, atol=1e-4)
    assert not model.user_factors(sparse.csr_array((1, N_FILMS - N_NEW), dtype=np.float32)).any()


def test_without_ratings_it_knows_nobody() -> None:
    _, content, _ = world()
    ids = np.arange(1, N_FILMS + 1, dtype=np.int32)
    nothing = RatingMatrix(np.arange(3, dtype=np.int32), ids, sparse.csr_array((3, N_FILMS), dtype=np.float32))
    silent = ColdStart(SOURCES).fit(nothing, content)
    assert [len(audience.user_ids) for audience in silent.audience(of(content, slice(2)))] == [0, 0]
    assert np.isfinite(silent.expected_means(of(content, slice(2))).values).all()


def test_content_that_does_not_fit_is_refused(model: ColdStart) -> None:
    ratings, content, _ = world()
    with pytest.raises(ValueError, match="posters missing"):
        model.preferences({"facts": content["facts"]})
    with pytest.raises(ValueError, match="same films"):
        model.preferences(content | {"facts": content["facts"][:1]})
    with pytest.raises(ValueError, match="200 films"):
        ColdStart(SOURCES).fit(ratings, of(content, slice(5)))


def test_genres_and_years_that_are_near_are_alike() -> None:
    encoding = GenresAndYears.fit([["Comedy"], ["Drama", "War"]], [1950, 2000])
    rows = encoding([["Comedy"], ["Comedy"], ["War"], [], ["Comedy"]], [1960, 1962, 1990, None, None])
    products = rows @ rows.T
    assert products[0, 0] == pytest.approx(3)
    assert products[0, 1] > products[0, 4] > products[0, 2]
    assert np.isnan(rows[3]).all()


def test_a_year_beyond_those_known_counts_as_the_nearest() -> None:
    encoding = GenresAndYears.fit([["Comedy"]], [1950, 2000])
    np.testing.assert_array_equal(*encoding([["Comedy"]] * 2, [2000, 2030])[:, None])


def test_an_unknown_genre_is_refused() -> None:
    with pytest.raises(DataError, match=r"'Comdy'.*Comedy"):
        GenresAndYears.fit([["Comedy"]], [1950])([["Comdy"]], [1950])


@pytest.mark.parametrize("by_column", [False, True])
def test_a_standardised_sample_is_of_mean_0_and_length_1(by_column: bool) -> None:
    rows = np.random.default_rng(1).normal(3, [1, 5, 0], (50, 3)).astype(np.float32)
    rows[7, 1] = np.nan
    standardised = Standardisation.fit(rows, by_column=by_column)(rows)
    assert not standardised[7].any()
    known = np.delete(standardised, 7, axis=0)
    np.testing.assert_allclose(known.mean(axis=0), 0, atol=1e-6)
    assert np.square(known).sum(axis=1).mean() == pytest.approx(1, rel=1e-5)
    assert (known[:, 0].std() == pytest.approx(known[:, 1].std(), rel=1e-5)) == by_column
