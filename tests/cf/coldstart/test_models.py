"""The contract of cold-start models, run against every registered one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from catalog.errors import ConfigError
from cf.coldstart.base import ColdStartModel
from cf.coldstart.content import FilmContent
from cf.coldstart.evaluation import rank
from cf.coldstart.registry import COLD_START_MODELS, make_cold_start
from cf.ratings import RatingMatrix
from tests.cf.coldstart.synthetic import N_FILMS, N_USERS, rated_films

N_COLD = 30
BASELINES = ("mean-factor", "random")
CONTENT_MODELS = [name for name in COLD_START_MODELS if name not in BASELINES]

FILMS = rated_films()
MATRIX = FILMS.ratings.matrix()
COLD, WARM = FILMS.content.rows(slice(N_COLD)), FILMS.content.rows(slice(N_COLD, None))
TRAIN = RatingMatrix(MATRIX.user_ids, MATRIX.movie_ids[N_COLD:], sparse.csr_array(MATRIX.values[:, N_COLD:]))
HELD_OUT = sparse.csr_array(MATRIX.values[:, :N_COLD])
NOTHING = sparse.csr_array((N_USERS, N_COLD), dtype=np.float32)


@pytest.fixture(scope="module")
def fitted() -> dict[str, ColdStartModel]:
    return {name: make_cold_start(name).fit(TRAIN, WARM) for name in COLD_START_MODELS}


def auc(preferences: npt.NDArray[np.floating]) -> float:
    return float(rank(preferences, np.asarray(HELD_OUT.toarray() > 0)).measures[0].mean())


@pytest.mark.parametrize("name", COLD_START_MODELS)
class TestColdStartModel:
    def test_preferences_cover_every_user_and_film(self, fitted: dict[str, ColdStartModel], name: str) -> None:
        preferences = fitted[name].preferences(COLD)
        assert preferences.shape == (N_USERS, N_COLD)
        assert preferences.dtype == np.float32
        assert np.isfinite(preferences).all()
        np.testing.assert_array_equal(fitted[name].user_ids_, TRAIN.user_ids)

    def test_fit_is_repeatable_and_leaves_input_unchanged(self, fitted: dict[str, ColdStartModel], name: str) -> None:
        posters, values = WARM.posters.copy(), TRAIN.values.copy()
        again = make_cold_start(name).fit(TRAIN, WARM)
        np.testing.assert_allclose(again.preferences(COLD), fitted[name].preferences(COLD), rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(WARM.posters, posters)
        np.testing.assert_array_equal(TRAIN.values.toarray(), values.toarray())

    def test_batch_equals_single_films(self, fitted: dict[str, ColdStartModel], name: str) -> None:
        singles = [fitted[name].preferences(COLD.rows([film])) for film in range(5)]
        np.testing.assert_allclose(
            fitted[name].preferences(COLD.rows(slice(5))), np.hstack(singles), rtol=1e-3, atol=1e-3
        )

    def test_content_of_unrated_films_does_not_affect_training(self, name: str) -> None:
        silent = RatingMatrix(
            TRAIN.user_ids, MATRIX.movie_ids, sparse.csr_array(sparse.hstack([NOTHING, TRAIN.values]))
        )
        odd = FilmContent([["Musical"]] * N_COLD, [1900] * N_COLD, np.full_like(COLD.posters, 1e6))
        absurd = FilmContent(
            [*odd.genres, *WARM.genres], [*odd.years, *WARM.years], np.vstack([odd.posters, WARM.posters])
        )
        one, other = (make_cold_start(name).fit(silent, films).preferences(COLD) for films in (FILMS.content, absurd))
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)

    def test_empty_ratings_equal_no_ratings(self, fitted: dict[str, ColdStartModel], name: str) -> None:
        np.testing.assert_allclose(
            fitted[name].preferences(COLD, NOTHING), fitted[name].preferences(COLD), rtol=1e-3, atol=1e-3
        )

    def test_accepts_films_without_content(self, fitted: dict[str, ColdStartModel], name: str) -> None:
        unknown = FilmContent([()] * 2, [None] * 2, np.full((2, COLD.posters.shape[1]), np.nan, np.float32))
        assert np.isfinite(fitted[name].preferences(unknown)).all()

    def test_fit_on_no_ratings_gives_nan_preferences(self, name: str) -> None:
        nothing = RatingMatrix(
            np.arange(3, dtype=np.int32), MATRIX.movie_ids, sparse.csr_array((3, N_FILMS), dtype=np.float32)
        )
        preferences = make_cold_start(name).fit(nothing, FILMS.content).preferences(COLD)
        assert preferences.shape == (3, N_COLD)
        assert np.isnan(preferences).all()

    def test_fit_rejects_content_of_another_number_of_films(self, name: str) -> None:
        with pytest.raises(ValueError, match="expected content of 90 films"):
            make_cold_start(name).fit(TRAIN, COLD)

    def test_declares_the_content_it_uses(self, name: str) -> None:
        assert make_cold_start(name).uses <= {"posters", "genres", "years", "terms"}
        assert bool(make_cold_start(name).uses) == (name in CONTENT_MODELS)
        assert COLD_START_MODELS[name].summary


@pytest.mark.parametrize("name", CONTENT_MODELS)
def test_content_models_rank_users_of_new_films_above_chance(fitted: dict[str, ColdStartModel], name: str) -> None:
    assert auc(fitted[name].preferences(COLD)) > 0.62


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_rank_users_of_new_films_at_chance(fitted: dict[str, ColdStartModel], name: str) -> None:
    assert 0.4 < auc(fitted[name].preferences(COLD)) < 0.6


@pytest.mark.parametrize("name", [name for name in COLD_START_MODELS if name != "random"])
def test_first_ratings_improve_preferences(fitted: dict[str, ColdStartModel], name: str) -> None:
    seen = fitted[name].preferences(COLD, HELD_OUT)
    assert auc(seen) > auc(fitted[name].preferences(COLD))


@pytest.mark.parametrize("name", CONTENT_MODELS)
def test_only_declared_content_changes_preferences(fitted: dict[str, ColdStartModel], name: str) -> None:
    model, known = fitted[name], fitted[name].preferences(COLD)
    other = {
        "posters": replace(COLD, posters=-COLD.posters),
        "genres": replace(COLD, genres=[["Drama"] if of == ["Comedy"] else ["Comedy"] for of in COLD.genres]),
    }
    for kind, changed in other.items():
        same = np.allclose(model.preferences(changed), known, rtol=1e-3, atol=1e-3)
        assert same == (kind not in model.uses)


def test_unknown_model_error_suggests_names() -> None:
    with pytest.raises(ConfigError, match="did you mean ridge-als"):
        make_cold_start("ridge-asl")
    with pytest.raises(ConfigError, match="aligned-ease"):
        make_cold_start("zzz")
