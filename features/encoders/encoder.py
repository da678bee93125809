"""Encoders turn images into rows of features: resizing, network, pooling and whitening."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from features.encoders.backbone import Backbone
from features.encoders.loading import load_backbone
from features.framing import Framing, Resize
from features.identity import Identity
from features.options import ExtractOptions
from features.pooling import Pooling, pool
from features.store import FeatureStore
from features.whitening import Whitening

_FLOAT16_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Encoder:
    """A network with all steps that determine its features; make it with `load_encoder` or `encoder_for`."""

    backbone: Backbone
    resize: Resize = Resize.ANTIALIAS
    pooling: Pooling = Pooling.RAW
    whitening: Whitening | None = None

    @property
    def framing(self) -> Framing:
        """How pictures become the pixels that it takes."""
        return self.resize.applied_to(self.backbone.preprocessing.framing)

    @property
    def identity(self) -> Identity:
        """The identity to store beside the features."""
        shape = self.backbone.output_shape
        return Identity(
            self.backbone.name,
            self.backbone.weights_sha256,
            self.backbone.architecture_sha256,
            self.resize.value,
            int(np.prod(shape)) if self.pooling is Pooling.RAW else shape[-1],
            preprocessing=str(self.backbone.preprocessing),
            pooling=self.pooling.value,
            whitening_sha256=self.whitening.sha256 if self.whitening else None,
        )

    def whitened_by(self, whitening: Whitening | None) -> Encoder:
        """Return a copy with another whitening."""
        return replace(self, whitening=whitening)

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Compute features (n, n_features) of RGB images (n, height, width, 3)."""
        return self.describe(self.backbone(pixels))

    def describe(self, maps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Pool and whiten the network's output (n, height, width, channels): features (n, n_features)."""
        descriptors = pool(maps, self.pooling)
        return self.whitening(descriptors) if self.whitening else descriptors


def load_encoder(options: ExtractOptions, cache_dir: Path, whitening: Whitening | None = None) -> Encoder:
    """Load the network that the options name; `cache_dir` is Keras' folder of models."""
    backbone, pooling = load_backbone(options, cache_dir), Pooling(options.pooling)
    # A network that cannot be pooled is refused before the first image is read.
    pool(np.ones((1, *backbone.output_shape), np.float32), pooling)
    return Encoder(backbone, Resize(options.resize), pooling, whitening)


def encoder_for(store: FeatureStore, cache_dir: Path, *, batch_size: int | None = 1) -> Encoder:
    """Load the encoder that computed the features of a store, to compare other images with them."""
    check_present(store)
    options = replace(store.options(), batch_size=batch_size)
    encoder = load_encoder(options, cache_dir, store.whitening())
    if encoder.identity != store.identity:
        raise DataError(
            f"the network at {options.encoder} is not the one that the features are of ({store.identity}); put that "
            "one back, or run `keyart extract --rebuild`"
        )
    return encoder


def check_present(store: FeatureStore) -> None:
    """Raise DataError if the file or the folder of the network that computed the features of a store is gone."""
    path = Path(store.options().encoder)
    if path.is_absolute() and not path.exists():
        raise DataError(
            f"{path}, the network that computed these features, is gone; put it back, or name the place where it is "
            "now: `keyart extract --encoder PATH`"
        )


def to_float16(features: npt.NDArray[np.float32], what: str) -> npt.NDArray[np.float16]:
    """Halve the size of features, which costs three significant digits and no neighbor; `what` is for the message."""
    if not np.isfinite(features).all() or np.abs(features).max(initial=0.0) > _FLOAT16_MAX:
        raise DataError(
            f"{what} gives numbers that are not finite or exceed {_FLOAT16_MAX:.0f}; expected a network whose "
            "output is of moderate size, and the preprocessing that it was trained with (--preprocessing)"
        )
    return features.astype(np.float16)
