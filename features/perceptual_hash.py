"""Perceptual hashes: 64 bits of an image that recompression and small changes leave mostly as they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Bits = npt.NDArray[np.bool_]
_SIDE, _LOWEST = 32, 8


def perceptual_hash(image: Image.Image) -> Bits:
    """Return 64 bits: which of the lowest frequencies of the image in gray are above their median.

    References
    ----------
    .. [1] C. Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010: the DCT-based hash.
    """
    from scipy.fft import dctn

    gray = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    lowest = dctn(np.asarray(gray, np.float64))[:_LOWEST, :_LOWEST].ravel()
    return np.asarray(lowest > np.median(lowest))


def hash_distance(one: Bits, other: Bits) -> float:
    """Return the share of bits that differ: 0 for the same picture, about 0.5 for two of any kind."""
    return float(np.mean(one != other))
