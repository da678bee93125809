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
    """Sum posters up."""
    numbers = features.astype(np.float32)
    if map_shape is None or len(map_shape) != 3:
        return np.hstack([numbers, color_shares])
    maps = numbers.reshape(-1, *map_shape)
    means = maps.mean(axis=(1, 2))
    # Of a map that can be negative, as without ReLU, the root keeps the sign.
    roots = np.sign(means) * np.sqrt(np.abs(means))
    return np.hstack([means, pool(maps, Pooling.RMAC), roots, color_shares]).astype(np.float32)
