"""The network that the features of a workspace are of, for pictures that come one by one or many at once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from features.encoders.encoder import Extractor, extractor_of
from features.images import Resize
from features.store import FeatureStore, Identity
from keyart.workspace.settings import keras_models_dir

# A batch that is not full takes as long as a full one; from so many pictures on it is worth it.
_FEW = 8


class WorkspaceEncoder:
    """A workspace's network; it is loaded when it is first asked."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store

    @property
    def identity(self) -> Identity:
        """What its features are of."""
        return self._store.identity

    @property
    def resize(self) -> Resize:
        """How pictures are brought to its size."""
        return Resize(self.identity.resize)

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Compute the features of pictures."""
        return self.extractor(len(pixels))(pixels)

    def extractor(self, n_pictures: int) -> Extractor:
        """Give what is best for so many pictures."""
        return self._single if n_pictures < _FEW else self._batch

    @cached_property
    def _single(self) -> Extractor:
        return extractor_of(self._store, keras_models_dir())

    @cached_property
    def _batch(self) -> Extractor:
        return extractor_of(self._store, keras_models_dir(), batch_size=None)
