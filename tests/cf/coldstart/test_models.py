from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import sparse

from catalog.errors import ConfigError
from cf.coldstart import COLD_MODELS, ColdModel, FilmContent, make_cold
from cf.coldstart.aligned import AlignedEase
from cf.coldstart.evaluation import rank
from cf.coldstart.holdout import Holdout, RatedFilms, hold_out
from cf.coldstart.kernel import KernelRidge
from cf.coldstart.nearest import NearestPosters
from cf.ratings import RatingMatrix
from tests.cf.coldstart.world import rated_films

FLOORS = {"mean-factor", "random"}


@pytest.fixture(scope="module")
def films() -> RatedFilms:
    return rated_films()


@pytest.fixture(scope="module")
def hidden(films: RatedFilms) -> Holdout:
    return hold_out(films)


@pytest.fixture(scope="module", params=list(COLD_MODELS))
def make(request: pytest.FixtureRequest) -> Callable[[], ColdModel]:
    return partial(make_cold, request.param)


@pytest.fixture(scope="module")
def model(make: Callable[[], ColdModel], films: RatedFilms, hidden: Holdout) -> ColdModel:
    return make().fit(hidden.train, films.content.rows(hidden.warm))


class TestEveryModel:
    def test_it_ranks_films_that_nobody_has_rated(self, model: ColdModel, films: RatedFilms, hidden: Holdout) -> None:
        preferences = model.preferences(films.content.rows(hidden.cold))
        assert preferences.shape == hidden.held_out.shape
        assert preferences.dtype == np.float32
        assert np.isfinite(preferences).all()
        auc = rank(preferences, hidden.held_out.toarray() > 0).measures[0].mean()
        assert 0.4 < auc < 0.6 if model.name in FLOORS else auc > 0.6

    def test_films_with_ratings_are_ranked_by_these(self, model: ColdModel, films: RatedFilms, hidden: Holdout) -> None:
        warm = films.content.rows(hidden.warm)
        by_ratings = model.preferences(warm, hidden.train.values)
        assert by_ratings.shape == hidden.train.values.shape
        unrated = sparse.csr_array(hidden.train.values.shape, dtype=np.float32)
        np.testing.assert_allclose(model.preferences(warm, unrated), model.preferences(warm), atol=1e-5)
        moved = not np.allclose(by_ratings, model.preferences(warm), atol=1e-3)
        assert moved == np.isfinite(model.half_support)

    def test_a_batch_gives_what_its_films_give_one_by_one(
        self, model: ColdModel, films: RatedFilms, hidden: Holdout
    ) -> None:
        new = films.content.rows(hidden.cold)
        singles = [model.preferences(new.rows([film])) for film in range(len(new))]
        np.testing.assert_allclose(np.hstack(singles), model.preferences(new), rtol=1e-3, atol=1e-4)

    def test_fitted_twice_it_is_the_same(
        self, make: Callable[[], ColdModel], model: ColdModel, films: RatedFilms, hidden: Holdout
    ) -> None:
        again = make().fit(hidden.train, films.content.rows(hidden.warm))
        new = films.content.rows(hidden.cold)
        np.testing.assert_array_equal(again.preferences(new), model.preferences(new))

    def test_it_looks_at_nothing_but_what_it_says(self, model: ColdModel, films: RatedFilms, hidden: Holdout) -> None:
        new = films.content.rows(hidden.cold)
        others = {
            "genres": replace(new, genres=[["Drama"] if "Comedy" in of_film else ["Comedy"] for of_film in new.genres]),
            "posters": replace(new, posters=-new.posters),
        }
        for kind, changed in others.items():
            same = np.allclose(model.preferences(changed), model.preferences(new), atol=1e-5)
            # What is drawn at random is drawn by content.
            assert same == (kind not in model.uses) or model.name == "random"

    def test_films_without_ratings_teach_nothing(
        self, make: Callable[[], ColdModel], films: RatedFilms, hidden: Holdout
    ) -> None:
        rows = np.concatenate([hidden.warm, hidden.cold])
        known = films.content.rows(rows)
        n = len(hidden.cold)
        nothing = sparse.csr_array((hidden.train.values.shape[0], n), dtype=np.float32)
        values = sparse.csr_array(sparse.hstack([hidden.train.values, nothing]))
        silent = RatingMatrix(hidden.train.user_ids, films.movie_ids[rows], values)
        absurd = FilmContent(
            [*known.genres[:-n], *[["Absurd"]] * n],
            [*known.years[:-n], *[9999] * n],
            np.vstack([known.posters[:-n], np.full_like(known.posters[-n:], 1e6)]),
        )
        one, other = (make().fit(silent, content) for content in (known, absurd))
        np.testing.assert_array_equal(one.preferences(known), other.preferences(known))

    def test_films_of_which_nothing_is_known_are_no_error(self, model: ColdModel, films: RatedFilms) -> None:
        n_columns = films.content.posters.shape[1]
        unknown = FilmContent([[], []], [None, None], np.full((2, n_columns), np.nan, np.float32))
        preferences = model.preferences(unknown)
        assert np.isfinite(preferences).all()
        np.testing.assert_allclose(preferences[:, 0], preferences[:, 1], atol=1e-5)
        assert model.preferences(unknown.rows([])).shape == (len(model.user_ids_), 0)

    def test_without_posters_and_without_ratings_it_answers_all_the_same(
        self, make: Callable[[], ColdModel], films: RatedFilms, hidden: Holdout
    ) -> None:
        bare = replace(films.content, posters=np.empty((len(films.content), 0), np.float32))
        answered = make().fit(hidden.train, bare.rows(hidden.warm)).preferences(bare.rows(hidden.cold))
        assert np.isfinite(answered).all()
        silent = replace(hidden.train, values=sparse.csr_array(hidden.train.values.shape, dtype=np.float32))
        nobody = make().fit(silent, films.content.rows(hidden.warm))
        assert np.isnan(nobody.preferences(films.content.rows(hidden.cold))).all()


def test_every_name_makes_the_model_of_that_name() -> None:
    assert {name: make_cold(name).name for name in COLD_MODELS} == {name: name for name in COLD_MODELS}


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'nearest-poster'.*nearest-posters"):
        make_cold("nearest-poster")


def test_of_the_nearest_posters_no_more_count_than_asked_for(films: RatedFilms, hidden: Holdout) -> None:
    warm = films.content.rows(hidden.warm)
    nearest = NearestPosters(k=1, smoothing=0.0).fit(hidden.train, warm)
    # The nearest poster of a film of the fit is its own.
    own, _ = nearest._factorise(hidden.train.values)
    np.testing.assert_allclose(nearest.factors(warm), own, atol=1e-3)


def test_posters_of_which_films_go_together_are_aligned_and_others_are_not(films: RatedFilms, hidden: Holdout) -> None:
    warm = films.content.rows(hidden.warm)
    noise = np.random.default_rng(1).normal(size=warm.posters.shape).astype(np.float32)
    telling, silent = (AlignedEase().fit(hidden.train, known) for known in (warm, replace(warm, posters=noise)))
    assert telling.weights_[2] > 10 * silent.weights_[2] >= 0


def test_kernels_are_of_no_more_films_than_asked_for(films: RatedFilms, hidden: Holdout) -> None:
    fitted = KernelRidge(n_films=7).fit(hidden.train, films.content.rows(hidden.warm))
    assert len(fitted.posters_) == 7
