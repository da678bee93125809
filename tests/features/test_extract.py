"""Extraction of any images into a folder, and what its options leave there."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from catalog.errors import DataError
from features.encoders.backbone import Backbone
from features.encoders.encoder import Encoder, encoder_for, to_float16
from features.extraction import WHITENING_SAMPLE, spread_out
from features.images import read_image
from features.options import ExtractOptions
from features.pipeline import Computed, Picture, compute
from features.store import FeatureStore
from features.whitening import Whitening
from keyart.pipeline.features import extract_images
from tests.features.conftest import draw_poster

KerasFile = Callable[..., Path]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tests.features.conftest import save_network, small_model

    path = tmp_path_factory.mktemp("network") / "tiny.keras"
    save_network(small_model(), path)
    return str(path)


@pytest.fixture
def posters(tmp_path: Path) -> list[Path]:
    return [draw_poster(tmp_path / f"{name}.png", seed) for seed, name in enumerate("abcde")]


def test_paths_and_bytes_become_rows_by_their_names(tmp_path: Path, network: str, posters: list[Path]) -> None:
    items = [("a", posters[0]), ("b", str(posters[1])), ("c", posters[2].read_bytes()), ("d", b"text")]
    report = extract_images(iter(items), tmp_path / "f", ExtractOptions(network))
    assert (report.n_new, [(one.picture_id, one.reason) for one in report.skipped]) == (
        3,
        [("d", "this is not a picture; expected JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP")],
    )
    table = pd.read_parquet(tmp_path / "f" / "features-00000.parquet")
    assert table[["picture_id", "width", "height", "source"]].to_numpy().tolist() == [
        ["a", 60, 90, "a.png"],
        ["b", 60, 90, "b.png"],
        ["c", 60, 90, ""],
    ]
    features = np.load(tmp_path / "f" / "features-00000.npy", mmap_mode="r")
    assert (features.dtype, features.shape) == (np.float16, (3, 48))


@pytest.mark.skipif(os.name != "posix", reason="pipes are those of POSIX")
def test_pipes_are_reported_and_the_other_pictures_are_computed(
    tmp_path: Path, network: str, posters: list[Path]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    posters[0].rename(folder / "a.png")
    os.mkfifo(folder / "b.png")
    (folder / "c.png").symlink_to("/dev/zero")
    reasons = {
        "b.png": f"cannot read {folder / 'b.png'}: it is a pipe, expected a file",
        "c.png": f"cannot read {folder / 'c.png'}: it is a device or a socket, expected a file",
    }
    items = [(path.name, path) for path in sorted(folder.iterdir())]
    for source in (folder, iter(items)):
        report = extract_images(source, tmp_path / "f", ExtractOptions(network))
        assert report.n_new + report.n_known == 1
        assert {one.picture_id: one.reason for one in report.skipped} == reasons


def test_new_items_are_added_and_missing_ones_stay_by_default(
    tmp_path: Path, network: str, posters: list[Path]
) -> None:
    out = tmp_path / "f"
    extract_images([(path.stem, path) for path in posters[:3]], out, ExtractOptions(network))
    assert extract_images([(path.stem, path) for path in posters[2:]], out, ExtractOptions(network)).n_new == 2
    assert FeatureStore.open(out).rows().picture_ids.tolist() == list("abcde")
    report = extract_images(
        [(path.stem, path) for path in posters[3:]], out, ExtractOptions(network), drop_missing=True
    )
    assert (report.n_new, report.n_known, report.n_dropped) == (0, 2, 3)
    assert FeatureStore.open(out).rows().picture_ids.tolist() == ["d", "e"]


def test_items_are_read_as_they_are_needed(network: str, tmp_path: Path, posters: list[Path]) -> None:
    n_given, n_ahead = 0, []

    def items() -> Iterator[tuple[int, bytes]]:
        nonlocal n_given
        content = posters[0].read_bytes()
        for n_given in range(400):
            yield n_given, content

    n_done = 0

    def count(n_images: int) -> None:
        nonlocal n_done
        n_done += n_images
        n_ahead.append(n_given - n_done)

    def progress(*_: object) -> nullcontext[Callable[[int], None]]:
        return nullcontext(count)

    extract_images(items(), tmp_path / "f", ExtractOptions(network), progress=progress)
    assert n_done == 400
    assert max(n_ahead) < 200


def test_a_name_that_is_given_twice_is_reported(tmp_path: Path, network: str, posters: list[Path]) -> None:
    report = extract_images([("a", posters[0]), ("a", posters[1])], tmp_path / "f", ExtractOptions(network))
    assert (report.n_new, report.skipped[0].reason) == (1, "a was given twice; the first counts")


def test_ids_may_come_out_of_an_array(tmp_path: Path, network: str, posters: list[Path]) -> None:
    options = ExtractOptions(network)
    assert extract_images(zip(np.arange(5), posters, strict=True), tmp_path / "f", options).n_new == 5
    assert FeatureStore.open(tmp_path / "f").rows().movie_ids.tolist() == [0, 1, 2, 3, 4]
    assert (
        extract_images(
            zip(np.array(list("abcde")), posters, strict=True), tmp_path / "g", ExtractOptions(network)
        ).n_new
        == 5
    )
    assert FeatureStore.open(tmp_path / "g").rows().picture_ids.tolist() == list("abcde")


def test_names_are_all_integers_or_all_texts(tmp_path: Path, network: str, posters: list[Path]) -> None:
    with pytest.raises(TypeError, match="all int or all str, received 'b'"):
        extract_images([(1, posters[0]), ("b", posters[1])], tmp_path / "f", ExtractOptions(network))
    extract_images([(1, posters[0])], tmp_path / "f", ExtractOptions(network))
    with pytest.raises(DataError, match="never stand in one folder; name another one"):
        extract_images([("b", posters[1])], tmp_path / "f", ExtractOptions(network))
    assert FeatureStore.open(tmp_path / "f").rows().movie_ids.tolist() == [1]


def test_texts_are_no_movie_ids(tmp_path: Path, network: str, posters: list[Path]) -> None:
    extract_images([("a", posters[0])], tmp_path / "f", ExtractOptions(network))
    with pytest.raises(DataError, match="names in place of movie_ids"):
        _ = FeatureStore.open(tmp_path / "f").rows().movie_ids


@pytest.mark.parametrize("choice", [{"pooling": "gem"}, {"pooling": "rmac"}, {"resize": "nearest"}])
def test_a_choice_of_features_is_an_identity(
    tmp_path: Path, network: str, posters: list[Path], choice: dict[str, str]
) -> None:
    items = [(path.stem, path) for path in posters]
    extract_images(items, tmp_path / "f", ExtractOptions(network, **choice))  # type: ignore[arg-type]
    store = FeatureStore.open(tmp_path / "f")
    (name,) = choice
    assert getattr(store.identity, name) == choice[name]
    with pytest.raises(DataError, match="never mix"):
        extract_images(items, tmp_path / "f", ExtractOptions(network))
    encoder = encoder_for(store, tmp_path)
    stored = np.concatenate(list(store.blocks(store.rows())))
    pixels = np.stack([read_image(path, encoder.resize)[0] for path in posters])
    np.testing.assert_allclose(encoder(pixels), stored, rtol=2e-3, atol=2e-3)


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(ValueError, match="engine: expected keras or onnx, received 'openvino'"):
        ExtractOptions(engine="openvino")  # type: ignore[arg-type]


def test_whitening_is_learned_once_and_stored_with_its_features(
    tmp_path: Path, network: str, posters: list[Path]
) -> None:
    out, items = tmp_path / "f", [(path.stem, path) for path in posters]
    options = ExtractOptions(network, pooling="gem", whiten=True)
    assert extract_images(iter(items[:3]), out, options).n_new == 3
    learned = FeatureStore.open(out).identity
    assert learned.whitening_sha256 is not None
    # Learned from all five images it would be another one.
    for again in (options, replace(options, whiten=None)):
        extract_images(iter(items), out, again)
        assert FeatureStore.open(out).identity == learned
    with pytest.raises(DataError, match="never mix"):
        extract_images(items, out, replace(options, whiten=False))
    store = FeatureStore.open(out)
    assert len(store.rows()) == 5
    assert encoder_for(store, tmp_path).identity == store.identity
    Whitening.fit(np.eye(3, dtype=np.float32)).save(out / "whitening.npz")
    with pytest.raises(DataError, match=r"whitening\.npz is of other features; run `keyart extract --rebuild`"):
        store.whitening()
    (out / "whitening.npz").unlink()
    with pytest.raises(DataError, match=r"whitening\.npz is missing"):
        store.whitening()
    with pytest.raises(DataError, match=r"whitening\.npz is missing; run `keyart extract --rebuild`"):
        extract_images(items, out, options)
    # What the message advises.
    extract_images(items, out, replace(options, rebuild=True))
    assert FeatureStore.open(out).whitening() is not None


def test_features_are_not_whitened_by_default(tmp_path: Path, network: str, posters: list[Path]) -> None:
    extract_images([(path.stem, path) for path in posters], tmp_path / "f", ExtractOptions(network, pooling="gem"))
    assert FeatureStore.open(tmp_path / "f").whitening() is None


@pytest.mark.parametrize("n_pictures", [0, 1, 2000, 2001, 3999, 5000])
def test_a_whitening_is_learned_from_all_over_the_pictures(n_pictures: int) -> None:
    pictures = [Picture(number, b"") for number in range(n_pictures)]
    sample = [picture.picture_id for picture in spread_out(pictures)]
    assert len(set(sample)) == len(sample) == min(n_pictures, WHITENING_SAMPLE)
    assert sample[:1] == list(range(n_pictures))[:1]
    assert sample[-1:] == list(range(n_pictures))[-1:]


def test_batches_end_with_their_shard(tmp_path: Path, posters: list[Path]) -> None:
    sizes = []

    def infer(batch: np.ndarray) -> np.ndarray:
        sizes.append(int((batch.reshape(len(batch), -1).any(axis=1)).sum()))
        return batch[:, :1, :1].astype(np.float32)

    encoder = Encoder(Backbone("counter", "00", "00", (1, 1, 3), infer, batch_size=4))
    pictures = [Picture(number, posters[0]) for number in range(23)]
    list(compute(pictures, encoder, shard_rows=10))
    assert sizes == [4, 4, 2, 4, 4, 2, 3]


class _Watched:
    """A network that tells when it has begun so many batches."""

    def __init__(self) -> None:
        self.n_begun = 0
        self._changed = threading.Condition()

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        with self._changed:
            self.n_begun += 1
            self._changed.notify_all()
        return batch[:, :1, :1].astype(np.float32)

    def begins(self, n_batches: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.n_begun >= n_batches, timeout=60)


def _watched(network: _Watched) -> Encoder:
    return Encoder(Backbone("watched", "00", "00", (1, 1, 3), network, batch_size=2))


def test_the_network_goes_on_while_its_last_numbers_are_looked_after(posters: list[Path]) -> None:
    network = _Watched()
    pictures = [Picture(number, posters[0]) for number in range(8)]
    for done, event in enumerate(compute(pictures, _watched(network)), start=1):
        assert isinstance(event, Computed)
        # Whoever has this batch keeps it for as long as the next one needs to begin.
        assert network.begins(min(done + 1, 4))


def test_the_network_goes_on_while_a_batch_is_pooled_and_halved(
    posters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, begun = _Watched(), []

    def halve(features: np.ndarray, what: str) -> np.ndarray:
        begun.append(network.begins(min(len(begun) + 2, 4)))
        return to_float16(features, what)

    monkeypatch.setattr("features.pipeline.to_float16", halve)
    list(compute([Picture(number, posters[0]) for number in range(8)], _watched(network)))
    assert begun == [True] * 4


def test_errors_of_the_network_propagate_and_end_the_threads(posters: list[Path]) -> None:
    def infer(batch: np.ndarray) -> np.ndarray:
        raise DataError("no such numbers")

    before = set(threading.enumerate())
    encoder = Encoder(Backbone("raising", "00", "00", (1, 1, 3), infer, batch_size=2))
    with pytest.raises(DataError, match="no such numbers"):
        list(compute([Picture(number, posters[0]) for number in range(100)], encoder))
    gc.collect()
    assert set(threading.enumerate()) <= before


def test_options_load_nothing_heavy() -> None:
    code = "import sys, features.options; sys.exit(bool({'tensorflow', 'keras', 'numpy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_command_has_the_defaults_of_the_options() -> None:
    from keyart.cli.commands.extract import command

    typed = {parameter.name: parameter.default for parameter in command.params}
    options = ExtractOptions()
    for name in ("encoder", "weights", "seed", "engine", "resize", "preprocessing"):
        assert typed[name] == getattr(options, name), name
    assert typed["features"] == options.pooling


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pooling": "max"}, "pooling: expected raw or gem or rmac, received 'max'"),
        ({"resize": "bilinear"}, "resize: expected antialias or nearest"),
        ({"seed": -1}, "seed: expected 0 or more"),
        ({"batch_size": 0}, "batch_size: expected 1 or more"),
        ({"whiten": True}, "whiten: expected pooling gem or rmac"),
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExtractOptions(**wrong)
