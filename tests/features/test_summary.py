"""A poster summed up: its colors, and what the network saw anywhere."""

import numpy as np
import pytest

from features.summary import N_COLORS, colors, looks

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def plain(*parts: tuple[int, int, int]) -> np.ndarray:
    """Paint stripes of equal width."""
    return np.repeat(np.array(parts, np.uint8)[None], 8, axis=0).repeat(8, axis=1)


def test_the_squares_of_the_colors_add_up_to_the_whole_picture() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 32, 24, 3), dtype=np.uint8)

    shares = colors(pictures)

    assert shares.shape == (5, N_COLORS)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(np.square(shares).sum(axis=1), 1, rtol=1e-5)


def test_a_picture_half_red_and_half_blue_has_two_colors_of_one_share_wherever_they_stand() -> None:
    one, other = colors(plain(RED, BLUE)[None])[0], colors(plain(BLUE, RED)[None])[0]

    np.testing.assert_allclose(np.sort(one)[-3:], [0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-6)
    np.testing.assert_array_equal(one, other)


def test_colors_differ_where_pictures_do() -> None:
    red, blue, white = (colors(plain(color)[None])[0] for color in (RED, BLUE, WHITE))

    assert red @ blue == red @ white == blue @ white == 0


def test_a_map_is_summed_up_by_channel() -> None:
    features = np.random.default_rng(1).random((3, 7 * 7 * 4)).astype(np.float16)
    shares = np.zeros((3, N_COLORS), np.float32)

    rows = looks(features, (7, 7, 4), shares)

    means = features.astype(np.float32).reshape(3, 49, 4).mean(axis=1)
    assert rows.shape == (3, 3 * 4 + N_COLORS)
    np.testing.assert_allclose(rows[:, :4], means, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows[:, 4:8], axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.square(rows[:, 8:12]), means, rtol=1e-5)


def test_where_a_thing_stands_on_a_poster_does_not_matter_to_its_mean() -> None:
    features = np.zeros((2, 7, 7, 2), np.float32)
    features[0, 0, 0, 1] = features[1, 6, 3, 1] = 5
    rows = looks(features.reshape(2, -1), (7, 7, 2), np.zeros((2, N_COLORS), np.float32))

    np.testing.assert_array_equal(rows[0, :2], rows[1, :2])


@pytest.mark.parametrize("map_shape", [None, (6,)])
def test_features_without_a_map_are_used_unchanged(map_shape: tuple[int, ...] | None) -> None:
    features = np.arange(12, dtype=np.float16).reshape(2, 6)
    shares = np.full((2, N_COLORS), 0.5, np.float32)

    np.testing.assert_array_equal(looks(features, map_shape, shares), np.hstack([features, shares]))


def test_a_channel_below_zero_keeps_its_sign() -> None:
    rows = looks(np.full((1, 9), -4, np.float32), (3, 3, 1), np.zeros((1, N_COLORS), np.float32))

    assert np.isfinite(rows).all()
    assert rows[0, 2] == -2
