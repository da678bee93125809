"""Plain ONNX files as others publish them: float pictures in, numbers out, no preprocessing inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

Batch = int | str


def save_as_onnx(
    model: Any, path: Path, *, layout: Literal["nchw", "nhwc"] = "nchw", batch: Batch = "n", dtype: str = "float"
) -> Path:
    """Write a Keras network by the exporter's layers, with the input and output that a publisher may choose."""
    from onnx import TensorProto, helper

    from features.encoders.onnx import Graph, write_layers

    graph = Graph()
    value, (height, width, _) = "pictures", model.input_shape[1:]
    if dtype == "float16":
        value = graph.add("Cast", value, to=TensorProto.FLOAT)
    if layout == "nhwc":
        value = graph.add("Transpose", value, perm=[0, 3, 1, 2])
    value = write_layers(graph, model, value)
    perm = [0, 2, 3, 1] if layout == "nhwc" else [0, 1, 2, 3]
    graph.add("Transpose", value, out="maps", perm=perm)
    graph.add("GlobalAveragePool", value, out="pooled")
    shape = [batch, 3, height, width] if layout == "nchw" else [batch, height, width, 3]
    kind = {"float": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}[dtype]
    return _save(graph, path, helper.make_tensor_value_info("pictures", kind, shape), ["maps", "pooled"])


def save_tokens(path: Path, n_tokens: int = 5) -> Path:
    """Write a network whose output is (n, tokens, 3): for each token the mean of each channel, times its number."""
    from onnx import TensorProto, helper

    from features.encoders.onnx import Graph

    graph = Graph()
    pooled = graph.add("GlobalAveragePool", "pictures")
    flat = graph.add("Reshape", pooled, graph.constant([0, 1, 3], np.int64))
    graph.add("Mul", flat, graph.constant(np.arange(1, n_tokens + 1).reshape(1, n_tokens, 1)), out="hidden")
    pictures = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["n", 3, "height", "width"])
    return _save(graph, path, pictures, ["hidden"])


def _save(graph: Any, path: Path, pictures: Any, outputs: list[str]) -> Path:
    from onnx import TensorProto, helper, save

    described = helper.make_graph(
        graph.nodes,
        "published",
        [pictures],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        graph.constants,
    )
    save(helper.make_model(described, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
