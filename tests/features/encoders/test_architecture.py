from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import DataError
from features.encoders.architecture import architecture_sha256
from features.options import ExtractOptions
from keyart.pipeline.features import extract_images
from tests.features.conftest import draw_poster


def _model(
    activation: str = "relu", strides: int = 2, name: str = "net", joined: str = "ab", nested: float = 1.0
) -> Any:
    """Make a network of branches, with one inside it; what does not change its weights can be chosen."""
    import keras
    from keras import layers

    picture = keras.Input((224, 224, 3))
    small = layers.AveragePooling2D(28, name=f"{name}_pool")(picture)
    a = layers.Conv2D(2, 3, strides, "same", activation=activation, name=f"{name}_a")(small)
    b = layers.Conv2D(2, 3, strides, "same", name=f"{name}_b")(small)
    inner = keras.Sequential([keras.Input((*a.shape[1:-1], 4)), layers.Rescaling(nested)], name=f"{name}_inner")
    both = layers.Concatenate()([a, b] if joined == "ab" else [b, a])
    return keras.Model(picture, inner(layers.Dropout(0.5)(both)), name=name)


def _sha256(model: Any) -> str:
    return architecture_sha256(model.to_json())


@pytest.mark.parametrize(
    "other",
    [{"activation": "elu"}, {"strides": 1}, {"joined": "ba"}, {"nested": 2.0}],
    ids=lambda other: next(iter(other)),
)
def test_the_same_numbers_in_other_layers_are_another_network(other: dict[str, Any]) -> None:
    one, another = _model(), _model(**other)
    assert [weight.shape for weight in one.weights] == [weight.shape for weight in another.weights]
    assert _sha256(one) != _sha256(another)


def test_names_and_training_are_of_no_account() -> None:
    import keras

    one, again = _model(), _model(name="other")
    again.trainable = False
    again.compile("sgd", "mse")
    assert _sha256(one) == _sha256(again)
    drawn = [
        keras.layers.Conv2D(2, 3, kernel_initializer=how, kernel_regularizer=how_far, activation="relu")
        for how, how_far in (("zeros", None), ("he_normal", "l2"))
    ]
    first, second = (keras.Sequential([keras.Input((224, 224, 3)), layer]) for layer in drawn)
    assert _sha256(first) == _sha256(second)


def test_a_file_holds_the_network_that_was_saved(tmp_path: Path) -> None:
    import keras

    model = _model()
    model.save(tmp_path / "net.keras")
    assert _sha256(keras.saving.load_model(tmp_path / "net.keras")) == _sha256(model)


def test_fields_of_other_keras_versions_are_ignored() -> None:
    said = json.loads(_model().to_json())
    later = json.loads(json.dumps(said).replace("keras.src.models", "keras.models"))
    for layer in later["config"]["layers"]:
        layer["config"] |= {"quantization_config": None, "remat": False, "dtype": "float32"}
        layer["registered_name"] = layer["class_name"]
    later["config"]["input_layers"] = [later["config"]["input_layers"]]
    assert architecture_sha256(json.dumps(later)) == architecture_sha256(json.dumps(said))


def test_vgg16_has_one_hash_whatever_was_made_before_it() -> None:
    import keras

    hashes = {_sha256(keras.applications.VGG16(include_top=False, weights=None, input_shape=(224, 224, 3)))}
    keras.layers.Conv2D(1, 1)
    hashes.add(_sha256(keras.applications.VGG16(include_top=False, weights=None, input_shape=(224, 224, 3))))
    # Stores in the world are tied to it: another one means that these are refused.
    assert hashes == {"55ff71b624fed41632a4a9a1c964b97ddc26546e9a040324d8e9097c0289dfa9"}


def test_features_of_another_architecture_never_mix(tmp_path: Path) -> None:
    poster = draw_poster(tmp_path / "a.png", 1)
    one, another = _model(), _model(activation="elu")
    another.set_weights(one.get_weights())
    for model, name in ((one, "one"), (another, "another")):
        (tmp_path / name).mkdir()
        model.save(tmp_path / name / "net.keras")
    options, other = (
        ExtractOptions(tmp_path / name / "net.keras", preprocessing="caffe") for name in ("one", "another")
    )
    extract_images([("a", poster)], tmp_path / "features", options)
    with pytest.raises(DataError, match="never mix"):
        extract_images([("a", poster)], tmp_path / "features", other)
