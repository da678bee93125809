from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from catalog.errors import DataError, NotBuiltError
from cf.coldstart import ContentRidge, FilmContent
from cf.coldstart.ridge import PostersOnly
from cf.ratings import RatingMatrix
from tests.contracts import ratings_of

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
    return ContentRidge(n_factors=8).fit(warm(ratings), content.rows(slice(N_NEW, None)))


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


def test_parts_of_sources_add_up_to_the_factors(model: ContentRidge) -> None:
    _, content, _ = genre_films()
    new = content.rows(slice(N_NEW))
    parts = model.parts(new)
    assert set(parts) == {"facts", "posters"}
    np.testing.assert_allclose(sum(parts.values()) + model.learned_["base"], model.factors(new), rtol=1e-4, atol=1e-6)
    # Who likes what goes by genre, whatever the poster.
    assert np.abs(parts["facts"]).sum() > 5 * np.abs(parts["posters"]).sum()


def test_contributions_of_rated_films_add_up_to_the_preference(model: ContentRidge) -> None:
    _, content, _ = genre_films()
    factors = model.factors(content.rows(slice(N_NEW)))
    rated = model.movie_ids_[:4]
    mine = ratings_of([[5, 4, 3, 5]], rated).matrix()
    aligned = sparse.csr_array((mine.values.data, (np.zeros(4, int), np.arange(4))), (1, len(model.movie_ids_)))
    expected = (factors - model.mean_factors_) @ model.user_factors(aligned)[0]
    found = model.contributions([*rated, 999_999], factors)
    assert (found[-1] == 0).all()
    # Many ratings are worth as much as one.
    np.testing.assert_allclose(found.sum(axis=0) / np.sqrt(4), expected, rtol=1e-3, atol=1e-5)


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
    first, second = (ContentRidge(n_factors=8).fit(ratings, content) for _ in range(2))
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
    one, other = (ContentRidge(n_factors=8).fit(silent, known) for known in (content, changed))
    np.testing.assert_array_equal(one.preferences(content), other.preferences(content))


def test_film_without_poster_is_predicted_from_its_facts(model: ContentRidge) -> None:
    _, content, liked = genre_films()
    new = replace(content.rows(slice(N_NEW)), posters=np.full((N_NEW, 6), np.nan, np.float32))
    np.testing.assert_array_equal(model.preferences(new) > 0, liked[:, :N_NEW])


def test_ratings_outweigh_misleading_content() -> None:
    ratings, content, liked = genre_films()
    fitted = ContentRidge(n_factors=8, half_support=0.1).fit(warm(ratings), content.rows(slice(N_NEW, None)))
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
    silent = ContentRidge().fit(nothing, content)
    assert [len(audience.ids) for audience in silent.audience(content.rows(slice(2)))] == [0, 0]
    assert np.isfinite(silent.expected_means(content.rows(slice(2))).values).all()


def test_rejects_content_or_ratings_of_other_shapes(model: ContentRidge) -> None:
    ratings, content, _ = genre_films()
    with pytest.raises(ValueError, match="6 columns, received 5"):
        model.preferences(replace(content, posters=content.posters[:, :5]))
    with pytest.raises(ValueError, match="200 films"):
        ContentRidge().fit(ratings, content.rows(slice(5)))
    with pytest.raises(ValueError, match="users × films"):
        model.preferences(content, sparse.csr_array((N_USERS, 1), dtype=np.float32))


def test_a_damaged_record_is_a_data_error(model: ContentRidge, tmp_path: Path) -> None:
    model.save(tmp_path)
    record = tmp_path / "cold-start.json"
    record.write_text(record.read_text().replace("encoding", "encodin"))
    with pytest.raises(DataError, match="damaged"):
        ContentRidge.open(tmp_path)


def test_posters_that_say_nothing_are_hardly_used() -> None:
    ratings, content, _ = genre_films()

    def of_noise(seed: int, loudness: float = 0.0) -> PostersOnly:
        posters = np.random.default_rng(seed).normal(size=content.posters.shape)
        # Loud posters have other numbers, but only these have other users.
        posters += loudness * np.array([genre == ("Comedy",) for genre in content.genres])[:, None]
        return PostersOnly(n_factors=8).fit(ratings, replace(content, posters=posters.astype(np.float32)))

    of_dull = [of_noise(seed) for seed in range(12)]
    assert sum("posters" in model.penalties_ for model in of_dull) <= len(of_dull) / 2
    of_telling = of_noise(0, 5.0)
    assert "posters" in of_telling.penalties_
    strengths = [model.factors(content).std(axis=0).max() for model in of_dull]
    assert max(strengths) < of_telling.factors(content).std(axis=0).max() / 2
    assert np.median(strengths) < 1e-6


def test_a_poster_may_mean_something_else_in_each_genre() -> None:
    rng = np.random.default_rng(0)
    genre, loud = rng.integers(0, 2, (2, N_FILMS))
    # Even users rate loud comedies and quiet dramas, odd users the others.
    liked = np.arange(N_USERS)[:, None] % 2 == (genre == loud)
    stars = np.where(rng.random(liked.shape) < np.where(liked, 0.5, 0.05), 4.0, 0)
    posters = rng.normal(0, 0.3, (N_FILMS, 6)) + np.outer(loud, np.ones(6))
    content = FilmContent([(GENRES[kind],) for kind in genre], [None] * N_FILMS, posters.astype(np.float32))
    fitted = ContentRidge(n_factors=8).fit(warm(ratings_of(stars).matrix()), content.rows(slice(N_NEW, None)))
    assert ((fitted.preferences(content.rows(slice(N_NEW))) > 0) == liked[:, :N_NEW]).mean() > 0.9


def test_the_kind_of_poster_features_that_tells_more_counts_more() -> None:
    ratings, content, liked = genre_films()
    genre = liked[0].astype(float)
    noise = np.random.default_rng(3).normal(size=(N_FILMS, 60))
    last = np.hstack([noise, np.outer(genre, np.ones(4)) + noise[:, :4]])
    first = np.hstack([np.outer(genre, np.ones(60)) + noise, noise[:, :4]])
    shares = []
    for posters in (last, first):
        known = replace(content, posters=posters.astype(np.float32), views=(60, 4))
        learned = PostersOnly(n_factors=8).fit(ratings, known).learned_["posters_known"]
        shares.append(np.square(learned[:, 60:]).sum() / np.square(learned).sum())
    assert shares[0] > 0.2
    assert shares[1] == pytest.approx(0.1, abs=0.02)


def test_only_the_most_rated_films_teach_what_posters_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cf.coldstart.ridge._N_POSTERS", 30)
    ratings, content, _ = genre_films()
    fitted = ContentRidge(n_factors=8).fit(ratings, content)
    n_ratings = np.bincount(ratings.values.indices, minlength=N_FILMS)
    most = np.sort(np.argsort(-n_ratings, kind="stable")[:30])
    assert fitted.learned_["posters_known"].shape == (30, 6)
    np.testing.assert_allclose(
        np.argsort(fitted.learned_["posters_known"][:, 5]), np.argsort(content.posters[most, 5]), atol=0
    )


def test_views_have_to_cover_the_columns() -> None:
    with pytest.raises(ValueError, match="views of 6 columns"):
        replace(genre_films()[1], views=(4, 3))


# Directors, cast and keywords


def films_with_directors() -> tuple[RatingMatrix, FilmContent, npt.NDArray[np.bool_]]:
    """Genres say nothing; the directors of three films in four tell who rates them."""
    ratings, content, liked = genre_films()
    told = np.arange(N_FILMS) % 4 > 0
    of_films = [[f"director: {genre[0]}"] if known else [] for genre, known in zip(content.genres, told, strict=True)]
    nothing = np.full_like(content.posters, np.nan)
    return ratings, replace(content, genres=[()] * N_FILMS, posters=nothing, terms=of_films), liked


def test_films_suit_the_users_who_like_films_of_their_director() -> None:
    ratings, content, liked = films_with_directors()
    model = ContentRidge(n_factors=8).fit(warm(ratings), content.rows(slice(N_NEW, None)))
    cold = content.rows(slice(N_NEW))
    known = np.array([bool(of_film) for of_film in cold.terms])
    preferences = model.preferences(cold)
    np.testing.assert_array_equal(preferences[:, known] > 0, liked[:, :N_NEW][:, known])
    without = model.preferences(replace(cold, terms=()))
    np.testing.assert_array_equal(without[:, ~known], preferences[:, ~known])


def test_what_directors_say_is_saved(tmp_path: Path) -> None:
    ratings, content, _ = films_with_directors()
    model = ContentRidge(n_factors=8).fit(warm(ratings), content.rows(slice(N_NEW, None)))
    model.save(tmp_path)
    cold = content.rows(slice(N_NEW))
    np.testing.assert_array_equal(ContentRidge.open(tmp_path).preferences(cold), model.preferences(cold))


def test_directors_of_a_catalog_that_knows_none_count_for_nothing(model: ContentRidge) -> None:
    _, content, _ = genre_films()
    cold = content.rows(slice(N_NEW))
    np.testing.assert_array_equal(
        model.preferences(replace(cold, terms=[["director: Ana"]] * N_NEW)), model.preferences(cold)
    )
