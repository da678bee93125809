"""Backbones run by Keras: an encoder by name, or the network of any Keras file.

Keras' backend (TensorFlow, JAX or PyTorch) takes seconds to import, so only the functions here import it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, DataError
from catalog.extras import pip_install
from catalog.io.keras import import_keras, import_tensorflow
from catalog.text import first_line
from features.encoders.architecture import architecture_sha256
from features.encoders.backbone import BATCH_SIZE, GPU_BATCH_SIZE, Backbone, kept_shape
from features.options import Engine
from features.preprocessing import CAFFE, Infer, Preprocessing

# On a GPU, float16 was faster for VGG16 alone (docs/benchmarks.md); networks with normalization lose digits by it.
_HALF_ON_GPU = frozenset({"vgg16"})
# Earlier versions ran the code of a Lambda layer in an .h5 file, and let files read others; also in pyproject.toml.
_SAFE_SINCE = (3, 13, 2)


def of_model(
    name: str,
    model: Any,
    engine: Engine = "keras",
    cache_dir: Path | None = None,
    batch_size: int | None = None,
    preprocessing: Preprocessing = CAFFE,
) -> Backbone:
    """Wrap a Keras model, which must not be used for anything else from here on."""
    # Before the model is adapted to a GPU.
    hashes = _weights_sha256(model), architecture_sha256(model.to_json())
    preprocessing, shape = _fitted(name, model, preprocessing)
    output_shape = kept_shape(shape, preprocessing, name)
    if engine == "onnx":
        from features.encoders.onnx import onnx_infer

        size = batch_size or BATCH_SIZE
        # The graph contains its preprocessing.
        parts = hashes if preprocessing == CAFFE else (*hashes, str(preprocessing))
        path = cache_dir and cache_dir / f"keyart-{_fingerprint(parts)}.onnx"
        infer = onnx_infer(_as_written(model), keras_infer(model, 1, preprocessing), path, preprocessing)
        return Backbone(name, *hashes, output_shape, infer, size, preprocessing)
    on_gpu = _has_gpu()
    if on_gpu and name in _HALF_ON_GPU:
        use_mixed_precision(model)
    size = batch_size or (GPU_BATCH_SIZE if on_gpu else BATCH_SIZE)
    return Backbone(name, *hashes, output_shape, keras_infer(model, size, preprocessing), size, preprocessing)


def keras_infer(model: Any, batch_size: int, preprocessing: Preprocessing = CAFFE) -> Infer:
    """Compile a network with its preprocessing, of a known size, for batches of one size, under any Keras backend.

    Pictures go in as bytes, a quarter of what they are as floats, which is what has to reach a GPU.
    ``predict_on_batch`` keeps its compiled function, where ``predict`` in a loop leaks and traces again.
    """
    keras = import_keras()

    pixels = keras.Input(preprocessing.framing.shape, batch_size, dtype="uint8")
    values = keras.ops.cast(pixels, "float32")
    if preprocessing.order == "bgr":
        values = keras.ops.flip(values, axis=-1)
    values = values - np.array(preprocessing.mean, np.float32)
    if preprocessing.std != (1, 1, 1):
        values = values / np.array(preprocessing.std, np.float32)
    network = keras.Model(pixels, keras.ops.cast(model(values, training=False), "float32"))
    # XLA on a CPU gained nothing (docs/benchmarks.md), so Keras decides.

    def infer(batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.asarray(network.predict_on_batch(batch), np.float32)

    return infer


def use_mixed_precision(model: Any) -> None:
    """Compute in float16 with float32 weights, which the matrix units of GPUs are fast at; changes the model."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            use_mixed_precision(layer)
        else:
            layer.dtype_policy = "mixed_float16"


def _has_gpu() -> bool:
    keras = import_keras()

    match keras.backend.backend():
        case "tensorflow":
            return bool(import_tensorflow().config.list_physical_devices("GPU"))
        case "jax":
            import jax

            return bool(jax.default_backend() == "gpu")
        case "torch":
            import torch

            return bool(torch.cuda.is_available())
        case _:
            return False


def no_model(path: Path, reason: str) -> DataError:
    """Return the error of a file that is no network."""
    return DataError(f"{path} is not a Keras model file: {reason}; expected a .keras file")


def load_model(path: Path) -> tuple[str, Any]:
    """Load a Keras file of a network from one picture to one array, without running code of the file; also its name."""
    keras = import_keras()
    check_version(keras.__version__)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # What Keras raises for a damaged file has no common base class.
        raise no_model(path, _reason(error)) from error
    taken, given = (_shapes(keras, model, name) for name in ("input", "output"))
    if not isinstance(taken, tuple) or len(taken) != 4 or taken[3] != 3:
        raise DataError(f"{path} takes input of shape {taken}; expected one picture of (height, width, 3)")
    if not isinstance(given, tuple):
        raise DataError(f"{path} gives output of shape {given}; expected one array of fixed size")
    return str(model.name), model


def check_version(version: str) -> None:
    """Raise ConfigError if a version of Keras runs code of files that it opens in safe mode."""
    if tuple(int(part) for part in re.findall(r"\d+", version)[:3]) < _SAFE_SINCE:
        advice = pip_install(f"'keras>={'.'.join(map(str, _SAFE_SINCE))}'")
        raise ConfigError(f"Keras {version} does not open files safely: {advice}")


def _reason(error: Exception) -> str:
    if "safe_mode" in str(error):
        # Keras proposes to run it.
        return "it holds code, such as a Lambda layer, which is never run; save the network with layers of Keras only"
    return first_line(error) or type(error).__name__


def _shapes(keras: Any, model: Any, name: str) -> Any:
    """Return the shape of a network's input or output, or a list or dict of those of several."""
    values = getattr(model, name, None)
    if values is None and len(several := getattr(model, f"{name}s", None) or []) == 1:
        # A Sequential that was loaded and never called has lists alone.
        (values,) = several
    return keras.tree.map_structure(lambda one: tuple(one.shape), values) if values is not None else None


def _fitted(name: str, model: Any, preprocessing: Preprocessing) -> tuple[Preprocessing, tuple[int, ...]]:
    """Complete a preprocessing by the network's size; return also the shape of the output."""
    if preprocessing.layout or preprocessing.output:
        raise ConfigError(f"{name} is a Keras network; layout and output are settings of ONNX files")
    try:
        preprocessing = preprocessing.for_input(*model.input_shape[1:3])
    except ValueError as error:
        raise DataError(f"{name} does not fit its preprocessing: {error}") from error
    shape = tuple(model.compute_output_shape((1, *preprocessing.framing.shape))[1:])
    if None in shape:
        raise DataError(f"{name} gives output of shape {shape}; expected one array of fixed size")
    return preprocessing, shape


def _as_written(model: Any) -> Any:
    """Clone a Sequential, of which Keras uses the first layer twice if it comes from a file."""
    keras = import_keras()

    if not isinstance(model, keras.Sequential):
        return model
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    return twin


def _weights_sha256(model: Any) -> str:
    """Hash the numbers, so that a network's hash does not depend on its file's format."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(str(weight.shape).encode())
        digest.update(np.ascontiguousarray(weight, np.float32).tobytes())
    return digest.hexdigest()


def _fingerprint(hashes: Iterable[str]) -> str:
    # Not 32 digits, which messages would redact as a TMDB key.
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:24]
