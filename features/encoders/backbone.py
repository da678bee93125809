"""A network that turns pixels into numbers, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from features.preprocessing import CAFFE, Infer, Preprocessing

Floats = npt.NDArray[np.float32]

BATCH_SIZE = 16
GPU_BATCH_SIZE = 128


@dataclass(frozen=True)
class Backbone:
    """A network that turns images into maps; make it with `load_backbone`."""

    name: str
    weights_sha256: str
    architecture_sha256: str
    output_shape: tuple[int, ...]  # height, width, channels
    infer: Infer
    batch_size: int = BATCH_SIZE
    preprocessing: Preprocessing = CAFFE

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> Floats:
        """Compute maps (n, height, width, channels) of RGB images (n, height, width, 3) of the size it takes."""
        starts = range(0, len(pixels), self.batch_size)
        parts = [self._batch(pixels[start : start + self.batch_size]) for start in starts]
        return np.concatenate(parts) if parts else np.empty((0, *self.output_shape), np.float32)

    def _batch(self, pixels: npt.NDArray[np.uint8]) -> Floats:
        n_pictures = len(pixels)
        if n_pictures < self.batch_size:
            padding = np.zeros((self.batch_size - n_pictures, *pixels.shape[1:]), np.uint8)
            pixels = np.concatenate([pixels, padding])
        return _pooled_tokens(self.infer(pixels)[:n_pictures], self.preprocessing)


def kept_shape(shape: tuple[int, ...], preprocessing: Preprocessing, name: str) -> tuple[int, ...]:
    """Return the shape of what is kept of a network's output of a shape; DataError if the setting does not fit it."""
    if preprocessing.tokens is None:
        return shape
    if len(shape) != 2:
        raise DataError(
            f"{name} gives output of shape {shape}; tokens={preprocessing.tokens} needs (tokens, channels): leave it "
            "out of the preprocessing"
        )
    return shape[1:]


def _pooled_tokens(output: Floats, preprocessing: Preprocessing) -> Floats:
    match preprocessing.tokens:
        case "first":
            return output[:, 0]
        case "mean":
            return np.asarray(output.mean(axis=1), np.float32)
        case _:
            return output
