"""Records of preprocessing: their text, and that both engines compute what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.errors import ConfigError, DataError
from features.encoders.encoder import encoder_for
from features.encoders.keras import of_model
from features.encoders.loading import load_backbone
from features.framing import Resize
from features.images import read_image
from features.options import Engine, ExtractOptions
from features.preprocessing import PRESETS, Preprocessing
from features.store import FeatureStore
from keyart.pipeline.features import extract_images
from tests.features.conftest import draw_poster, small_model
from tests.records import rewrite_record

KerasFile = Callable[..., Path]
LITE0 = "rgb,127,128"
# Three means and three standard deviations that no preset has, in both orders.
TEXTS = (*PRESETS, LITE0, "rgb,0,1", "bgr,10,20,30,2,4,8.5", "rgb,10,20,30,2,4,8.5")


def _pixels() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (2, 224, 224, 3), np.uint8)


def _convolution() -> Any:
    """Make a network that ONNX Runtime runs too; its padding shows whether zeros are added after preprocessing."""
    import keras

    keras.utils.set_random_seed(3)
    layers = [keras.layers.AveragePooling2D(32), keras.layers.Conv2D(5, 3, padding="same")]
    return keras.Sequential([keras.Input((224, 224, 3)), *layers], name="convolution")


# Text

SETTINGS = (
    "caffe,size=256",
    "torch,size=256x192,fit=crop,edge=224,filter=bilinear",
    "rgb,127,128,fit=pad,fill=128",
    "tf,layout=nhwc,output=last_hidden_state,tokens=first",
)


@pytest.mark.parametrize("text", [*TEXTS, *SETTINGS])
def test_the_text_of_a_record_is_read_as_the_same_record(text: str) -> None:
    assert str(Preprocessing.parse(text)) == text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (" TF ", "tf"),
        ("rgb,127.5,127.5", "tf"),
        ("BGR,103.939,116.779,123.68,1,1,1", "caffe"),
        ("rgb,123.675,116.28,103.53,58.395,57.12,57.375", "torch"),
        ("rgb, 127.0, 1.28e2", LITE0),
        ("rgb,127,127,127,128,128,128", LITE0),
        ("rgb,-0,255", "rgb,0,255"),
        (" Torch, fit=CROP ,size=256X256,filter=bicubic", "torch,size=256,fit=crop"),
        ("tf,output=Pooled", "tf,output=Pooled"),
    ],
)
def test_equal_preprocessings_have_one_text(written: str, text: str) -> None:
    assert str(Preprocessing.parse(written)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no preprocessing is called ''; expected caffe, tf, torch, or ORDER,MEAN,STD as in rgb,127,128"),
        ("cafe", "no preprocessing is called 'cafe'; did you mean caffe"),
        ("imagenet", "no preprocessing is called 'imagenet'; expected caffe, tf, torch, or ORDER,MEAN,STD"),
        ("rbg,127,128", "expected the order rgb or bgr in .*, received 'rbg'"),
        ("rgb,", "expected numbers in .*, received ''"),
        ("rgb,127,x", "expected numbers in .*, received 'x'"),
        ("rgb,127", "one mean and one standard deviation, or three .*; received 1 numbers in 'rgb,127'"),
        ("rgb,1,2,3,4", "received 4 numbers"),
        ("rgb,1,2,3,4,5,6,7", "received 7 numbers"),
        ("rgb,nan,128", "expected a mean from -1,000,000 to 1,000,000, received nan"),
        ("rgb,-inf,128", "expected a mean .*, received -inf"),
        ("rgb,127,0", "expected a standard deviation from 0.000001 to 1,000,000, received 0"),
        ("rgb,127,-128", "expected a standard deviation .*, received -128"),
        ("rgb,1,2,3,4,5,nan", "expected a standard deviation .*, received nan"),
        ("caffe,fit=tile", "expected fit=stretch or crop or pad, received 'tile'"),
        ("caffe,size=0", "expected size=1 to 4,096, received '0'"),
        ("caffe,size=", "expected size=1 to 4,096, received ''"),
        ("caffe,size=224x", "expected size=1 to 4,096, received ''"),
        ("caffe,edge=", "expected edge=1 to 4,096, received ''"),
        ("caffe,output=", "expected output=NAME, received no name"),
        ("caffe,fill=256", "expected fill=0 to 255, received '256'"),
        ("caffe,fit=pad,edge=256", "edge goes with fit=stretch and fit=crop"),
        ("caffe,zoom=2", "expected settings such as .*, received 'zoom'"),
        ("caffe,size=64,size=32", "expected each setting once"),
        ("caffe,size=64,crop", "expected settings such as .* after the numbers, received 'crop'"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^preprocessing: .*{message}"):
        ExtractOptions(preprocessing=text)


# Numbers


@pytest.mark.parametrize("mode", PRESETS)
def test_presets_are_the_modes_of_keras(mode: str) -> None:
    import keras

    pixels = _pixels()
    expected = keras.applications.imagenet_utils.preprocess_input(pixels.astype(np.float32), mode=mode)
    output = of_model("tiny", small_model(), preprocessing=PRESETS[mode])(pixels)
    np.testing.assert_allclose(output, small_model().predict(expected, verbose=0), rtol=1e-4, atol=1e-4)


@pytest.mark.heavy
@pytest.mark.parametrize("engine", ["keras", "onnx"])
@pytest.mark.parametrize("text", TEXTS)
def test_both_engines_compute_what_the_text_says(engine: Engine, text: str, tmp_path: Path) -> None:
    if engine == "onnx":
        pytest.importorskip("onnxruntime")
    record, pixels = Preprocessing.parse(text), _pixels()
    ordered = pixels if record.order == "rgb" else pixels[..., ::-1]
    values = (ordered.astype(np.float64) - record.mean) / record.std
    expected = _convolution().predict(values.astype(np.float32), verbose=0)
    received = of_model("made", _convolution(), engine, tmp_path, preprocessing=record)(pixels)
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.release
def test_each_preprocessing_has_an_onnx_file_of_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("onnxruntime")
    for _ in range(2):
        for text in ("caffe", "tf", "bgr,127.5,127.5"):
            of_model("made", _convolution(), "onnx", tmp_path, preprocessing=Preprocessing.parse(text))
    assert len(list(tmp_path.glob("*.onnx"))) == 3
    assert "written anew" not in caplog.text


def test_vgg16_takes_its_own_only(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"--preprocessing tf is for files of networks .*; vgg16 was trained with caffe"
    ):
        load_backbone(ExtractOptions(weights="random", preprocessing="tf"), tmp_path)


# Identity


def test_the_preprocessing_is_part_of_the_identity(tmp_path: Path, keras_file: KerasFile) -> None:
    network, out = str(keras_file()), tmp_path / "out"
    posters = [(name, draw_poster(tmp_path / f"{name}.png", seed)) for seed, name in enumerate("ab")]
    chosen = ExtractOptions(network, preprocessing=" RGB,127.0,128")
    assert extract_images(posters, out, chosen).n_new == 2
    store = FeatureStore.open(out)
    assert (store.identity.preprocessing, str(store.identity).count(f", preprocessing {LITE0})")) == (LITE0, 1)
    assert extract_images(posters, out, ExtractOptions(network, preprocessing=LITE0)).n_known == 2
    with pytest.raises(DataError, match=rf"never mix: extract with the same options \(--preprocessing {LITE0}\), or"):
        extract_images(posters, out, ExtractOptions(network))
    assert extract_images(posters, out, ExtractOptions(network, preprocessing="tf", rebuild=True)).n_new == 2
    assert FeatureStore.open(out).identity.preprocessing == "tf"


def test_other_images_get_the_recorded_preprocessing(tmp_path: Path, keras_file: KerasFile) -> None:
    poster = draw_poster(tmp_path / "a.png", 1)
    extract_images([("a", poster)], tmp_path / "out", ExtractOptions(str(keras_file()), preprocessing=LITE0))
    store = FeatureStore.open(tmp_path / "out")
    encoder = encoder_for(store, tmp_path)
    assert (store.options().preprocessing, str(encoder.backbone.preprocessing)) == (LITE0, LITE0)
    assert encoder.identity == store.identity


def test_the_record_of_caffe_is_that_of_earlier_versions(tmp_path: Path, keras_file: KerasFile) -> None:
    extract_images([("a", draw_poster(tmp_path / "a.png", 1))], tmp_path / "out", ExtractOptions(str(keras_file())))
    record = json.loads((tmp_path / "out" / "features.json").read_text())
    assert record["identity"]["preprocessing"] == "caffe"
    assert {*record["origin"]} == {"backbone", "weights", "seed", "engine"}
    assert "preprocessing" not in str(FeatureStore.open(tmp_path / "out").identity)


def test_features_that_are_there_say_how_the_same_file_is_fed(tmp_path: Path, keras_file: KerasFile) -> None:
    network, out = keras_file(), tmp_path / "out"
    network.with_suffix(".json").unlink()
    posters = [("a", draw_poster(tmp_path / "a.png", 1))]
    with pytest.raises(ConfigError, match="give --preprocessing"):
        extract_images(posters, out, ExtractOptions(str(network)))
    extract_images(posters, out, ExtractOptions(str(network), preprocessing=LITE0))
    assert extract_images(posters, out, ExtractOptions(str(network))).n_known == 1
    assert extract_images(posters, out, ExtractOptions(str(network), rebuild=True)).n_known == 1
    (tmp_path / "moved").mkdir()
    moved = network.rename(tmp_path / "moved" / network.name)
    assert extract_images(posters, out, ExtractOptions(str(moved))).n_known == 1
    renamed = moved.rename(tmp_path / "renamed.keras")
    with pytest.raises(ConfigError, match="give --preprocessing"):
        extract_images(posters, out, ExtractOptions(str(renamed), rebuild=True))


def test_a_recorded_preprocessing_that_is_unknown_is_reported(tmp_path: Path, keras_file: KerasFile) -> None:
    extract_images([("a", draw_poster(tmp_path / "a.png", 1))], tmp_path / "out", ExtractOptions(str(keras_file())))
    path = tmp_path / "out" / "features.json"
    rewrite_record(path, lambda record: json.loads(json.dumps(record).replace('"caffe"', '"crop,1"')))
    with pytest.raises(DataError, match=r"features\.json is damaged or of a later keyart \(preprocessing: .*crop"):
        encoder_for(FeatureStore.open(tmp_path / "out"), tmp_path)


# The real network


def test_the_real_network_gives_the_same_numbers_in_both_engines(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    network, pixels = str(shared / "weights/efficientnet_lite0_imagenet.keras"), _pixels()
    engines: tuple[Engine, ...] = ("keras", "onnx")
    expected, received = (
        load_backbone(ExtractOptions(network, engine=engine, preprocessing=LITE0), tmp_path)(pixels)
        for engine in engines
    )
    assert expected.shape == (2, 7, 7, 1280)
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_the_real_network_sees_what_it_was_trained_on(shared: Path) -> None:
    """The first normalization keeps the mean and variance of its input in training."""
    import keras

    posters = sorted((shared / "data/posters").glob("*.jpg"))[::100]
    pixels = np.stack([read_image(path, Resize.ANTIALIAS)[0] for path in posters])
    network = keras.saving.load_model(shared / "weights/efficientnet_lite0_imagenet.keras", compile=False)
    first = next(layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization))
    stem = keras.Model(network.input, first.input)

    def shift(text: str) -> float:
        maps = of_model("stem", stem, preprocessing=Preprocessing.parse(text))(pixels)
        deviations = np.sqrt(first.moving_variance.numpy() + first.epsilon)
        return float(np.median(np.abs(maps.mean(axis=(0, 1, 2)) - first.moving_mean.numpy()) / deviations))

    assert shift(LITE0) < 0.3
    assert shift("torch") > 0.4
    assert shift("caffe") > 10
