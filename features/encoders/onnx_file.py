"""Networks of ONNX files, run by ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.extras import require
from catalog.text import first_line, printable
from features.encoders.backbone import BATCH_SIZE, Backbone, kept_shape
from features.encoders.onnx import open_session
from features.encoders.onnx_weights import sha256_of, weight_files
from features.preprocessing import Infer, Preprocessing

_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def load_onnx(
    path: Path,
    preprocessing: Preprocessing,
    batch_size: int | None = None,
    *,
    outputs: Sequence[str] = (),
    extra: str = "onnx",
) -> Backbone:
    """Load an ONNX file with one picture as input; its preprocessing names the output, if there are several.

    Where it names none, the first of some usual `outputs` is taken that the network has. `extra` brings the runtime.
    """
    require(extra, f"the network {path}")
    session = _open(path)
    pictures = _input(path, session)
    try:
        layout, height, width = _layout(pictures.shape, preprocessing)
        preprocessing = preprocessing.for_input(height, width)
    except ValueError as error:
        raise DataError(f"{path} does not fit its preprocessing: {error}") from error
    present = [one.name for one in session.get_outputs()]
    usual = next((name for name in outputs if name in present), None)
    output = _output(path, session, preprocessing.output or usual)
    n_fixed = pictures.shape[0] if isinstance(pictures.shape[0], int) else None
    infer = _infer(session, output, preprocessing, layout, _FLOATS[pictures.type])
    size = n_fixed or batch_size or BATCH_SIZE
    shape = _shape_of(path, infer, preprocessing, n_fixed or 1)
    map_shape = kept_shape(shape, preprocessing, str(path))
    # Shapes of a file that takes any layout or has several outputs decide over its numbers.
    architecture = hashlib.sha256(json.dumps([layout, output, list(shape)]).encode()).hexdigest()
    return Backbone(path.stem, sha256_of(path), architecture, map_shape, infer, size, preprocessing)


def _open(path: Path) -> Any:
    if printable(path) != str(path):
        raise DataError(f"{path} has a name that is not UTF-8, which ONNX Runtime does not open; rename it")
    weight_files(path)  # names a missing one
    try:
        # By its path, as weights may be in a file beside it.
        return open_session(path)
    except Exception as error:
        # The errors of ONNX Runtime have no common base class.
        raise DataError(f"{path} is not an ONNX file that ONNX Runtime opens: {first_line(error)}") from error


def _input(path: Path, session: Any) -> Any:
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _FLOATS:
        result = ", ".join(f"{one.name} {one.shape} {one.type}" for one in inputs)
        raise DataError(f"{path} takes {result}; expected one input of pictures, four dimensions of float numbers")
    return inputs[0]


def _layout(shape: list[Any], preprocessing: Preprocessing) -> tuple[Literal["nchw", "nhwc"], int | None, int | None]:
    """Return the layout of an input, with height and width where they are fixed; ValueError if it is no picture."""
    sizes = [one if isinstance(one, int) else None for one in shape]
    layout = preprocessing.layout
    if layout is None:
        fits = [name for name, row in (("nchw", 1), ("nhwc", 3)) if sizes[row] == 3 or "channel" in str(shape[row])]
        if len(fits) != 1:
            raise ValueError(f"its input of shape {shape} may be of either layout; add layout=nchw or layout=nhwc")
        layout = "nchw" if fits == ["nchw"] else "nhwc"
    channels, *area = (sizes[1], *sizes[2:]) if layout == "nchw" else (sizes[3], *sizes[1:3])
    if channels not in (3, None):
        raise ValueError(f"its input of shape {shape} has no 3 channels in the layout {layout}")
    return layout, area[0], area[1]


def _output(path: Path, session: Any, name: str | None) -> str:
    names = [one.name for one in session.get_outputs()]
    if name is not None and name not in names:
        raise DataError(f"{path} has no output {name!r}; it has {', '.join(names)}: change output=NAME")
    if name is None and len(names) > 1:
        raise DataError(f"{path} has the outputs {', '.join(names)}; add output=NAME to its preprocessing")
    return name or str(names[0])


def _infer(session: Any, output: str, preprocessing: Preprocessing, layout: str, dtype: type) -> Infer:
    (pictures,) = (one.name for one in session.get_inputs())
    order = [2, 1, 0] if preprocessing.order == "bgr" else [0, 1, 2]
    scale = (1 / np.array(preprocessing.std)).astype(np.float32)
    shift = (-np.array(preprocessing.mean) / np.array(preprocessing.std)).astype(np.float32)

    def infer(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        n_pictures, height, width, _ = pixels.shape
        planes = layout == "nchw"
        values = np.empty((n_pictures, 3, height, width) if planes else pixels.shape, np.float32)
        for row, channel in enumerate(order):
            into = values[:, row] if planes else values[..., row]
            np.multiply(pixels[..., channel], scale[row], out=into)
            into += shift[row]
        (maps,) = session.run([output], {pictures: values.astype(dtype, copy=False)})
        maps = np.asarray(maps, np.float32)
        return maps.transpose(0, 2, 3, 1) if planes and maps.ndim == 4 else maps

    return infer


def _shape_of(path: Path, infer: Infer, preprocessing: Preprocessing, n_pictures: int) -> tuple[int, ...]:
    """Return the shape of the output for one picture, as computed: files often leave it open."""
    pixels = np.zeros((n_pictures, *preprocessing.framing.shape), np.uint8)
    try:
        output = infer(pixels)
    except Exception as error:
        raise DataError(f"{path} does not compute pictures of {pixels.shape[1:]}: {first_line(error)}") from error
    if output.ndim < 2 or len(output) != n_pictures:
        raise DataError(
            f"{path} gives output of shape {output.shape}; expected a row for each of {n_pictures} pictures"
        )
    return output.shape[1:]
