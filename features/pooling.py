"""What is kept of a network's last map: all of it, or one descriptor of as many numbers as it has channels.

NumPy only, so that it runs beside any network, on any machine, and gives the same numbers. May import `catalog` only.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.io.files import write_bytes
from catalog.io.remote import AnyPath

Floats = npt.NDArray[np.float32]

GEM_POWER = 3.0
RMAC_LEVELS = 3
# Directions in which the sample hardly varies would be blown up to noise.
_WHITENING_RIDGE = 1e-2
# Of the mean's square: copies of one picture vary by what rounding leaves.
_NO_VARIANCE = 1e-12


class Pooling(StrEnum):
    """What is kept of a network's output of shape (height, width, channels)."""

    RAW = "raw"
    """All numbers, flattened in the order height, width, channel: 25,088 of VGG16, the article's choice."""

    GEM = "gem"
    """The generalized mean of every channel, power 3: 512 of VGG16, of unit length."""

    RMAC = "rmac"
    """The maxima of every channel over 14 regions at three scales, summed: 512 of VGG16, of unit length."""


def pool(maps: Floats, pooling: Pooling) -> Floats:
    """Bring the output of a network to descriptors.

    Parameters
    ----------
    maps : ndarray of shape (n, height, width, channels), float32
        What the network gave; for `Pooling.RAW` of any shape (n, ...).
    pooling : Pooling
        What to keep of it.

    Returns
    -------
    ndarray of shape (n, d), float32
        ``d`` is the number of channels; for `Pooling.RAW`, of all numbers of a map.

    Raises
    ------
    DataError
        The output is no map, so that there is nothing to pool.

    References
    ----------
    .. [1] F. Radenović, G. Tolias, O. Chum, "Fine-tuning CNN image retrieval with no human annotation", TPAMI 2019,
       equation 3: GeM, whose learned power settles near 3.
    .. [2] G. Tolias, R. Sicre, H. Jégou, "Particular object retrieval with integral max-pooling of CNN activations",
       ICLR 2016, section 3.2: R-MAC. The paper whitens every region before the sum, `Whitening` the sum; and of a map
       that is not square it takes squares, here regions have the map's shape.
    """
    if pooling is Pooling.RAW:
        return maps.reshape(len(maps), -1)
    if maps.ndim != 4:
        raise DataError(
            f"the network's output has the shape {maps.shape[1:]}; {pooling} wants a map of (height, width, channels): "
            "take --features raw"
        )
    return _unit(_gem(maps) if pooling is Pooling.GEM else _rmac(maps))


@dataclass(frozen=True)
class Whitening:
    """Makes the directions of descriptors count alike, as learned from a sample; make it with `Whitening.fit`.

    Parameters
    ----------
    mean : ndarray of shape (d,), float32
        Of the sample.
    projection : ndarray of shape (d, d), float32
        Onto the sample's principal directions, each divided by its standard deviation.

    References
    ----------
    .. [1] H. Jégou, O. Chum, "Negative evidences and co-occurrences in image retrieval: the benefit of PCA and
       whitening", ECCV 2012.
    """

    mean: Floats
    projection: Floats

    @classmethod
    def fit(cls, descriptors: Floats) -> Whitening:
        """Learn from a sample.

        Parameters
        ----------
        descriptors : ndarray of shape (n, d), float32
            The more, the better; fewer than d leave directions of which nothing is known, and which then count little.

        Returns
        -------
        Whitening
            To be kept beside the descriptors that it makes.

        Raises
        ------
        DataError
            There are fewer than two, or they are all the same.
        """
        if len(descriptors) < 2:
            raise DataError(
                f"whitening is learned from pictures, and {len(descriptors)} are too few; expected 2 or more"
            )
        sample = descriptors.astype(np.float64)
        mean = sample.mean(axis=0)
        variances, directions = np.linalg.eigh(np.atleast_2d(np.cov(sample - mean, rowvar=False)))
        if not variances.sum() > _NO_VARIANCE * np.square(mean).sum():
            raise DataError(
                f"whitening is learned from how pictures differ, and the features of these {len(descriptors)} are all "
                "the same; expected different pictures"
            )
        scales = 1 / np.sqrt(variances.clip(min=0) + _WHITENING_RIDGE * variances.mean())
        return cls(mean.astype(np.float32), (directions * scales).astype(np.float32))

    def __call__(self, descriptors: Floats) -> Floats:
        """Whiten descriptors.

        Parameters
        ----------
        descriptors : ndarray of shape (n, d), float32
            As they were pooled.

        Returns
        -------
        ndarray of shape (n, d), float32
            Of unit length.
        """
        # A product adds in another order for another number of rows, which shows in float32. What it leaves in float64
        # is lost in rounding, so that a picture's row does not depend on its batch.
        centered = descriptors.astype(np.float64) - self.mean
        return _unit(centered @ self.projection.astype(np.float64))

    @cached_property
    def sha256(self) -> str:
        """The hash of its numbers: descriptors whitened by another one are not comparable."""
        return hashlib.sha256(self.mean.tobytes() + self.projection.tobytes()).hexdigest()

    def save(self, path: AnyPath) -> None:
        """Write it to a file.

        Parameters
        ----------
        path : Path or RemotePath
            An ``.npz`` file.

        Raises
        ------
        StoreError
            It cannot be written.
        """
        stream = io.BytesIO()
        np.savez(stream, mean=self.mean, projection=self.projection)
        write_bytes(path, stream.getvalue())

    @classmethod
    def open(cls, path: AnyPath) -> Whitening:
        """Read it from a file.

        Parameters
        ----------
        path : Path or RemotePath
            What `save` wrote.

        Returns
        -------
        Whitening
            The same.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        DataError
            It is damaged.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                return cls(arrays["mean"], arrays["projection"])
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise DataError(f"{path} is damaged ({error}); run `keyart extract --replace`") from error


def _gem(maps: Floats) -> Floats:
    # Where a map can be negative, as without ReLU, its positive part counts.
    means = np.power(maps.clip(min=1e-6), GEM_POWER).mean(axis=(1, 2))
    return np.asarray(np.power(means, 1 / GEM_POWER), np.float32)


def _rmac(maps: Floats) -> Floats:
    _, height, width, _ = maps.shape
    regions = [
        _unit(maps[:, top : top + high, left : left + wide].max(axis=(1, 2)))
        for level in range(1, RMAC_LEVELS + 1)
        for top, high in _spans(height, level)
        for left, wide in _spans(width, level)
    ]
    return np.asarray(np.sum(regions, axis=0), np.float32)


def _spans(length: int, level: int) -> list[tuple[int, int]]:
    """Cut a length into as many spans as the level, of 2 / (level + 1) of it each, evenly spread and overlapping."""
    span = max(2 * length // (level + 1), 1)
    starts = np.linspace(0, length - span, level).astype(int)
    return [(int(start), span) for start in starts]


def _unit(vectors: npt.NDArray[Any]) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, np.finfo(np.float32).tiny), np.float32)
