"""A poster in a few hundred numbers: what a linear model is told of it, to guess who would like the film.

25,088 numbers are too many to learn from a few thousand films, and the place of a thing on a poster says little of
taste. What is kept is what the network saw anywhere, and the poster's colors, of which the network says little. May
import `catalog` only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from features.pooling import Pooling, pool

Floats = npt.NDArray[np.float32]

# Levels of hue, saturation and brightness: a power of two of each, so that a shift finds the bin.
_HUE_BITS, _SATURATION_BITS, _VALUE_BITS = 3, 2, 2
N_COLORS = 2 ** (_HUE_BITS + _SATURATION_BITS + _VALUE_BITS)


def colors(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Tell how much of a picture is of each color.

    Parameters
    ----------
    pixels : ndarray of shape (n, height, width, 3), uint8
        Red, green, blue, as `features.images.read_image` gives them.

    Returns
    -------
    ndarray of shape (n, 128), float32
        The root of each color's share, in [0, 1]: eight hues by four saturations by four levels of brightness. Roots
        make a linear model of shares behave: a little of a color says more than as much more of it.

    References
    ----------
    .. [1] M. Swain, D. Ballard, "Color indexing", IJCV 7(1), 1991.
    .. [2] R. Arandjelović, A. Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012:
       the root of a histogram.
    """
    histograms = np.empty((len(pixels), N_COLORS), np.float32)
    for histogram, picture in zip(histograms, pixels, strict=True):
        hue, saturation, value = np.moveaxis(np.asarray(Image.fromarray(picture).convert("HSV")), -1, 0)
        bins = (hue >> (8 - _HUE_BITS)).astype(np.intp)
        bins = (bins << _SATURATION_BITS) | (saturation >> (8 - _SATURATION_BITS))
        bins = (bins << _VALUE_BITS) | (value >> (8 - _VALUE_BITS))
        histogram[:] = np.bincount(bins.ravel(), minlength=N_COLORS) / bins.size
    return np.sqrt(histograms)


def looks(
    features: npt.NDArray[np.floating], map_shape: tuple[int, ...] | None, color_shares: Floats
) -> npt.NDArray[np.float32]:
    """Sum posters up.

    Parameters
    ----------
    features : ndarray of shape (n, n_features), float16 or float32
        Of the network.
    map_shape : tuple of (int, int, int) or None
        Height, width, channels of the map that the features are; None where they are no map, such as pooled ones.
    color_shares : ndarray of shape (n, 128), float32
        As `colors` tells them.

    Returns
    -------
    ndarray of shape (n, d), float32
        Of a map: each channel's mean, its maxima over regions (R-MAC), the root of its mean, and the colors, so that
        ``d`` is 1,664 for VGG16. Of other features: these and the colors.
    """
    numbers = features.astype(np.float32)
    if map_shape is None or len(map_shape) != 3:
        return np.hstack([numbers, color_shares])
    maps = numbers.reshape(-1, *map_shape)
    means = maps.mean(axis=(1, 2))
    # Of a map that can be negative, as without ReLU, the root keeps the sign.
    roots = np.sign(means) * np.sqrt(np.abs(means))
    return np.hstack([means, pool(maps, Pooling.RMAC), roots, color_shares]).astype(np.float32)
