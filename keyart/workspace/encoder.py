"""The encoder of a workspace's features, for single images and for batches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from catalog.lazy import lazy
from features.encoders.encoder import Encoder, encoder_for
from features.framing import Framing
from features.identity import Identity
from features.store import FeatureStore
from keyart.workspace.settings import keras_models_dir

# From this many images on a whole batch is faster; it takes as long if it is not full.
_MIN_BATCH = 8


class WorkspaceEncoder:
    """Computes features like those of a store; the network is loaded on first use."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store

    @property
    def identity(self) -> Identity:
        return self._store.identity

    @property
    def framing(self) -> Framing:
        """How images become the pixels that the network takes."""
        return self.identity.framing

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Compute features of shape (n, n_features) from pixels of shape (n, height, width, 3)."""
        return self.encoder(len(pixels))(pixels)

    def encoder(self, n_images: int) -> Encoder:
        """Return the encoder that is fastest for about this many images."""
        return self._single if n_images < _MIN_BATCH else self._batch

    @lazy
    def _single(self) -> Encoder:
        return encoder_for(self._store, keras_models_dir())

    @lazy
    def _batch(self) -> Encoder:
        return encoder_for(self._store, keras_models_dir(), batch_size=None)
