"""Test contracts that every recommender and every index must pass.

A contract is a class of tests that requires one fixture. A test module derives from it and defines what to build::

    class TestItemCosine(RecommenderContract):
        @pytest.fixture
        def make(self): return ItemCosine

Hits with equal scores may be in either order only where `assert_same_results` allows it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import ConfigError, DataError, NotBuiltError, UnknownFilmError
from catalog.scored_ids import ScoredIds
from cf.base import Recommender
from cf.ratings import RatingMatrix, Ratings
from index.source import FilmFeatures

# Ratings


def ratings_of(stars: npt.ArrayLike, movie_ids: npt.ArrayLike | None = None, *, dislikes_count: bool = True) -> Ratings:
    """Convert a users × films table to ratings; 0 means unrated. User ids start at 101, movie ids at 11 by default.

    With `dislikes_count=False`, ratings below 2 are dropped, as implicit feedback would not contain them.
    """
    table = np.asarray(stars, np.float32)
    table = table if dislikes_count else np.where(table < 2, 0, table)
    users, films = np.nonzero(table)
    ids = np.asarray(11 + np.arange(table.shape[1]) if movie_ids is None else movie_ids, np.int32)
    return Ratings((101 + users).astype(np.int32), ids[films], table[users, films], np.zeros(len(users), np.int64))


def random_stars(seed: int, n_users: int = 40, n_films: int = 25, density: float = 0.4) -> npt.NDArray[np.float32]:
    """Draw a table of half-star ratings; 0 means unrated."""
    rng = np.random.default_rng(seed)
    stars = rng.integers(1, 11, (n_users, n_films)) / 2
    return np.where(rng.random((n_users, n_films)) < density, stars, 0).astype(np.float32)


def checkerboard(n_users: int = 40, n_films: int = 20) -> npt.NDArray[np.float32]:
    """Users love films of their own parity and dislike the others; every third cell is unknown."""
    users, films = np.indices((n_users, n_films))
    loved = users % 2 == films % 2
    known = (users + films * 2) % 3 != 0
    return np.where(known, np.where(loved, 5.0, 1.0), 0.0).astype(np.float32)


# Some models take seconds to fit.
_fitted: dict[tuple[str, str], Recommender] = {}
Results = Sequence[ScoredIds]


def assert_same_results(one: Results, other: Results, *, exactly: bool = False) -> None:
    """Compare two lists of hits; hits with nearly equal scores may be in either order."""
    assert len(one) == len(other)
    for found, expected in zip(one, other, strict=True):
        ids, scores, other_ids, other_scores = found.ids, found.scores, expected.ids, expected.scores
        if exactly:
            np.testing.assert_array_equal(ids, other_ids)
            np.testing.assert_array_equal(scores, other_scores)
            continue
        np.testing.assert_allclose(scores, other_scores, rtol=1e-3, atol=1e-4)
        swapped = ids != other_ids
        scale = max(1.0, float(np.abs(scores).max(initial=0)))
        gaps = np.abs(np.diff(scores, prepend=np.inf)), np.abs(np.diff(scores, append=np.inf))
        assert (np.minimum(*gaps)[swapped] < 1e-4 * scale).all()


class RecommenderContract:
    """The contract of `cf.base.Recommender`; the flag exempts models that do less."""

    #: Whether the model offers similar films.
    finds_similar = True

    @pytest.fixture
    def make(self) -> Callable[[], Recommender]:
        """A constructor of the unfitted recommender."""
        raise NotImplementedError

    @pytest.fixture
    def ratings(self) -> RatingMatrix:
        return ratings_of(random_stars(seed=1)).matrix()

    @pytest.fixture
    def model(self, make: Callable[[], Recommender], ratings: RatingMatrix) -> Recommender:
        """The fitted model, cached because no test changes it."""
        model = make()
        key = model.name, json.dumps(model.parameters)
        if key not in _fitted:
            _fitted[key] = model.fit(ratings)
        return _fitted[key]

    # Fitting

    def test_fit_is_repeatable_and_leaves_ratings_unchanged(
        self, make: Callable[[], Recommender], model: Recommender
    ) -> None:
        # One fit for all of these: with Keras and Spark it takes seconds.
        ratings, again = ratings_of(random_stars(seed=1)).matrix(), make()
        before = ratings.values.toarray(), ratings.movie_ids.copy(), ratings.user_ids.copy()
        assert again.fit(ratings) is again
        for now, then in zip((ratings.values.toarray(), ratings.movie_ids, ratings.user_ids), before, strict=True):
            np.testing.assert_array_equal(now, then)
        users, films = ratings.user_ids, ratings.movie_ids.tolist()
        assert_same_results(again.similar_items(films, 10), model.similar_items(films, 10))
        assert_same_results(again.recommend(users, 10), model.recommend(users, 10))

    def test_parameters_round_trip_through_json(self, make: Callable[[], Recommender]) -> None:
        model = make()
        assert type(model)(**json.loads(json.dumps(model.parameters))).parameters == model.parameters

    # Files

    def test_save_and_open_round_trip(self, model: Recommender, ratings: RatingMatrix, tmp_path: Path) -> None:
        model.save(tmp_path / "model")
        users, films = ratings.user_ids, ratings.movie_ids.tolist()
        opened = type(model).open(tmp_path / "model")
        assert opened.parameters == model.parameters
        assert_same_results(opened.similar_items(films, 10), model.similar_items(films, 10), exactly=True)
        assert_same_results(opened.recommend(users, 10), model.recommend(users, 10), exactly=True)
        if model.takes_new_users:
            assert_same_results(opened.recommend_new(ratings, 10), model.recommend_new(ratings, 10), exactly=True)
        pairs = users[:20], films[:20]
        np.testing.assert_array_equal(opened.predict(*pairs), model.predict(*pairs))

    def test_saving_again_leaves_no_old_files(self, model: Recommender, tmp_path: Path) -> None:
        model.save(tmp_path)
        n_files = len(list(tmp_path.iterdir()))
        model.save(tmp_path)
        assert len(list(tmp_path.iterdir())) == n_files

    def test_opening_an_empty_folder_is_not_built(self, model: Recommender, tmp_path: Path) -> None:
        with pytest.raises(NotBuiltError, match="run `keyart build`"):
            type(model).open(tmp_path)

    @pytest.mark.parametrize("fraction", [0.0, 0.5], ids=["emptied", "truncated"])
    def test_every_damaged_file_is_a_data_error(self, model: Recommender, tmp_path: Path, fraction: float) -> None:
        model.save(tmp_path)
        for path in sorted(tmp_path.iterdir()):
            content = path.read_bytes()
            path.write_bytes(content[: int(fraction * len(content))])
            with pytest.raises(DataError):
                type(model).open(tmp_path)
            path.write_bytes(content)
        type(model).open(tmp_path)

    # Predicting

    def test_predictions_equal_recommendation_scores(self, model: Recommender, ratings: RatingMatrix) -> None:
        users, films = ratings.user_ids[:8], ratings.movie_ids
        for user, found in zip(users, model.recommend(users, len(films), exclude_seen=False), strict=True):
            predicted = model.predict(np.full(len(found), user), found.ids)
            assert predicted.dtype == np.float32
            np.testing.assert_allclose(predicted, found.scores, rtol=1e-4, atol=1e-4)

    def test_unknown_ids_predict_nan(self, model: Recommender, ratings: RatingMatrix) -> None:
        user, film = ratings.user_ids[0], ratings.movie_ids[0]
        assert np.isnan(model.predict([user, 999_999, 999_999], [999_999, film, 999_999])).all()

    def test_predict_rejects_different_lengths(self, model: Recommender, ratings: RatingMatrix) -> None:
        with pytest.raises(ValueError, match="as many users as films"):
            model.predict(ratings.user_ids[:2], ratings.movie_ids[:3])

    # Recommending

    def test_recommendations_are_sorted_unique_and_unseen(self, model: Recommender, ratings: RatingMatrix) -> None:
        for row, found in enumerate(model.recommend(ratings.user_ids, 10_000)):
            ids, scores = found.ids, found.scores
            seen = ratings.movie_ids[ratings.values[[row]].indices]
            assert len(ids) == len(scores) == len(np.unique(ids))
            assert not np.isin(ids, seen).any()
            assert (np.diff(scores) <= 0).all()
            assert np.isfinite(scores).all()
            assert (ids.dtype, scores.dtype) == (np.int32, np.float32)

    def test_recommends_seen_films_on_request(self, model: Recommender, ratings: RatingMatrix) -> None:
        found = model.recommend(ratings.user_ids, 10_000, exclude_seen=False)
        without = model.recommend(ratings.user_ids, 10_000)
        assert all(set(more.ids) > set(fewer.ids) for more, fewer in zip(found, without, strict=True))

    def test_batch_of_users_equals_single_users(self, model: Recommender, ratings: RatingMatrix) -> None:
        singles = [model.recommend([user], 7)[0] for user in ratings.user_ids]
        assert_same_results(model.recommend(ratings.user_ids, 7), singles)

    def test_unknown_user_gets_no_recommendations(self, model: Recommender, ratings: RatingMatrix) -> None:
        unknown, known = model.recommend([999_999, ratings.user_ids[0]], 5)
        assert len(unknown.ids) == len(unknown.scores) == 0
        assert len(known.ids)

    def test_k_below_1_is_refused(self, model: Recommender, ratings: RatingMatrix) -> None:
        for method in (model.recommend, model.similar_items):
            with pytest.raises(ValueError, match="k should be 1 or more"):
                method([int(ratings.user_ids[0]), int(ratings.movie_ids[0])], 0)

    def test_new_users_are_supported_or_refused(self, model: Recommender) -> None:
        histories = ratings_of([[5, 0, 1, 5], [0, 2, 4, 1]], [11, 12, 13, 999_999]).matrix()
        if not model.takes_new_users:
            with pytest.raises(ConfigError, match="fit it again"):
                model.recommend_new(histories, 5)
            return
        for found, seen in zip(model.recommend_new(histories, 100), ([11, 13], [12, 13]), strict=True):
            assert len(found) > 0
            assert not np.isin(found.ids, [*seen, 999_999]).any()
        (both, _) = model.recommend_new(histories, 100, exclude_seen=False)
        assert len(both.ids) >= len(model.recommend_new(histories, 100)[0].ids)

    def test_contributions_are_of_each_rating_and_film(self, model: Recommender) -> None:
        history = ratings_of([[5, 1, 4]], [11, 12, 999_999]).matrix()
        found = model.contributions(history, [13, 14, 999_998])
        assert (found.shape, found.dtype) == ((3, 3), np.float32)
        assert np.isnan(found[2]).all()
        assert np.isnan(found[:, 2]).all()
        assert np.isfinite(found[:2, :2]).any() <= self.finds_similar

    # Similar films

    def test_similar_items_match_the_capability_flag(self, model: Recommender, ratings: RatingMatrix) -> None:
        found = model.similar_items(ratings.movie_ids.tolist(), 5)
        assert all(len(one.ids) > 0 for one in found) is self.finds_similar

    def test_batch_of_films_equals_single_films(self, model: Recommender, ratings: RatingMatrix) -> None:
        movie_ids = ratings.movie_ids.tolist()
        singles = [model.similar_items([movie_id], 7)[0] for movie_id in movie_ids]
        assert_same_results(model.similar_items(movie_ids, 7), singles)

    def test_empty_queries_give_empty_results(self, model: Recommender) -> None:
        assert model.similar_items([], 5) == []
        assert model.recommend([], 5) == []
        assert model.predict([], []).shape == (0,)

    def test_similar_items_are_sorted_unique_and_exclude_the_query(
        self, model: Recommender, ratings: RatingMatrix
    ) -> None:
        movie_ids = ratings.movie_ids.tolist()
        for movie_id, found in zip(movie_ids, model.similar_items(movie_ids, 10_000), strict=True):
            assert (np.diff(found.scores) <= 0).all()
            assert len(np.unique(found.ids)) == len(found.ids) == len(found.scores) < len(movie_ids)
            assert movie_id not in found.ids

    def test_smaller_k_is_a_prefix_of_larger_k(self, model: Recommender, ratings: RatingMatrix) -> None:
        movie_ids = ratings.movie_ids.tolist()
        beginning = [found.take(slice(3)) for found in model.similar_items(movie_ids, 10)]
        assert_same_results(model.similar_items(movie_ids, 3), beginning, exactly=True)

    def test_an_unknown_film_has_no_neighbors(self, model: Recommender) -> None:
        (found,) = model.similar_items([999_999], 5)
        assert (len(found.ids), len(found.scores)) == (0, 0)

    def test_ids_and_similarities_keep_their_types(self, model: Recommender) -> None:
        for found in model.similar_items([11, 999_999], 5):
            assert (found.ids.dtype, found.scores.dtype) == (np.int32, np.float32)

    # All together

    def test_fit_on_no_ratings_gives_empty_results(self, make: Callable[[], Recommender], tmp_path: Path) -> None:
        model = make().fit(Ratings.empty().matrix())
        model.save(tmp_path)
        for one in (model, type(model).open(tmp_path)):
            assert [len(found.ids) for found in one.similar_items([1, 2], 5)] == [0, 0]
            assert [len(found.ids) for found in one.recommend([1, 2], 5)] == [0, 0]
            assert np.isnan(one.predict([1], [2])).all()

    def test_recovers_the_checkerboard_pattern(self, make: Callable[[], Recommender]) -> None:
        ratings = ratings_of(checkerboard(), dislikes_count=make().predicts_stars).matrix()
        model = make().fit(ratings)
        users, movie_ids = ratings.user_ids, ratings.movie_ids
        if not model.is_personal:
            everyone = {tuple(found.ids) for found in model.recommend(users, len(movie_ids), exclude_seen=False)}
            assert len(everyone) == 1
            return
        for user, found in zip(users, model.recommend(users, 3), strict=True):
            # Ids of users and films both begin at odd numbers, so that loved films are of the user's own parity.
            assert set(found.ids % 2) == {user % 2}
        if self.finds_similar:
            for movie_id, near in zip(movie_ids, model.similar_items(movie_ids.tolist(), 9), strict=True):
                assert set(near.ids.tolist()) == set(movie_ids[movie_ids % 2 == movie_id % 2]) - {movie_id}


def check_ties(make: Callable[[], Recommender]) -> None:
    """Check that films with identical ratings have identical scores and are returned in ascending id."""
    # Every other film has equal ratings: whatever is near to one of them is equally near to all.
    stars = random_stars(seed=3, n_films=300)
    stars[:, ::2] = random_stars(seed=2, n_films=1, density=0.9)
    (found,) = make().fit(ratings_of(stars).matrix()).similar_items([15], 100)
    np.testing.assert_array_equal(found.ids, [11, 13, *range(17, 17 + 2 * 98, 2)])
    assert len(set(found.scores.tolist())) == 1


# Indexes


class Index(Protocol):
    """The interface of every index of films by features."""

    @property
    def movie_ids(self) -> npt.NDArray[np.int64]: ...
    def search(self, features: npt.NDArray[np.floating], k: int) -> list[ScoredIds]: ...
    def similar(self, movie_ids: Sequence[int], k: int) -> list[ScoredIds]: ...
    def save(self, folder: Path) -> None: ...
    @classmethod
    def open(cls, folder: Path, features: FilmFeatures | None = None) -> Self: ...
    def __len__(self) -> int: ...
    def __contains__(self, movie_id: int) -> bool: ...


Build = Callable[[FilmFeatures], Index]


def random_features(seed: int, n_films: int = 60, n_features: int = 32) -> npt.NDArray[np.float32]:
    """Draw features like a network's: nonnegative, sparse, with most variance in a few directions."""
    rng = np.random.default_rng(seed)
    # The directions do not depend on the seed, as if both draws came from one network.
    directions = np.random.default_rng(n_features).standard_normal((10, n_features))
    drawn = 0.5 * rng.standard_normal((n_films, 10)) @ directions + 0.5 * rng.standard_normal((n_films, n_features))
    return np.maximum(drawn - 0.3, 0).astype(np.float32)


def ids_of(features: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Return ids with gaps, so that an id never equals its row."""
    return 10 + 3 * np.arange(len(features), dtype=np.int64)


def films_of(features: npt.NDArray[np.floating]) -> FilmFeatures:
    """Make one film of each row."""
    return FilmFeatures.of(ids_of(features), features)


def assert_same_nearest(one: list[ScoredIds], other: list[ScoredIds]) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left.ids, right.ids)
        np.testing.assert_allclose(left.scores, right.scores, atol=1e-6)


class IndexContract:
    """The contract of every index."""

    @pytest.fixture
    def build(self) -> Build:
        """A function that builds the index."""
        raise NotImplementedError

    @pytest.fixture
    def dtype(self) -> type[np.floating]:
        """The dtype of stored features."""
        return np.float32

    @pytest.fixture
    def features(self, dtype: type[np.floating]) -> npt.NDArray[np.floating]:
        return random_features(seed=1).astype(dtype)

    @pytest.fixture
    def films(self, features: npt.NDArray[np.floating]) -> FilmFeatures:
        return films_of(features)

    @pytest.fixture
    def index(self, build: Build, films: FilmFeatures) -> Index:
        return build(films)

    def test_contains_the_films_it_was_built_from(self, index: Index, films: FilmFeatures) -> None:
        assert len(index) == len(films)
        np.testing.assert_array_equal(index.movie_ids, films.movie_ids)
        assert [movie_id for movie_id in range(200) if movie_id in index] == films.movie_ids.tolist()

    def test_building_and_searching_do_not_change_the_features(self, build: Build, dtype: type[np.floating]) -> None:
        features = random_features(seed=2).astype(dtype)
        features.flags.writeable = False
        index = build(films_of(features))
        index.search(features, 5)
        index.similar(index.movie_ids.tolist(), 5)
        np.testing.assert_array_equal(features, random_features(seed=2).astype(dtype))

    def test_a_film_is_nearest_to_its_own_features(self, index: Index, features: npt.NDArray[np.floating]) -> None:
        for movie_id, found in zip(ids_of(features), index.search(features, 1), strict=True):
            np.testing.assert_array_equal(found.ids, [movie_id])
            np.testing.assert_allclose(found.scores, [1], atol=1e-6)

    def test_number_type_and_memory_layout_do_not_matter(
        self, index: Index, features: npt.NDArray[np.floating]
    ) -> None:
        halved = features.astype(np.float16)
        expected = index.search(halved, 5)
        assert_same_nearest(index.search(halved.astype(np.float64), 5), expected)
        assert_same_nearest(index.search(np.asfortranarray(halved), 5), expected)
        assert_same_nearest(index.search(halved[::-1], 5), expected[::-1])

    def test_saved_then_opened_equals_before(
        self, index: Index, features: npt.NDArray[np.floating], films: FilmFeatures, tmp_path: Path
    ) -> None:
        index.save(tmp_path / "index")
        opened = type(index).open(tmp_path / "index", films)
        for before, after in zip(
            [*index.search(features, 9), *index.similar(films.movie_ids.tolist(), 9)],
            [*opened.search(features, 9), *opened.similar(films.movie_ids.tolist(), 9)],
            strict=True,
        ):
            np.testing.assert_array_equal(after.ids, before.ids)
            np.testing.assert_array_equal(after.scores, before.scores)

    def test_saving_again_leaves_no_old_files(self, index: Index, films: FilmFeatures, tmp_path: Path) -> None:
        index.save(tmp_path)
        n_files = len(list(tmp_path.iterdir()))
        index.save(tmp_path)
        type(index).open(tmp_path, films).save(tmp_path)
        assert len(list(tmp_path.iterdir())) == n_files

    def test_open_index_survives_a_later_save(
        self, build: Build, index: Index, features: npt.NDArray[np.floating], films: FilmFeatures, tmp_path: Path
    ) -> None:
        index.save(tmp_path)
        opened = type(index).open(tmp_path, films)
        build(films_of(features[:5])).save(tmp_path)
        assert_same_nearest(opened.search(features, 9), index.search(features, 9))
        assert len(type(index).open(tmp_path, films)) == 5

    def test_opening_an_empty_folder_is_not_built(self, index: Index, tmp_path: Path) -> None:
        with pytest.raises(NotBuiltError, match="run `keyart build`"):
            type(index).open(tmp_path)

    @pytest.mark.parametrize("fraction", [0.0, 0.5], ids=["emptied", "truncated"])
    def test_every_damaged_file_is_a_data_error(
        self, index: Index, films: FilmFeatures, tmp_path: Path, fraction: float
    ) -> None:
        index.save(tmp_path)
        for path in sorted(tmp_path.iterdir()):
            content = path.read_bytes()
            path.write_bytes(content[: int(fraction * len(content))])
            with pytest.raises(DataError):
                type(index).open(tmp_path, films)
            path.write_bytes(content)
        type(index).open(tmp_path, films)

    def test_batch_equals_single_queries(self, index: Index, features: npt.NDArray[np.floating]) -> None:
        assert_same_nearest(index.search(features, 7), [index.search(row, 7)[0] for row in features])

    def test_batch_of_films_equals_single_films(self, index: Index) -> None:
        movie_ids = index.movie_ids.tolist()
        singles = [index.similar([movie_id], 7)[0] for movie_id in movie_ids]
        assert_same_nearest(index.similar(movie_ids, 7), singles)

    def test_single_query_equals_batch_of_one(self, index: Index, features: npt.NDArray[np.floating]) -> None:
        assert_same_nearest(index.search(features[0], 7), index.search(features[:1], 7))

    def test_no_query_gives_no_result(self, index: Index, features: npt.NDArray[np.floating]) -> None:
        assert index.search(features[:0], 5) == index.similar([], 5) == []

    def test_film_is_not_similar_to_itself(self, index: Index) -> None:
        movie_ids = index.movie_ids.tolist()
        for movie_id, found in zip(movie_ids, index.similar(movie_ids, 10), strict=True):
            assert len(found) == 10
            assert movie_id not in found.ids

    def test_no_film_is_returned_twice(self, index: Index, features: npt.NDArray[np.floating]) -> None:
        for found in index.search(features, 50):
            assert len(np.unique(found.ids)) == len(found.ids) == 50

    def test_film_among_copies_returns_the_copies_without_itself(self, build: Build, dtype: type[np.floating]) -> None:
        features = np.concatenate([np.repeat(random_features(seed=3, n_films=1), 30, axis=0), random_features(seed=4)])
        movie_ids = ids_of(features)
        for movie_id, found in zip(
            movie_ids[:30],
            build(films_of(features.astype(dtype))).similar(movie_ids[:30].tolist(), 5),
            strict=True,
        ):
            np.testing.assert_array_equal(found.ids, [copy for copy in movie_ids[:6] if copy != movie_id][:5])

    @pytest.mark.parametrize("n_queries", [1, 21])
    def test_smallest_ids_of_many_copies_are_returned(
        self, build: Build, dtype: type[np.floating], n_queries: int
    ) -> None:
        # Far more of them than a shortlist holds, and not one after the other.
        features = np.repeat(random_features(seed=5, n_films=1), 300, axis=0)
        features[::3] = random_features(seed=6, n_films=100)
        movie_ids = ids_of(features)
        index = build(films_of(features.astype(dtype)))
        copies = movie_ids[np.arange(300) % 3 > 0]
        for k in (4, 199):
            for found in index.search(np.repeat(features[1:2], n_queries, axis=0), k):
                np.testing.assert_array_equal(found.ids, copies[:k])

    @pytest.mark.parametrize("k", [1, 4, 17, 39])
    def test_ties_are_in_ascending_movie_id(self, build: Build, dtype: type[np.floating], k: int) -> None:
        features = np.repeat(random_features(seed=5, n_films=2), 20, axis=0).astype(dtype)
        (found,) = build(films_of(features)).search(features[:1], k)
        np.testing.assert_array_equal(found.ids, ids_of(features)[:k])

    @pytest.mark.parametrize("k", [3, 6, 11])
    def test_ties_after_nearer_films_keep_the_smallest_ids(
        self, build: Build, dtype: type[np.floating], k: int
    ) -> None:
        near, far = random_features(seed=6, n_films=2)
        # The nearer films come last, when the ties have filled the list already.
        features = np.stack([near + far] * 20 + [near] * 2 + [-near] * 20).astype(dtype)
        movie_ids = ids_of(features)
        (found,) = build(films_of(features)).search(features[20], k)
        np.testing.assert_array_equal(found.ids, [*movie_ids[20:22], *movie_ids[: k - 2]])

    def test_k_beyond_all_films_gives_fewer_hits(self, index: Index, features: npt.NDArray[np.floating]) -> None:
        assert [len(found) for found in index.search(features[:2], 10_000)] == [len(features)] * 2
        assert [len(found) for found in index.similar([10, 13], 10_000)] == [len(features) - 1] * 2

    def test_single_film_has_no_neighbors(self, build: Build, dtype: type[np.floating], tmp_path: Path) -> None:
        films = films_of(random_features(seed=8, n_films=1).astype(dtype))
        index = build(films)
        index.save(tmp_path)
        for one in (index, type(index).open(tmp_path, films)):
            assert [len(found) for found in one.similar([10], 5)] == [0]

    def test_identical_films_are_in_ascending_movie_id(self, build: Build, dtype: type[np.floating]) -> None:
        features = np.repeat(random_features(seed=9, n_films=1), 30, axis=0).astype(dtype)
        (found,) = build(films_of(features)).similar([16], 5)
        np.testing.assert_array_equal(found.ids, [10, 13, 19, 22, 25])

    def test_similarities_descend_within_minus_one_and_one(
        self, index: Index, features: npt.NDArray[np.floating]
    ) -> None:
        for found in index.search(features, len(features)):
            assert (np.diff(found.scores) <= 0).all()
            assert np.abs(found.scores).max() <= 1

    def test_ids_and_similarities_keep_their_types(self, index: Index, features: npt.NDArray[np.floating]) -> None:
        for found in [*index.search(features[:2], 5), *index.similar([10], 5)]:
            assert (found.ids.dtype, found.scores.dtype) == (np.int64, np.float32)

    def test_unknown_film_is_an_error(self, index: Index) -> None:
        for unknown_id in (9, 11, 10_000):
            with pytest.raises(
                UnknownFilmError, match=f"no features of movie_id {unknown_id} in this index of 60 films"
            ):
                index.similar([10, unknown_id], 5)

    def test_features_of_another_width_are_refused(self, index: Index) -> None:
        with pytest.raises(DataError, match=r"expected features of 32 columns \(of vgg16\), received 31"):
            index.search(np.ones((2, 31), np.float32), 5)

    @pytest.mark.parametrize(
        ("number", "reason"),
        [
            (0, "its features are all zero"),
            (np.nan, "its features are not all finite numbers"),
            (np.inf, "its features are not all finite numbers"),
            (-np.inf, "its features are not all finite numbers"),
            (1e300, "its features are not all finite numbers"),
            (1e35, "its features go beyond 1e"),
            (1e-40, "its features are all below 1e"),
        ],
    )
    def test_faulty_query_is_refused(
        self, index: Index, features: npt.NDArray[np.floating], number: float, reason: str
    ) -> None:
        queries = features[:3].astype(np.float64)
        queries[1] = number
        with pytest.raises(DataError, match=f"row 1 of 3 cannot be compared: {reason}"):
            index.search(queries, 5)

    @pytest.mark.parametrize("k", [0, -1])
    def test_k_below_1_is_refused(self, index: Index, features: npt.NDArray[np.floating], k: int) -> None:
        with pytest.raises(ValueError, match=f"k should be 1 or more, received {k}"):
            index.search(features, k)
        with pytest.raises(ValueError, match=f"k should be 1 or more, received {k}"):
            index.similar([10], k)
