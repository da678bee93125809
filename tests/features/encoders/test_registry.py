"""The encoders by name are those of Keras: addresses, hashes, preprocessing and layers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import ConfigError
from features.encoders.named import build_network
from features.encoders.registry import ENCODERS, EncoderInfo, encoder_info
from features.preprocessing import Preprocessing

_MODULES = {
    "vgg16": "vgg16",
    "resnet50": "resnet",
    "efficientnet-v2-b0": "efficientnet_v2",
    "convnext-tiny": "convnext",
    "mobilenet-v3-large": "mobilenet_v3",
}


@pytest.mark.release
@pytest.mark.parametrize("info", [info for info in ENCODERS.values() if not info.packaged], ids=lambda info: info.name)
def test_an_encoder_is_what_keras_gives_and_has_the_weights_that_keras_downloads(
    info: EncoderInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras
    from keras.src.utils import file_utils

    network = build_network(info, None, 0)
    network.save_weights(tmp_path / "saved.weights.h5")
    asked: list[tuple[str, str]] = []

    def answer(_name: str, url: str, *, file_hash: str, **_: Any) -> Path:
        asked.append((url, file_hash))
        return tmp_path / "saved.weights.h5"

    monkeypatch.setattr(file_utils, "get_file", answer)
    # As somebody without keyart would do it.
    theirs = getattr(keras.applications, info.family)(include_top=False, input_shape=(info.side, info.side, 3))
    assert asked == [(info.url, info.hash)]

    pixels = np.random.default_rng(0).integers(0, 256, (1, info.side, info.side, 3)).astype(np.float32)
    # Not compiled, which would take longer than all else.
    expected = np.asarray(theirs(getattr(keras.applications, _MODULES[info.name]).preprocess_input(pixels.copy())))
    received = np.asarray(network(_prepared(pixels, Preprocessing.parse(info.preprocessing))))
    assert received.shape == (1, *info.map_shape)
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    # Random features fit into float16, and are more than its smallest numbers.
    assert 0.01 < np.abs(received).max() < 20_000


def _prepared(pixels: npt.NDArray[np.float32], preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    ordered = pixels[..., ::-1] if preprocessing.order == "bgr" else pixels
    return np.asarray((ordered - preprocessing.mean) / preprocessing.std, np.float32)


def test_the_preprocessing_is_written_as_it_is_recorded() -> None:
    for info in ENCODERS.values():
        assert str(Preprocessing.parse(info.preprocessing)) == info.preprocessing


def test_vgg16_has_25088_features() -> None:
    assert encoder_info("vgg16").n_features == 25_088


@pytest.mark.parametrize(
    ("name", "advice"),
    [("resnet-50", "did you mean resnet50?"), ("VGG16", "did you mean vgg16?"), ("clip", "expected vgg16, resnet50, ")],
)
def test_an_unknown_name_gets_advice(name: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=f"no encoder is called '{name}'; {advice}"):
        encoder_info(name)


def test_the_registry_loads_nothing_heavy() -> None:
    code = "import sys, features.encoders.registry; sys.exit(bool({'keras', 'numpy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
