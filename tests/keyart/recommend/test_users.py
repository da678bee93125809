"""The users of a workspace."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from catalog.errors import NotBuiltError
from catalog.film import Film
from catalog.io.files import write_bytes
from cf.ratings import RatingMatrix
from keyart.pipeline.movielens import load
from keyart.recommend.users import User, Users
from keyart.workspace.layout import Workspace

USER_IDS = [1, 4, 9, 40, 41, 49, 50, 401, 4_000, 2_000_000_000]
FILMS = {number: Film(number, f"Film {number}", n_ratings=number) for number in (1, 2, 3, 4)}


@pytest.fixture
def viewers() -> Users:
    # The first user gave four films 3, 5, 5 and 5 stars; all others gave one film 4.
    values = np.zeros((len(USER_IDS), 4), np.float32)
    values[:, 0] = 4
    values[0] = [3, 5, 5, 5]
    matrix = RatingMatrix(np.array(USER_IDS, np.int32), np.arange(1, 5, dtype=np.int32), sparse.csr_array(values))
    return Users(matrix, {number: FILMS[number] for number in (1, 2, 3)})


def found(viewers: Users, digits: str, k: int = 50) -> list[int]:
    return [viewer.user_id for viewer in viewers.beginning_with(digits, k)]


def test_finds_users_by_leading_digits(viewers: Users) -> None:
    assert found(viewers, "4") == [4, 40, 41, 49, 401, 4_000]
    assert found(viewers, "40") == [40, 401, 4_000]
    assert found(viewers, "4", 3) == [4, 40, 41]
    assert found(viewers, "2") == [2_000_000_000]


@pytest.mark.parametrize("digits", ["", "0", "04", "x", "-1", "4.", "٤", "7", "99999999999"])
def test_other_digits_find_no_user(viewers: Users, digits: str) -> None:
    assert found(viewers, digits) == []


def test_user_has_count_and_mean_of_ratings(viewers: Users) -> None:
    assert viewers.find(1) == User(1, 4, 4.5)
    assert viewers.find(3) is None
    assert viewers.drawn().user_id in USER_IDS


def test_best_rated_breaks_ties_by_popularity_and_skips_removed_films(viewers: Users) -> None:
    assert [(film.movie_id, stars) for film, stars in viewers.best_rated(1, 9)] == [(3, 5.0), (2, 5.0), (1, 3.0)]
    assert [film.movie_id for film, _ in viewers.best_rated(1, 9, lambda movie_id: movie_id == 2)] == [2, 3, 1]
    assert viewers.best_rated(3, 9) == []


def test_opens_the_users_of_a_workspace(home: Path) -> None:
    assert Users.open(Workspace.open(home)).find(1) is not None


def test_opening_users_without_ratings_is_an_error(home: Path, movielens: Path, tmp_path: Path) -> None:
    write_bytes(tmp_path / "unrated" / "movies.csv", (movielens / "movies.csv").read_bytes())
    write_bytes(tmp_path / "unrated" / "links.csv", (movielens / "links.csv").read_bytes())
    load(home, tmp_path / "unrated")
    with pytest.raises(NotBuiltError, match="no ratings here"):
        Users.open(Workspace.open(home))
