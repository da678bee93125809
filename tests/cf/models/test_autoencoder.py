from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cf.base import Recommender
from cf.evaluation.evaluation import evaluate
from cf.evaluation.splits import by_user
from cf.models import autoencoder
from cf.models.autoencoder import Autoencoder, ImplicitAutoencoder
from cf.models.ease import EASE
from cf.ratings import RatingMatrix, Ratings, read_movielens
from tests.contracts import RecommenderContract, random_stars, ratings_of

pytestmark = pytest.mark.heavy

SMALL = {"n_factors": 8, "n_epochs": 100, "batch_size": 20, "learning_rate": 0.01}


@pytest.mark.parametrize(
    "model_class", [Autoencoder, ImplicitAutoencoder], ids=lambda model_class: model_class.__name__
)
class TestAutoencoder(RecommenderContract):
    @pytest.fixture
    def make(self, model_class: type[Recommender]) -> Callable[[], Recommender]:
        return partial(model_class, **SMALL)


def test_preferences_are_centered_by_film_and_user() -> None:
    stars = random_stars(1)
    rated = stars > 0
    mean = stars[rated].mean()
    films, users = (np.where(rated, stars - mean, 0).sum(axis) / rated.sum(axis) for axis in (0, 1))
    expected = np.where(rated, stars - mean - films - users[:, None], 0)
    model = Autoencoder(damping=0, n_epochs=1).fit(ratings_of(stars).matrix())
    preferences, user_biases = model._preferences(model.seen_, model.film_biases_)
    np.testing.assert_allclose(preferences.toarray(), expected, atol=1e-5)
    np.testing.assert_allclose(user_biases, users, atol=1e-5)


def test_hidden_ratings_are_masked_from_the_input() -> None:
    values = ratings_of(random_stars(2, n_users=300)).matrix().values
    batches = autoencoder._masked_batches(values, autoencoder.choices(values), 0.25, 64, np.random.default_rng(0))
    seen, expected = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    targets, known, hidden = expected[:, 0], expected[:, 1], expected[:, 2]
    assert len(seen) == 300
    assert known.sum() == values.nnz
    assert hidden[known == 0].sum() == 0
    assert hidden.sum() == pytest.approx(0.25 * values.nnz, rel=0.1)
    np.testing.assert_allclose(seen, targets * (1 - hidden) / 0.75)


def test_loss_weights_hidden_ratings_by_four_fifths() -> None:
    rng = np.random.default_rng(3)
    targets, predicted = (rng.standard_normal((6, 9)).astype(np.float32) for _ in range(2))
    known = (rng.random((6, 9)) < 0.7).astype(np.float32)
    hidden = known * (rng.random((6, 9)) < 0.5)
    errors = (targets - predicted) ** 2
    expected = 0.2 * errors[known > 0].mean() + 0.8 * errors[hidden > 0].mean()
    loss = autoencoder._masked_loss(0.8)(np.stack([targets, known, hidden], axis=1).astype(np.float32), predicted)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_only_the_most_rated_films_are_learned() -> None:
    stars = random_stars(4)
    stars[:, :5] = 0
    stars[:2, :5] = 3
    ratings = ratings_of(stars).matrix()
    for model in (one(n_films=20, n_epochs=1).fit(ratings) for one in (Autoencoder, ImplicitAutoencoder)):
        everything = model.recommend(ratings.user_ids, 100, exclude_seen=False)
        assert {tuple(sorted(found.ids)) for found in everything} == {tuple(range(16, 36))}
        assert len(model.similar_items([11], 5)[0].ids) == 0
        assert np.isnan(model.predict([101], [11])).all()
        assert np.isnan(model.distances([11, 999], [16, 16])).all()


def test_losses_fall_and_are_saved(tmp_path: Path) -> None:
    model = Autoencoder(**SMALL).fit(ratings_of(random_stars(5, n_users=80)).matrix())
    assert len(model.losses_) == SMALL["n_epochs"]
    assert model.losses_[-10:].mean() < model.losses_[:10].mean()
    model.save(tmp_path)
    np.testing.assert_array_equal(Autoencoder.open(tmp_path).losses_, model.losses_)


def history_of(movie_ids: list[int], stars: list[float]) -> RatingMatrix:
    n = len(movie_ids)
    return Ratings(np.full(n, 1, np.int32), np.int32(movie_ids), np.float32(stars), np.zeros(n, np.int64)).matrix()


STAR_WARS, EMPIRE, JEDI, JURASSIC_PARK, AMERICAN_BEAUTY = 260, 1196, 1210, 480, 2858


@pytest.fixture(scope="module")
def fitted(shared: Path) -> Autoencoder:
    return Autoencoder().fit(read_movielens(shared / "data/ml-latest-small").matrix())


def test_star_wars_is_nearer_to_its_sequel_than_to_american_beauty(fitted: Autoencoder) -> None:
    sequel, other = fitted.distances([STAR_WARS, STAR_WARS], [EMPIRE, AMERICAN_BEAUTY])
    assert sequel < other / 2
    (near,) = fitted.similar_items([STAR_WARS], 5)
    assert {EMPIRE, JEDI} <= set(near.ids.tolist())
    np.testing.assert_allclose(near.scores[near.ids == EMPIRE], 1 - sequel, atol=1e-5)


def test_star_wars_fans_are_recommended_its_sequels(fitted: Autoencoder) -> None:
    (lover,) = fitted.recommend_new(history_of([STAR_WARS, JURASSIC_PARK], [5, 5]), 500)
    (hater,) = fitted.recommend_new(history_of([STAR_WARS, JURASSIC_PARK], [0.5, 0.5]), 500)
    given = {film: lover.scores[lover.ids == film][0] for film in (EMPIRE, JEDI)}
    refused = {film: hater.scores[hater.ids == film][0] for film in (EMPIRE, JEDI)}
    assert all(given[film] > refused[film] + 1 for film in given)
    assert {EMPIRE, JEDI} <= set(lover.ids[:50].tolist())


def test_implicit_autoencoder_ranks_nearly_as_well_as_ease(shared: Path) -> None:
    ratings = read_movielens(shared / "data/ml-100k")
    movie_ids, n_ratings, _ = ratings.film_statistics()
    most_rated = ratings.of_films(movie_ids[np.argsort(-n_ratings, kind="stable")[:500]])
    makers = {"implicit-autoencoder": ImplicitAutoencoder, "ease": EASE}
    learned, closed_form = evaluate(makers, [by_user(most_rated, 0.25, seed=0)], n_resamples=1)
    assert learned.ndcg.value > 0.95 * closed_form.ndcg.value
