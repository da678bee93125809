"""The same network under another backend of Keras, and with the arithmetic of a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.encoders.keras import of_model, use_mixed_precision
from features.options import ExtractOptions
from features.store import FeatureStore
from keyart.pipeline.features import extract_images
from tests.features.conftest import draw_poster, save_network

pytestmark = pytest.mark.heavy

# Keras chooses its backend when it is imported, so another one needs another process.
_EXTRACT = """
import os
import sys
import keras
from keyart.cli import main
assert keras.backend.backend() == os.environ["KERAS_BACKEND"]
posters, network, out, onnx = sys.argv[1:]
for words in (["--out", out], ["--out", onnx, "--engine", "onnx"]):
    try:
        main(["extract", "--images", posters, "--encoder", network, *words])
    except SystemExit as end:
        assert not end.code
"""


def _network() -> Any:
    """Make a network with the layers of those that are in use."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(5)
    picture = keras.Input((224, 224, 3))
    small = layers.MaxPooling2D(2)(
        layers.Conv2D(8, 7, 4, "same", activation="relu")(layers.AveragePooling2D(4)(picture))
    )
    normalized = layers.BatchNormalization(moving_variance_initializer="ones")(layers.ZeroPadding2D(1)(small))
    wide = layers.Concatenate()([layers.Conv2D(8, 3)(normalized), layers.DepthwiseConv2D(3)(normalized)])
    return keras.Model(picture, layers.ReLU()(layers.Dropout(0.5)(wide)), name="mixed")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "mixed.keras"
    save_network(_network(), path)
    return path


def _features(folder: Path) -> np.ndarray:
    store = FeatureStore.open(folder)
    return np.concatenate(list(store.blocks(store.rows())))


# JAX comes with what the tests need. PyTorch, whose wheel is many times as large, is tested where it is there.
@pytest.mark.release
@pytest.mark.parametrize("backend", ["jax", *(["torch"] if find_spec("torch") else [])])
def test_another_backend_computes_the_features_of_tensorflow_without_messages(
    network: Path, tmp_path: Path, backend: str
) -> None:
    (tmp_path / "posters").mkdir()
    posters = [draw_poster(tmp_path / "posters" / f"{seed:02}.png", seed) for seed in range(20)]
    ours, theirs, onnx = (tmp_path / name for name in ("tensorflow", "other", "onnx"))
    extract_images([(path.name, path) for path in posters], ours, ExtractOptions(str(network)))
    folders = [tmp_path / "posters", network, theirs, onnx]
    done = subprocess.run(
        [sys.executable, "-c", _EXTRACT, *map(str, folders)],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "JAX_PLATFORMS": "cpu",
            "CUDA_VISIBLE_DEVICES": "",
            "KERAS_HOME": str(tmp_path / "keras"),
        },
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (2 * "features of 20 images computed, 0 already here\n", "")
    assert (theirs / "features.json").read_bytes() == (ours / "features.json").read_bytes()
    assert FeatureStore.open(onnx).identity == FeatureStore.open(ours).identity
    expected = _features(ours)
    for received in (_features(theirs), _features(onnx)):
        # One unit in the last place of float16, but for what is next to nothing.
        np.testing.assert_allclose(
            received.astype(np.float32), expected.astype(np.float32), rtol=2**-10, atol=1e-5 * expected.max()
        )


@pytest.mark.parametrize("backend", ["nonsense", "torch"])
def test_a_backend_that_does_not_start_is_reported_in_one_line(network: Path, tmp_path: Path, backend: str) -> None:
    draw_poster(tmp_path / "a.png", 1)
    code = "import sys; sys.modules['torch'] = None; from keyart.cli import main; main(sys.argv[1:])"
    words = ["extract", "--images", str(tmp_path), "--out", str(tmp_path / "out"), "--encoder", str(network)]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("keyart: Keras does not start: ")
    assert "KERAS_BACKEND" in done.stderr.splitlines()[-1]


def test_mixed_precision_computes_in_float16_and_stays_close() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)
    expected = of_model("mixed", _network(), batch_size=3)
    model = _network()
    use_mixed_precision(model)
    assert {layer.compute_dtype for layer in model.layers} == {"float16"}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    mixed = of_model("mixed", model, batch_size=3)
    maps = mixed(pixels)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
    # Eleven bits, of numbers that several layers have added up.
    np.testing.assert_allclose(maps, expected(pixels), rtol=0.02, atol=0.005 * maps.max())
    assert (maps != expected(pixels)).any()


def test_on_a_gpu_the_arithmetic_changes_and_the_identity_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.encoders.keras._has_gpu", lambda: False)
    on_cpu = of_model("vgg16", _network())
    monkeypatch.setattr("features.encoders.keras._has_gpu", lambda: True)
    model = _network()
    on_gpu = of_model("vgg16", model)
    assert {layer.compute_dtype for layer in model.layers} == {"float16"}
    assert (on_gpu.weights_sha256, on_gpu.architecture_sha256) == (on_cpu.weights_sha256, on_cpu.architecture_sha256)
    assert (on_cpu.batch_size, on_gpu.batch_size) == (16, 128)


def test_on_a_gpu_other_networks_keep_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.encoders.keras._has_gpu", lambda: True)
    model = _network()
    of_model("resnet50", model)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
