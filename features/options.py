"""The options of feature extraction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from features.encoders.registry import ENCODERS, EncoderInfo
from features.preprocessing import Preprocessing

IMAGENET, RANDOM = "imagenet", "random"
Engine = Literal["keras", "onnx"]


@dataclass(frozen=True)
class ExtractOptions:
    """Which features of images to compute, and how.

    Features that were computed with different values of `encoder`, `weights`, `seed`, `resize`, `pooling`, `whiten`
    or `preprocessing` cannot be compared; a folder of features refuses to mix them.

    Parameters
    ----------
    encoder : str or Path, default "vgg16"
        The network: ``"vgg16"``, ``"resnet50"``, ``"efficientnet-v2-b0"``, ``"convnext-tiny"``,
        ``"mobilenet-v3-large"``, ``"efficientnet-lite0"``, or the path of a Keras or ONNX file; see `preprocessing`.
        Or a pair that takes words too: ``"clip-vit-b32"``, ``"siglip2-base"``, ``"hf:OWNER/REPOSITORY@REVISION"``, or
        the path of its folder.
    weights : str or Path, default "imagenet"
        For an encoder by name: ``"imagenet"``, ``"random"``, or the path of an ``.h5`` or ``.weights.h5`` file without
        the top. A Keras file has its own weights.
    seed : int, default 0
        The seed of random weights.
    engine : {"keras", "onnx"}, default "keras"
        The library that runs the network. ONNX Runtime is faster on many CPUs.
    resize : {"antialias", "nearest"}, default "antialias"
        How images are brought to the size of the network's input: by its own filter, or by ``"nearest"``, which
        reproduces ``keras.utils.load_img``.
    pooling : {"raw", "gem", "rmac"}, default "raw"
        What to keep of the network's output of shape (height, width, channels): all numbers (25,088 for VGG16), or one
        descriptor of `channels` numbers (512 for VGG16), pooled by generalized mean or by regional maxima.
    whiten : bool, optional
        Whiten pooled descriptors. True uses the whitening of the output folder; where it has none, a new one is
        learned from up to 2,000 images, evenly spread over a folder or table, or the first ones of an iterable. False
        does not whiten. By default descriptors are whitened if those in the output folder are.
    batch_size : int, optional
        The number of images that the network computes at once; by default 16, or 128 on a GPU.
    rebuild : bool, default False
        Remove features of other options from the output folder instead of refusing to mix them.

    preprocessing : str, optional
        How pictures become the input of a Keras or ONNX file, which has to be as it was trained: ``"caffe"`` (BGR, less
        the mean of ImageNet), ``"tf"`` (RGB, x / 127.5 - 1) or ``"torch"`` (RGB, less the mean of ImageNet, over its
        standard deviation), as in ``keras.applications``; ``"ORDER,MEAN,STD"`` for (x - MEAN) / STD, with x from 0 to
        255, the order ``rgb`` or ``bgr`` and one or three numbers each: ``"rgb,127,128"``; each with settings such as
        ``"rgb,127,128,size=256,fit=crop"``; or a JSON file, such as a ``preprocessor_config.json``. By default that of
        the file beside the network, and of the features in the folder. That of an encoder by name is fixed.

    Raises
    ------
    ValueError
        `engine`, `resize`, `pooling` or `preprocessing` is unknown, `seed` is negative, `batch_size` is not positive,
        or `whiten` is true although features are not pooled.

    Examples
    --------
    >>> from keyart import ExtractOptions
    >>> ExtractOptions(engine="onnx", pooling="gem").is_random
    False
    """

    encoder: str | Path = "vgg16"
    weights: str | Path = IMAGENET
    seed: int = 0
    engine: Engine = "keras"
    resize: Literal["antialias", "nearest"] = "antialias"
    pooling: Literal["raw", "gem", "rmac"] = "raw"
    whiten: bool | None = None
    batch_size: int | None = None
    rebuild: bool = False
    preprocessing: str | None = None

    def __post_init__(self) -> None:
        _require("engine", self.engine, get_args(Engine))
        _require("resize", self.resize, ("antialias", "nearest"))
        _require("pooling", self.pooling, ("raw", "gem", "rmac"))
        if self.seed < 0:
            raise ValueError(f"seed: expected 0 or more, received {self.seed}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size: expected 1 or more, received {self.batch_size}")
        if self.whiten and self.pooling == "raw":
            raise ValueError("whiten: expected pooling gem or rmac, received raw")
        try:
            # A file is read when it is used.
            if self.preprocessing is not None and ".json" not in self.preprocessing.lower():
                Preprocessing.parse(self.preprocessing)
        except ValueError as error:
            raise ValueError(f"preprocessing: {error}") from None

    @property
    def info(self) -> EncoderInfo | None:
        """What is known of an encoder by name; None for a file."""
        return ENCODERS.get(str(self.encoder))

    @property
    def is_random(self) -> bool:
        """Whether the network is untrained."""
        return self.info is not None and self.weights == RANDOM

    @property
    def origin(self) -> dict[str, Any]:
        """What is recorded beside features, so that the network can be loaded again from any working directory."""
        # Under the names of the records, which are older than those of the options.
        encoder = str(self.encoder) if self.info else _absolute_if_file(self.encoder)
        files = {"backbone": encoder, "weights": _absolute_if_file(self.weights)}
        return files | {"seed": self.seed, "engine": self.engine}


def _require(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: expected {' or '.join(allowed)}, received {value!r}")


def _absolute_if_file(name: str | Path) -> str:
    path = Path(name)
    return str(path.absolute()) if path.exists() else str(name)
