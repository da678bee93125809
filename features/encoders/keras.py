"""Backbones run by Keras: an encoder by name, or the network of any Keras file.

Keras' backend (TensorFlow, JAX or PyTorch) takes seconds to import, so only the functions here import it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, DataError
from catalog.extras import require
from catalog.io.keras import import_keras, import_tensorflow, require_keras
from features.encoders.architecture import architecture_sha256
from features.encoders.named import build_network, no_weights
from features.encoders.registry import EncoderInfo, encoder_info
from features.encoders.weights import imagenet_weights_path
from features.images import SIDE
from features.options import IMAGENET, RANDOM, Engine, ExtractOptions
from features.preprocessing import CAFFE, Infer, Preprocessing

BATCH_SIZE = 16
GPU_BATCH_SIZE = 128
# How files of Keras begin: .keras is a ZIP archive, .h5 is HDF5.
_ZIP, _HDF5 = b"PK", b"\x89HDF\r\n"


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

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Compute maps (n, height, width, channels) of RGB images (n, 224, 224, 3)."""
        starts = range(0, len(pixels), self.batch_size)
        parts = [self._batch(pixels[start : start + self.batch_size]) for start in starts]
        return np.concatenate(parts) if parts else np.empty((0, *self.output_shape), np.float32)

    def _batch(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        n_pictures = len(pixels)
        if n_pictures < self.batch_size:
            padding = np.zeros((self.batch_size - n_pictures, *pixels.shape[1:]), np.uint8)
            pixels = np.concatenate([pixels, padding])
        return self.infer(pixels)[:n_pictures]


def load_backbone(
    options: ExtractOptions,
    cache_dir: Path,
    find_imagenet: Callable[[Path, EncoderInfo], Path] = imagenet_weights_path,
) -> Backbone:
    """Load the network that the options name; `find_imagenet` finds ImageNet weights in the cache."""
    if options.engine == "onnx":
        require("onnx", "the engine onnx")
    check_files(options)
    import_keras()
    if options.info is None:
        name, model = _load_file(options)
    else:
        path = _weights_file(options, lambda info: find_imagenet(cache_dir, info))
        name, model = options.info.name, build_network(options.info, path, options.seed)
    preprocessing = Preprocessing.parse(
        options.preprocessing or (options.info.preprocessing if options.info else "caffe")
    )
    return of_model(name, model, options.engine, cache_dir, options.batch_size, preprocessing)


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
    output_shape = tuple(model.output_shape[1:])
    if engine == "onnx":
        from features.encoders.onnx import onnx_infer

        size = batch_size or BATCH_SIZE
        # The graph contains its preprocessing.
        parts = hashes if preprocessing == CAFFE else (*hashes, str(preprocessing))
        path = cache_dir and cache_dir / f"keyart-{_fingerprint(parts)}.onnx"
        infer = onnx_infer(_as_written(model), keras_infer(model, 1, preprocessing), path, preprocessing)
        return Backbone(name, *hashes, output_shape, infer, size, preprocessing)
    on_gpu = _has_gpu()
    if on_gpu:
        use_mixed_precision(model)
    size = batch_size or (GPU_BATCH_SIZE if on_gpu else BATCH_SIZE)
    return Backbone(name, *hashes, output_shape, keras_infer(model, size, preprocessing), size, preprocessing)


def keras_infer(model: Any, batch_size: int, preprocessing: Preprocessing = CAFFE) -> Infer:
    """Compile a network with its preprocessing for batches of one size, under any Keras backend.

    Pictures go in as bytes, a quarter of what they are as floats, which is what has to reach a GPU.
    ``predict_on_batch`` keeps its compiled function, where ``predict`` in a loop leaks and traces again.
    """
    keras = import_keras()

    pixels = keras.Input((SIDE, SIDE, 3), batch_size, dtype="uint8")
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


def check_files(options: ExtractOptions) -> None:
    """Raise ConfigError or DataError if the options contradict each other or a file is no network; imports nothing.

    ConfigError too where Keras is not installed.
    """
    require_keras()
    if options.info is not None:
        _check_named(options, options.info)
        return
    if not _is_path(options.encoder):
        encoder_info(str(options.encoder))
    if options.weights != IMAGENET:
        raise ConfigError(
            f"--weights {options.weights} is for encoders by name; the file {options.encoder} brings its own weights"
        )
    path = Path(options.encoder)
    if not _beginning(path, "--encoder", "the name of an encoder, or a Keras file (.keras)").startswith((_ZIP, _HDF5)):
        raise _no_model(path, "it is neither a ZIP archive nor an HDF5 file")


def _check_named(options: ExtractOptions, info: EncoderInfo) -> None:
    if options.preprocessing is not None and str(Preprocessing.parse(options.preprocessing)) != info.preprocessing:
        raise ConfigError(
            f"--preprocessing {options.preprocessing} is for Keras files (--encoder FILE.keras); {info.name} was "
            f"trained with {info.preprocessing}"
        )
    if options.weights not in (IMAGENET, RANDOM):
        path = Path(options.weights)
        beginning = _beginning(path, "--weights", f"a weights file of {info.name} (.h5 or .weights.h5)")
        if not beginning.startswith(_HDF5):
            raise no_weights(path, info, "it is not an HDF5 file")


def _is_path(encoder: str | Path) -> bool:
    path = Path(encoder)
    return path.exists() or bool(path.suffix) or len(path.parts) > 1


def _beginning(path: Path, option: str, expected: str) -> bytes:
    if not path.is_file():
        raise ConfigError(f"{option} {path}: no such file; expected {expected}")
    try:
        with path.open("rb") as stream:
            return stream.read(len(_HDF5))
    except OSError as error:
        raise ConfigError(f"{option} {path} cannot be read: {error.strerror}") from error


def _no_model(path: Path, reason: str) -> DataError:
    return DataError(f"{path} is not a Keras model file: {reason}; expected a .keras file")


def _weights_file(options: ExtractOptions, find_imagenet: Callable[[EncoderInfo], Path]) -> Path | None:
    if options.weights == IMAGENET and options.info is not None:
        return find_imagenet(options.info)
    return None if options.is_random else Path(options.weights)


def _load_file(options: ExtractOptions) -> tuple[str, Any]:
    path, keras = Path(options.encoder), import_keras()
    try:
        model = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _no_model(path, _first_line(error)) from error
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or tuple(shape[1:]) != (SIDE, SIDE, 3):
        raise DataError(f"{path} takes input of shape {shape}; expected one picture of (224, 224, 3)")
    output = getattr(model, "output_shape", None)
    if not isinstance(output, tuple) or None in output[1:]:
        raise DataError(f"{path} gives output of shape {output}; expected one array of fixed size")
    return str(model.name), model


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


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
