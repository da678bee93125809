"""Load the network that options name: by name, a Keras file, an ONNX file or a pair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from catalog.errors import ConfigError
from catalog.extras import require
from catalog.io.files import open_file
from catalog.io.keras import import_keras, require_keras
from features.encoders.backbone import Backbone
from features.encoders.hub import check_pair, load_visual
from features.encoders.keras import load_model, no_model, of_model
from features.encoders.named import build_network, no_weights
from features.encoders.onnx_weights import weight_files
from features.encoders.pairs import PAIRS, is_pair_name, takes_text
from features.encoders.registry import EncoderInfo, encoder_info
from features.encoders.weights import imagenet_weights_path
from features.options import IMAGENET, RANDOM, ExtractOptions
from features.preprocessing import Preprocessing
from features.preprocessing_files import file_beside, preprocessing_from, read_preprocessing

# How files of Keras begin, .keras is a ZIP archive, .h5 is HDF5; and those of PyTorch before version 1.6.
_ZIP, _HDF5, _PICKLE = b"PK", b"\x89HDF\r\n", b"\x80\x02"
_ONNX = ".onnx"


def load_backbone(
    options: ExtractOptions,
    cache_dir: Path,
    find_imagenet: Callable[[Path, EncoderInfo], Path] = imagenet_weights_path,
) -> Backbone:
    """Load the network that the options name; `find_imagenet` finds ImageNet weights in the cache."""
    if is_pair_name(options.encoder):
        return load_visual(options, cache_dir)
    check_files(options)
    path, preprocessing = Path(options.encoder), preprocessing_of(options)
    if is_onnx(options):
        from features.encoders.onnx_file import load_onnx

        return load_onnx(path, preprocessing, options.batch_size)
    if options.engine == "onnx":
        require("onnx", "the engine onnx")
    import_keras()
    if options.info is None:
        name, model = load_model(path)
    else:
        weights = _weights_file(options, lambda info: find_imagenet(cache_dir, info))
        name, model = options.info.name, build_network(options.info, weights, options.seed)
    return of_model(name, model, options.engine, cache_dir, options.batch_size, preprocessing)


def is_onnx(options: ExtractOptions) -> bool:
    """Return whether the encoder is an ONNX file, which needs no Keras."""
    return options.info is None and Path(options.encoder).suffix.lower() == _ONNX


def preprocessing_of(options: ExtractOptions) -> Preprocessing:
    """Return the preprocessing of an encoder by name, or that which is given for a file; ConfigError if none is."""
    if options.info is not None:
        return Preprocessing.parse(options.info.preprocessing)
    if options.preprocessing is not None:
        return preprocessing_from(options.preprocessing)
    path = Path(options.encoder)
    if (beside := file_beside(path)) is not None:
        return read_preprocessing(beside)
    raise ConfigError(
        f"how {path} was trained to see pictures is not known: give --preprocessing caffe, tf, torch, ORDER,MEAN,STD "
        f"or FILE.json, or put {path.with_suffix('.json').name} or its preprocessor_config.json beside it "
        "(docs/encoders.md)"
    )


def encoder_files(options: ExtractOptions, cache_dir: Path) -> list[Path]:
    """Return the files to send to another machine, the main one first; random weights are drawn there."""
    if is_pair_name(options.encoder):
        raise ConfigError(f"{options.encoder} is a pair of networks, which Spark does not compute; leave --spark out")
    if options.info is not None:
        path = _weights_file(options, lambda info: imagenet_weights_path(cache_dir, info))
        return [path] if path else []
    path = Path(options.encoder)
    return [path, *weight_files(path)] if is_onnx(options) else [path]


def require_runtime(options: ExtractOptions) -> None:
    """Raise ConfigError unless what runs the network is installed; imports nothing."""
    if takes_text(options):
        require("text", f"the encoder {options.encoder}")
    elif is_onnx(options):
        require("onnx", f"the network {options.encoder}")
    else:
        require_keras()


def check_files(options: ExtractOptions) -> None:
    """Raise ConfigError or DataError if the options contradict each other or a file is no network; imports nothing.

    ConfigError too where what runs the network is not installed.
    """
    if is_pair_name(options.encoder):
        check_pair(options)
        return
    require_runtime(options)
    if options.info is not None:
        _check_named(options, options.info)
        return
    if not _is_path(options.encoder):
        encoder_info(str(options.encoder), others=PAIRS)
    if options.weights != IMAGENET:
        raise ConfigError(
            f"--weights {options.weights} is for encoders by name; the file {options.encoder} brings its own weights"
        )
    path = Path(options.encoder)
    expected = "the name of an encoder, or a Keras file (.keras) or an ONNX file (.onnx)"
    if not _beginning(path, "--encoder", expected).startswith((_ZIP, _HDF5)) and not is_onnx(options):
        raise no_model(path, "it is neither a ZIP archive nor an HDF5 file")
    preprocessing_of(options)


def _check_named(options: ExtractOptions, info: EncoderInfo) -> None:
    if options.preprocessing is not None and str(preprocessing_from(options.preprocessing)) != info.preprocessing:
        raise ConfigError(
            f"--preprocessing {options.preprocessing} is for files of networks (--encoder FILE); {info.name} was "
            f"trained with {info.preprocessing}"
        )
    if options.weights == IMAGENET and info.packaged:
        require("offline", f"the encoder {info.name}")
    if options.weights not in (IMAGENET, RANDOM):
        path = Path(options.weights)
        suffixes, kind, first = (".pth", "a pickle", _PICKLE) if info.packaged else (".h5", "an HDF5 file", _HDF5)
        if not _beginning(path, "--weights", f"a weights file of {info.name} ({suffixes})").startswith(first):
            raise no_weights(path, info, f"it is not {kind}")


def _is_path(encoder: str | Path) -> bool:
    path = Path(encoder)
    return path.exists() or bool(path.suffix) or len(path.parts) > 1


def _beginning(path: Path, option: str, expected: str) -> bytes:
    if not path.is_file():
        raise ConfigError(f"{option} {path}: no such file; expected {expected}")
    try:
        with open_file(path) as stream:
            return stream.read(len(_HDF5))
    except OSError as error:
        raise ConfigError(f"{option} {path} cannot be read: {error.strerror}") from error


def _weights_file(options: ExtractOptions, find_imagenet: Callable[[EncoderInfo], Path]) -> Path | None:
    if options.weights == IMAGENET and options.info is not None:
        return find_imagenet(options.info)
    return None if options.is_random else Path(options.weights)
