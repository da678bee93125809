from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from catalog.errors import ConfigError, NotBuiltError
from cf.coldstart.holdout import N_APART, FewPostersError, RatedFilms, hold_out, hold_out_films
from cf.coldstart.ridge import ContentRidge
from cf.ratings import Ratings
from tests.cf.coldstart.synthetic import N_FILMS, rated_films


@pytest.fixture(scope="module")
def films() -> RatedFilms:
    return rated_films()


def without_posters(films: RatedFilms, rows: slice) -> RatedFilms:
    posters = films.content.posters.copy()
    posters[rows] = np.nan
    return replace(films, content=replace(films.content, posters=posters))


@pytest.mark.parametrize("on", ["test", "validation"])
def test_training_set_has_no_ratings_of_hidden_films(films: RatedFilms, on: str) -> None:
    holdout = hold_out(films, 3, on)  # type: ignore[arg-type]
    assert (holdout.draw.n_hidden, holdout.draw.n_cold) == (24, 12)
    assert not set(holdout.train.movie_ids) & set(films.movie_ids[holdout.cold])
    assert holdout.draw.n_leaks == 0
    assert len(holdout.warm) == N_FILMS - 24
    np.testing.assert_array_equal(films.movie_ids[holdout.warm], holdout.train.movie_ids)


def test_held_out_matrix_has_the_ratings_of_cold_films(films: RatedFilms) -> None:
    holdout = hold_out(films)
    ratings = films.ratings
    given = {
        (user, film): stars
        for user, film, stars in zip(ratings.user_ids.tolist(), ratings.movie_ids.tolist(), ratings.values, strict=True)
        if film in set(films.movie_ids[holdout.cold].tolist())
    }
    cells = holdout.held_out.tocoo()
    users, cold = holdout.train.user_ids[cells.row].tolist(), films.movie_ids[holdout.cold][cells.col].tolist()
    assert dict(zip(zip(users, cold, strict=True), cells.data, strict=True)) == given


def test_test_and_validation_films_are_disjoint_and_share_a_training_set(films: RatedFilms) -> None:
    test, validation = hold_out(films, 1), hold_out(films, 1, "validation")
    assert not set(test.cold) & set(validation.cold)
    np.testing.assert_array_equal(test.warm, validation.warm)
    assert set(hold_out(films, 2).cold) != set(test.cold)


def test_draws_rank_each_film_of_the_report_once_and_none_of_the_choice(films: RatedFilms) -> None:
    ranked = {on: [hold_out(films, seed, on).cold for seed in range(N_APART)] for on in ("test", "validation")}  # type: ignore[arg-type]
    tested, validated = (np.concatenate(cold) for cold in ranked.values())
    assert sorted([*tested, *validated]) == list(range(N_FILMS))
    again = np.concatenate([hold_out(films, seed).cold for seed in range(N_APART, 2 * N_APART)])
    assert sorted(again) == sorted(tested)
    assert not any(set(hold_out(films, N_APART).cold) == set(cold) for cold in ranked["test"])


def test_given_films_are_hidden_with_or_without_a_poster(films: RatedFilms) -> None:
    movie_ids = films.movie_ids[[3, 50, 70]]
    holdout = hold_out_films(without_posters(films, slice(0, 60)), movie_ids)
    assert holdout.cold.tolist() == [3, 50, 70]
    assert not set(holdout.train.movie_ids) & set(movie_ids)
    assert holdout.held_out.sum() == films.ratings.of_films(movie_ids).values.sum()
    with pytest.raises(ConfigError, match="received 1 to hide of 120"):
        hold_out_films(films, movie_ids[:1])
    with pytest.raises(ConfigError, match="ratings of others to learn from"):
        hold_out_films(films, films.movie_ids)


def test_only_films_with_posters_are_hidden(films: RatedFilms) -> None:
    holdout = hold_out(without_posters(films, slice(0, 60)))
    assert (holdout.cold >= 60).all()
    assert holdout.draw.n_hidden == 12


def test_content_of_hidden_films_does_not_affect_training(films: RatedFilms) -> None:
    holdout = hold_out(films)
    hidden = np.setdiff1d(np.arange(N_FILMS), holdout.warm)
    posters = films.content.posters.copy()
    posters[hidden] = 1e9
    genres, years = list(films.content.genres), list(films.content.years)
    for row in hidden:
        genres[row], years[row] = ["Absurd"], 99999
    absurd = replace(films.content, genres=genres, years=years, posters=posters)
    other = hold_out(replace(films, content=absurd))
    cold_content = films.content.rows(holdout.cold)
    one, two = (
        ContentRidge(n_factors=8).fit(split.train, content.rows(split.warm)).preferences(cold_content)
        for split, content in ((holdout, films.content), (other, absurd))
    )
    np.testing.assert_array_equal(one, two)


def test_counts_cold_films_that_copy_warm_artwork(films: RatedFilms) -> None:
    holdout = hold_out(films)
    artwork = films.artwork.copy()
    artwork[holdout.cold[:3]] = artwork[holdout.warm[:3]]
    artwork[holdout.cold[4]] = artwork[holdout.cold[5]]
    again = hold_out(replace(films, artwork=artwork))
    assert again.copies.nonzero()[0].tolist() == [0, 1, 2]
    assert again.draw.n_copies == 3


def test_skips_users_who_rated_only_hidden_films(films: RatedFilms) -> None:
    ratings, cold = films.ratings, films.movie_ids[hold_out(films).cold]
    with_extra_user = Ratings(
        np.append(ratings.user_ids, np.int32(9999)),
        np.append(ratings.movie_ids, cold[0]),
        np.append(ratings.values, np.float32(4)),
        np.append(ratings.timestamps, np.int64(0)),
    )
    holdout = hold_out(replace(films, ratings=with_extra_user))
    assert holdout.draw.n_strangers == 1
    assert 9999 not in holdout.train.user_ids


def test_rejects_too_few_films_posters_or_ratings(films: RatedFilms) -> None:
    with pytest.raises(FewPostersError, match=r"20 films or more .* received 5"):
        hold_out(without_posters(films, slice(5, None)))
    with pytest.raises(FewPostersError, match="no film with ratings has features"):
        hold_out(without_posters(films, slice(None)))
    with pytest.raises(NotBuiltError, match="keyart load"):
        hold_out(replace(films, ratings=Ratings.empty()))
