"""Weights of VGG16: ImageNet's, from Keras' cache or downloaded, or random ones."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import requests
import urllib3

from catalog.errors import FetchError
from catalog.io.files import atomic_path

# The same as in keras.applications.vgg16.
IMAGENET_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
IMAGENET_MD5 = "6d6bbae143d832006294945121d1f1fc"
_CONNECT_S = 3.05
_READ_S = 30.0
_CHUNK_BYTES = 1 << 18
_log = logging.getLogger(__name__)


def imagenet_weights_path(
    cache_dir: Path,
    url: str = IMAGENET_URL,
    md5: str = IMAGENET_MD5,
    deadline_s: float | None = None,
    on_bytes: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Find VGG16's ImageNet weights, in the cache that ``keras.applications`` uses, or download them into it.

    Keras' own download has no time limit and leaves a part of a file behind when it is interrupted; this one stops in
    time, and the file appears whole, with the right hash, or not at all.
    """
    path = cache_dir / url.rpartition("/")[2]
    if path.is_file():
        if _md5(path) == md5:
            return path
        _log.warning("%s has another hash than VGG16's ImageNet weights; downloading them again", path)
    with atomic_path(path) as temporary_path:
        _download(url, temporary_path, deadline_s, on_bytes)
        if (received := _md5(temporary_path)) != md5:
            raise FetchError(_ways_out(f"what {url} sent has the MD5 {received}, expected {md5}"))
    return path


def random_kernels(shapes: list[tuple[int, ...]], seed: int) -> list[npt.NDArray[np.float32]]:
    r"""Draw weights of the given shapes for untrained layers: He normal kernels, zero biases.

    References
    ----------
    .. [1] K. He et al., "Delving deep into rectifiers", ICCV 2015: the standard deviation :math:`\\sqrt{2 / n}`, with
       n inputs to a neuron, keeps the signal's size through layers with ReLU.
    """
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2.0 / np.prod(shape[:-1])))
        if len(shape) > 1
        else np.zeros(shape, np.float32)
        for shape in shapes
    ]


def _download(
    url: str, path: Path, deadline_s: float | None, on_bytes: Callable[[int, int | None], None] | None
) -> None:
    begin = time.monotonic()
    read_s = _READ_S if deadline_s is None else min(_READ_S, deadline_s)
    try:
        with (
            requests.get(url, stream=True, timeout=(min(_CONNECT_S, read_s), read_s)) as response,
            path.open("wb") as stream,
        ):
            response.raise_for_status()
            n_bytes = int(response.headers.get("Content-Length", 0)) or None
            # Whatever has arrived, not a whole chunk: the deadline also ends a download at a byte per second.
            while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
                stream.write(chunk)
                if on_bytes:
                    on_bytes(len(chunk), n_bytes)
                if deadline_s is not None and time.monotonic() - begin > deadline_s:
                    raise FetchError(_ways_out(f"they did not come within {deadline_s:g} s"))
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        host = url.split("/")[2]
        answer = getattr(error, "response", None)
        status = f"answered {answer.status_code}" if answer is not None else "cannot be reached, or broke off"
        raise FetchError(_ways_out(f"{host} {status}")) from error


def _ways_out(reason: str) -> str:
    return (
        f"cannot download VGG16's ImageNet weights: {reason}. Connect this machine, or give a file with --weights "
        "PATH.h5, or another network with --encoder PATH.keras, or try it out with --weights random"
    )


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
