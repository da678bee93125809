"""What every recommender and every index must pass; a new kind joins by one line of a parametrisation.

A contract is a class of tests that asks for one fixture. A test module derives from it and says what to build::

    class TestItemCosine(RecommenderContract):
        @pytest.fixture
        def make(self): return ItemCosine

Equal numbers may stand in either order only where a contract says so; ids never.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import DataError, NotBuiltError, UnknownFilmError
from cf.base import Neighbors, Recommender
from cf.ratings import RatingMatrix, Ratings
from index.cosine import SearchResult

# Ratings


def ratings_of(stars: npt.ArrayLike, movie_ids: npt.ArrayLike | None = None) -> Ratings:
    """Turn a table of users × films into ratings; 0 is no rating. Ids begin at 101 and 11 unless given."""
    table = np.asarray(stars, np.float32)
    users, films = np.nonzero(table)
    ids = np.asarray(11 + np.arange(table.shape[1]) if movie_ids is None else movie_ids, np.int32)
    return Ratings((101 + users).astype(np.int32), ids[films], table[users, films], np.zeros(len(users), np.int64))


def random_stars(seed: int, n_users: int = 40, n_films: int = 25, density: float = 0.4) -> npt.NDArray[np.float32]:
    """Draw a table of half stars, 0 where there is no rating."""
    rng = np.random.default_rng(seed)
    stars = rng.integers(1, 11, (n_users, n_films)) / 2
    return np.where(rng.random((n_users, n_films)) < density, stars, 0).astype(np.float32)


def checkerboard(n_users: int = 40, n_films: int = 20) -> npt.NDArray[np.float32]:
    """Users love films of their own parity and dislike the others; every third cell is unknown."""
    users, films = np.indices((n_users, n_films))
    loved = users % 2 == films % 2
    known = (users + films * 2) % 3 != 0
    return np.where(known, np.where(loved, 5.0, 1.0), 0.0).astype(np.float32)


def _assert_same_neighbors(one: list[Neighbors], other: list[Neighbors]) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left.movie_ids, right.movie_ids)
        np.testing.assert_array_equal(left.similarities, right.similarities)


class RecommenderContract:
    """What every `cf.base.Recommender` keeps."""

    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        """Make a recommender that has not been fitted."""
        raise NotImplementedError

    @pytest.fixture
    def ratings(self) -> RatingMatrix:
        return ratings_of(random_stars(seed=1)).matrix()

    @pytest.fixture
    def model(self, make: Callable[[], Recommender], ratings: RatingMatrix) -> Recommender:
        return make().fit(ratings)

    def test_fit_returns_the_model_itself(self, make: Callable[[], Recommender], ratings: RatingMatrix) -> None:
        model = make()
        assert model.fit(ratings) is model

    def test_fit_does_not_change_the_ratings(self, make: Callable[[], Recommender], ratings: RatingMatrix) -> None:
        stars, movie_ids, user_ids = ratings.values.toarray(), ratings.movie_ids.copy(), ratings.user_ids.copy()
        make().fit(ratings)
        np.testing.assert_array_equal(ratings.values.toarray(), stars)
        np.testing.assert_array_equal(ratings.movie_ids, movie_ids)
        np.testing.assert_array_equal(ratings.user_ids, user_ids)

    def test_something_is_learnt(self, model: Recommender, ratings: RatingMatrix) -> None:
        assert all(len(found.movie_ids) for found in model.similar_items(ratings.movie_ids.tolist(), 5))

    def test_fitting_again_learns_the_same(
        self, make: Callable[[], Recommender], model: Recommender, ratings: RatingMatrix
    ) -> None:
        movie_ids = ratings.movie_ids.tolist()
        _assert_same_neighbors(make().fit(ratings).similar_items(movie_ids, 10), model.similar_items(movie_ids, 10))

    def test_saved_then_opened_answers_the_same(
        self, model: Recommender, ratings: RatingMatrix, tmp_path: Path
    ) -> None:
        model.save(tmp_path / "model")
        movie_ids = ratings.movie_ids.tolist()
        opened = type(model).open(tmp_path / "model")
        _assert_same_neighbors(opened.similar_items(movie_ids, 10), model.similar_items(movie_ids, 10))

    def test_saving_again_replaces_and_leaves_nothing_over(self, model: Recommender, tmp_path: Path) -> None:
        model.save(tmp_path)
        n_files = len(list(tmp_path.iterdir()))
        model.save(tmp_path)
        assert len(list(tmp_path.iterdir())) == n_files

    def test_opening_an_empty_folder_says_that_nothing_is_built(self, model: Recommender, tmp_path: Path) -> None:
        with pytest.raises(NotBuiltError, match="run `keyart build`"):
            type(model).open(tmp_path)

    @pytest.mark.parametrize("kept", [0.0, 0.5], ids=["emptied", "cut off"])
    def test_every_damaged_file_is_a_data_error(self, model: Recommender, tmp_path: Path, kept: float) -> None:
        model.save(tmp_path)
        for path in sorted(tmp_path.iterdir()):
            content = path.read_bytes()
            path.write_bytes(content[: int(kept * len(content))])
            with pytest.raises(DataError):
                type(model).open(tmp_path)
            path.write_bytes(content)
        type(model).open(tmp_path)

    def test_a_batch_answers_as_single_questions_do(self, model: Recommender, ratings: RatingMatrix) -> None:
        movie_ids = ratings.movie_ids.tolist()
        singles = [model.similar_items([movie_id], 7)[0] for movie_id in movie_ids]
        _assert_same_neighbors(model.similar_items(movie_ids, 7), singles)

    def test_no_question_gives_no_answer(self, model: Recommender) -> None:
        assert model.similar_items([], 5) == []

    def test_a_film_is_never_its_own_neighbour(self, model: Recommender, ratings: RatingMatrix) -> None:
        movie_ids = ratings.movie_ids.tolist()
        for movie_id, found in zip(movie_ids, model.similar_items(movie_ids, len(movie_ids)), strict=True):
            assert movie_id not in found.movie_ids

    def test_neighbours_come_nearest_first_and_once(self, model: Recommender, ratings: RatingMatrix) -> None:
        for found in model.similar_items(ratings.movie_ids.tolist(), 100):
            assert (np.diff(found.similarities) <= 0).all()
            assert len(np.unique(found.movie_ids)) == len(found.movie_ids)

    def test_a_smaller_k_is_the_beginning_of_a_larger(self, model: Recommender, ratings: RatingMatrix) -> None:
        movie_ids = ratings.movie_ids.tolist()
        beginning = [Neighbors(*(part[:3] for part in found)) for found in model.similar_items(movie_ids, 10)]
        _assert_same_neighbors(model.similar_items(movie_ids, 3), beginning)

    def test_a_k_beyond_all_films_gives_a_shorter_list(self, model: Recommender, ratings: RatingMatrix) -> None:
        for found in model.similar_items(ratings.movie_ids.tolist(), 10_000):
            assert len(found.movie_ids) == len(found.similarities) < len(ratings.movie_ids)

    def test_ties_stand_in_ascending_movie_id(self, make: Callable[[], Recommender]) -> None:
        # Every other film has equal ratings: whatever is near to one of them is equally near to all.
        stars = random_stars(seed=3, n_films=300)
        stars[:, ::2] = random_stars(seed=2, n_films=1, density=0.9)
        (found,) = make().fit(ratings_of(stars).matrix()).similar_items([15], 100)
        np.testing.assert_array_equal(found.movie_ids, [11, 13, *range(17, 17 + 2 * 98, 2)])
        assert len(set(found.similarities.tolist())) == 1

    def test_an_unknown_film_has_no_neighbours(self, model: Recommender) -> None:
        (found,) = model.similar_items([999_999], 5)
        assert (len(found.movie_ids), len(found.similarities)) == (0, 0)

    def test_ids_and_similarities_keep_their_types(self, model: Recommender) -> None:
        for found in model.similar_items([11, 999_999], 5):
            assert (found.movie_ids.dtype, found.similarities.dtype) == (np.int32, np.float32)

    def test_without_ratings_nothing_is_known(self, make: Callable[[], Recommender], tmp_path: Path) -> None:
        model = make().fit(Ratings.empty().matrix())
        model.save(tmp_path)
        for one in (model, type(model).open(tmp_path)):
            assert [len(found.movie_ids) for found in one.similar_items([1, 2], 5)] == [0, 0]

    def test_the_pattern_of_a_checkerboard_is_recovered(self, make: Callable[[], Recommender]) -> None:
        ratings = ratings_of(checkerboard()).matrix()
        movie_ids = ratings.movie_ids
        for movie_id, found in zip(movie_ids, make().fit(ratings).similar_items(movie_ids.tolist(), 9), strict=True):
            assert set(found.movie_ids.tolist()) == set(movie_ids[movie_ids % 2 == movie_id % 2]) - {movie_id}


# Indexes


class Index(Protocol):
    """What every index of films by features offers."""

    def search(self, features: npt.NDArray[np.floating], k: int) -> SearchResult: ...
    def similar(self, movie_ids: list[int], k: int) -> SearchResult: ...
    def save(self, folder: Path) -> None: ...
    @classmethod
    def open(cls, folder: Path) -> Self: ...
    def __len__(self) -> int: ...
    def __contains__(self, movie_id: int) -> bool: ...


Build = Callable[[npt.NDArray[np.int64], npt.NDArray[np.floating]], Index]


def random_features(seed: int, n_films: int = 60, n_features: int = 32) -> npt.NDArray[np.float32]:
    """Draw features like a network's: none below 0, most of them 0."""
    drawn = np.random.default_rng(seed).standard_normal((n_films, n_features))
    return np.maximum(drawn - 0.3, 0).astype(np.float32)


def ids_of(features: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Give ids with gaps, so that an id is never its row."""
    return 10 + 3 * np.arange(len(features), dtype=np.int64)


def _assert_same_result(one: SearchResult, other: SearchResult) -> None:
    np.testing.assert_array_equal(one.movie_ids, other.movie_ids)
    np.testing.assert_allclose(one.similarities, other.similarities, atol=1e-6)


class IndexContract:
    """What every index keeps."""

    @pytest.fixture
    def build(self) -> Build:
        """Build an index of some films, given their ids and features."""
        raise NotImplementedError

    @pytest.fixture
    def features(self) -> npt.NDArray[np.float32]:
        return random_features(seed=1)

    @pytest.fixture
    def index(self, build: Build, features: npt.NDArray[np.float32]) -> Index:
        return build(ids_of(features), features)

    def test_it_holds_the_films_it_was_built_of(self, index: Index, features: npt.NDArray[np.float32]) -> None:
        assert len(index) == len(features)
        assert [movie_id for movie_id in range(200) if movie_id in index] == ids_of(features).tolist()

    def test_building_and_searching_do_not_change_the_features(self, build: Build) -> None:
        features = random_features(seed=2)
        features.flags.writeable = False
        build(ids_of(features), features).search(features, 5)
        np.testing.assert_array_equal(features, random_features(seed=2))

    def test_a_film_is_nearest_to_its_own_features(self, index: Index, features: npt.NDArray[np.float32]) -> None:
        found = index.search(features, 1)
        np.testing.assert_array_equal(found.movie_ids[:, 0], ids_of(features))
        np.testing.assert_allclose(found.similarities[:, 0], 1, atol=1e-6)

    def test_the_type_of_the_numbers_does_not_matter(self, index: Index, features: npt.NDArray[np.float32]) -> None:
        halved = features.astype(np.float16)
        _assert_same_result(index.search(halved, 5), index.search(halved.astype(np.float64), 5))

    def test_saved_then_opened_answers_the_same(
        self, index: Index, features: npt.NDArray[np.float32], tmp_path: Path
    ) -> None:
        index.save(tmp_path / "index")
        opened = type(index).open(tmp_path / "index")
        np.testing.assert_array_equal(opened.search(features, 9).movie_ids, index.search(features, 9).movie_ids)
        np.testing.assert_array_equal(opened.search(features, 9).similarities, index.search(features, 9).similarities)

    def test_saving_again_replaces_and_leaves_nothing_over(self, index: Index, tmp_path: Path) -> None:
        index.save(tmp_path)
        n_files = len(list(tmp_path.iterdir()))
        index.save(tmp_path)
        assert len(list(tmp_path.iterdir())) == n_files

    def test_who_has_the_old_index_open_keeps_it(
        self, build: Build, index: Index, features: npt.NDArray[np.float32], tmp_path: Path
    ) -> None:
        index.save(tmp_path)
        opened = type(index).open(tmp_path)
        build(ids_of(features[:5]), features[:5]).save(tmp_path)
        _assert_same_result(opened.search(features, 9), index.search(features, 9))
        assert len(type(index).open(tmp_path)) == 5

    def test_opening_an_empty_folder_says_that_nothing_is_built(self, index: Index, tmp_path: Path) -> None:
        with pytest.raises(NotBuiltError, match="run `keyart build`"):
            type(index).open(tmp_path)

    @pytest.mark.parametrize("kept", [0.0, 0.5], ids=["emptied", "cut off"])
    def test_every_damaged_file_is_a_data_error(self, index: Index, tmp_path: Path, kept: float) -> None:
        index.save(tmp_path)
        for path in sorted(tmp_path.iterdir()):
            content = path.read_bytes()
            path.write_bytes(content[: int(kept * len(content))])
            with pytest.raises(DataError):
                type(index).open(tmp_path)
            path.write_bytes(content)
        type(index).open(tmp_path)

    def test_a_batch_answers_as_single_questions_do(self, index: Index, features: npt.NDArray[np.float32]) -> None:
        batch = index.search(features, 7)
        singles = [index.search(row, 7) for row in features]
        _assert_same_result(batch, SearchResult(*(np.concatenate(part) for part in _columns(singles))))

    def test_a_batch_of_films_answers_as_single_films_do(self, index: Index, features: npt.NDArray[np.float32]) -> None:
        movie_ids = ids_of(features).tolist()
        singles = [index.similar([movie_id], 7) for movie_id in movie_ids]
        _assert_same_result(
            index.similar(movie_ids, 7), SearchResult(*(np.concatenate(part) for part in _columns(singles)))
        )

    def test_a_single_question_has_the_shape_of_a_batch_of_one(
        self, index: Index, features: npt.NDArray[np.float32]
    ) -> None:
        assert index.search(features[0], 7).movie_ids.shape == index.search(features[:1], 7).movie_ids.shape == (1, 7)

    def test_no_question_gives_no_rows(self, index: Index, features: npt.NDArray[np.float32]) -> None:
        assert index.search(features[:0], 5).movie_ids.shape == index.similar([], 5).movie_ids.shape == (0, 5)

    def test_a_film_is_never_like_itself(self, index: Index, features: npt.NDArray[np.float32]) -> None:
        movie_ids = ids_of(features)
        assert not (index.similar(movie_ids.tolist(), 10).movie_ids == movie_ids[:, None]).any()

    def test_a_film_among_copies_of_its_poster_is_not_like_itself_but_like_these(self, build: Build) -> None:
        features = np.concatenate([np.repeat(random_features(seed=3, n_films=1), 30, axis=0), random_features(seed=4)])
        movie_ids = ids_of(features)
        found = build(movie_ids, features).similar(movie_ids[:30].tolist(), 5)
        for movie_id, row in zip(movie_ids[:30], found.movie_ids, strict=True):
            np.testing.assert_array_equal(row, [copy for copy in movie_ids[:6] if copy != movie_id][:5])

    @pytest.mark.parametrize("k", [1, 4, 17, 39])
    def test_ties_stand_in_ascending_movie_id_and_the_smallest_ids_are_kept(self, build: Build, k: int) -> None:
        features = np.repeat(random_features(seed=5, n_films=2), 20, axis=0)
        found = build(ids_of(features), features).search(features[:1], k)
        np.testing.assert_array_equal(found.movie_ids[0], ids_of(features)[:k])

    @pytest.mark.parametrize("k", [3, 6, 11])
    def test_of_ties_behind_nearer_films_the_smallest_ids_are_kept(self, build: Build, k: int) -> None:
        near, far = random_features(seed=6, n_films=2)
        # The nearer films come last, when the ties have filled the list already.
        features = np.stack([near + far] * 20 + [near] * 2 + [-near] * 20)
        movie_ids = ids_of(features)
        found = build(movie_ids, features).search(near, k)
        np.testing.assert_array_equal(found.movie_ids[0], [*movie_ids[20:22], *movie_ids[: k - 2]])

    def test_a_k_beyond_all_films_gives_a_shorter_list(self, index: Index, features: npt.NDArray[np.float32]) -> None:
        assert index.search(features[:2], 10_000).movie_ids.shape == (2, len(features))
        assert index.similar([10, 13], 10_000).movie_ids.shape == (2, len(features) - 1)

    def test_similarities_descend_within_minus_one_and_one(
        self, index: Index, features: npt.NDArray[np.float32]
    ) -> None:
        similarities = index.search(features, len(features)).similarities
        assert (np.diff(similarities, axis=1) <= 0).all()
        assert np.abs(similarities).max() <= 1

    def test_a_film_that_is_not_there_is_an_error(self, index: Index) -> None:
        with pytest.raises(UnknownFilmError, match="no features of movie_id 11 in this index of 60 films"):
            index.similar([10, 11], 5)

    def test_features_of_another_width_are_refused(self, index: Index) -> None:
        with pytest.raises(DataError, match=r"expected features of 32 columns \(of vgg16\), received 31"):
            index.search(np.ones((2, 31), np.float32), 5)


def _columns(results: list[SearchResult]) -> tuple[list[npt.NDArray[np.int64]], list[npt.NDArray[np.float32]]]:
    return [result.movie_ids for result in results], [result.similarities for result in results]
