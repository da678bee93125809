"""Pooling of a network's output maps, in NumPy only, so that it gives the same numbers beside any network."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError

Floats = npt.NDArray[np.float32]

GEM_POWER = 3.0
RMAC_LEVELS = 3


class Pooling(StrEnum):
    """What is kept of a network's output of shape (height, width, channels)."""

    RAW = "raw"
    """All numbers, flattened in the order height, width, channel: 25,088 for VGG16."""

    GEM = "gem"
    """The generalized mean of every channel with power 3, normalized to unit length: 512 for VGG16."""

    RMAC = "rmac"
    """The maxima of every channel over 14 regions at three scales, summed and normalized: 512 for VGG16."""


def pool(maps: Floats, pooling: Pooling) -> Floats:
    """Pool a network's output (n, height, width, channels), or flatten output of any shape, to descriptors (n, d).

    References
    ----------
    .. [1] F. Radenović, G. Tolias, O. Chum, "Fine-tuning CNN image retrieval with no human annotation", TPAMI 2019,
       equation 3: GeM; powers learned there are near 3.
    .. [2] G. Tolias, R. Sicre, H. Jégou, "Particular object retrieval with integral max-pooling of CNN activations",
       ICLR 2016, section 3.2: R-MAC. The paper whitens every region before the sum, keyart the sum; and takes square
       regions of any map, keyart regions of the map's shape.
    """
    if pooling is Pooling.RAW:
        return maps.reshape(len(maps), -1)
    if maps.ndim != 4:
        raise DataError(
            f"the network's output has the shape {maps.shape[1:]}; {pooling} needs a map of (height, width, "
            "channels); use --features raw"
        )
    return unit(_gem(maps) if pooling is Pooling.GEM else _rmac(maps))


def _gem(maps: Floats) -> Floats:
    # Maps of networks without a final ReLU can be negative: their positive part counts.
    means = np.power(maps.clip(min=1e-6), GEM_POWER).mean(axis=(1, 2))
    return np.asarray(np.power(means, 1 / GEM_POWER), np.float32)


def _rmac(maps: Floats) -> Floats:
    _, height, width, _ = maps.shape
    regions = [
        unit(maps[:, top : top + high, left : left + wide].max(axis=(1, 2)))
        for level in range(1, RMAC_LEVELS + 1)
        for top, high in _spans(height, level)
        for left, wide in _spans(width, level)
    ]
    return np.asarray(np.sum(regions, axis=0), np.float32)


def _spans(length: int, level: int) -> list[tuple[int, int]]:
    """Return start and length of `level` overlapping, evenly spread spans of 2 / (level + 1) of the length."""
    span = max(2 * length // (level + 1), 1)
    starts = np.linspace(0, length - span, level).astype(int)
    return [(int(start), span) for start in starts]


def unit(vectors: npt.NDArray[Any]) -> Floats:
    """Normalize rows to unit length."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, np.finfo(np.float32).tiny), np.float32)
