"""Export of Keras networks to ONNX, run by ONNX Runtime and checked against Keras.

Keras' own export needs another package for every backend, of which TensorFlow's is not maintained. Convolutional
networks have few kinds of layers, so they are written here, from the public attributes of Keras' layers.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, DataError
from catalog.extras import require
from catalog.io.files import write_bytes
from catalog.text import first_line
from features.preprocessing import CAFFE, Infer, Preprocessing

# The lowest version with all operators used here, so that older runtimes can read the file.
_OPSET = 17
_IR_VERSION = 8
# Relative to the largest number. Rounding in twenty layers that sum in another order is a hundredth of this.
_TOLERANCE = 1e-3
_log = logging.getLogger(__name__)


def onnx_infer(model: Any, reference: Infer, path: Path | None = None, preprocessing: Preprocessing = CAFFE) -> Infer:
    """Run a Keras model by ONNX Runtime, checked against a reference; a file at `path` is reused if it passes."""
    require("onnx", "the engine onnx")
    if path is not None and path.is_file():
        try:
            infer = _compiled(path.read_bytes())
            _check(reference, infer, model.name, preprocessing)
        except Exception as error:
            # The errors of ONNX Runtime have no common base class.
            _log.warning("%s is written anew: %s", path, first_line(error))
        else:
            return infer
    content = export(model, preprocessing)
    infer = _compiled(content)
    _check(reference, infer, model.name, preprocessing)
    if path is not None:
        write_bytes(path, content)
    return infer


def export(model: Any, preprocessing: Preprocessing = CAFFE) -> bytes:
    """Write a Keras model as an ONNX file from ``pixels``, uint8 RGB (n, height, width, 3), to ``maps``, float32."""
    from onnx import TensorProto, helper

    graph = Graph()
    output = write_layers(graph, model, graph.preprocess("pixels", preprocessing))
    shape = model.compute_output_shape((1, *preprocessing.framing.shape))[1:]
    if len(shape) == 3:
        graph.add("Transpose", output, out="maps", perm=[0, 2, 3, 1])
    else:
        graph.add("Identity", output, out="maps")
    described = helper.make_graph(
        graph.nodes,
        "keyart",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", *preprocessing.framing.shape])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", *shape])],
        graph.constants,
    )
    whole = helper.make_model(described, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    return bytes(whole.SerializeToString())


def write_layers(graph: Graph, model: Any, pictures: str) -> str:
    """Write a model's layers, given the value of its input (n, 3, height, width); returns the value of its output."""
    names = {id(model.inputs[0]): pictures}
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "InputLayer":
            continue
        write = _LAYERS.get(kind)
        if write is None or not isinstance(getattr(layer, "output", None), type(model.inputs[0])):
            raise ConfigError(f"--engine onnx does not know {layer.name}, a {kind}; take --engine keras")
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        names[id(layer.output)] = write(graph, layer, *(_known(names, one, layer.name) for one in inputs))
    return _known(names, model.outputs[0], "its output")


def _known(names: dict[int, str], value: Any, what: str) -> str:
    # Keras reports the first use of a layer only.
    if id(value) not in names:
        raise ConfigError(f"--engine onnx knows no layer that is used twice, as before {what}; take --engine keras")
    return names[id(value)]


def open_session(source: bytes | Path, providers: Sequence[str] | None = None) -> Any:
    """Open an ONNX file, or its content, in ONNX Runtime, by default on any device that it finds."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    # An explicit number keeps the runtime from binding threads to cores that a container does not have.
    options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # Errors are raised; logged too, they would be more than one line.
    options.log_severity_level = 4
    content = source if isinstance(source, bytes) else str(source)
    return ort.InferenceSession(content, options, providers=providers or ort.get_available_providers())


def _compiled(content: bytes) -> Infer:
    session = open_session(content)

    def infer(batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        (maps,) = session.run(["maps"], {"pixels": batch})
        return np.asarray(maps, np.float32)

    return infer


def _check(reference: Infer, infer: Infer, name: str, preprocessing: Preprocessing) -> None:
    for picture in _trial_images(*preprocessing.framing.shape[:2]):
        expected, received = reference(picture[None]), infer(picture[None])
        difference = float(np.abs(expected - received).max() / max(np.abs(expected).max(), 1e-6))
        if not difference < _TOLERANCE:
            raise DataError(
                f"ONNX Runtime gives other numbers than Keras for {name}: they differ by {difference:.1e} of the "
                f"largest, expected less than {_TOLERANCE:.0e}; take --engine keras"
            )


def _trial_images(height: int, width: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Generate noise, white and color gradients: noise alone averages out and would not reach a bounded ReLU."""
    yield np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    yield np.full((height, width, 3), 255, np.uint8)
    down, across = np.mgrid[:height, :width]
    yield np.stack([down, across, height - down], axis=-1).astype(np.uint8)


class Graph:
    """Builds an ONNX graph, in which images are (n, channels, height, width)."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        name = out or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: npt.ArrayLike, dtype: type = np.float32) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype), name))
        return name

    def preprocess(self, pixels: str, preprocessing: Preprocessing) -> str:
        values = self.add("Transpose", pixels, perm=[0, 3, 1, 2])
        if preprocessing.order == "bgr":
            values = self.add("Gather", values, self.constant([2, 1, 0], np.int64), axis=1)
        values = self.add("Cast", values, to=1)
        values = self.add("Sub", values, self.constant(np.reshape(preprocessing.mean, (1, 3, 1, 1))))
        if preprocessing.std == (1, 1, 1):
            return values
        return self.add("Div", values, self.constant(np.reshape(preprocessing.std, (1, 3, 1, 1))))

    def activate(self, value: str, layer: Any) -> str:
        name = layer.activation.__name__
        if name == "linear":
            return value
        if name not in ("relu", "sigmoid", "tanh", "softplus"):
            raise ConfigError(f"--engine onnx does not know the activation {name} of {layer.name}; take --engine keras")
        return self.add({"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softplus": "Softplus"}[name], value)


def _window(layer: Any, size: Any) -> dict[str, Any]:
    if layer.data_format != "channels_last":
        raise ConfigError(f"--engine onnx wants channels last, unlike {layer.name}; take --engine keras")
    padding = {"valid": "VALID", "same": "SAME_UPPER"}[layer.padding]
    return {"kernel_shape": list(size), "strides": list(layer.strides), "auto_pad": padding}


def _convolution(graph: Graph, layer: Any, value: str) -> str:
    # Keras: height, width, in, out. ONNX: out, in, height, width.
    return _convolve(graph, layer, value, layer.kernel.numpy().transpose(3, 2, 0, 1), layer.groups)


def _depthwise(graph: Graph, layer: Any, value: str) -> str:
    # Keras: height, width, in, multiplier; outputs of one channel are adjacent in both.
    kernel = layer.kernel.numpy()
    high, wide, n_channels, multiplier = kernel.shape
    first = kernel.transpose(2, 3, 0, 1).reshape(n_channels * multiplier, 1, high, wide)
    return _convolve(graph, layer, value, first, n_channels)


def _convolve(graph: Graph, layer: Any, value: str, kernel: npt.NDArray[np.float32], groups: int) -> str:
    inputs = [value, graph.constant(kernel)]
    if layer.use_bias:
        inputs.append(graph.constant(layer.bias.numpy()))
    dilations = list(layer.dilation_rate)
    convolved = graph.add("Conv", *inputs, group=groups, dilations=dilations, **_window(layer, kernel.shape[2:]))
    return graph.activate(convolved, layer)


def _max_pooling(graph: Graph, layer: Any, value: str) -> str:
    return graph.add("MaxPool", value, **_window(layer, layer.pool_size))


def _average_pooling(graph: Graph, layer: Any, value: str) -> str:
    return graph.add("AveragePool", value, count_include_pad=0, **_window(layer, layer.pool_size))


def _global_pooling(kind: str) -> Callable[..., str]:
    def write(graph: Graph, layer: Any, value: str) -> str:
        pooled = graph.add(kind, value)
        return pooled if layer.keepdims else graph.add("Flatten", pooled)

    return write


def _normalization(graph: Graph, layer: Any, value: str) -> str:
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    scale = layer.gamma.numpy() if layer.scale else np.ones_like(mean)
    shift = layer.beta.numpy() if layer.center else np.zeros_like(mean)
    constants = (graph.constant(values) for values in (scale, shift, mean, variance))
    return graph.add("BatchNormalization", value, *constants, epsilon=layer.epsilon)


def _padding(graph: Graph, layer: Any, value: str) -> str:
    (top, bottom), (left, right) = layer.padding
    return graph.add("Pad", value, graph.constant([0, 0, top, left, 0, 0, bottom, right], np.int64))


def _rectification(graph: Graph, layer: Any, value: str) -> str:
    if layer.threshold:
        raise ConfigError(f"--engine onnx does not know the threshold of {layer.name}; take --engine keras")
    slope = float(layer.negative_slope)
    rectified = graph.add("LeakyRelu", value, alpha=slope) if slope else graph.add("Relu", value)
    return rectified if layer.max_value is None else graph.add("Min", rectified, graph.constant(layer.max_value))


def _simple(kind: str, **attributes: Any) -> Callable[..., str]:
    return lambda graph, _layer, *values: graph.add(kind, *values, **attributes)


_LAYERS: dict[str, Callable[..., str]] = {
    "Activation": lambda graph, layer, value: graph.activate(value, layer),
    "Add": _simple("Sum"),
    "AveragePooling2D": _average_pooling,
    "BatchNormalization": _normalization,
    "Concatenate": _simple("Concat", axis=1),
    "Conv2D": _convolution,
    "DepthwiseConv2D": _depthwise,
    "Dropout": _simple("Identity"),
    "GlobalAveragePooling2D": _global_pooling("GlobalAveragePool"),
    "GlobalMaxPooling2D": _global_pooling("GlobalMaxPool"),
    "MaxPooling2D": _max_pooling,
    "ReLU": _rectification,
    "ZeroPadding2D": _padding,
}
"""The function that writes a layer, by the name of its class."""
