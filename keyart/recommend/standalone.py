"""Recommenders without a workspace, for studies of ratings alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog.errors import DataError
from catalog.io.archives import unpacked
from catalog.movielens import RATING_NAMES, data_folder, first_of
from cf.base import Recommender
from cf.ratings import RatingMatrix
from cf.ratings import read_ratings as read_file
from cf.registry import make


def make_recommender(name: str, **parameters: Any) -> Recommender:
    """Make a recommender that is not fitted yet.

    Parameters
    ----------
    name : str
        As ``keyart fit`` lists them: "ease", "als", …
    **parameters : object
        Parameters of the recommender, in place of its defaults.

    Returns
    -------
    Recommender
        Call its `fit` with a matrix of ratings.

    Raises
    ------
    ConfigError
        There is no such recommender or parameter, or what it needs is not installed.

    Examples
    --------
    >>> model = keyart.make_recommender("als", n_factors=20)  # doctest: +SKIP
    >>> model.fit(keyart.read_ratings("ml-latest-small")).recommend([1, 2], k=10)  # doctest: +SKIP
    """
    return make(name, **parameters)


def read_ratings(path: str | Path) -> RatingMatrix:
    """Read ratings as a sparse matrix of users and films.

    Parameters
    ----------
    path : str or Path
        A MovieLens folder, or its zip archive; or one file: CSV with the columns userId, movieId, rating and mostly
        timestamp, ml-100k's tab-separated ``u.data``, or Parquet. Files may be compressed by gzip.

    Returns
    -------
    RatingMatrix
        `values`, a csr_array of shape (n_users, n_films), float32 stars, with `user_ids` and `movie_ids`.

    Raises
    ------
    DataError
        There are no ratings, or a line is malformed; the message names line and column.
    """
    with unpacked(data_folder(Path(path)), RATING_NAMES) as opened:
        table = first_of(opened, RATING_NAMES) if opened.is_dir() else opened
        if table is None:
            raise DataError(f"{path} holds no ratings; expected one of {', '.join(RATING_NAMES)} in it")
        return read_file(table, ten_points=True).matrix()
