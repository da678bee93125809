from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import ConfigError, DataError, FetchError
from features.encoders.backbone import Backbone
from features.encoders.encoder import to_float16
from features.encoders.keras import _SAFE_SINCE, check_version, keras_infer, load_model, of_model
from features.encoders.loading import load_backbone
from features.encoders.registry import EncoderInfo
from features.framing import Resize
from features.images import read_image
from features.options import ExtractOptions
from tests.features.conftest import draw_poster, save_network, small_model

pytestmark = pytest.mark.heavy

RANDOM = ExtractOptions(weights="random")
SIZES = [(182, 268), (500, 751), (333, 217), (31, 47), (225, 223)]


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_backbone(RANDOM, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def vgg16_model() -> Any:
    """VGG16 as a user of Keras has it, with the numbers that seed 0 draws."""
    import keras

    from features.encoders.weights import random_kernels

    model = keras.applications.VGG16(include_top=False, weights=None, input_shape=(224, 224, 3))
    model.set_weights(random_kernels([tuple(weight.shape) for weight in model.weights], 0))
    return model


@pytest.fixture(scope="module")
def posters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("posters")
    return [draw_poster(folder / f"{seed}.jpg", seed, size) for seed, size in enumerate(SIZES)]


def _pixels(n_pictures: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(n_pictures).integers(0, 256, (n_pictures, 224, 224, 3), np.uint8)


# VGG16


def _articles_input(path: Path) -> npt.NDArray[np.float32]:
    import keras

    image = keras.utils.load_img(path, target_size=(224, 224))
    batch = np.expand_dims(keras.utils.img_to_array(image), axis=0)
    return np.asarray(keras.applications.vgg16.preprocess_input(batch))


def test_preprocessing_equals_that_of_the_article(posters: list[Path]) -> None:
    import keras

    picture = keras.Input((224, 224, 3))
    infer = keras_infer(keras.Model(picture, keras.layers.Identity()(picture)), 1)
    for path in posters:
        ours = infer(read_image(path, Resize.NEAREST)[0][None])
        np.testing.assert_array_equal(ours, _articles_input(path))


def test_features_are_number_by_number_those_of_the_article(
    vgg16: Backbone, vgg16_model: Any, posters: list[Path]
) -> None:
    ours = vgg16(np.stack([read_image(path, Resize.NEAREST)[0] for path in posters])).reshape(len(posters), -1)
    for row, path in zip(ours, posters, strict=True):
        article = vgg16_model.predict(_articles_input(path), verbose=0).ravel()
        assert (row.shape, article.shape) == ((25_088,), (25_088,))
        # The order of additions differs with the size of the batch, and nothing else does.
        np.testing.assert_allclose(row, article, rtol=1e-4, atol=1e-5 * article.max())
        kept = to_float16(row[None], "vgg16")[0].astype(np.float32)
        np.testing.assert_allclose(kept, article, rtol=2**-10, atol=1e-5 * article.max())


def test_random_vgg16_has_25088_features_and_a_name(vgg16: Backbone) -> None:
    assert (vgg16.name, vgg16.output_shape) == ("vgg16", (7, 7, 512))


def test_the_seed_decides_random_weights(vgg16: Backbone, tmp_path: Path) -> None:
    same, other = (load_backbone(ExtractOptions(weights="random", seed=seed), tmp_path) for seed in (0, 1))
    assert same.weights_sha256 == vgg16.weights_sha256 != other.weights_sha256


def test_only_encoders_by_name_are_random() -> None:
    options = [
        RANDOM,
        ExtractOptions("resnet50", "random"),
        ExtractOptions(weights="w.h5"),
        ExtractOptions("n.keras", "random"),
    ]
    assert [one.is_random for one in options] == [True, True, False, False]


@pytest.mark.parametrize("file_name", ["saved.weights.h5", "legacy.h5"])
def test_weights_from_a_file_are_those_that_were_saved(
    vgg16: Backbone, vgg16_model: Any, tmp_path: Path, file_name: str
) -> None:
    path = tmp_path / file_name
    if file_name.endswith(".weights.h5"):
        vgg16_model.save_weights(path)
    else:
        _save_as_keras_2_did(vgg16_model, path)
    # One picture a batch: VGG16 takes seconds for sixteen.
    loaded = load_backbone(ExtractOptions(weights=str(path), batch_size=1), tmp_path)
    in_memory = of_model("vgg16", vgg16_model, batch_size=1)
    assert loaded.weights_sha256 == in_memory.weights_sha256 == vgg16.weights_sha256
    np.testing.assert_array_equal(loaded(_pixels(1)), in_memory(_pixels(1)))


def _save_as_keras_2_did(model: Any, path: Path) -> None:
    """Write the layout of keras.applications' *_notop.h5: a group a layer, its weights named in an attribute."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.weights, strict=True):
                group[name] = weight.numpy()


def test_imagenet_weights_are_looked_for_in_the_cache(vgg16: Backbone, vgg16_model: Any, tmp_path: Path) -> None:
    asked: list[Path] = []

    def find(cache_dir: Path, info: EncoderInfo) -> Path:
        assert info.name == "vgg16"
        asked.append(cache_dir)
        vgg16_model.save_weights(cache_dir / "found.weights.h5")
        return cache_dir / "found.weights.h5"

    found = load_backbone(ExtractOptions(), tmp_path, find)
    assert asked == [tmp_path]
    assert found.weights_sha256 == vgg16.weights_sha256


def test_missing_imagenet_weights_are_not_replaced_by_others(tmp_path: Path) -> None:
    def refuse(cache_dir: Path, info: EncoderInfo) -> Path:
        raise FetchError("no network")

    with pytest.raises(FetchError, match="no network"):
        load_backbone(ExtractOptions(), tmp_path, refuse)


def _text(path: Path) -> None:
    path.write_text("once upon a time")


def _nothing(path: Path) -> None:
    path.write_bytes(b"")


def _other_network(path: Path) -> None:
    small_model().save_weights(path.with_suffix(".weights.h5"))
    path.with_suffix(".weights.h5").rename(path)


def _other_legacy_network(path: Path) -> None:
    _save_as_keras_2_did(small_model(), path)


def _empty_hdf5(path: Path) -> None:
    import h5py

    h5py.File(path, "w").close()


def _cut_off(path: Path) -> None:
    _other_network(path)
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".bin"])
@pytest.mark.parametrize(
    "write", [_text, _nothing, _other_network, _other_legacy_network, _empty_hdf5, _cut_off], ids=lambda w: w.__name__
)
def test_a_file_without_the_weights_of_vgg16_is_refused(
    tmp_path: Path, write: Callable[[Path], None], suffix: str
) -> None:
    path = tmp_path / f"wrong{suffix}"
    write(path)
    with pytest.raises(DataError, match=rf"wrong{suffix} does not hold the weights of vgg16 without its top"):
        load_backbone(ExtractOptions(weights=str(path)), tmp_path)


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--weights .*w\.h5: no such file; expected a weights file of vgg16"):
        load_backbone(ExtractOptions(weights=str(tmp_path / "w.h5")), tmp_path)


# Keras files


def test_a_keras_file_gives_its_output(tiny: Backbone) -> None:
    import keras

    pixels = _pixels(3)
    output = small_model().predict(keras.applications.vgg16.preprocess_input(pixels.astype(np.float32)), verbose=0)
    assert (tiny.name, tiny.output_shape, output.shape) == ("tiny", (4, 4, 3), (3, 4, 4, 3))
    np.testing.assert_allclose(tiny(pixels), output, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_pictures", [0, 1, 15, 16, 17, 33])
def test_a_batch_answers_as_single_pictures_do(tiny: Backbone, n_pictures: int) -> None:
    pixels = _pixels(n_pictures)
    features = tiny(pixels)
    assert (features.shape, features.dtype) == ((n_pictures, 4, 4, 3), np.float32)
    for row in range(n_pictures):
        np.testing.assert_array_equal(tiny(pixels[row : row + 1])[0], features[row])


def test_pictures_are_not_changed(tiny: Backbone) -> None:
    pixels = _pixels(2)
    pixels.flags.writeable = False
    tiny(pixels)
    np.testing.assert_array_equal(pixels, _pixels(2))


def test_the_hash_is_of_the_weights_and_not_of_the_file(keras_file: Callable[..., Path], tiny: Backbone) -> None:
    again = load_backbone(ExtractOptions(str(keras_file(name="again"))), Path())
    assert (again.weights_sha256, again.name) == (tiny.weights_sha256, "again")


def test_a_network_of_another_input_is_refused(keras_file: Callable[..., Path]) -> None:
    with pytest.raises(
        DataError, match=r"takes input of shape \(None, .*\); expected one picture of \(height, width, 3\)"
    ):
        load_backbone(ExtractOptions(str(keras_file(shape=(224, 224, 1)))), Path())


def test_a_network_has_the_size_of_its_file(keras_file: Callable[..., Path]) -> None:
    network = str(keras_file(shape=(112, 168, 3)))
    backbone = load_backbone(ExtractOptions(network), Path())
    assert (str(backbone.preprocessing), backbone.output_shape) == ("caffe,size=112x168", (2, 3, 3))
    assert backbone(np.zeros((1, 112, 168, 3), np.uint8)).shape == (1, 2, 3, 3)
    with pytest.raises(DataError, match="it takes 112 × 168 pixels, and the preprocessing makes 64 × 64"):
        load_backbone(ExtractOptions(network, preprocessing="caffe,size=64"), Path())


def test_a_network_of_any_size_has_that_of_its_preprocessing(keras_file: Callable[..., Path]) -> None:
    network = str(keras_file(shape=(None, None, 3)))
    for text, shape in (("caffe", (4, 4, 3)), ("caffe,size=112", (2, 2, 3))):
        backbone = load_backbone(ExtractOptions(network, preprocessing=text), Path())
        assert (str(backbone.preprocessing), backbone.output_shape) == (text, shape)


def test_a_file_without_preprocessing_is_asked_for_it(keras_file: Callable[..., Path]) -> None:
    path = keras_file()
    path.with_suffix(".json").unlink()
    with pytest.raises(
        ConfigError, match=r"was trained to see pictures is not known: give --preprocessing .*tiny\.json"
    ):
        load_backbone(ExtractOptions(str(path)), Path())


def _lambda(path: Path) -> None:
    import keras

    picture = keras.Input((224, 224, 3))
    keras.Model(picture, keras.layers.Lambda(lambda values: values * 2)(picture)).save(path)


@pytest.mark.parametrize("file_name", ["code.keras", "code.h5"])
def test_a_file_with_code_is_refused(tmp_path: Path, file_name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _lambda(tmp_path / file_name)
    expected = rf"{file_name} is not a Keras model file: it holds code, such as a Lambda layer, which is never run"
    with pytest.raises(DataError, match=expected) as raised:
        load_backbone(ExtractOptions(str(tmp_path / file_name), preprocessing="tf"), tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("version", ["3.10.0", "3.11.2", "3.13.1"])
def test_a_keras_that_runs_code_of_files_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match=rf"Keras {version} does not open files safely: .*'keras>=3\.13\.2'"):
        check_version(version)


@pytest.mark.parametrize("version", ["3.13.2", "3.14.0.dev2025", "4.0"])
def test_a_safe_version_of_keras_is_accepted(version: str) -> None:
    check_version(version)


def test_the_least_version_of_keras_is_that_of_the_project() -> None:
    content = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"keras>={".".join(map(str, _SAFE_SINCE))},' in content


def _damaged_in_the_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = slice(len(content) // 2, len(content) // 2 + 400)
    content[middle] = bytes(255 - byte for byte in content[middle])
    path.write_bytes(content)


def _config_of_a_number(path: Path) -> None:
    path.unlink()
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = '{"class_name": "Sequential", "config": 7}'


def _config_of_a_text(path: Path) -> None:
    with ZipFile(path, "w") as archive:
        archive.writestr("config.json", '"Sequential"')


@pytest.mark.parametrize("damage", [_damaged_in_the_middle, _config_of_a_number, _config_of_a_text])
def test_a_damaged_keras_file_is_no_network(keras_file: Callable[..., Path], damage: Callable[[Path], None]) -> None:
    path = keras_file()
    if damage is _config_of_a_number:
        path = path.rename(path.with_suffix(".h5"))
    damage(path)
    with pytest.raises(DataError, match="is not a Keras model file: ") as raised:
        load_backbone(ExtractOptions(str(path), preprocessing="tf"), path.parent)
    assert "\n" not in str(raised.value)


def _named_input() -> Any:
    import keras

    picture = keras.Input((224, 224, 3), name="picture")
    return keras.Model({"picture": picture}, keras.layers.Flatten()(picture))


def _named_output() -> Any:
    import keras

    picture = keras.Input((224, 224, 3))
    return keras.Model(picture, {"flat": keras.layers.Flatten()(picture)})


@pytest.mark.parametrize(("make", "what"), [(_named_input, "takes input"), (_named_output, "gives output")])
def test_a_network_of_named_input_or_output_is_refused(tmp_path: Path, make: Callable[[], Any], what: str) -> None:
    save_network(make(), tmp_path / "named.keras")
    with pytest.raises(DataError, match=rf"named\.keras {what} of shape \{{'"):
        load_backbone(ExtractOptions(str(tmp_path / "named.keras"), preprocessing="tf"), tmp_path)


def _two_inputs() -> Any:
    import keras

    pictures = [keras.Input((224, 224, 3)), keras.Input((224, 224, 3))]
    return keras.Model(pictures, keras.layers.Add()(pictures))


def _two_outputs() -> Any:
    import keras

    picture = keras.Input((224, 224, 3))
    return keras.Model(picture, [keras.layers.Flatten()(picture), keras.layers.ReLU()(picture)])


@pytest.mark.parametrize(("make", "what"), [(_two_inputs, "takes input"), (_two_outputs, "gives output")])
def test_a_network_of_two_inputs_or_outputs_is_refused(tmp_path: Path, make: Callable[[], Any], what: str) -> None:
    save_network(make(), tmp_path / "two.keras")
    with pytest.raises(DataError, match=rf"two\.keras {what} of shape \["):
        load_backbone(ExtractOptions(str(tmp_path / "two.keras")), tmp_path)


@pytest.mark.parametrize("file_name", ["net.keras", "net.h5", "net.jpg"])
@pytest.mark.parametrize("content", [b"", b"once upon a time", b"PK\x03\x04" + bytes(100)])
def test_another_file_is_no_network(tmp_path: Path, file_name: str, content: bytes) -> None:
    (tmp_path / file_name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{file_name} is not a Keras model file: .*; expected a \.keras file"):
        load_backbone(ExtractOptions(str(tmp_path / file_name), preprocessing="caffe"), tmp_path)


def test_a_keras_file_cut_off_is_no_network(keras_file: Callable[..., Path]) -> None:
    path = keras_file()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="is not a Keras model file"):
        load_backbone(ExtractOptions(str(path)), path.parent)


@pytest.mark.parametrize("weights", ["random", "other.h5"])
def test_weights_for_a_keras_file_make_no_sense(keras_file: Callable[..., Path], weights: str) -> None:
    with pytest.raises(ConfigError, match=rf"--weights {weights} is for encoders by name; .* brings its own weights"):
        load_backbone(ExtractOptions(str(keras_file()), weights), Path())


def test_a_missing_keras_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"--encoder .*net\.keras: no such file; expected the name of an encoder, or a Keras file"
    ):
        load_backbone(ExtractOptions(str(tmp_path / "net.keras")), tmp_path)


def test_real_network_recognizes_posters_of_one_film(shared: Path) -> None:
    path = shared / "weights/squeezenet_v1_1_imagenet.keras"
    backbone = load_backbone(ExtractOptions(str(path), preprocessing="caffe"), Path())
    posters = sorted((shared / "data/posters").glob("*.jpg"))[:4]
    features = backbone(np.stack([read_image(poster, resize)[0] for resize in Resize for poster in posters]))
    assert features.shape == (8, 7, 7, 512)
    features = features.reshape(8, -1)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    # Each poster, resized the one way, is nearest to itself, resized the other way.
    assert (unit[:4] @ unit[4:].T).argmax(axis=1).tolist() == [0, 1, 2, 3]


# float16


def test_halving_rounds_to_the_nearest_float16() -> None:
    features = np.random.default_rng(0).random((3, 50), np.float32) * 1000
    kept = to_float16(features, "tiny")
    assert kept.dtype == np.float16
    np.testing.assert_allclose(kept.astype(np.float32), features, rtol=2**-11)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 65_521, -70_000])
def test_rejects_features_beyond_float16(number: float) -> None:
    with pytest.raises(DataError, match="tiny gives numbers that are not finite or exceed 65504"):
        to_float16(np.array([[1, number]], np.float32), "tiny")


def test_takes_a_sequential_network(tmp_path: Path) -> None:
    import keras

    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)], name="in-a-row")
    network.save(tmp_path / "row.keras")
    name, loaded = load_model(tmp_path / "row.keras")
    assert (name, loaded.output_shape) == ("in-a-row", (None, 6, 6, 2))
