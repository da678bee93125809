"""A network of NumPy only, for tests that are not about Keras: TensorFlow takes each process seconds to import.

Its file holds an array of three weights, one for each color. Workers of Spark import this module.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt

from features.encoders.backbone import Backbone
from features.encoders.encoder import Encoder
from features.framing import Resize
from features.options import ExtractOptions
from features.pooling import Pooling
from features.spark.tasks import Recipe
from features.whitening import Whitening


def save_network(path: Path, scale: float = 1.0) -> Path:
    # A ZIP archive, as Keras' files are, so that it passes the check of a file's first bytes.
    with path.open("wb") as stream:
        np.savez(stream, weights=np.float32([1.0, 0.5, 0.25]) * np.float32(scale))
    path.with_suffix(".json").write_text('{"preprocessing": "caffe"}')
    return path


def load_encoder(options: ExtractOptions, cache_dir: Path, whitening: Whitening | None = None) -> Encoder:
    """Load a network as `features.encoders.encoder.load_encoder` does one of Keras."""
    path = Path(options.encoder)
    weights = np.load(path)["weights"]

    def infer(batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return batch[:, 28::56, 28::56].astype(np.float32) * weights

    weights_sha256 = hashlib.sha256(weights.tobytes()).hexdigest()
    backbone = Backbone(path.stem, weights_sha256, "0" * 64, (4, 4, 3), infer)
    return Encoder(backbone, Resize(options.resize), Pooling(options.pooling), whitening)


class NumpyRecipe(Recipe):
    """A recipe whose network is one of these, in whichever process it is loaded."""

    def load(self) -> Encoder:
        with mock.patch("features.spark.tasks.load_encoder", load_encoder):
            return super().load()


@dataclass(frozen=True)
class HeldRecipe(NumpyRecipe):
    """A recipe whose network, at a white image, writes its process id to `hold` and waits until that file is gone.

    The test makes and removes the file; without it nothing waits.
    """

    hold: Path

    def load(self) -> Encoder:
        encoder = super().load()
        infer = encoder.backbone.infer

        def held(batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            if (batch == 255).reshape(len(batch), -1).all(axis=1).any():
                with suppress(FileNotFoundError), self.hold.open("r+") as file:
                    file.write(str(os.getpid()))
                while self.hold.exists():
                    time.sleep(0.02)
            return infer(batch)

        return replace(encoder, backbone=replace(encoder.backbone, infer=held))
