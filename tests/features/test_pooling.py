from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import DataError
from features.pooling import Pooling, pool
from features.whitening import Whitening

POOLED = [Pooling.GEM, Pooling.RMAC]


def _maps(n: int = 4, side: int = 7, n_channels: int = 5) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).gamma(1, 10, (n, side, side, n_channels)).astype(np.float32)


def test_raw_is_flattened_by_height_width_channel() -> None:
    maps = _maps()
    np.testing.assert_array_equal(pool(maps, Pooling.RAW)[2], maps[2].ravel())


@pytest.mark.parametrize("pooling", POOLED)
@pytest.mark.parametrize("side", [1, 2, 3, 7, 14])
def test_pooled_descriptors_have_a_number_a_channel_and_unit_length(pooling: Pooling, side: int) -> None:
    descriptors = pool(_maps(side=side), pooling)
    assert (descriptors.shape, descriptors.dtype) == ((4, 5), np.float32)
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1, rtol=1e-6)


def test_gem_is_the_formula() -> None:
    maps = _maps().astype(np.float64)
    means = np.array([[np.mean(one[..., channel] ** 3) ** (1 / 3) for channel in range(5)] for one in maps])
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(pool(_maps(), Pooling.GEM), expected, rtol=1e-5)


def test_rmac_sums_the_unit_maxima_of_fourteen_regions() -> None:
    # On 7 x 7: one region of 7, four of 4, nine of 3, as in the paper's figure.
    (one,) = _maps(1)
    total = np.zeros(5)
    for side, starts in ((7, [0]), (4, [0, 3]), (3, [0, 2, 4])):
        for top in starts:
            for left in starts:
                maxima = one[top : top + side, left : left + side].max(axis=(0, 1)).astype(np.float64)
                total += maxima / np.linalg.norm(maxima)
    np.testing.assert_allclose(pool(one[None], Pooling.RMAC)[0], total / np.linalg.norm(total), rtol=1e-5)


@pytest.mark.parametrize("pooling", POOLED)
def test_a_map_of_zeros_is_no_division_by_zero(pooling: Pooling) -> None:
    assert np.isfinite(pool(np.zeros((1, 7, 7, 5), np.float32), pooling)).all()


@pytest.mark.parametrize("pooling", POOLED)
def test_features_without_a_map_cannot_be_pooled(pooling: Pooling) -> None:
    with pytest.raises(DataError, match=rf"has the shape \(10,\); {pooling} needs a map .* --features raw"):
        pool(np.ones((1, 10), np.float32), pooling)


def test_whitened_descriptors_are_uncorrelated_and_vary_alike() -> None:
    rng = np.random.default_rng(1)
    sample = (rng.standard_normal((5000, 6)) @ rng.standard_normal((6, 6)) + 3).astype(np.float32)
    whitening = Whitening.fit(sample)
    plain = (sample - whitening.mean) @ whitening.projection
    covariance = np.cov(plain, rowvar=False)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    assert np.diag(covariance).max() <= 1.001
    np.testing.assert_allclose(np.linalg.norm(whitening(sample), axis=1), 1, rtol=1e-5)


def test_a_sample_smaller_than_the_dimensions_will_do() -> None:
    assert np.isfinite(Whitening.fit(pool(_maps(3), Pooling.GEM))(pool(_maps(4), Pooling.GEM))).all()


@pytest.mark.parametrize("n", [0, 1])
def test_whitening_cannot_be_learned_from_nothing(n: int) -> None:
    with pytest.raises(DataError, match=f"{n} images are too few"):
        Whitening.fit(np.ones((n, 5), np.float32))


def test_whitening_cannot_be_learned_from_copies_of_one_picture() -> None:
    with pytest.raises(DataError, match="the features of these 3 images are all the same"):
        Whitening.fit(np.repeat(pool(_maps(1), Pooling.GEM), 3, axis=0))


def test_a_whitened_row_does_not_depend_on_its_batch() -> None:
    rng = np.random.default_rng(2)
    # As many numbers as VGG16 has: fewer are added in the same order whatever the batch.
    descriptors = np.abs(rng.standard_normal((64, 512))).astype(np.float32)
    whitening = Whitening.fit(descriptors)
    whole = whitening(descriptors).astype(np.float16)
    for n_rows in (1, 2, 3, 5, 16):
        parts = [whitening(descriptors[start : start + n_rows]) for start in range(0, 64, n_rows)]
        np.testing.assert_array_equal(np.concatenate(parts).astype(np.float16), whole)


def test_a_whitening_is_saved_and_opened(tmp_path: Path) -> None:
    whitening = Whitening.fit(pool(_maps(40), Pooling.GEM))
    whitening.save(tmp_path / "w.npz")
    opened = Whitening.open(tmp_path / "w.npz")
    assert opened.sha256 == whitening.sha256
    np.testing.assert_array_equal(opened.projection, whitening.projection)
    (tmp_path / "w.npz").write_bytes(b"text")
    with pytest.raises(DataError, match=r"w\.npz is damaged"):
        Whitening.open(tmp_path / "w.npz")
