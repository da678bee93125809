"""The public face: `from features import extract`, and what its choices leave in the folder."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from catalog.errors import ConfigError, DataError
from features import extract
from features.encoders.encoder import Extractor, extractor_of, load_extractor, to_float16
from features.encoders.keras import Backbone, BackboneChoice
from features.extraction import WHITENING_SAMPLE, kept_whitening, open_store, spread_out, whiten
from features.images import read_image
from features.pipeline import Computed, Picture, compute
from features.pooling import Pooling, Whitening
from features.store import FeatureStore
from tests.features.conftest import draw_poster

KerasFile = Callable[..., Path]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tests.features.conftest import small_model

    path = tmp_path_factory.mktemp("network") / "tiny.keras"
    small_model().save(path)
    return str(path)


@pytest.fixture
def posters(tmp_path: Path) -> list[Path]:
    return [draw_poster(tmp_path / f"{name}.png", seed) for seed, name in enumerate("abcde")]


def test_paths_and_bytes_become_rows_by_their_names(tmp_path: Path, network: str, posters: list[Path]) -> None:
    items = [("a", posters[0]), ("b", str(posters[1])), ("c", posters[2].read_bytes()), ("d", b"text")]
    report = extract(iter(items), tmp_path / "f", backbone=network)
    assert (report.n_new, [(one.picture_id, one.reason) for one in report.skipped]) == (
        3,
        [("d", "this is not a picture; expected JPEG, PNG, WebP or GIF")],
    )
    table = pd.read_parquet(tmp_path / "f" / "features-00000.parquet")
    assert table[["picture_id", "width", "height", "source"]].to_numpy().tolist() == [
        ["a", 60, 90, "a.png"],
        ["b", 60, 90, "b.png"],
        ["c", 60, 90, ""],
    ]
    features = np.load(tmp_path / "f" / "features-00000.npy", mmap_mode="r")
    assert (features.dtype, features.shape) == (np.float16, (3, 48))


def test_items_are_added_and_others_stay_unless_told_otherwise(
    tmp_path: Path, network: str, posters: list[Path]
) -> None:
    out = tmp_path / "f"
    extract([(path.stem, path) for path in posters[:3]], out, backbone=network)
    assert extract([(path.stem, path) for path in posters[2:]], out, backbone=network).n_new == 2
    assert FeatureStore.open(out).rows().picture_ids.tolist() == list("abcde")
    report = extract([(path.stem, path) for path in posters[3:]], out, backbone=network, drop_gone=True)
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

    def count() -> None:
        nonlocal n_done
        n_done += 1
        n_ahead.append(n_given - n_done)

    extract(items(), tmp_path / "f", backbone=network, on_picture=count)
    assert n_done == 400
    assert max(n_ahead) < 200


def test_a_name_that_is_given_twice_is_reported(tmp_path: Path, network: str, posters: list[Path]) -> None:
    report = extract([("a", posters[0]), ("a", posters[1])], tmp_path / "f", backbone=network)
    assert (report.n_new, report.skipped[0].reason) == (1, "a was given twice; the first counts")


def test_ids_may_come_out_of_an_array(tmp_path: Path, network: str, posters: list[Path]) -> None:
    assert extract(zip(np.arange(5), posters, strict=True), tmp_path / "f", backbone=network).n_new == 5
    assert FeatureStore.open(tmp_path / "f").rows().movie_ids.tolist() == [0, 1, 2, 3, 4]
    assert extract(zip(np.array(list("abcde")), posters, strict=True), tmp_path / "g", backbone=network).n_new == 5
    assert FeatureStore.open(tmp_path / "g").rows().picture_ids.tolist() == list("abcde")


def test_names_are_all_integers_or_all_texts(tmp_path: Path, network: str, posters: list[Path]) -> None:
    with pytest.raises(TypeError, match="all int or all str, received 'b'"):
        extract([(1, posters[0]), ("b", posters[1])], tmp_path / "f", backbone=network)
    extract([(1, posters[0])], tmp_path / "f", backbone=network)
    with pytest.raises(DataError, match="never stand in one folder; name another one"):
        extract([("b", posters[1])], tmp_path / "f", backbone=network)
    assert FeatureStore.open(tmp_path / "f").rows().movie_ids.tolist() == [1]


def test_texts_are_no_movie_ids(tmp_path: Path, network: str, posters: list[Path]) -> None:
    extract([("a", posters[0])], tmp_path / "f", backbone=network)
    with pytest.raises(DataError, match="names in place of movie_ids"):
        _ = FeatureStore.open(tmp_path / "f").rows().movie_ids


@pytest.mark.parametrize("choice", [{"pooling": "gem"}, {"pooling": "rmac"}, {"resize": "nearest"}])
def test_a_choice_of_features_is_an_identity(
    tmp_path: Path, network: str, posters: list[Path], choice: dict[str, str]
) -> None:
    items = [(path.stem, path) for path in posters]
    extract(items, tmp_path / "f", backbone=network, **choice)  # type: ignore[arg-type]
    store = FeatureStore.open(tmp_path / "f")
    (name,) = choice
    assert getattr(store.identity, name) == choice[name]
    with pytest.raises(DataError, match="never mix"):
        extract(items, tmp_path / "f", backbone=network)
    extractor = extractor_of(store, tmp_path)
    stored = np.concatenate(list(store.blocks(store.rows())))
    pixels = np.stack([read_image(path, extractor.resize)[0] for path in posters])
    np.testing.assert_allclose(extractor(pixels), stored, rtol=2e-3, atol=2e-3)


def test_an_unknown_engine_is_named(tmp_path: Path, network: str) -> None:
    with pytest.raises(ConfigError, match="--engine openvino: expected keras or onnx"):
        extract([], tmp_path / "f", backbone=network, engine="openvino")


def test_a_whitening_is_learned_once_and_kept_with_its_features(
    tmp_path: Path, network: str, posters: list[Path]
) -> None:
    out, choice = tmp_path / "f", BackboneChoice(network)
    plain = load_extractor(choice, tmp_path, pooling=Pooling.GEM)
    pictures = [Picture(path.stem, path) for path in posters]
    assert kept_whitening(out, plain) is None
    whitened = whiten(plain, pictures, out)
    open_store(out, choice, whitened)
    # Learnt from other pictures it would be another one.
    again = whiten(plain, pictures[:2], out)
    assert again.identity == whitened.identity
    extract([(path.stem, path) for path in posters], out, backbone=network, pooling="gem")
    store = FeatureStore.open(out)
    assert len(store.rows()) == 5
    assert store.identity.whitening_sha256 is not None
    assert extractor_of(store, tmp_path).identity == store.identity
    Whitening.fit(np.eye(3, dtype=np.float32)).save(out / "whitening.npz")
    with pytest.raises(DataError, match=r"whitening\.npz is of other features; run `keyart extract --replace`"):
        store.whitening()
    (out / "whitening.npz").unlink()
    with pytest.raises(DataError, match=r"whitening\.npz is missing"):
        store.whitening()
    with pytest.raises(DataError, match=r"whitening\.npz is missing; run `keyart extract --replace`"):
        whiten(plain, pictures, out)
    # What the message advises.
    relearned = whiten(plain, pictures, out, lost_is_none=True)
    assert open_store(out, choice, relearned, replace=True).whitening() is not None


@pytest.mark.parametrize("n_pictures", [0, 1, 2000, 2001, 3999, 5000])
def test_a_whitening_is_learned_from_all_over_the_pictures(n_pictures: int) -> None:
    pictures = [Picture(number, b"") for number in range(n_pictures)]
    sample = [picture.picture_id for picture in spread_out(pictures)]
    assert len(set(sample)) == len(sample) == min(n_pictures, WHITENING_SAMPLE)
    assert sample[:1] == list(range(n_pictures))[:1]
    assert sample[-1:] == list(range(n_pictures))[-1:]


def test_the_network_is_never_given_a_batch_across_a_shards_end(tmp_path: Path, posters: list[Path]) -> None:
    sizes = []

    def infer(batch: np.ndarray) -> np.ndarray:
        sizes.append(int((batch.reshape(len(batch), -1).any(axis=1)).sum()))
        return batch[:, :1, :1].astype(np.float32)

    extractor = Extractor(Backbone("counter", "00", "00", (1, 1, 3), infer, batch_size=4))
    pictures = [Picture(number, posters[0]) for number in range(23)]
    list(compute(pictures, extractor, shard_rows=10))
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


def _watched(network: _Watched) -> Extractor:
    return Extractor(Backbone("watched", "00", "00", (1, 1, 3), network, batch_size=2))


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


def test_what_the_network_raises_arrives_and_ends_the_threads(posters: list[Path]) -> None:
    def infer(batch: np.ndarray) -> np.ndarray:
        raise DataError("no such numbers")

    before = set(threading.enumerate())
    extractor = Extractor(Backbone("raising", "00", "00", (1, 1, 3), infer, batch_size=2))
    with pytest.raises(DataError, match="no such numbers"):
        list(compute([Picture(number, posters[0]) for number in range(100)], extractor))
    gc.collect()
    assert set(threading.enumerate()) <= before


def test_importing_features_loads_nothing_heavy() -> None:
    code = "import sys, features; sys.exit(bool({'tensorflow', 'keras', 'numpy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
