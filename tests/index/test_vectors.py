from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from index.vectors import check_queries, faults, mean_row, unit_rows
from tests.contracts import films_of, random_features


@settings(max_examples=200, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from([np.dtype(np.float16), np.dtype(np.float32)]),
        st.tuples(st.integers(0, 4), st.integers(1, 5)),
        elements={"allow_nan": True, "allow_infinity": True},
        fill=st.just(0.0),
    )
)
def test_faults_are_rows_without_a_direction(block: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        magnitudes = np.abs(block.astype(np.float64))
    expected = {
        row
        for row, numbers in enumerate(magnitudes)
        if not np.isfinite(numbers).all() or not np.float32(1e-30) <= numbers.max() <= np.float32(1e30)
    }
    found = faults(block)
    assert set(found) == expected
    for row, reason in found.items():
        assert ("not all finite" in reason) is not np.isfinite(magnitudes[row]).all()
        assert ("all zero" in reason) is not magnitudes[row].any()
    good = np.array([row for row in range(len(block)) if row not in found], np.int64)
    units, lengths = unit_rows(block[good], None)
    np.testing.assert_allclose(np.linalg.norm(units.astype(np.float64), axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(lengths, np.linalg.norm(magnitudes[good], axis=1), rtol=1e-5)


def test_one_row_equals_a_batch_of_one() -> None:
    row = random_features(1, 1)[0]
    assert check_queries(row, 32, "vgg16").shape == unit_rows(row, None)[0].shape == (1, 32)


def test_zero_rows_stay_zero() -> None:
    units, lengths = unit_rows(np.zeros((2, 3), np.float16), None)
    assert (units.any(), lengths.tolist()) == (False, [0, 0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_mean_of_many_rows_is_exact(dtype: type[np.floating]) -> None:
    # A sum of so many rows would overflow in half precision.
    features = (1000 + random_features(1, 1200, 8)).astype(dtype)
    np.testing.assert_allclose(mean_row(films_of(features)), features.astype(np.float64).mean(axis=0), rtol=1e-6)
