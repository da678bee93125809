from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.errors import ConfigError, DataError
from features.encoders import onnx
from features.encoders.keras import keras_infer, of_model
from features.encoders.loading import load_backbone
from features.options import ExtractOptions
from tests.features.conftest import save_network

pytestmark = pytest.mark.heavy

pytest.importorskip("onnxruntime")


def _pixels(n: int = 2) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, 224, 224, 3), np.uint8)


def _model(*layers: Any) -> Any:
    import keras

    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((224, 224, 3)), keras.layers.AveragePooling2D(8), *layers], name="made")


def _network(name: str) -> Any:
    import keras
    from keras import layers

    match name:
        case "strides and same":
            return _model(
                layers.Conv2D(6, 3, 2, "same", activation="relu"),
                layers.MaxPooling2D(3, 2, "same"),
                layers.AveragePooling2D(3, 2, "same"),
            )
        case "groups and dilation":
            convolved = layers.Conv2D(6, 3, dilation_rate=2, groups=3, use_bias=False)
            return _model(convolved, layers.DepthwiseConv2D(3, depth_multiplier=2, activation="sigmoid"))
        case "normalized":
            normalized = layers.BatchNormalization(
                beta_initializer="random_normal",
                gamma_initializer="random_normal",
                moving_mean_initializer="random_normal",
                scale=True,
            )
            return _model(layers.ZeroPadding2D(((1, 2), (0, 3))), normalized, layers.ReLU(), layers.Dropout(0.5))
        case "bounded":
            bright = layers.Conv2D(4, 3, kernel_initializer=keras.initializers.Constant(0.02))
            return _model(bright, layers.ReLU(6.0), layers.Conv2D(4, 3), layers.ReLU(negative_slope=0.1))
        case "one vector":
            return _model(layers.Conv2D(5, 1, activation="tanh"), layers.GlobalAveragePooling2D())
    raise AssertionError(name)


@pytest.mark.parametrize("name", ["strides and same", "groups and dilation", "normalized", "bounded", "one vector"])
def test_layers_are_written_as_keras_means_them(name: str) -> None:
    model = _network(name)
    expected = of_model("made", model, batch_size=2)
    received = of_model("made", model, "onnx")
    assert received.output_shape == expected.output_shape
    for pixels in (_pixels(), np.full((2, 224, 224, 3), 255, np.uint8)):
        np.testing.assert_allclose(received(pixels), expected(pixels), rtol=1e-4, atol=1e-4)


def test_branches_are_joined() -> None:
    import keras

    picture = keras.Input((224, 224, 3))
    small = keras.layers.MaxPooling2D(16)(picture)
    left, right = (keras.layers.Conv2D(4, 3, padding="same")(small) for _ in range(2))
    both = keras.layers.Concatenate()([left, keras.layers.Add()([left, right])])
    model = keras.Model(picture, both, name="branches")
    np.testing.assert_allclose(
        of_model("b", model, "onnx")(_pixels()), of_model("b", model, batch_size=2)(_pixels()), rtol=1e-4, atol=1e-3
    )


def test_the_real_network_gives_the_same_numbers_and_is_exported_once(shared: Path, tmp_path: Path) -> None:
    path = str(shared / "weights/squeezenet_v1_1_imagenet.keras")
    expected = load_backbone(ExtractOptions(path, preprocessing="caffe"), tmp_path)
    received = load_backbone(ExtractOptions(path, engine="onnx", preprocessing="caffe"), tmp_path)
    assert received.weights_sha256 == expected.weights_sha256
    maps = expected(_pixels())
    np.testing.assert_allclose(received(_pixels()), maps, rtol=1e-3, atol=1e-5 * maps.max())
    (kept,) = tmp_path.glob("*.onnx")
    before = kept.stat().st_mtime_ns
    np.testing.assert_array_equal(
        load_backbone(ExtractOptions(path, engine="onnx", preprocessing="caffe"), tmp_path)(_pixels()),
        received(_pixels()),
    )
    assert kept.stat().st_mtime_ns == before


def test_an_unknown_layer_is_named() -> None:
    import keras

    with pytest.raises(ConfigError, match=r"does not know odd, a GaussianNoise; take --engine keras"):
        of_model("made", _model(keras.layers.GaussianNoise(0.1, name="odd")), "onnx")
    with pytest.raises(ConfigError, match="does not know the activation elu of odd; take --engine keras"):
        of_model("made", _model(keras.layers.Conv2D(2, 1, activation="elu", name="odd")), "onnx")


def test_a_network_inside_a_network_is_named() -> None:
    import keras

    inner = keras.Sequential([keras.Input((28, 28, 3)), keras.layers.ReLU()], name="inner")
    with pytest.raises(ConfigError, match="does not know inner, a Sequential"):
        of_model("made", _model(inner), "onnx")


def test_a_sequential_network_from_a_file_is_written_as_one_in_memory(tmp_path: Path) -> None:
    model = _network("strides and same")
    save_network(model, tmp_path / "made.keras")
    received = load_backbone(ExtractOptions(str(tmp_path / "made.keras"), engine="onnx"), tmp_path)
    np.testing.assert_array_equal(received(_pixels()), of_model("made", model, "onnx")(_pixels()))


def test_a_layer_used_twice_is_reported() -> None:
    import keras

    picture = keras.Input((224, 224, 3))
    twice = keras.layers.Conv2D(3, 3, padding="same", name="twice")
    first = keras.layers.ReLU()(twice(picture))
    model = keras.Model(picture, keras.layers.ReLU(name="after")(twice(first)), name="made")
    with pytest.raises(ConfigError, match="knows no layer that is used twice, as before after; take --engine keras"):
        of_model("made", model, "onnx")


def test_other_numbers_than_those_of_keras_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import keras

    model = _model(keras.layers.ReLU())
    write: Callable[..., str] = onnx._LAYERS["AveragePooling2D"]
    monkeypatch.setitem(onnx._LAYERS, "ReLU", write)
    model.layers[-1].pool_size, model.layers[-1].strides = (1, 1), (1, 1)
    model.layers[-1].padding, model.layers[-1].data_format = "valid", "channels_last"
    with pytest.raises(DataError, match=r"gives other numbers than Keras for made: they differ by .* of the largest"):
        onnx.onnx_infer(model, keras_infer(model, 1), tmp_path / "made.onnx")
    assert not list(tmp_path.iterdir())


def test_a_bound_that_noise_does_not_reach_is_looked_for_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(onnx._LAYERS, "ReLU", onnx._simple("Relu"))
    with pytest.raises(DataError, match="gives other numbers than Keras"):
        of_model("made", _network("bounded"), "onnx")


def test_a_threshold_is_named() -> None:
    import keras

    with pytest.raises(ConfigError, match="does not know the threshold of odd; take --engine keras"):
        of_model("made", _model(keras.layers.ReLU(threshold=1.0, name="odd")), "onnx")


@pytest.mark.parametrize("damage", ["cut off", "emptied", "other numbers"])
def test_a_damaged_export_is_written_anew(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    model = _network("strides and same")
    expected = of_model("made", model, "onnx", tmp_path)(_pixels())
    (kept,) = tmp_path.iterdir()
    content = kept.read_bytes()
    kernel = model.layers[1].kernel.numpy().transpose(3, 2, 0, 1).tobytes()
    assert kernel in content
    after = {"cut off": content[:-100], "emptied": b"", "other numbers": content.replace(kernel, bytes(len(kernel)))}
    kept.write_bytes(after[damage])
    np.testing.assert_array_equal(of_model("made", model, "onnx", tmp_path)(_pixels()), expected)
    assert kept.read_bytes() == content
    assert f"{kept} is written anew: " in caplog.text


def test_error_without_packages_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match="pip install onnx"):
        of_model("made", _model(keras.layers.ReLU()), "onnx")
