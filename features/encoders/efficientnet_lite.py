"""EfficientNet-Lite0 as a Keras network, with the tensors of its PyTorch one.

References
----------
.. [1] M. Tan, Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019. Its Lite
   variants have no squeeze-and-excitation, and ReLU6 in place of swish.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.io.keras import import_keras

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


def build_efficientnet_lite0(side: int = 224) -> Any:
    """Build the network without its classifier: from (side, side, 3) to 1,280 channels of a 32nd of the side."""
    keras = import_keras()

    pixels = keras.Input((side, side, 3))
    values = _normalize(_convolve(pixels, "_conv_stem", _N_STEM, 3, 2), "_bn0")
    number, n_channels = 0, _N_STEM
    for stage in _STAGES:
        for position in range(stage.n_blocks):
            values = _block(values, f"_blocks_{number}_", stage, n_channels, 1 if position else stage.stride)
            number, n_channels = number + 1, stage.n_channels
    values = _normalize(_convolve(values, "_conv_head", _N_HEAD, 1), "_bn1")
    return keras.Model(pixels, values, name="efficientnet_lite0")


def set_tensors(model: Any, tensors: Tensors) -> None:
    """Set the network's weights to the tensors of the PyTorch one; DataError if they are those of another."""
    for layer in model.layers:
        if layer.weights:
            _fill(layer, tensors)


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
