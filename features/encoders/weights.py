"""Weights of encoders by name: ImageNet's, from Keras' cache or downloaded, or random ones."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.extras import EXTRAS, require
from features.encoders.download import OnBytes, RemoteFile, download, file_hash
from features.encoders.registry import ENCODERS, EncoderInfo

_log = logging.getLogger(__name__)


def imagenet_weights_path(
    cache_dir: Path,
    info: EncoderInfo = ENCODERS["vgg16"],
    deadline_s: float | None = None,
    on_bytes: OnBytes = lambda *_: None,
) -> Path:
    """Find an encoder's ImageNet weights in the cache that ``keras.applications`` uses, or download them into it.

    Those that come with a package are found there.
    """
    if info.packaged:
        return _packaged_path(info)
    path = cache_dir / info.url.rpartition("/")[2]
    file = RemoteFile(
        info.url,
        info.hash,
        f"the ImageNet weights of {info.name}",
        "Connect this machine, or give a file with --weights PATH.h5, or take another network: --encoder "
        "efficientnet-lite0, whose weights come from the package index, or --encoder PATH.keras",
    )
    if file.is_at(path):
        return path
    if path.is_file():
        _log.warning("%s has another hash than %s; downloading it again", path, file.what)
    download(file, path, deadline_s, on_bytes)
    return path


def _packaged_path(info: EncoderInfo) -> Path:
    require("offline", f"the encoder {info.name}")
    package, _, name = info.packaged.partition("/")
    spec = find_spec(package)
    (folder,) = (spec and spec.submodule_search_locations) or ("",)
    path, advice = Path(folder, name), f"install {EXTRAS['offline'][package]} again"
    try:
        result = file_hash(path, info.hash)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; {advice}") from error
    if result != info.hash:
        raise DataError(f"{path} has the hash {result}, expected {info.hash}; {advice}")
    return path


def random_kernels(shapes: list[tuple[int, ...]], seed: int, gain: float = 2.0) -> list[npt.NDArray[np.float32]]:
    r"""Draw weights of the given shapes for untrained layers: normal kernels, zero biases.

    References
    ----------
    .. [1] K. He et al., "Delving deep into rectifiers", ICCV 2015: the standard deviation :math:`\\sqrt{2 / n}`, with
       n inputs to a neuron, keeps the signal's size through layers with ReLU. Other layers have another `gain`.
    """
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(gain / _n_inputs(shape)))
        if len(shape) > 1
        else np.zeros(shape, np.float32)
        for shape in shapes
    ]


def _n_inputs(shape: tuple[int, ...]) -> float:
    # A depthwise kernel (height, width, channels, 1) has one channel's pixels as inputs.
    return float(np.prod(shape[:2] if len(shape) == 4 and shape[3] == 1 else shape[:-1]))
