"""What every encoder keeps, whether it is known by name, a Keras file or an ONNX file."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from catalog.errors import ConfigError
from features.encoders.encoder import Encoder, encoder_for, load_encoder
from features.encoders.keras import of_model
from features.encoders.loading import encoder_files
from features.encoders.registry import ENCODERS
from features.extraction import extract_features, open_store
from features.images import read_image
from features.options import Engine, ExtractOptions
from features.pipeline import Picture
from features.spark.driver import Job
from features.store import FeatureStore
from tests.features.conftest import draw_poster, save_network, small_model
from tests.features.encoders.onnx_files import save_as_onnx
from tests.word_pair import save_pair

pytestmark = pytest.mark.heavy

_N_PICTURES, _SHARD_ROWS = 5, 2


class EncoderContract:
    """The contract of an encoder; a subclass says which."""

    @pytest.fixture(scope="class")
    @classmethod
    def options(cls, tmp_path_factory: pytest.TempPathFactory) -> ExtractOptions:
        """The encoder."""
        raise NotImplementedError

    @pytest.fixture
    def others(self, options: ExtractOptions, tmp_path: Path) -> list[ExtractOptions]:
        """Encoders that differ from it in one thing each, and so in their numbers."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def encoder(cls, options: ExtractOptions, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
        return load_encoder(options, tmp_path_factory.mktemp("cache"))

    @pytest.fixture(scope="class")
    @classmethod
    def pictures(cls, tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
        folder = tmp_path_factory.mktemp("pictures")
        return [Picture(row, draw_poster(folder / f"{row}.png", row, (90, 60))) for row in range(_N_PICTURES)]

    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls, encoder: Encoder, pictures: list[Picture]) -> npt.NDArray[np.float32]:
        return encoder(_pixels(encoder, pictures))

    def test_a_batch_equals_single_pictures(self, encoder: Encoder, pictures: list[Picture], rows: Any) -> None:
        assert rows.shape == (_N_PICTURES, encoder.identity.n_features)
        for row, pixels in enumerate(_pixels(encoder, pictures)):
            np.testing.assert_allclose(encoder(pixels[None])[0], rows[row], rtol=1e-5, atol=1e-6 * np.abs(rows).max())

    def test_pictures_have_different_rows(self, rows: npt.NDArray[np.float32]) -> None:
        assert np.isfinite(rows).all()
        assert len(np.unique(rows, axis=0)) == _N_PICTURES

    def test_what_changes_the_numbers_changes_the_identity(
        self, encoder: Encoder, others: list[ExtractOptions], tmp_path: Path
    ) -> None:
        identities = {encoder.identity, *(load_encoder(one, tmp_path).identity for one in others)}
        assert len(identities) == 1 + len(others)

    def test_features_are_computed_like_those_of_the_folder(
        self, encoder: Encoder, options: ExtractOptions, pictures: list[Picture], rows: Any, tmp_path: Path
    ) -> None:
        open_store(tmp_path / "out", encoder, options)
        again = encoder_for(FeatureStore.open(tmp_path / "out"), tmp_path)
        assert (again.identity, again.framing) == (encoder.identity, encoder.identity.framing)
        received = again(_pixels(again, pictures[:1]))
        np.testing.assert_allclose(received, rows[:1], rtol=1e-4, atol=1e-5 * np.abs(rows).max())

    def test_an_interrupted_run_is_resumed_with_the_same_bits(
        self, encoder: Encoder, options: ExtractOptions, pictures: list[Picture], tmp_path: Path
    ) -> None:
        whole, resumed = (open_store(tmp_path / name, encoder, options) for name in ("whole", "resumed"))
        extract_features(pictures, encoder, whole, shard_rows=_SHARD_ROWS)
        with pytest.raises(KeyboardInterrupt):
            extract_features(pictures, encoder, resumed, shard_rows=_SHARD_ROWS, on_picture=_interrupt_after_a_shard())
        report = extract_features(pictures, encoder, resumed, shard_rows=_SHARD_ROWS)
        assert 0 < report.n_known < _N_PICTURES
        for path in whole.folder.glob("features-*.npy"):
            assert path.read_bytes() == (resumed.folder / path.name).read_bytes()

    def test_workers_of_spark_have_the_same_encoder(
        self, encoder: Encoder, options: ExtractOptions, pictures: list[Picture], rows: Any, tmp_path: Path
    ) -> None:
        # What is sent to them, without a cluster: `tests/features/test_spark.py` has one.
        context: Any = SimpleNamespace(broadcast=lambda value: SimpleNamespace(value=value), getConf=dict)
        job = Job(options, encoder, tmp_path, open_store(tmp_path / "out", encoder, options))
        received = job._recipe(context).load()(_pixels(encoder, pictures[:1]))
        np.testing.assert_allclose(received, rows[:1], rtol=1e-5, atol=1e-6 * np.abs(rows).max())


def _pixels(encoder: Encoder, pictures: list[Picture]) -> npt.NDArray[np.uint8]:
    return np.stack([read_image(picture.source, encoder.framing)[0] for picture in pictures])


def _interrupt_after_a_shard() -> Callable[[], None]:
    n_pictures = itertools.count(1)

    def count() -> None:
        if next(n_pictures) > _SHARD_ROWS:
            raise KeyboardInterrupt

    return count


def _other_preprocessings(options: ExtractOptions, *texts: str) -> list[ExtractOptions]:
    resized = [replace(options, resize="nearest"), replace(options, pooling="gem"), replace(options, pooling="rmac")]
    return resized + [replace(options, preprocessing=text) for text in texts]


class TestByName(EncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def options(cls) -> ExtractOptions:
        return ExtractOptions("mobilenet-v3-large", "random", batch_size=2)

    @pytest.fixture
    def others(self, options: ExtractOptions) -> list[ExtractOptions]:
        return [replace(options, seed=1), replace(options, pooling="gem")]


class TestKerasFile(EncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def options(cls, tmp_path_factory: pytest.TempPathFactory) -> ExtractOptions:
        network = save_network(small_model(shape=(None, None, 3)), tmp_path_factory.mktemp("network") / "net.keras")
        return ExtractOptions(network, batch_size=2, preprocessing="tf,size=112x168,fit=crop,filter=bilinear")

    @pytest.fixture
    def others(self, options: ExtractOptions, tmp_path: Path) -> list[ExtractOptions]:
        other = save_network(small_model(shape=(None, None, 3), scale=2.0), tmp_path / "net.keras")
        texts = ("tf,size=112", "tf,size=112x168", "tf,size=112x168,fit=crop", "torch,size=112x168,fit=pad")
        return [replace(options, encoder=other), *_other_preprocessings(options, *texts)]


class TestOnnxFile(EncoderContract):
    batch: int | str = "n"

    @pytest.fixture(scope="class")
    @classmethod
    def options(cls, tmp_path_factory: pytest.TempPathFactory) -> ExtractOptions:
        pytest.importorskip("onnxruntime")
        path = save_as_onnx(_convolution(), tmp_path_factory.mktemp("network") / "net.onnx", batch=cls.batch)
        return ExtractOptions(path, batch_size=2, preprocessing="bgr,10,20,30,2,4,8,output=maps,fit=pad,fill=9")

    @pytest.fixture
    def others(self, options: ExtractOptions, tmp_path: Path) -> list[ExtractOptions]:
        other = save_as_onnx(_convolution(seed=1), tmp_path / "net.onnx")
        texts = ("tf,output=maps,fit=pad", "tf,output=pooled,fit=pad", "tf,output=maps", "tf,output=maps,edge=64")
        return [replace(options, encoder=other), *_other_preprocessings(options, *texts)]

    def test_keras_gives_the_same_numbers(self, encoder: Encoder, pictures: list[Picture], rows: Any) -> None:
        preprocessing = replace(encoder.backbone.preprocessing, output=None, layout=None)
        expected = of_model("net", _convolution(), batch_size=2, preprocessing=preprocessing)(
            _pixels(encoder, pictures)
        )
        np.testing.assert_allclose(rows, expected.reshape(rows.shape), rtol=1e-3, atol=1e-3 * np.abs(rows).max())


class TestOnnxFileOfSinglePictures(TestOnnxFile):
    batch = 1


class TestPair(EncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def options(cls, tmp_path_factory: pytest.TempPathFactory) -> ExtractOptions:
        pytest.importorskip("tokenizers")
        return ExtractOptions(save_pair(tmp_path_factory.mktemp("published") / "pair"), batch_size=2)

    @pytest.fixture
    def others(self, options: ExtractOptions, tmp_path: Path) -> list[ExtractOptions]:
        network = save_pair(tmp_path / "network") / "visual" / "model.onnx"
        model = onnx.load(network)
        shift = next(one for one in model.graph.initializer if one.name == "shift")
        shift.raw_data = bytes(len(shift.raw_data))
        onnx.save(model, network)
        record = save_pair(tmp_path / "record") / "visual" / "preprocess_cfg.json"
        record.write_text(record.read_text().replace("squash", "shortest"))
        folders = [replace(options, encoder=path.parents[1]) for path in (network, record)]
        return [*folders, replace(options, resize="nearest"), replace(options, preprocessing="torch,size=64")]

    def test_workers_of_spark_have_the_same_encoder(
        self, encoder: Encoder, options: ExtractOptions, pictures: list[Picture], rows: Any, tmp_path: Path
    ) -> None:
        with pytest.raises(ConfigError, match="pair is a pair of networks, which Spark does not compute"):
            encoder_files(options, tmp_path)


@pytest.fixture(scope="module", params=ENCODERS)
def by_name(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """Each encoder by name, with random weights."""
    return load_encoder(ExtractOptions(request.param, "random", batch_size=2), tmp_path_factory.mktemp("cache"))


@pytest.mark.release
def test_a_batch_of_each_encoder_by_name_equals_single_pictures(by_name: Encoder) -> None:
    info = ENCODERS[by_name.backbone.name]
    pixels = np.random.default_rng(0).integers(0, 256, (2, *by_name.framing.shape), np.uint8)
    rows = by_name(pixels)
    assert rows.shape == (2, np.prod(info.map_shape))
    assert (by_name.identity.preprocessing, by_name.backbone.output_shape) == (info.preprocessing, info.map_shape)
    assert not np.array_equal(*rows)
    np.testing.assert_allclose(by_name(pixels[1:]), rows[1:], rtol=1e-4, atol=1e-5 * np.abs(rows).max())


@pytest.mark.release
@pytest.mark.parametrize("name", ["resnet50", "efficientnet-lite0"])
def test_onnx_runtime_gives_the_numbers_of_keras(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    options = ExtractOptions(name, "random", batch_size=1)
    keras, runtime = (load_encoder(replace(options, engine=engine), tmp_path) for engine in get_args(Engine))
    pixels = np.random.default_rng(0).integers(0, 256, (1, *keras.framing.shape), np.uint8)
    expected = keras(pixels)
    np.testing.assert_allclose(runtime(pixels), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    assert runtime.identity == keras.identity


def _convolution(seed: int = 0) -> Any:
    import keras

    keras.utils.set_random_seed(seed)
    picture = keras.Input((32, 48, 3))
    return keras.Model(picture, keras.layers.Conv2D(5, 8, strides=8, activation="relu")(picture))
