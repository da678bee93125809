"""ONNX files as encoders: their numbers are those of Keras, and what does not fit is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import ConfigError, DataError
from features.encoders.backbone import Backbone
from features.encoders.keras import of_model
from features.encoders.loading import encoder_files, load_backbone
from features.options import ExtractOptions
from features.preprocessing import Preprocessing
from tests.features.encoders.onnx_files import save_as_onnx, save_tokens

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

TF = "tf,output=maps"


@pytest.fixture(scope="module")
def network() -> Any:
    """A convolution from 32 × 48 pixels to 4 × 6 × 5, and ReLU."""
    import keras

    keras.utils.set_random_seed(3)
    picture = keras.Input((32, 48, 3))
    return keras.Model(picture, keras.layers.Conv2D(5, 8, strides=8, activation="relu")(picture), name="net")


def _pixels(n_pictures: int = 3, shape: tuple[int, int] = (32, 48)) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(n_pictures).integers(0, 256, (n_pictures, *shape, 3), np.uint8)


def _load(path: Path, preprocessing: str = TF, **options: Any) -> Backbone:
    return load_backbone(ExtractOptions(str(path), preprocessing=preprocessing, **options), path.parent)


@pytest.mark.parametrize(
    "how", [{}, {"layout": "nhwc"}, {"batch": 1}, {"batch": 2, "layout": "nhwc"}, {"dtype": "float16"}], ids=str
)
@pytest.mark.parametrize("text", ["tf", "caffe", "bgr,10,20,30,2,4,8.5"])
def test_the_numbers_are_those_of_keras(network: Any, tmp_path: Path, how: dict[str, Any], text: str) -> None:
    expected = of_model("net", network, batch_size=3, preprocessing=Preprocessing.parse(text))(_pixels())
    backbone = _load(save_as_onnx(network, tmp_path / "net.onnx", **how), f"{text},output=maps")
    assert (backbone.name, backbone.output_shape, backbone.batch_size) == ("net", (4, 6, 5), how.get("batch", 16))
    tolerance = 1e-2 if "dtype" in how else 1e-4
    np.testing.assert_allclose(backbone(_pixels()), expected, rtol=tolerance, atol=tolerance * expected.max())


@pytest.mark.parametrize(
    ("name", "text"), [("squeezenet_v1_1", "caffe"), ("efficientnet_lite0", "rgb,127,128")], ids=["squeezenet", "lite0"]
)
def test_a_real_network_gives_the_numbers_of_keras(shared: Path, tmp_path: Path, name: str, text: str) -> None:
    file = shared / f"weights/{name}_imagenet.keras"
    pixels = _pixels(2, (224, 224))
    expected = load_backbone(ExtractOptions(file, preprocessing=text, batch_size=2), tmp_path)(pixels)
    import keras

    path = save_as_onnx(keras.saving.load_model(file, compile=False), tmp_path / "net.onnx")
    received = _load(path, f"{text},output=maps")(pixels)
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_tokens_become_one_row(tmp_path: Path) -> None:
    path, pixels = save_tokens(tmp_path / "net.onnx"), _pixels()
    means = pixels.mean(axis=(1, 2))
    rows = {text: _load(path, f"rgb,0,1,size=32x48{text}")(pixels) for text in ("", ",tokens=first", ",tokens=mean")}
    assert rows[""].shape == (3, 5, 3)
    np.testing.assert_allclose(rows[",tokens=first"], means, rtol=1e-4)
    np.testing.assert_allclose(rows[",tokens=mean"], 3 * means, rtol=1e-4)


def test_everything_that_changes_the_numbers_changes_the_identity(network: Any, tmp_path: Path) -> None:
    path = save_as_onnx(network, tmp_path / "net.onnx")
    first = _load(path)
    others = [_load(path, text) for text in ("torch,output=maps", "tf,output=pooled", "tf,output=maps,fit=crop")]
    weights = network.get_weights()
    network.set_weights([2 * one for one in weights])
    others.append(_load(save_as_onnx(network, tmp_path / "net.onnx")))
    network.set_weights(weights)
    keys = [(one.weights_sha256, one.architecture_sha256, str(one.preprocessing)) for one in (first, *others)]
    assert len({*keys}) == 5
    again = _load(save_as_onnx(network, tmp_path / "net.onnx"))
    assert (again.weights_sha256, again.architecture_sha256, str(again.preprocessing)) == keys[0]


def _split(network: Any, folder: Path, location: str) -> Path:
    """Save a network with its weights in another file."""
    import onnx

    whole = onnx.load(save_as_onnx(network, folder / "whole.onnx"))
    (folder / location).parent.mkdir(exist_ok=True)
    onnx.save(whole, folder / "net.onnx", save_as_external_data=True, location=location, size_threshold=0)
    return folder / "net.onnx"


@pytest.mark.parametrize("location", ["net.onnx.data", "weights.bin", "weights/of net.bin"])
def test_weights_in_another_file_count(network: Any, tmp_path: Path, location: str) -> None:
    path = _split(network, tmp_path, location)
    split = _load(path)
    np.testing.assert_array_equal(split(_pixels()), _load(tmp_path / "whole.onnx")(_pixels()))
    assert encoder_files(ExtractOptions(path), tmp_path) == [path, tmp_path / location]
    content = bytearray((tmp_path / location).read_bytes())
    content[:64] = bytes(64)
    (tmp_path / location).write_bytes(content)
    assert _load(path).weights_sha256 != split.weights_sha256


def test_files_beside_a_network_that_it_does_not_name_count_nothing(network: Any, tmp_path: Path) -> None:
    path = _split(network, tmp_path, "weights.bin")
    before = _load(path).weights_sha256
    (tmp_path / "net.onnx.txt").write_text("notes")
    assert _load(path).weights_sha256 == before


def test_a_missing_file_of_weights_is_named(network: Any, tmp_path: Path) -> None:
    path = _split(network, tmp_path, "weights.bin")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(DataError, match=r"net\.onnx keeps weights in .*weights\.bin, which is missing; put it back"):
        _load(path)


@pytest.mark.parametrize("location", ["../elsewhere.bin", "/elsewhere.bin"])
def test_weights_outside_the_folder_are_refused(network: Any, tmp_path: Path, location: str) -> None:
    import onnx

    path = _split(network, tmp_path, "weights.bin")
    model = onnx.load(path, load_external_data=False)
    for entry in (one for tensor in model.graph.initializer for one in tensor.external_data if one.key == "location"):
        entry.value = location
    onnx.save(model, path)
    with pytest.raises(DataError, match=rf"net\.onnx keeps weights in {location}; expected a file in its own folder"):
        _load(path)


def test_the_record_beside_the_file_counts(network: Any, tmp_path: Path) -> None:
    path = save_as_onnx(network, tmp_path / "net.onnx")
    with pytest.raises(ConfigError, match=r"net\.onnx was trained to see pictures is not known: give --preprocessing "):
        load_backbone(ExtractOptions(path), tmp_path)
    path.with_suffix(".json").write_text(json.dumps({"preprocessing": TF}))
    assert str(load_backbone(ExtractOptions(path), tmp_path).preprocessing) == "tf,size=32x48,output=maps"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tf", "has the outputs maps, pooled; add output=NAME to its preprocessing"),
        ("tf,output=last_hidden_state", "has no output 'last_hidden_state'; it has maps, pooled: change output=NAME"),
        ("tf,size=224,output=maps", "it takes 32 × 48 pixels, and the preprocessing makes 224 × 224"),
        ("tf,layout=nhwc,output=maps", "has no 3 channels in the layout nhwc"),
        ("tf,output=maps,tokens=first", r"gives output of shape \(4, 6, 5\); tokens=first needs"),
    ],
)
def test_a_preprocessing_that_does_not_fit_is_named(network: Any, tmp_path: Path, text: str, reason: str) -> None:
    path = save_as_onnx(network, tmp_path / "net.onnx")
    with pytest.raises(DataError, match=rf"net\.onnx .*{reason}") as raised:
        _load(path, text)
    assert "\n" not in str(raised.value)


def _of_input(path: Path, shape: list[Any], kind: int = 1) -> Path:
    from onnx import helper, save

    pictures = helper.make_tensor_value_info("pictures", kind, shape)
    node = helper.make_node("Identity", ["pictures"], ["out"])
    graph = helper.make_graph([node], "g", [pictures], [helper.make_tensor_value_info("out", kind, None)])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("shape", "kind", "reason"),
    [
        (["n", 3, 224], 1, r"takes pictures \['n', 3, 224\] tensor\(float\); expected one input of pictures"),
        (["n", 3, 8, 8], 7, r"takes pictures .* tensor\(int64\); expected one input of pictures"),
        (["n", "c", "h", "w"], 1, "may be of either layout; add layout=nchw or layout=nhwc"),
        (["n", 3, 8, 3], 1, "may be of either layout"),
        (["n", 1, 8, 8], 1, "may be of either layout"),
    ],
)
def test_an_input_that_is_no_picture_is_named(tmp_path: Path, shape: list[Any], kind: int, reason: str) -> None:
    path = _of_input(tmp_path / "net.onnx", shape, kind)
    with pytest.raises(DataError, match=rf"net\.onnx .*{reason}"):
        _load(path, "tf,size=8")


def test_a_dynamic_shape_takes_layout_and_size_of_the_preprocessing(tmp_path: Path) -> None:
    path = _of_input(tmp_path / "net.onnx", ["n", "c", "h", "w"])
    assert _load(path, "tf,size=8x4,layout=nchw").output_shape == (8, 4, 3)


def test_names_of_dimensions_say_the_layout(tmp_path: Path) -> None:
    path = _of_input(tmp_path / "net.onnx", ["batch_size", "num_channels", "height", "width"])
    assert _load(path, "tf,size=8x4").output_shape == (8, 4, 3)


def _nested(depth: int) -> bytes:
    """A graph in the attribute of a node of a graph, and so on."""
    content = b""
    for field in [*[6, 5, 1] * depth, 7]:
        length = len(content)
        size = bytes([length & 127 | 128, length >> 7 & 127 | 128, length >> 14])
        content = bytes([field << 3 | 2]) + size + content
    return content


@pytest.mark.parametrize("content", [b"", b"once upon a time", bytes(100), _nested(600)], ids=len)
def test_another_file_is_no_network(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(DataError, match=r"net\.onnx is not an ONNX file that ONNX Runtime opens: ") as raised:
        _load(tmp_path / "net.onnx")
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--encoder .*net\.onnx: no such file"):
        _load(tmp_path / "net.onnx")
