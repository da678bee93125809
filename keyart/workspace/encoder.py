"""The encoder of a workspace's features, for single images and for batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, NotBuiltError
from catalog.lazy import lazy
from features.encoders.encoder import Encoder, check_present, encoder_for
from features.encoders.hub import load_text_side
from features.encoders.loading import require_runtime
from features.encoders.pairs import takes_text
from features.encoders.text import TextSide
from features.framing import Framing
from features.identity import Identity
from features.store import FeatureStore
from keyart.workspace.encoders import open_views
from keyart.workspace.layout import Home
from keyart.workspace.settings import keras_models_dir

# From this many images on a whole batch is faster; it takes as long if it is not full.
_MIN_BATCH = 8
# A page asks again for more results, and for every filter.
_N_TEXTS = 256


def require_runtimes(home: Home, encoder: str | None) -> None:
    """Raise ConfigError unless what runs a workspace's encoder, or those of a blend, is installed; imports nothing."""
    for view in open_views(home, encoder):
        # What is missing or damaged is reported where it is used.
        with suppress(NotBuiltError, DataError):
            require_runtime(FeatureStore.open(view.features_dir).options())


class WorkspaceEncoder:
    """Computes features like those of a store; the network is loaded on first use."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._embed_text = lru_cache(_N_TEXTS)(self._embedded)

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

    @lazy
    def takes_text(self) -> bool:
        """Return whether the encoder takes words."""
        return takes_text(self._store.options())

    @lazy
    def text(self) -> TextSide:
        """Load the text side; ConfigError where the encoder has none."""
        check_present(self._store)
        return load_text_side(self._store.options(), keras_models_dir(), self.identity.n_features)

    @property
    def text_has_changed(self) -> bool:
        """Whether the text side is another one than when the features were extracted."""
        return self._store.text_sha256 not in (None, self.text.sha256)

    def embed_text(self, text: str) -> npt.NDArray[np.float32]:
        """Compute features of shape (n_features,) of words, to be compared with those of images."""
        return self._embed_text(text)

    def notes_on(self, texts: Sequence[str]) -> Iterator[str]:
        """Explain what the encoder does not take of some texts."""
        if self.text_has_changed:
            yield (
                "the text network or its tokenizer has changed since the posters' features were extracted, so words "
                "may not fit them; put those back, or run `keyart extract` if the new ones belong to the pair"
            )
        for text in texts:
            if unknown := self.text.unknown_words(text):
                yield f"the encoder does not know {', '.join(f'“{word}”' for word in unknown)}"
            if left_out := self.text.left_out(text):
                n_tokens = self.text.options.context_length
                yield f"the encoder reads {n_tokens} tokens of a description, so this was left out: “{left_out}”"

    def _embedded(self, text: str) -> npt.NDArray[np.float32]:
        row: npt.NDArray[np.float32] = self.text([text])[0]
        return row

    def encoder(self, n_images: int) -> Encoder:
        """Return the encoder that is fastest for about this many images."""
        return self._single if n_images < _MIN_BATCH else self._batch

    @lazy
    def _single(self) -> Encoder:
        return encoder_for(self._store, keras_models_dir())

    @lazy
    def _batch(self) -> Encoder:
        return encoder_for(self._store, keras_models_dir(), batch_size=None)
