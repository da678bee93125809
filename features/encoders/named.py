"""Networks by name, most of them of keras.applications, with weights of ImageNet, of a file or at random."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from catalog.errors import DataError
from catalog.io.keras import import_keras
from catalog.text import first_line
from features.encoders.efficientnet_lite import build_efficientnet_lite0, set_tensors
from features.encoders.registry import EncoderInfo
from features.encoders.torch_file import read_torch_file
from features.encoders.weights import random_kernels

_LITE = "EfficientNetLite0"
# Kernels at random keep the size of the signal in a chain of layers, and enlarge it where layers are added to their
# input; sixteen such sums take it beyond float16.
_GAINS = {"ResNet50": 1.0}


def build_network(info: EncoderInfo, weights_path: Path | None, seed: int) -> Any:
    """Build a network without its top, with the weights of a file or random ones."""
    model = _untrained(info)
    if weights_path is None:
        _randomize(model, seed, _GAINS.get(info.family, 2.0))
    elif info.family == _LITE:
        set_tensors(model, read_torch_file(weights_path))
    else:
        _load_weights(model, info, weights_path)
    return model


def no_weights(path: Path, info: EncoderInfo, reason: str) -> DataError:
    """Return the error of a file with other weights."""
    example = info.packaged if info.family == _LITE else "keras.applications' *_notop.h5"
    return DataError(
        f"{path} does not hold the weights of {info.name} without its top: {reason}; expected a file such as {example}"
    )


def _untrained(info: EncoderInfo) -> Any:
    if info.family == _LITE:
        return build_efficientnet_lite0(info.side)
    keras = import_keras()
    # Preprocessing is done before the network, in float32 also where the network computes in float16.
    has_own = info.family not in ("VGG16", "ResNet50")
    settings = {"include_preprocessing": False} if has_own else {}
    shape = (info.side, info.side, 3)
    return getattr(keras.applications, info.family)(include_top=False, weights=None, input_shape=shape, **settings)


def _randomize(model: Any, seed: int, gain: float) -> None:
    kernels = [weight for weight in model.weights if weight.name == "kernel"]
    for kernel, values in zip(kernels, random_kernels([tuple(one.shape) for one in kernels], seed, gain), strict=True):
        kernel.assign(values)


def _load_weights(model: Any, info: EncoderInfo, path: Path) -> None:
    try:
        # Keras only warns if it leaves layers uninitialized.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (OSError, ValueError, KeyError, TypeError, UserWarning) as error:
        raise no_weights(path, info, first_line(error)) from error
