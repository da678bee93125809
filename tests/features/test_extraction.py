from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import DataError, StoreError
from features.encoders.backbone import Backbone
from features.encoders.encoder import Encoder, load_encoder
from features.extraction import ExtractReport, extract_features
from features.framing import Resize
from features.images import read_image
from features.options import ExtractOptions
from features.pipeline import Picture
from features.store import FeatureStore
from tests.features.conftest import draw_poster, picture_of

Pictures = Callable[[int], list[Picture]]


def _store(folder: Path, encoder: Encoder) -> FeatureStore:
    return FeatureStore.create(folder, encoder.identity, {})


@pytest.fixture(scope="session")
def encoder(tiny: Backbone) -> Encoder:
    return Encoder(tiny)


@pytest.fixture
def store(tmp_path: Path, encoder: Encoder) -> FeatureStore:
    return _store(tmp_path / "features", encoder)


def _read(store: FeatureStore) -> npt.NDArray[np.float16]:
    return np.concatenate(list(store.blocks(store.rows())))


def _counts(report: ExtractReport) -> tuple[int, int, int]:
    return report.n_new, report.n_known, len(report.skipped)


@pytest.mark.parametrize("resize", list(Resize))
def test_every_poster_becomes_the_row_of_its_film(
    tmp_path: Path, encoder: Encoder, pictures: Pictures, resize: Resize
) -> None:
    drawn = pictures(5)
    encoder = replace(encoder, resize=resize)
    store = _store(tmp_path / "features", encoder)
    report = extract_features(drawn[::-1], encoder, store)
    assert _counts(report) == (5, 0, 0)
    pixels = np.stack([read_image(picture.source, resize)[0] for picture in drawn])
    np.testing.assert_array_equal(_read(store), encoder(pixels).astype(np.float16))
    rows = store.rows()
    assert rows.movie_ids.tolist() == [1, 2, 3, 4, 5]
    assert rows.poster_sha256s == tuple(picture.sha256 for picture in drawn)


def test_identity_records_network_and_resize(encoder: Encoder) -> None:
    identity = replace(encoder, resize=Resize.NEAREST).identity
    assert (identity.backbone, identity.weights_sha256, identity.resize, identity.n_features) == (
        "tiny",
        encoder.backbone.weights_sha256,
        "nearest",
        48,
    )


def test_shard_table_records_size_and_source(encoder: Encoder, store: FeatureStore, tmp_path: Path) -> None:
    import pandas as pd

    extract_features([picture_of(draw_poster(tmp_path / "heat.png", 1, (61, 91)), 6)], encoder, store)
    table = pd.read_parquet(store.folder / "features-00000.parquet")
    assert table.drop(columns="poster_sha256").to_dict("records") == [
        {"movie_id": 6, "width": 61, "height": 91, "source": "heat.png"}
    ]


def test_a_second_run_computes_nothing(encoder: Encoder, store: FeatureStore, pictures: Pictures) -> None:
    drawn = pictures(5)
    extract_features(drawn, encoder, store)
    before = {path.name: path.stat().st_mtime_ns for path in store.folder.glob("features-*")}
    assert _counts(extract_features(drawn, encoder, store)) == (0, 5, 0)
    assert {path.name: path.stat().st_mtime_ns for path in store.folder.glob("features-*")} == before


def test_a_run_lists_the_folder_as_often_however_many_shards_it_writes(
    encoder: Encoder, tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    glob, listed = Path.glob, []

    def counted(folder: Path, pattern: str) -> Iterator[Path]:
        listed.append(pattern)
        return iter(glob(folder, pattern))

    monkeypatch.setattr(Path, "glob", counted)
    drawn, counts = pictures(9), []
    for n in (3, 9):
        listed.clear()
        store = _store(tmp_path / f"features of {n}", encoder)
        extract_features(drawn[:n], encoder, store, shard_rows=1)
        # Joined into shards of three, written anew.
        store.tidy(lambda *_: True, shard_rows=3)
        counts.append(len(listed))
        assert store.rows().movie_ids.tolist() == list(range(1, n + 1))
    assert counts[0] == counts[1]


def test_of_a_new_poster_only_that_one_is_computed(encoder: Encoder, store: FeatureStore, pictures: Pictures) -> None:
    extract_features(pictures(4), encoder, store)
    assert _counts(extract_features(pictures(5), encoder, store)) == (1, 4, 0)
    assert len(store.rows()) == 5


def test_a_changed_poster_is_computed_again(encoder: Encoder, store: FeatureStore, pictures: Pictures) -> None:
    drawn = pictures(3)
    extract_features(drawn, encoder, store)
    earlier = _read(store)
    drawn[1] = picture_of(draw_poster(drawn[1].source, 99), 2)
    assert _counts(extract_features(drawn, encoder, store)) == (1, 2, 0)
    assert (_read(store) != earlier).any(axis=1).tolist() == [False, True, False]


def test_a_poster_that_changes_back_is_computed_again(
    encoder: Encoder, store: FeatureStore, pictures: Pictures
) -> None:
    (drawn,) = pictures(1)
    content = drawn.source.read_bytes()
    extract_features([drawn], encoder, store)
    earlier = _read(store)
    extract_features([picture_of(draw_poster(drawn.source, 99), 1)], encoder, store)
    drawn.source.write_bytes(content)
    assert _counts(extract_features([drawn], encoder, store)) == (1, 0, 0)
    np.testing.assert_array_equal(_read(store), earlier)


@pytest.mark.parametrize("content", [b"", b"once upon a time", None], ids=["empty", "text", "missing"])
def test_a_poster_that_cannot_be_read_is_recorded_and_passed_over(
    encoder: Encoder, store: FeatureStore, pictures: Pictures, content: bytes | None
) -> None:
    drawn = pictures(4)
    if content is None:
        drawn[1].source.unlink()
    else:
        drawn[1].source.write_bytes(content)
    report = extract_features(drawn, encoder, store)
    assert (_counts(report), store.rows().movie_ids.tolist()) == ((3, 0, 1), [1, 3, 4])
    assert store.skipped() == report.skipped
    assert (report.skipped[0].picture_id, "2.png" in report.skipped[0].reason) == (2, True)


def test_a_poster_that_was_mended_is_no_longer_skipped(
    encoder: Encoder, store: FeatureStore, pictures: Pictures
) -> None:
    drawn = pictures(2)
    drawn[1].source.write_bytes(b"")
    extract_features(drawn, encoder, store)
    assert _counts(extract_features(pictures(2), encoder, store)) == (1, 1, 0)
    assert store.skipped() == ()


def test_no_rows_if_no_poster_can_be_read(encoder: Encoder, store: FeatureStore, pictures: Pictures) -> None:
    drawn = pictures(2)
    for picture in drawn:
        picture.source.write_bytes(b"")
    assert _counts(extract_features(drawn, encoder, store)) == (0, 0, 2)
    assert len(store.rows()) == 0


def test_without_posters_nothing_is_done(encoder: Encoder, store: FeatureStore) -> None:
    assert extract_features([], encoder, store) == ExtractReport(0, 0, ())


@pytest.mark.heavy
@pytest.mark.parametrize("n_pictures", [15, 16, 17, 40])
@pytest.mark.parametrize("shard_rows", [1, 16, 20, 256])
def test_the_size_of_shards_and_batches_does_not_matter(
    encoder: Encoder, store: FeatureStore, pictures: Pictures, n_pictures: int, shard_rows: int
) -> None:
    drawn = pictures(n_pictures)
    extract_features(drawn, encoder, store, shard_rows=shard_rows)
    assert len(list(store.folder.glob("features-*.npy"))) == -(-n_pictures // shard_rows)
    pixels = np.stack([read_image(picture.source)[0] for picture in drawn])
    np.testing.assert_array_equal(_read(store), encoder(pixels).astype(np.float16))


def test_every_picture_is_counted_once_also_the_skipped(
    encoder: Encoder, store: FeatureStore, pictures: Pictures
) -> None:
    drawn = pictures(20)
    drawn[3].source.write_bytes(b"")
    n_counted = 0

    def count() -> None:
        nonlocal n_counted
        n_counted += 1

    extract_features(drawn, encoder, store, on_picture=count)
    assert n_counted == 20


# Interruptions


class _Interrupt:
    """Stop after so many pictures, as Ctrl-C does."""

    def __init__(self, n_pictures: int) -> None:
        self.n_left = n_pictures

    def __call__(self) -> None:
        self.n_left -= 1
        if self.n_left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("n_pictures", [0, 3, 4, 5, 8, 13])
def test_interrupted_then_resumed_equals_uninterrupted_bit_for_bit(
    tmp_path: Path, encoder: Encoder, pictures: Pictures, n_pictures: int
) -> None:
    drawn = pictures(14)
    drawn[6].source.write_bytes(b"")
    whole, parted = (_store(tmp_path / name, encoder) for name in ("whole", "parted"))
    extract_features(drawn, encoder, whole, shard_rows=4)
    with pytest.raises(KeyboardInterrupt):
        extract_features(drawn, encoder, parted, shard_rows=4, on_picture=_Interrupt(n_pictures))
    # What was complete is kept, and only that.
    n_kept = len(parted.rows())
    report = extract_features(drawn, encoder, parted, shard_rows=4)
    assert n_kept >= n_pictures // 4 * 4 - 1
    assert _counts(report) == (13 - n_kept, n_kept, 1)
    assert parted.skipped() == whole.skipped() == report.skipped
    np.testing.assert_array_equal(_read(parted).view(np.uint16), _read(whole).view(np.uint16))
    assert parted.rows().poster_sha256s == whole.rows().poster_sha256s


def test_a_full_disk_keeps_the_shards_before(encoder: Encoder, store: FeatureStore, pictures: Pictures) -> None:
    drawn = pictures(6)
    # A folder stands where the table of the second shard should go.
    (store.folder / "features-00001.parquet").mkdir(parents=True)
    with pytest.raises(StoreError, match="features-00001"):
        extract_features(drawn, encoder, store, shard_rows=3)
    assert store.rows().movie_ids.tolist() == [1, 2, 3]
    (store.folder / "features-00001.parquet").rmdir()
    assert _counts(extract_features(drawn, encoder, store, shard_rows=3)) == (3, 3, 0)


# Networks whose numbers cannot be kept


@pytest.mark.parametrize("scale", [np.nan, np.inf, 1e9])
def test_a_network_that_gives_absurd_numbers_is_refused(
    tmp_path: Path, keras_file: Callable[..., Path], pictures: Pictures, scale: float
) -> None:
    absurd = load_encoder(ExtractOptions(str(keras_file(name="absurd", scale=scale))), tmp_path)
    store = _store(tmp_path / "features", absurd)
    with pytest.raises(DataError, match="absurd gives numbers that are not finite or exceed 65504"):
        extract_features(pictures(3), absurd, store)
    assert len(store.rows()) == 0
