"""The network that the features of a workspace are of, for pictures that come one by one or many at once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from features.encoders.encoder import Encoder, encoder_for
from features.identity import Identity
from features.images import Resize
from features.store import FeatureStore
from keyart.workspace.settings import keras_models_dir

# A batch that is not full takes as long as a full one; from so many pictures on it is worth it.
_FEW = 8


class WorkspaceEncoder:
    """A workspace's network; it is loaded when it is first asked.

    Parameters
    ----------
    store : FeatureStore
        The workspace's features.
    """

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
        """Compute the features of pictures.

        Parameters
        ----------
        pixels : ndarray of shape (n, 224, 224, 3), uint8
            As `features.images.read_image` gives them.

        Returns
        -------
        ndarray of shape (n, n_features), float32
            One row a picture.

        Raises
        ------
        DataError
            The network is no longer the one that the features are of.
        ConfigError, FetchError
            It is no longer to be had.
        """
        return self.encoder(len(pixels))(pixels)

    def encoder(self, n_pictures: int) -> Encoder:
        """Give what is best for so many pictures.

        Parameters
        ----------
        n_pictures : int
            About how many it will be given.

        Returns
        -------
        Encoder
            Of one picture after the other, or of whole batches.

        Raises
        ------
        DataError, ConfigError, FetchError
            As when it is called.
        """
        return self._single if n_pictures < _FEW else self._batch

    @cached_property
    def _single(self) -> Encoder:
        return encoder_for(self._store, keras_models_dir())

    @cached_property
    def _batch(self) -> Encoder:
        return encoder_for(self._store, keras_models_dir(), batch_size=None)
