"""Summaries of posters in a few hundred numbers, for linear models that predict who would like a film.

25,088 numbers are too many to learn from a few thousand films, and positions on a poster say little about taste. A
summary has what the network detected anywhere, and the colors, which the network hardly encodes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from features.pooling import Pooling, pool

Floats = npt.NDArray[np.float32]

# The numbers of levels are powers of two, so that a shift finds the bin.
_HUE_BITS, _SATURATION_BITS, _VALUE_BITS = 3, 2, 2
N_COLORS = 2 ** (_HUE_BITS + _SATURATION_BITS + _VALUE_BITS)


def colors(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Return the root of each color's share (n, 128) of RGB images (n, height, width, 3).

    The colors are eight hues by four saturations by four levels of brightness. Roots suit a linear model: a small share
    of a color matters more than the same increase of a large share.

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
    """Summarize features (n, n_features) and color shares (n, 128) in (n, d) numbers, 1,664 for raw VGG16.

    Of maps: the mean of each channel, its regional maxima (R-MAC), the root of its mean, and the colors. Of other
    features, for which `map_shape` is None: these and the colors.
    """
    numbers = features.astype(np.float32)
    if map_shape is None or len(map_shape) != 3:
        return np.hstack([numbers, color_shares])
    maps = numbers.reshape(-1, *map_shape)
    means = maps.mean(axis=(1, 2))
    # Maps of networks without a final ReLU can be negative: the root keeps the sign.
    roots = np.sign(means) * np.sqrt(np.abs(means))
    return np.hstack([means, pool(maps, Pooling.RMAC), roots, color_shares]).astype(np.float32)
