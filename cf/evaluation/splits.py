"""Split ratings into those to train on and those to test on.

Splits are seeded and put each rating on exactly one side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError
from catalog.text import plural
from cf.ratings import Ratings, read_ratings

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """Training and test ratings."""

    name: str
    train: Ratings
    test: Ratings


def random_split(ratings: Ratings, test_share: float = 0.2, seed: int = 0, *, stratified: bool = True) -> Split:
    """Hold out a random share of all ratings; stratified: the same share of each number of stars."""
    _check_share(test_share)
    strata = ratings.values if stratified else np.zeros(len(ratings))
    held_out = _share_of_each(strata, test_share, seed)
    return _split(f"random {test_share:.0%}, seed {seed}", ratings, held_out)


def by_user(ratings: Ratings, held_out: int | float = 10, seed: int = 0) -> Split:
    """Hold out random ratings of every user: a share below 1, or a number from 1."""
    if held_out < 1:
        _check_share(float(held_out))
        mask, amount = _share_of_each(ratings.user_ids, float(held_out), seed), f"{held_out:.0%}"
    else:
        ranks, counts = ranks_in_groups(ratings.user_ids, seed)
        mask, amount = ranks < np.minimum(int(held_out), counts - 1), f"{int(held_out)}"
    return _split(f"{amount} of each user, seed {seed}", ratings, mask)


def by_time(ratings: Ratings, test_share: float = 0.2) -> Split:
    """Hold out the latest ratings."""
    _check_share(test_share)
    if not len(ratings):
        return _split("latest", ratings, np.zeros(0, bool))
    if np.ptp(ratings.timestamps) == 0:
        raise ConfigError(
            f"the {len(ratings):,} ratings cannot be split by time: their timestamps are missing or all the same; "
            "choose another split"
        )
    moment = np.quantile(ratings.timestamps, 1 - test_share, method="higher")
    return _split(f"latest {test_share:.0%}", ratings, ratings.timestamps >= moment)


def k_fold(ratings: Ratings, n_folds: int = 5, seed: int = 0) -> Iterator[Split]:
    """Hold out each of k equal parts in turn."""
    if n_folds < 2:
        raise ConfigError(f"expected 2 folds or more, received {n_folds}")
    folds = np.random.default_rng(seed).permutation(len(ratings)) % n_folds
    for fold in range(n_folds):
        yield _split(f"fold {fold + 1} of {n_folds}, seed {seed}", ratings, folds == fold)


def read_split(train_path: Path, test_path: Path) -> Split:
    """Read a split from two files, such as ml-100k's ``u1.base`` and ``u1.test``."""
    train, test = read_ratings(train_path), read_ratings(test_path)
    for path, ratings in ((train_path, train), (test_path, test)):
        if not len(ratings):
            raise ConfigError(f"{path} holds no ratings; a split needs ratings to train on and to test on")
    both = np.intersect1d(_pairs(train), _pairs(test))
    if len(both):
        user_id, movie_id = divmod(int(both[0]), 2**32)
        raise ConfigError(
            f"{plural(len(both), 'rating is', 'ratings are')} in {train_path} and in {test_path} "
            f"as well, the first of user {user_id} and film {movie_id}; name two files that have none in common"
        )
    return Split(f"{train_path.name}, {test_path.name}", train, test)


def item_cold(
    ratings: Ratings, test_share: float = 0.2, seed: int = 0, *, of_films: Sequence[int] | None = None
) -> Split:
    """Hold out all ratings of a random share of films, which the model never sees."""
    _check_share(test_share)
    rated = np.unique(ratings.movie_ids)
    candidates = rated if of_films is None else np.intersect1d(rated, np.asarray(of_films, np.int32))
    n_cold = round(test_share * len(candidates))
    cold = np.random.default_rng(seed).permutation(candidates)[:n_cold]
    return _split(f"{n_cold} films cold, seed {seed}", ratings, np.isin(ratings.movie_ids, cold))


def ranks_in_groups(
    groups: npt.NDArray[np.generic], seed: int = 0
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return a random rank of each entry within its group, and the size of its group."""
    _, rows, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.lexsort((np.random.default_rng(seed).random(len(groups)), rows))
    ranks = np.empty(len(groups), np.intp)
    ranks[order] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return ranks, sizes[rows]


def _split(name: str, ratings: Ratings, held_out: Mask) -> Split:
    if not len(ratings):
        raise ConfigError("there are no ratings to hold out; load some, or name a file with --ratings")
    if not held_out.any() or held_out.all():
        raise ConfigError(
            f"{len(ratings)} ratings cannot be split ({name}): one side would be empty; hold another share out, or "
            "take more ratings"
        )
    return Split(name, ratings.where(~held_out), ratings.where(held_out))


def _share_of_each(groups: npt.NDArray[np.generic], share: float, seed: int) -> Mask:
    ranks, counts = ranks_in_groups(groups, seed)
    return np.asarray(ranks < np.minimum(np.round(share * counts), counts - 1))


def _pairs(ratings: Ratings) -> npt.NDArray[np.int64]:
    return ratings.user_ids.astype(np.int64) * 2**32 + ratings.movie_ids


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise ConfigError(f"expected a share between 0 and 1, received {share}")
