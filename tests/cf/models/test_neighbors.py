from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import sparse

from catalog.errors import DataError, StoreError
from catalog.scored_ids import ScoredIds
from cf.base import Recommender
from cf.evaluation.evaluation import predict_stars
from cf.evaluation.splits import Split
from cf.models import neighbors
from cf.models.baseline import fit_biases
from cf.models.neighbors import ArticleItemCosine, ArticleUserCosine, ItemCosine, UserCosine
from cf.ratings import RatingMatrix, Ratings, read_movielens
from tests.contracts import RecommenderContract, assert_same_results, check_ties, random_stars, ratings_of
from tests.records import rewrite_record


@pytest.mark.parametrize("model_class", [ItemCosine, ArticleItemCosine], ids=lambda model_class: model_class.__name__)
class TestItemCosine(RecommenderContract):
    @pytest.fixture
    def make(self, model_class: type[Recommender]) -> Callable[[], Recommender]:
        return model_class


@pytest.mark.parametrize("model_class", [UserCosine, ArticleUserCosine], ids=lambda model_class: model_class.__name__)
class TestUserCosine(RecommenderContract):
    finds_similar = False

    @pytest.fixture
    def make(self, model_class: type[Recommender]) -> Callable[[], Recommender]:
        return model_class


@pytest.mark.parametrize("model_class", [ItemCosine, ArticleItemCosine])
def test_ties_are_in_ascending_movie_id(model_class: type[Recommender]) -> None:
    check_ties(model_class)


# The formulas


def dense_similarities(stars: npt.NDArray[np.float32], shrinkage: float) -> npt.NDArray[np.float64]:
    """Compute the documented formula on dense arrays; the diagonal is NaN."""
    rated = stars > 0
    residuals = dense_residuals(stars)
    lengths = np.linalg.norm(residuals, axis=0)
    products = np.outer(lengths, lengths)
    cosines = np.divide(residuals.T @ residuals, products, out=np.zeros_like(products), where=products > 1e-9)
    n_common = rated.T.astype(float) @ rated
    similarities = cosines * n_common / np.maximum(n_common + shrinkage, 1e-9)
    np.fill_diagonal(similarities, np.nan)
    return similarities


def dense_residuals(stars: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Subtract the biases from the ratings; 0 where unrated."""
    return np.where(stars > 0, stars - dense_biases(stars), 0).astype(np.float64)


def dense_biases(stars: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    biases = fit_biases(ratings_of(stars).matrix().values)
    return (biases.mean + biases.users[:, None] + biases.films).astype(np.float64)


def fit(stars: npt.ArrayLike, n_neighbors: int = 200, shrinkage: float = 100.0) -> ItemCosine:
    return ItemCosine(n_neighbors, shrinkage).fit(ratings_of(stars).matrix())


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("shrinkage", [0.0, 5.0, 100.0])
def test_similarities_match_the_formula(seed: int, shrinkage: float) -> None:
    stars = random_stars(seed, n_users=50, n_films=30, density=0.3)
    expected = dense_similarities(stars, shrinkage)
    for column, found in enumerate(fit(stars, shrinkage=shrinkage).similar_items(range(11, 41), 30)):
        columns = found.ids - 11
        np.testing.assert_allclose(found.scores, expected[column, columns], atol=1e-6)
        assert set(np.flatnonzero(expected[column] > 1e-6)) <= set(columns.tolist())


def test_opposite_tastes_are_not_neighbors() -> None:
    assert fit([[5, 1, 5], [1, 5, 1], [5, 1, 5]]).similar_items([11], 5)[0].ids.tolist() == [13]


def test_shrinkage_halves_similarity_at_that_many_common_raters() -> None:
    stars = random_stars(4, n_users=20, n_films=8, density=1.0)
    # All 20 users rated all films.
    (full,), (half,) = (fit(stars, shrinkage=shrinkage).similar_items([11], 1) for shrinkage in (0.0, 20.0))
    np.testing.assert_array_equal(full.ids, half.ids)
    np.testing.assert_allclose(half.scores, full.scores / 2, rtol=1e-6)


def test_shrinkage_puts_many_common_raters_before_few() -> None:
    stars = np.zeros((30, 4))
    stars[:, 0] = stars[:, 1] = np.where(np.arange(30) % 2, 5, 2)
    stars[:, 3] = 3.5
    stars[:2, 2] = stars[:2, 0]
    found = fit(stars, shrinkage=10.0).similar_items([11], 2)[0]
    assert found.ids.tolist() == [12, 13]
    assert found.scores[0] > 4 * found.scores[1]


def test_stores_at_most_n_neighbors() -> None:
    stars = random_stars(5)
    few, many = fit(stars, n_neighbors=3), fit(stars)
    for short, long in zip(few.similar_items(range(11, 36), 50), many.similar_items(range(11, 36), 3), strict=True):
        np.testing.assert_array_equal(short.ids, long.ids)


def test_film_fully_explained_by_biases_has_no_neighbors() -> None:
    model = fit([[3, 5, 1], [3, 4, 2], [3, 1, 5]])
    assert model.similar_items([11], 5)[0].ids.tolist() == []
    assert 11 not in np.concatenate([found.ids for found in model.similar_items([12, 13], 5)])


def test_item_cosine_predictions_match_the_formula() -> None:
    stars = random_stars(8, n_users=50, n_films=30, density=0.3)
    similarities = np.maximum(np.nan_to_num(dense_similarities(stars, 20.0)), 0)
    rated = (stars > 0).astype(float)
    expected = dense_biases(stars) + dense_residuals(stars) @ similarities / (0.3 + rated @ similarities)
    assert_predicts(ItemCosine(30, 20.0, damping=0.3), stars, expected)


def test_contributions_and_biases_add_up_to_the_predictions() -> None:
    model = ItemCosine().fit(ratings_of(random_stars(seed=2)).matrix())
    history = ratings_of([[5, 1, 4]], [12, 15, 20]).matrix()
    (scores,) = model.recommend_new(history, 100, raw=True)
    films = np.searchsorted(model.movie_ids_, scores.ids)
    generous = model.biases_.of_new_users(model.aligned(history))[0]
    biases = model.biases_.mean + generous + model.biases_.films[films]
    found = model.contributions(history, scores.ids)
    np.testing.assert_allclose(found.sum(axis=0) + biases, scores.scores, rtol=1e-4, atol=1e-5)


def test_user_cosine_predictions_match_the_formula() -> None:
    stars = random_stars(9, n_users=50, n_films=30, density=0.3)
    residuals, rated = dense_residuals(stars), (stars > 0).astype(float)
    lengths, n_common = np.linalg.norm(residuals, axis=1), rated @ rated.T
    similarities = residuals @ residuals.T / np.outer(lengths, lengths) * n_common / np.maximum(n_common + 20, 1)
    np.fill_diagonal(similarities, 0)
    similarities = np.maximum(similarities, 0)
    expected = dense_biases(stars) + similarities @ residuals / (0.3 + similarities @ rated)
    assert_predicts(UserCosine(50, 20.0, damping=0.3), stars, expected)


def test_without_neighbors_predicts_the_biases() -> None:
    # The users rated different films.
    stars = np.kron(np.eye(3), [[5, 1]])
    for model in (ItemCosine(damping=0.0), UserCosine(damping=0.0)):
        predicted = model.fit(ratings_of(stars).matrix()).predict([101, 102], [14, 11])
        np.testing.assert_allclose(predicted, dense_biases(stars)[[0, 1], [3, 0]], atol=1e-5)


@pytest.mark.parametrize("model_class", [ItemCosine, ArticleItemCosine])
def test_new_users_match_fitted_users_with_the_same_ratings(model_class: type[Recommender]) -> None:
    ratings = ratings_of(random_stars(10)).matrix()
    model = model_class().fit(ratings)
    assert_same_results(model.recommend_new(ratings, 10), model.recommend(ratings.user_ids, 10))


def test_article_models_treat_unrated_films_as_zero_stars() -> None:
    stars = random_stars(11)
    of_users, of_films = (table / np.linalg.norm(table, axis=1, keepdims=True) for table in (stars, stars.T))
    by_user, by_film = of_users @ of_users.T, of_films @ of_films.T
    assert_predicts(ArticleUserCosine(), stars, by_user @ stars / by_user.sum(axis=1, keepdims=True))
    assert_predicts(ArticleItemCosine(), stars, stars @ by_film / by_film.sum(axis=0))


def assert_predicts(model: Recommender, stars: npt.NDArray[np.float32], expected: npt.NDArray[np.floating]) -> None:
    ratings = ratings_of(stars).matrix()
    users, films = np.indices(stars.shape).reshape(2, -1)
    predicted = model.fit(ratings).predict(ratings.user_ids[users], ratings.movie_ids[films], raw=True)
    np.testing.assert_allclose(predicted.reshape(stars.shape), expected, atol=1e-4)


@pytest.mark.parametrize("n_cells", [1, 25, 60, 24 * 25])
def test_block_size_does_not_change_neighbors(monkeypatch: pytest.MonkeyPatch, n_cells: int) -> None:
    stars = random_stars(7)
    whole = fit(stars).similar_items(range(11, 36), 50)
    monkeypatch.setattr(neighbors, "_BLOCK_CELLS", n_cells)
    for one, other in zip(fit(stars).similar_items(range(11, 36), 50), whole, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.scores, other.scores)


def test_blocks_grow_with_the_ratings_and_not_with_the_square_of_the_films(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "_BLOCK_CELLS", 500)
    largest, n_blocks = neighbors._largest, [0]

    def counted(*arguments: Any, **options: Any) -> Any:
        n_blocks[-1] += 1
        return largest(*arguments, **options)

    monkeypatch.setattr(neighbors, "_largest", counted)
    for n_films in (200, 400, 800):
        n_blocks.append(0)
        # Each user rated two films of their own, so that most films have nothing in common.
        pairs = np.arange(n_films)
        stars = sparse.coo_array((1.0 + pairs % 5, (pairs // 2, pairs)), dtype=np.float32).tocsr()
        model = ItemCosine(shrinkage=0.0).fit(RatingMatrix(1 + pairs[::2] // 2, 1 + pairs, stars))
        assert model.similarities_.shape == (n_films, n_films)
    assert n_blocks[2] <= 2 * n_blocks[1]
    assert n_blocks[3] <= 2 * n_blocks[2]


# Real ratings


def test_star_wars_is_near_its_sequels_in_real_ratings(shared: Path) -> None:
    ratings = read_movielens(shared / "data/ml-latest-small")
    movie_ids, n_ratings, _ = ratings.film_statistics()
    model = ItemCosine().fit(ratings.of_films(movie_ids[n_ratings >= 20]).matrix())
    # Star Wars is near to The Empire Strikes Back and Return of the Jedi.
    assert {1196, 1210} <= set(model.similar_items([260], 5)[0].ids.tolist())


@pytest.fixture(scope="module")
def article_split(shared: Path) -> Split:
    """Split as in the article: movie_ids up to 9,000, ten ratings drawn per user, with replacement."""
    # This edition comes without timestamps.
    table = pd.read_csv(shared / "data/ml-small-2016/ratings.csv").query("movieId <= 9000")
    columns = table["userId"].to_numpy(np.int32), table["movieId"].to_numpy(np.int32)
    ratings = Ratings(*columns, table["rating"].to_numpy(np.float32), np.zeros(len(table), np.int64))
    rng = np.random.default_rng(0)
    held_out = np.zeros(len(ratings), bool)
    for user_id in np.unique(ratings.user_ids):
        held_out[rng.choice(np.flatnonzero(ratings.user_ids == user_id), 10)] = True
    return Split("the article's", ratings.where(~held_out), ratings.where(held_out))


def mean_squared_error(predicted: npt.NDArray[np.floating], test: Ratings) -> float:
    return float(np.mean((predicted - test.values) ** 2))


def test_reproduces_the_error_of_the_article(article_split: Split) -> None:
    test, model = article_split.test, ArticleUserCosine().fit(article_split.train.matrix())
    predicted = model.predict(test.user_ids, test.movie_ids, raw=True)
    # The article predicts 0 for a film whose ratings were all held out, because its column is all zeros.
    assert mean_squared_error(np.nan_to_num(predicted), test) == pytest.approx(9.8252, abs=0.15)


@pytest.mark.parametrize("model_class", [UserCosine, ItemCosine])
def test_centered_models_err_a_tenth_of_the_article(article_split: Split, model_class: type[Recommender]) -> None:
    train, test = article_split.train, article_split.test
    stars, _ = predict_stars(model_class().fit(train.matrix()), train, test)
    # Weighted means of those who rated, centered by the user's mean, without shrinkage: 0.880.
    assert mean_squared_error(stars, test) < 0.88


# The files


@pytest.fixture
def saved_dir(tmp_path: Path) -> Path:
    fit(random_stars(1), n_neighbors=7, shrinkage=3.0).save(tmp_path / "cf")
    return tmp_path / "cf"


def test_parameters_are_saved(saved_dir: Path) -> None:
    opened = ItemCosine.open(saved_dir)
    assert (opened.n_neighbors, opened.shrinkage) == (7, 3.0)


@pytest.mark.parametrize("n_bytes", [0, 1_000, 5_000])
def test_a_full_disk_keeps_the_old_model(
    saved_dir: Path, full_disk: Callable[[int], AbstractContextManager[None]], n_bytes: int
) -> None:
    before = sorted(saved_dir.iterdir())
    with pytest.raises(StoreError, match=r"cannot write .*; free some space"), full_disk(n_bytes):
        fit(random_stars(2, n_films=60)).save(saved_dir)
    assert sorted(saved_dir.iterdir()) == before
    assert len(ItemCosine.open(saved_dir).movie_ids_) == 25


def test_interrupted_save_keeps_the_old_model(saved_dir: Path) -> None:
    before = sorted(saved_dir.iterdir())
    model = fit(random_stars(2, n_films=60))
    model.shrinkage = object()  # type: ignore[assignment]  # no JSON can hold it
    with pytest.raises(TypeError):
        model.save(saved_dir)
    assert sorted(saved_dir.iterdir()) == before
    assert len(ItemCosine.open(saved_dir).movie_ids_) == 25


def _without(record: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in record.items() if key != name}


def _without_shrinkage(record: dict[str, Any]) -> dict[str, object]:
    return {**record, "parameters": _without(record["parameters"], "shrinkage")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (partial(_without, name="arrays"), "is damaged .*; fit the model again"),
        (_without_shrinkage, "is damaged .*; fit the model again"),
        (lambda record: {**record, "version": 99}, "is of version 99, this keyart reads version 2"),
        (lambda record: {**record, "kind": "other"}, "should be a record of kind 'keyart-item-cosine'"),
    ],
    ids=["arrays", "shrinkage", "version", "kind"],
)
def test_invalid_record_is_refused(
    saved_dir: Path, change: Callable[[dict[str, object]], dict[str, object]], message: str
) -> None:
    path = saved_dir / "item-cosine.json"
    rewrite_record(path, change)
    with pytest.raises(DataError, match=message):
        ItemCosine.open(saved_dir)


def test_arrays_of_different_lengths_are_refused(saved_dir: Path) -> None:
    path = next(saved_dir.glob("*.npz"))
    with np.load(path) as arrays:
        parts = dict(arrays)
    np.savez(path, **{**parts, "movie_ids_": parts["movie_ids_"][:5]})
    with pytest.raises(DataError, match="is damaged"):
        ItemCosine.open(saved_dir)


def test_similar_items_are_scored_ids() -> None:
    found = fit(random_stars(1)).similar_items([11], 3)[0]
    assert isinstance(found, ScoredIds)
    assert (found.ids.shape, found.scores.shape) == ((3,), (3,))
