"""Backbones: VGG16, or any Keras file, from pictures to rows of numbers. The only module that imports Keras.

TensorFlow takes seconds to import, so that happens in `load_backbone` and not before.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, DataError
from features.images import SIDE
from features.weights import imagenet_weights_path, random_kernels

BATCH_SIZE = 16
VGG16 = "vgg16"
IMAGENET, RANDOM = "imagenet", "random"
_FLOAT16_MAX = float(np.finfo(np.float16).max)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BackboneChoice:
    """Which network, and with which weights; as a user says it.

    Parameters
    ----------
    backbone : str, default "vgg16"
        ``"vgg16"``, or the path of a Keras file with input (224, 224, 3) after caffe preprocessing.
    weights : str, default "imagenet"
        For VGG16: ``"imagenet"``, ``"random"``, or the path of a ``.h5`` or ``.weights.h5`` file without the top.
    seed : int, default 0
        For random weights.
    """

    backbone: str = VGG16
    weights: str = IMAGENET
    seed: int = 0

    @property
    def is_random(self) -> bool:
        """Whether the network has never been trained."""
        return self.backbone == VGG16 and self.weights == RANDOM


class Backbone:
    """A network that turns pictures into features; make it with `load_backbone`.

    One compiled function with a fixed batch shape: calling ``predict`` in a loop traces again and leaks.

    Parameters
    ----------
    name : str
        The network's name.
    model : keras.Model
        Input (n, 224, 224, 3) after caffe preprocessing.
    """

    def __init__(self, name: str, model: Any) -> None:
        import keras
        import tensorflow as tf

        self.name = name
        self.weights_sha256 = _weights_sha256(model)
        self.n_features = int(np.prod(model.output_shape[1:]))
        self._preprocess = keras.applications.vgg16.preprocess_input
        signature = tf.TensorSpec((BATCH_SIZE, SIDE, SIDE, 3), tf.float32)
        self._infer = tf.function(lambda pixels: model(pixels, training=False), input_signature=[signature])

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Compute the features of pictures.

        Parameters
        ----------
        pixels : ndarray of shape (n, 224, 224, 3), uint8
            Red, green, blue.

        Returns
        -------
        ndarray of shape (n, n_features), float32
            The network's output, flattened in the order height, width, channel.
        """
        parts = [self._batch(pixels[start : start + BATCH_SIZE]) for start in range(0, len(pixels), BATCH_SIZE)]
        return np.concatenate(parts) if parts else np.empty((0, self.n_features), np.float32)

    def _batch(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        padded = np.zeros((BATCH_SIZE, SIDE, SIDE, 3), np.float32)
        padded[: len(pixels)] = pixels
        output = self._infer(self._preprocess(padded)).numpy()
        return np.asarray(output.reshape(BATCH_SIZE, -1)[: len(pixels)], np.float32)


def load_backbone(
    choice: BackboneChoice,
    cache_dir: Path,
    find_imagenet: Callable[[Path], Path] = imagenet_weights_path,
) -> Backbone:
    """Load a network.

    Parameters
    ----------
    choice : BackboneChoice
        Which one.
    cache_dir : Path
        Keras' folder for models, where ImageNet weights are looked for and kept.
    find_imagenet : callable, optional
        Gives the path of VGG16's ImageNet weights, given the cache.

    Returns
    -------
    Backbone
        Ready to be called.

    Raises
    ------
    ConfigError
        The choice makes no sense: weights for a Keras file, a path that is not there.
    DataError
        The file does not hold such a network, or such weights.
    FetchError
        The ImageNet weights are not here and cannot be downloaded.
    """
    if choice.backbone != VGG16:
        return _load_keras_file(choice)
    path = None
    if choice.weights == IMAGENET:
        path = find_imagenet(cache_dir)
    elif choice.weights != RANDOM:
        path = _existing(Path(choice.weights), "--weights", "a VGG16 weights file (.h5 or .weights.h5)")
    return Backbone(VGG16, _vgg16(path, choice.seed))


def to_float16(features: npt.NDArray[np.float32], what: str) -> npt.NDArray[np.float16]:
    """Halve the size of features, which costs three significant digits and no neighbour.

    Parameters
    ----------
    features : ndarray of shape (n, n_features), float32
        What a backbone returned.
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


def _vgg16(weights_path: Path | None, seed: int) -> Any:
    import keras

    model = keras.applications.VGG16(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3))
    if weights_path is None:
        model.set_weights(random_kernels([tuple(weight.shape) for weight in model.weights], seed))
        return model
    try:
        # Keras only warns where it leaves layers as they were drawn.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            model.load_weights(weights_path)
    except (OSError, ValueError, KeyError, TypeError, UserWarning) as error:
        raise DataError(
            f"{weights_path} does not hold the weights of VGG16 without its top (13 convolutions): "
            f"{_first_line(error)}; expected a file such as keras.applications' *_notop.h5"
        ) from error
    return model


def _load_keras_file(choice: BackboneChoice) -> Backbone:
    if choice.weights not in (IMAGENET, RANDOM):
        raise ConfigError(f"--weights {choice.weights} is for VGG16; the file {choice.backbone} brings its own weights")
    if choice.weights == RANDOM:
        raise ConfigError("--weights random is for VGG16; a Keras file brings its own weights")
    path = _existing(Path(choice.backbone), "--backbone", "vgg16 or a Keras file (.keras)")
    import keras

    try:
        model = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a Keras model file: {_first_line(error)}; expected a .keras file") from error
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or tuple(shape[1:]) != (SIDE, SIDE, 3):
        raise DataError(f"{path} takes input of shape {shape}; expected one picture of (224, 224, 3)")
    output = getattr(model, "output_shape", None)
    if not isinstance(output, tuple) or None in output[1:]:
        raise DataError(f"{path} gives output of shape {output}; expected one array of fixed size")
    return Backbone(model.name, model)


def _existing(path: Path, option: str, expected: str) -> Path:
    if not path.is_file():
        raise ConfigError(f"{option} {path}: no such file; expected {expected}")
    return path


def _weights_sha256(model: Any) -> str:
    """Hash the numbers themselves, so that a network is the same whichever file it came from."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(str(weight.shape).encode())
        digest.update(np.ascontiguousarray(weight, np.float32).tobytes())
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
