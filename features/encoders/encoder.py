"""An extractor: pictures in, rows of float16 out; everything that decides about the numbers, and nothing else.

It knows no files but the pictures', so that one machine, a Spark worker and a single question use the same one. May
import `catalog` only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from features.encoders.keras import Backbone, BackboneChoice, load_backbone
from features.images import Resize
from features.pooling import Pooling, Whitening, pool
from features.store import FeatureStore, Identity

_FLOAT16_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Extractor:
    """A network with what happens before and behind it; make it with `load_extractor`.

    Parameters
    ----------
    backbone : Backbone
        The network.
    resize : Resize, default antialias
        How pictures are brought to its size.
    pooling : Pooling, default raw
        What is kept of its output.
    whitening : Whitening, optional
        What pooled descriptors go through.
    """

    backbone: Backbone
    resize: Resize = Resize.ANTIALIAS
    pooling: Pooling = Pooling.RAW
    whitening: Whitening | None = None

    @property
    def identity(self) -> Identity:
        """What its rows are, to be kept beside them."""
        shape = self.backbone.output_shape
        return Identity(
            self.backbone.name,
            self.backbone.weights_sha256,
            self.backbone.architecture_sha256,
            self.resize.value,
            int(np.prod(shape)) if self.pooling is Pooling.RAW else shape[-1],
            pooling=self.pooling.value,
            whitening_sha256=self.whitening.sha256 if self.whitening else None,
        )

    def whitened_by(self, whitening: Whitening | None) -> Extractor:
        """Make the same extractor with another whitening.

        Parameters
        ----------
        whitening : Whitening or None
            What pooled descriptors go through.

        Returns
        -------
        Extractor
            The other one; this one is not changed.
        """
        return replace(self, whitening=whitening)

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Compute the features of pictures.

        Parameters
        ----------
        pixels : ndarray of shape (n, 224, 224, 3), uint8
            Red, green, blue.

        Returns
        -------
        ndarray of shape (n, n_features), float32
            One row a picture.

        Raises
        ------
        DataError
            The network gives no map that could be pooled.
        """
        return self.describe(self.backbone(pixels))

    def describe(self, maps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Do what is left to do behind the network.

        Parameters
        ----------
        maps : ndarray of shape (n, height, width, channels), float32
            What the network gave.

        Returns
        -------
        ndarray of shape (n, n_features), float32
            One row a picture.

        Raises
        ------
        DataError
            The network gives no map that could be pooled.
        """
        descriptors = pool(maps, self.pooling)
        return self.whitening(descriptors) if self.whitening else descriptors


def load_extractor(
    choice: BackboneChoice,
    cache_dir: Path,
    resize: Resize = Resize.ANTIALIAS,
    pooling: Pooling = Pooling.RAW,
    whitening: Whitening | None = None,
    *,
    batch_size: int | None = None,
) -> Extractor:
    """Load a network and put an extractor around it.

    Parameters
    ----------
    choice : BackboneChoice
        Which network.
    cache_dir : Path
        Keras' folder for models.
    resize : Resize
        How pictures are brought to its size.
    pooling : Pooling
        What is kept of its output.
    whitening : Whitening, optional
        What pooled descriptors go through.
    batch_size : int, optional
        How many pictures are computed at once; by default 16, or 128 on a GPU.

    Returns
    -------
    Extractor
        Ready to be called.

    Raises
    ------
    ConfigError
        The choice makes no sense.
    DataError
        A file does not hold what it should, or the network gives no map that could be pooled.
    FetchError
        The ImageNet weights are not here and cannot be downloaded.
    """
    backbone = load_backbone(choice, cache_dir, batch_size=batch_size)
    # Told before the first picture is read.
    pool(np.ones((1, *backbone.output_shape), np.float32), pooling)
    return Extractor(backbone, resize, pooling, whitening)


def extractor_of(store: FeatureStore, cache_dir: Path, *, batch_size: int | None = 1) -> Extractor:
    """Load the extractor that the features of a store were made by, to compare another picture to them.

    Parameters
    ----------
    store : FeatureStore
        The features.
    cache_dir : Path
        Keras' folder for models.
    batch_size : int, default 1
        How many pictures are computed at once.

    Returns
    -------
    Extractor
        Of the same identity.

    Raises
    ------
    DataError
        The network is no longer the one that the features are of.
    ConfigError, FetchError
        The network is no longer to be had.
    """
    identity = store.identity
    resize, pooling = Resize(identity.resize), Pooling(identity.pooling)
    choice = BackboneChoice(**store.origin)
    extractor = load_extractor(choice, cache_dir, resize, pooling, store.whitening(), batch_size=batch_size)
    if extractor.identity != identity:
        raise DataError(
            f"the network at {choice.backbone} is not the one that the features are of ({identity}); put that one "
            "back, or run `keyart extract --replace`"
        )
    return extractor


def to_float16(features: npt.NDArray[np.float32], what: str) -> npt.NDArray[np.float16]:
    """Halve the size of features, which costs three significant digits and no neighbor.

    Parameters
    ----------
    features : ndarray of shape (n, n_features), float32
        What an extractor returned.
    what : str
        Whose features these are, for the message.

    Returns
    -------
    ndarray of shape (n, n_features), float16
        The same numbers, rounded.

    Raises
    ------
    DataError
        A number is not finite, or beyond float16's range.
    """
    if not np.isfinite(features).all() or np.abs(features).max(initial=0.0) > _FLOAT16_MAX:
        raise DataError(
            f"{what} gives numbers that are not finite or exceed {_FLOAT16_MAX:.0f}; expected a network whose input is "
            "caffe-preprocessed (224, 224, 3) and whose output is of moderate size"
        )
    return features.astype(np.float16)
