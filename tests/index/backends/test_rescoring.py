from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import DataError
from index.backends.rescoring import Rescorer, checksum
from index.source import FilmFeatures
from index.vectors import mean_row, unit_rows
from tests.contracts import films_of, random_features
from tests.index.kinds import dense_cosines


def rescorer_of(films: FilmFeatures, mean: npt.NDArray[np.float32] | None = None) -> Rescorer:
    rows = films.read(np.arange(len(films)))
    return Rescorer(films, unit_rows(rows, mean)[1], np.array([checksum(row) for row in rows], np.uint64), mean)


@settings(max_examples=60, deadline=None)
@given(
    # Widths that no vector unit divides.
    n_features=st.integers(1, 130),
    dtype=st.sampled_from([np.float16, np.float32]),
    center=st.booleans(),
    scale=st.sampled_from([1e-2, 1.0, 1e3]),
    seed=st.integers(0, 10**6),
)
def test_cosines_match_plain_computation(
    n_features: int, dtype: type[np.floating], center: bool, scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    features = (scale * rng.standard_normal((30, n_features))).astype(dtype)
    films = films_of(features)
    mean = mean_row(films) if center else None
    numbers = rng.integers(0, 30, 12)
    cosines = rescorer_of(films, mean).cosines(unit_rows(features[0], mean)[0][0], numbers)
    expected = dense_cosines(features, features[:1], center=center)[0, numbers]
    np.testing.assert_allclose(cosines, expected, atol=3e-6)
    assert cosines.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_copies_have_identical_cosines(dtype: type[np.floating]) -> None:
    features = np.repeat(random_features(1, 2, 61), 30, axis=0).astype(dtype)
    cosines = rescorer_of(films_of(features)).cosines(unit_rows(features[45], None)[0][0], np.arange(60))
    assert len(set(cosines[:30].tolist())) == len(set(cosines[30:].tolist())) == 1


def test_no_films_give_no_cosines() -> None:
    films = films_of(random_features(1, 5))
    assert rescorer_of(films).cosines(unit_rows(films.row(0), None)[0][0], np.empty(0, np.int64)).shape == (0,)


def test_film_equal_to_the_mean_has_zero_similarity() -> None:
    features = np.array([[1, 2, 3, 4], [3, 2, 1, 0], [2, 2, 2, 2]], np.float32)
    films = films_of(features)
    mean = mean_row(films)
    np.testing.assert_allclose(
        rescorer_of(films, mean).cosines(unit_rows(features[0], mean)[0][0], np.arange(3)), [1, -1, 0], atol=1e-6
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_units_have_length_one(dtype: type[np.floating]) -> None:
    films = films_of(random_features(2).astype(dtype))
    mean = mean_row(films)
    rows = films.arrays[0].astype(np.float64)
    for subtracted, expected in ((None, rows), (mean, rows - rows.mean(axis=0))):
        units = rescorer_of(films, subtracted).units(np.array([5, 0, 5]))
        lengths = np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(units, (expected / lengths)[[5, 0, 5]], atol=1e-6)


def test_changed_row_is_refused_when_read() -> None:
    features = random_features(3)
    rescorer = rescorer_of(films_of(features))
    query = unit_rows(features[0], None)[0][0]
    features[4, 0] += 1
    rescorer.cosines(query, np.array([3, 5]))
    message = "the features of movie_id 22 are not those that the index was built from; run `keyart extract`"
    with pytest.raises(DataError, match=message):
        rescorer.cosines(query, np.array([3, 4, 5]))
    with pytest.raises(DataError, match=message):
        rescorer.units(np.array([4]))
