"""What the tests of `features` share: drawn posters, and small networks as Keras files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from features.encoders.backbone import Backbone
from features.encoders.loading import load_backbone
from features.options import ExtractOptions
from features.pipeline import Picture


def draw_poster(path: Path, seed: int, size: tuple[int, int] = (60, 90), mode: str = "RGB") -> Path:
    """Draw noise over a gradient, so that every pixel counts and no two posters are alike."""
    rng = np.random.default_rng(seed)
    width, height = size
    slope = np.linspace(0, 128, height)[:, None, None] + np.linspace(0, 60, width)[None, :, None]
    pixels = (slope + rng.integers(0, 67, (height, width, 3))).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def draw_white(path: Path) -> None:
    Image.new("RGB", (60, 90), "white").save(path)


def picture_of(path: Path, movie_id: int) -> Picture:
    return Picture(movie_id, path, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[..., list[Picture]]:
    """Draw so many posters, of the films 1, 2 and so on."""

    def draw(n_pictures: int) -> list[Picture]:
        folder = tmp_path / "posters"
        folder.mkdir(exist_ok=True)
        return [
            picture_of(draw_poster(folder / f"{movie_id}.png", movie_id), movie_id)
            for movie_id in range(1, n_pictures + 1)
        ]

    return draw


def small_model(name: str = "tiny", shape: tuple[int | None, ...] = (224, 224, 3), scale: float = 1.0) -> Any:
    """Make a network of 4 x 4 x 3 outputs that is seeded and takes no time."""
    import keras

    picture = keras.Input(shape)
    pooled = keras.layers.AveragePooling2D(56)(picture)
    mixed = keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(seed=7))(pooled)
    return keras.Model(picture, keras.layers.Rescaling(scale)(mixed), name=name)


def save_network(model: Any, path: Path, preprocessing: str = "caffe") -> Path:
    """Save a network as a Keras file, with its preprocessing beside it."""
    model.save(path)
    path.with_suffix(".json").write_text(json.dumps({"preprocessing": preprocessing}))
    return path


@pytest.fixture
def keras_file(tmp_path: Path) -> Callable[..., Path]:
    """Save a small network as a Keras file."""

    def save(**how: Any) -> Path:
        path = tmp_path / f"{how.get('name', 'tiny')}.keras"
        save_network(small_model(**how), path)
        return path

    return save


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """A small network, loaded as a user's own file is."""
    path = tmp_path_factory.mktemp("network") / "tiny.keras"
    save_network(small_model(), path)
    return load_backbone(ExtractOptions(str(path)), path.parent)
