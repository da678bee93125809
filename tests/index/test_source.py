from __future__ import annotations

import numpy as np
import pytest

from catalog.errors import DataError
from index.source import FilmFeatures
from tests.contracts import films_of, ids_of, random_features


@pytest.mark.parametrize("movie_ids", [[], [1, 1, 2], [1, 3, 2]], ids=["none", "twice", "unordered"])
def test_ids_must_be_ascending(movie_ids: list[int]) -> None:
    with pytest.raises(DataError, match=rf"each once and in ascending order; received {len(movie_ids)} movie_ids"):
        FilmFeatures.of(movie_ids, random_features(1, n_films=3))


def test_every_film_needs_a_row() -> None:
    with pytest.raises(DataError, match="expected features of 4 films, received 3 rows"):
        FilmFeatures.of(np.arange(4), random_features(1, n_films=3))


@pytest.mark.parametrize("other", [random_features(1, 3, 16), random_features(1, 3).astype(np.float16)])
def test_arrays_must_share_width_and_type(other: np.ndarray) -> None:
    with pytest.raises(DataError, match="expected arrays of one width, all of them float16 or all of them float32"):
        FilmFeatures(np.arange(2), [random_features(1, 3), other], np.array([0, 1]), np.array([0, 0]), ["", ""])


@pytest.mark.parametrize(("dtype", "taken"), [("f2", "f2"), ("f4", "f4"), ("f8", "f4"), (">f4", "f4"), ("i8", "f4")])
def test_other_types_become_single_precision(dtype: str, taken: str) -> None:
    numbers = np.arange(12).reshape(3, 4).astype(dtype)
    films = films_of(numbers)
    assert films.dtype == np.dtype(taken)
    np.testing.assert_array_equal(films.read(np.array([2, 0])), numbers[[2, 0]])


def test_half_and_single_precision_are_not_copied() -> None:
    for dtype in (np.float16, np.float32):
        features = random_features(1).astype(dtype)
        assert np.shares_memory(films_of(features).row(3), features)


def test_strided_rows_are_copied() -> None:
    features = random_features(1)
    for part in (features[::2], features[:, 4:20], np.asfortranarray(features)):
        films = films_of(part)
        assert films.arrays[0].flags.c_contiguous
        np.testing.assert_array_equal(films.row(3), part[3])


@pytest.mark.parametrize("block_rows", [1, 7, 60, 100])
def test_blocks_cover_all_rows_in_order(block_rows: int) -> None:
    films = films_of(random_features(1))
    blocks = list(films.blocks(block_rows))
    np.testing.assert_array_equal(np.concatenate(blocks), films.arrays[0])
    assert {len(block) for block in blocks[:-1]} <= {block_rows}


def test_take_keeps_rows_and_posters() -> None:
    features = random_features(1)
    films = FilmFeatures.of(ids_of(features), features, [str(row) for row in range(60)]).take(np.array([3, 59]))
    assert (films.movie_ids.tolist(), list(films.poster_sha256s), len(films)) == ([19, 187], ["3", "59"], 2)
    np.testing.assert_array_equal(films.read(np.arange(2)), features[[3, 59]])


def test_aligned_matches_id_and_poster() -> None:
    features = random_features(1, 4)
    films = FilmFeatures.of([10, 13, 16, 19], features, ["a", "b", "", "d"])
    wanted = np.array([5, 10, 13, 14, 16, 19, 25])
    rows, is_found = films.aligned(wanted, ["a", "a", "x", "b", "", "d", "d"])
    assert is_found.tolist() == [False, True, False, False, True, True, False]
    np.testing.assert_array_equal(rows.movie_ids, wanted)
    np.testing.assert_array_equal(rows.read(np.flatnonzero(is_found)), features[[0, 2, 3]])
    for number in np.flatnonzero(~is_found).tolist():
        with pytest.raises(IndexError):
            rows.row(number)
