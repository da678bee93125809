from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import ConfigError
from cf.evaluation.splits import Split, by_time, by_user, item_cold, k_fold, random_split, ranks_in_groups, read_split
from cf.ratings import Ratings
from tests.contracts import random_stars, ratings_of

SPLITS: dict[str, Callable[[Ratings, int], Split]] = {
    "random": lambda ratings, seed: random_split(ratings, 0.25, seed),
    "unstratified": lambda ratings, seed: random_split(ratings, 0.25, seed, stratified=False),
    "count of each user": lambda ratings, seed: by_user(ratings, 3, seed),
    "share of each user": lambda ratings, seed: by_user(ratings, 0.25, seed),
    "fold": lambda ratings, seed: next(k_fold(ratings, 4, seed)),
    "films": lambda ratings, seed: item_cold(ratings, 0.25, seed),
}


@pytest.fixture
def ratings() -> Ratings:
    drawn = ratings_of(random_stars(1, n_users=60, n_films=40))
    timestamps = np.random.default_rng(1).integers(0, 300, len(drawn))
    return Ratings(drawn.user_ids, drawn.movie_ids, drawn.values, timestamps)


def rows(ratings: Ratings) -> list[tuple[float, ...]]:
    columns = (ratings.user_ids, ratings.movie_ids, ratings.values, ratings.timestamps)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())
def test_every_rating_is_in_train_or_test(ratings: Ratings, split: Callable[[Ratings, int], Split]) -> None:
    split = split(ratings, 1)
    assert sorted(rows(split.train) + rows(split.test)) == rows(ratings)
    assert len(split.test)


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())
def test_seed_determines_the_split(ratings: Ratings, split: Callable[[Ratings, int], Split]) -> None:
    assert rows(split(ratings, 1).test) == rows(split(ratings, 1).test)
    assert rows(split(ratings, 1).test) != rows(split(ratings, 2).test)


def test_a_stratified_split_keeps_the_stars_in_proportion(ratings: Ratings) -> None:
    split = random_split(ratings, 0.25)
    for stars in np.unique(ratings.values):
        n_all, n_test = (int((part.values == stars).sum()) for part in (ratings, split.test))
        assert n_test == round(n_all / 4)


def test_holds_out_a_count_or_share_of_each_user(ratings: Ratings) -> None:
    _, n_held_out = np.unique(by_user(ratings, 3).test.user_ids, return_counts=True)
    assert set(n_held_out) == {3}
    _, n_ratings = np.unique(ratings.user_ids, return_counts=True)
    _, n_held_out = np.unique(by_user(ratings, 0.25).test.user_ids, return_counts=True)
    np.testing.assert_array_equal(n_held_out, np.round(0.25 * n_ratings))


def test_users_with_few_ratings_keep_one() -> None:
    ratings = ratings_of([[1, 2, 3], [5, 0, 0]])
    for held_out in (10, 0.9):
        train, test = (part.user_ids.tolist() for part in (by_user(ratings, held_out).train, by_user(ratings, 2).test))
        assert sorted(train) == [101, 102]
        assert test == [101, 101]


def test_latest_ratings_are_held_out_and_equal_timestamps_stay_together(ratings: Ratings) -> None:
    split = by_time(ratings, 0.25)
    assert split.train.timestamps.max() < split.test.timestamps.min()
    assert len(split.test) == pytest.approx(len(ratings) / 4, rel=0.05)


def test_each_rating_is_tested_in_one_fold(ratings: Ratings) -> None:
    folds = list(k_fold(ratings, 5, 3))
    assert sorted(row for fold in folds for row in rows(fold.test)) == rows(ratings)
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


def test_cold_films_have_no_training_ratings(ratings: Ratings) -> None:
    split = item_cold(ratings, 0.25)
    assert not np.intersect1d(split.train.movie_ids, split.test.movie_ids).size
    assert len(np.unique(split.test.movie_ids)) == 10


def test_cold_films_are_drawn_from_a_given_list(ratings: Ratings) -> None:
    split = item_cold(ratings, 0.5, of_films=[11, 12, 13, 14, 999])
    assert len(set(split.test.movie_ids.tolist()) & {11, 12, 13, 14}) == len(set(split.test.movie_ids.tolist())) == 2


def test_reads_a_published_split(shared: Path) -> None:
    split = read_split(shared / "data/ml-100k/u1.base", shared / "data/ml-100k/u1.test")
    assert (len(split.train), len(split.test)) == (80_000, 20_000)


def test_files_that_share_a_rating_are_refused(folder_of: Callable[[Mapping[str, str | bytes]], Path]) -> None:
    folder = folder_of({"a.base": "1\t2\t3\t0\n1\t3\t3\t0\n", "a.test": "1\t3\t5\t0\n"})
    with pytest.raises(ConfigError, match=r"1 rating is in .* the first of user 1 and film 3"):
        read_split(folder / "a.base", folder / "a.test")


@pytest.mark.parametrize("empty", ["a.base", "a.test"])
def test_a_file_without_ratings_is_refused(folder_of: Callable[[Mapping[str, str | bytes]], Path], empty: str) -> None:
    folder = folder_of({"a.base": "1\t2\t3\t0\n", "a.test": "1\t3\t3\t0\n", empty: ""})
    with pytest.raises(ConfigError, match=f"{empty} holds no ratings"):
        read_split(folder / "a.base", folder / "a.test")


def test_ratings_without_times_cannot_be_split_by_time() -> None:
    ratings = ratings_of([[5, 4, 3], [1, 2, 3]])
    timeless = Ratings(ratings.user_ids, ratings.movie_ids, ratings.values, np.zeros(6, np.int64))
    with pytest.raises(ConfigError, match="timestamps are missing or all the same; choose another split"):
        by_time(timeless)


@pytest.mark.parametrize(
    ("make_split", "message"),
    [
        (lambda ratings: random_split(ratings, 1.0), "a share between 0 and 1, received 1"),
        (lambda ratings: by_user(ratings, 0), "a share between 0 and 1, received 0"),
        (lambda ratings: by_time(ratings, -1), "a share between 0 and 1, received -1"),
        (lambda ratings: next(k_fold(ratings, 1)), "2 folds or more, received 1"),
        (lambda ratings: item_cold(ratings, 0.01), "cannot be split"),
        (lambda _: random_split(Ratings.empty()), "there are no ratings to hold out"),
        (lambda _: by_time(Ratings.empty()), "there are no ratings to hold out"),
    ],
)
def test_ratings_that_cannot_be_split_are_refused(
    ratings: Ratings, make_split: Callable[[Ratings], Split], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_split(ratings)


def test_ranks_are_unique_within_groups() -> None:
    groups = np.array([3, 1, 3, 3, 1, 7])
    ranks, sizes = ranks_in_groups(groups, seed=4)
    assert sizes.tolist() == [3, 2, 3, 3, 2, 1]
    for group in np.unique(groups):
        assert sorted(ranks[groups == group]) == list(range((groups == group).sum()))
