from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import DataError, StoreError
from cf import neighbors
from cf.base import Neighbors, Recommender
from cf.neighbors import ItemCosine
from cf.ratings import read_movielens
from tests.contracts import RecommenderContract, check_ties, random_stars, ratings_of


@pytest.mark.parametrize("model_class", [ItemCosine], ids=lambda model_class: model_class.__name__)
class TestItemCosine(RecommenderContract):
    @pytest.fixture
    def make(self, model_class: type[Recommender]) -> Callable[[], Recommender]:
        return model_class


def test_ties_stand_in_ascending_movie_id() -> None:
    check_ties(ItemCosine)


def dense_similarities(stars: npt.NDArray[np.float32], shrinkage: float) -> npt.NDArray[np.float64]:
    """Compute the formula of the docstring the plain way; the diagonal is NaN."""
    rated = stars > 0
    table = stars.astype(np.float64)
    means = table.sum(axis=1) / np.maximum(rated.sum(axis=1), 1)
    centred = np.where(rated, table - means[:, None], 0)
    lengths = np.linalg.norm(centred, axis=0)
    products = np.outer(lengths, lengths)
    cosines = np.divide(centred.T @ centred, products, out=np.zeros_like(products), where=products > 1e-9)
    n_common = rated.T.astype(float) @ rated
    similarities = cosines * n_common / np.maximum(n_common + shrinkage, 1e-9)
    np.fill_diagonal(similarities, np.nan)
    return similarities


def fit(stars: npt.ArrayLike, n_neighbors: int = 200, shrinkage: float = 100.0) -> ItemCosine:
    return ItemCosine(n_neighbors, shrinkage).fit(ratings_of(stars).matrix())


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("shrinkage", [0.0, 5.0, 100.0])
def test_it_is_the_formula(seed: int, shrinkage: float) -> None:
    stars = random_stars(seed, n_users=50, n_films=30, density=0.3)
    expected = dense_similarities(stars, shrinkage)
    for column, found in enumerate(fit(stars, shrinkage=shrinkage).similar_items(range(11, 41), 30)):
        columns = found.movie_ids - 11
        np.testing.assert_allclose(found.similarities, expected[column, columns], atol=1e-6)
        assert set(np.flatnonzero(expected[column] > 1e-6)) <= set(columns.tolist())


def test_opposite_tastes_are_not_neighbours() -> None:
    assert fit([[5, 1, 5], [1, 5, 1], [5, 1, 5]]).similar_items([11], 5)[0].movie_ids.tolist() == [13]


def test_shrinkage_halves_at_so_many_common_raters() -> None:
    stars = random_stars(4, n_users=20, n_films=8, density=1.0)
    # All 20 users rated all films.
    (full,), (half,) = (fit(stars, shrinkage=shrinkage).similar_items([11], 1) for shrinkage in (0.0, 20.0))
    np.testing.assert_array_equal(full.movie_ids, half.movie_ids)
    np.testing.assert_allclose(half.similarities, full.similarities / 2, rtol=1e-6)


def test_shrinkage_puts_many_common_raters_before_few() -> None:
    stars = np.zeros((30, 4))
    stars[:, 0] = stars[:, 1] = np.where(np.arange(30) % 2, 5, 2)
    stars[:, 3] = 3.5
    stars[:2, 2] = stars[:2, 0]
    found = fit(stars, shrinkage=10.0).similar_items([11], 2)[0]
    assert found.movie_ids.tolist() == [12, 13]
    assert found.similarities[0] > 4 * found.similarities[1]


def test_no_more_neighbours_than_asked_for_are_kept() -> None:
    stars = random_stars(5)
    few, many = fit(stars, n_neighbors=3), fit(stars)
    for short, long in zip(few.similar_items(range(11, 36), 50), many.similar_items(range(11, 36), 3), strict=True):
        np.testing.assert_array_equal(short.movie_ids, long.movie_ids)


def test_a_film_that_everyone_gave_their_mean_says_nothing() -> None:
    model = fit([[3, 5, 1], [3, 4, 2], [3, 1, 5]])
    assert model.similar_items([11], 5)[0].movie_ids.tolist() == []
    assert 11 not in np.concatenate([found.movie_ids for found in model.similar_items([12, 13], 5)])


def test_a_user_of_one_rating_says_nothing() -> None:
    stars = random_stars(6, n_users=20, n_films=6)
    with_another = np.vstack([stars, [0, 5, 0, 0, 0, 0]])
    for one, other in zip(
        fit(stars).similar_items(range(11, 17), 9), fit(with_another).similar_items(range(11, 17), 9), strict=True
    ):
        np.testing.assert_array_equal(one.movie_ids, other.movie_ids)


@pytest.mark.parametrize("n_cells", [1, 25, 60, 24 * 25])
def test_the_size_of_the_blocks_does_not_matter(monkeypatch: pytest.MonkeyPatch, n_cells: int) -> None:
    stars = random_stars(7)
    whole = fit(stars).similar_items(range(11, 36), 50)
    monkeypatch.setattr(neighbors, "_BLOCK_CELLS", n_cells)
    for one, other in zip(fit(stars).similar_items(range(11, 36), 50), whole, strict=True):
        np.testing.assert_array_equal(one.movie_ids, other.movie_ids)
        np.testing.assert_array_equal(one.similarities, other.similarities)


def test_similar_tastes_are_found_in_real_ratings(shared: Path) -> None:
    ratings = read_movielens(shared / "data/ml-latest-small")
    movie_ids, n_ratings, _ = ratings.support()
    model = ItemCosine().fit(ratings.of_films(movie_ids[n_ratings >= 20]).matrix())
    # Star Wars is near to The Empire Strikes Back and Return of the Jedi.
    assert {1196, 1210} <= set(model.similar_items([260], 5)[0].movie_ids.tolist())


# The files


@pytest.fixture
def saved_dir(tmp_path: Path) -> Path:
    fit(random_stars(1), n_neighbors=7, shrinkage=3.0).save(tmp_path / "cf")
    return tmp_path / "cf"


def test_the_parameters_are_kept(saved_dir: Path) -> None:
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


def test_a_save_that_breaks_off_before_its_record_keeps_the_old_model(saved_dir: Path) -> None:
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
def test_a_record_that_says_otherwise_is_refused(
    saved_dir: Path, change: Callable[[dict[str, object]], dict[str, object]], message: str
) -> None:
    path = saved_dir / "item-cosine.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=message):
        ItemCosine.open(saved_dir)


def test_arrays_that_do_not_fit_together_are_refused(saved_dir: Path) -> None:
    path = next(saved_dir.glob("*.npz"))
    with np.load(path) as arrays:
        parts = dict(arrays)
    np.savez(path, **{**parts, "movie_ids_": parts["movie_ids_"][:5]})
    with pytest.raises(DataError, match="is damaged"):
        ItemCosine.open(saved_dir)


def test_neighbours_are_a_pair_of_ids_and_similarities() -> None:
    found = fit(random_stars(1)).similar_items([11], 3)[0]
    assert isinstance(found, Neighbors)
    assert (found.movie_ids.shape, found.similarities.shape) == ((3,), (3,))
