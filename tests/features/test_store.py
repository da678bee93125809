from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from catalog.errors import ConfigError, DataError, NotBuiltError, StoreError
from features import store as store_module
from features.identity import Identity
from features.store import Damage, FeatureStore, Skipped, check_folder
from features.whitening import Whitening
from tests.records import rewrite_record

IDENTITY = Identity("vgg16", "ab" * 32, "ef" * 32, "antialias", 6)
OTHER = Identity("squeezenet", "cd" * 32, "ef" * 32, "antialias", 6)
ORIGIN = {"backbone": "vgg16", "weights": "random", "seed": 0}


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore.create(tmp_path / "features", IDENTITY, ORIGIN)


def features_of(movie_ids: list[int], version: int = 1) -> npt.NDArray[np.float16]:
    """Make a row that differs for every film and every version of its poster."""
    return (np.array(movie_ids)[:, None] + version / 10 + np.arange(6) * 100).astype(np.float16)


def append(store: FeatureStore, movie_ids: list[int], version: int = 1) -> None:
    """Append a shard of these films, computed from this version of their posters."""
    table = pd.DataFrame(
        {
            "movie_id": np.array(movie_ids, np.int64),
            "poster_sha256": [f"{movie_id}-{version}" for movie_id in movie_ids],
            "width": np.int32(182),
            "height": np.int32(268),
            "source": [f"{movie_id}.jpg" for movie_id in movie_ids],
        }
    )
    store.append(table, features_of(movie_ids, version))


def read_all(store: FeatureStore) -> npt.NDArray[np.float16]:
    return np.concatenate([np.empty((0, 6), np.float16), *store.blocks(store.rows())])


# Shards


def test_rows_come_in_the_order_of_the_films_whatever_their_shards(store: FeatureStore) -> None:
    append(store, [30, 10])
    append(store, [20, 5])
    assert store.rows().movie_ids.tolist() == [5, 10, 20, 30]
    np.testing.assert_array_equal(read_all(store), features_of([5, 10, 20, 30]))


def test_a_store_opened_anew_holds_the_same(store: FeatureStore) -> None:
    append(store, [30, 10])
    opened = FeatureStore.open(store.folder)
    assert (opened.identity, opened.origin) == (IDENTITY, ORIGIN)
    np.testing.assert_array_equal(read_all(opened), features_of([10, 30]))


def test_of_several_rows_of_a_film_the_latest_counts(store: FeatureStore) -> None:
    append(store, [1, 2, 3])
    append(store, [2], version=2)
    append(store, [3, 1], version=3)
    assert store.rows().poster_sha256s == ("1-3", "2-2", "3-3")
    np.testing.assert_array_equal(
        read_all(store), np.concatenate([features_of([1], 3), features_of([2], 2), features_of([3], 3)])
    )


def test_an_empty_store_has_no_rows(store: FeatureStore) -> None:
    assert len(store.rows()) == 0
    assert list(store.blocks(store.rows())) == []


@pytest.mark.parametrize("block_rows", [1, 2, 5, 100])
def test_blocks_of_any_size_add_up_to_the_rows(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, block_rows: int
) -> None:
    append(store, [9, 1, 7])
    append(store, [8, 2])
    monkeypatch.setattr(store_module, "_BLOCK_ROWS", block_rows)
    blocks = list(store.blocks(store.rows()))
    assert {len(block) for block in blocks[:-1]} <= {block_rows}
    np.testing.assert_array_equal(np.concatenate(blocks), features_of([1, 2, 7, 8, 9]))


def test_drops_films_whose_poster_is_removed_or_replaced(store: FeatureStore) -> None:
    append(store, [1, 2, 3])
    append(store, [4])
    rows = store.rows().of_posters({1: "1-1", 2: "2-2", 4: "4-1", 5: "5-1"})
    assert (rows.movie_ids.tolist(), rows.poster_sha256s) == ([1, 4], ("1-1", "4-1"))
    np.testing.assert_array_equal(np.concatenate(list(store.blocks(rows))), features_of([1, 4]))


def test_dropping_images_removes_what_an_interrupted_run_left(store: FeatureStore) -> None:
    append(store, [1, 2])
    append(store, [1, 2, 3])
    # The record of a shard is removed before its other files.
    (store.folder / "features-00000.json").unlink()
    assert store.drop([9]) == 0
    assert {path.name for path in store.folder.glob("features-0*")} == {
        f"features-00001.{suffix}" for suffix in ("json", "npy", "parquet")
    }


@pytest.mark.parametrize("suffixes", [["json"], ["json", "parquet"]], ids=["record", "record and table"])
def test_a_shard_without_its_completion_record_does_not_count_and_its_number_is_used_again(
    store: FeatureStore, suffixes: list[str]
) -> None:
    append(store, [1])
    append(store, [2])
    for suffix in suffixes:
        (store.folder / f"features-00001.{suffix}").unlink()
    assert store.rows().movie_ids.tolist() == [1]
    append(store, [3])
    np.testing.assert_array_equal(read_all(store), features_of([1, 3]))


def test_other_files_in_the_folder_are_no_shards(store: FeatureStore) -> None:
    append(store, [1])
    for name in ("features-1.json", "features-00009.json.bak", "features-last.json", ".features-00009.npy.partial"):
        (store.folder / name).write_text("{}")
    assert store.rows().movie_ids.tolist() == [1]


@pytest.mark.parametrize("n_bytes", [0, 150, 500])
def test_a_shard_that_does_not_fit_on_the_disk_does_not_count(
    store: FeatureStore, full_disk: Callable[[int], AbstractContextManager[None]], n_bytes: int
) -> None:
    append(store, [1])
    with pytest.raises(StoreError, match=r"cannot write .*features-00001.*; free some space"), full_disk(n_bytes):
        append(store, list(range(2, 50)))
    np.testing.assert_array_equal(read_all(store), features_of([1]))
    assert not list(store.folder.glob(".*"))


# Identity


def test_features_of_two_networks_never_mix(store: FeatureStore) -> None:
    append(store, [1])
    with pytest.raises(
        DataError,
        match=r"holds features of vgg16 \(6 columns, weights abababab, layers efefefef, resize antialias\), these "
        r"would be of squeezenet \(6 columns, weights cdcdcdcd, layers efefefef, resize antialias\); features of two "
        r"networks never mix: .* --rebuild",
    ):
        FeatureStore.create(store.folder, OTHER, ORIGIN)
    np.testing.assert_array_equal(read_all(FeatureStore.open(store.folder)), features_of([1]))


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "other"},
        {"weights_sha256": "00"},
        {"architecture_sha256": "00"},
        {"resize": "nearest"},
        {"n_features": 7},
        {"preprocessing": "torch"},
        {"flatten": "channel,height,width"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_the_identity_counts(store: FeatureStore, change: dict[str, object]) -> None:
    with pytest.raises(DataError, match="features of two networks never mix"):
        FeatureStore.create(store.folder, replace(IDENTITY, **change), ORIGIN)  # type: ignore[arg-type]


def test_features_of_the_same_identity_are_added(store: FeatureStore) -> None:
    append(store, [1])
    append(FeatureStore.create(store.folder, IDENTITY, ORIGIN), [2])
    assert store.rows().movie_ids.tolist() == [1, 2]


def test_the_latest_origin_is_stored(store: FeatureStore) -> None:
    FeatureStore.create(store.folder, IDENTITY, {"weights": "w.h5"})
    assert FeatureStore.open(store.folder).origin == {"weights": "w.h5"}


def test_map_shape_is_recorded_once_known(store: FeatureStore) -> None:
    append(store, [1])
    assert FeatureStore.open(store.folder).map_shape is None
    FeatureStore.create(store.folder, IDENTITY, ORIGIN, map_shape=(1, 2, 3))
    opened = FeatureStore.open(store.folder)
    assert (opened.map_shape, len(opened.rows())) == ((1, 2, 3), 1)


def test_replace_removes_the_other_networks_features(store: FeatureStore) -> None:
    append(store, [1, 2])
    store.write_skipped([Skipped(3, "a text file")])
    replaced = FeatureStore.create(store.folder, OTHER, ORIGIN, rebuild=True)
    assert (len(replaced.rows()), replaced.skipped()) == (0, ())
    assert FeatureStore.open(store.folder).identity == OTHER


def test_replace_keeps_features_of_the_same_identity(store: FeatureStore) -> None:
    append(store, [1])
    assert len(FeatureStore.create(store.folder, IDENTITY, ORIGIN, rebuild=True).rows()) == 1


@pytest.mark.parametrize("content", ["{", '{"kind": "keyart-features", "version": 99}', '{"kind": "other"}'])
def test_replace_also_replaces_unreadable_features(store: FeatureStore, content: str) -> None:
    append(store, [1])
    (store.folder / "features.json").write_text(content)
    with pytest.raises(DataError):
        FeatureStore.create(store.folder, IDENTITY, ORIGIN)
    assert len(FeatureStore.create(store.folder, IDENTITY, ORIGIN, rebuild=True).rows()) == 0


def test_shards_that_an_interrupted_removal_left_do_not_count_as_another_networks(store: FeatureStore) -> None:
    append(store, [1])
    # The record goes first; here the removal was interrupted right after.
    (store.folder / "features.json").unlink()
    assert len(FeatureStore.create(store.folder, OTHER, ORIGIN, rebuild=True).rows()) == 0


def test_shards_without_identity_are_removed_only_on_request(store: FeatureStore) -> None:
    append(store, [1])
    record = (store.folder / "features.json").read_bytes()
    (store.folder / "features.json").unlink()
    with pytest.raises(DataError, match=r"features\.json, .* is missing; .*--rebuild"):
        FeatureStore.create(store.folder, IDENTITY, ORIGIN)
    (store.folder / "features.json").write_bytes(record)
    assert FeatureStore.create(store.folder, IDENTITY, ORIGIN).rows().movie_ids.tolist() == [1]


def test_files_of_the_users_own_are_never_removed(tmp_path: Path) -> None:
    own = ["features-mine.npy", "features-notes.txt", "features-00000.npy.bak", "features-1.parquet"]
    for name in own:
        (tmp_path / name).write_text("my own")
    (tmp_path / "features-old").mkdir()
    store = FeatureStore.create(tmp_path, IDENTITY, ORIGIN)
    append(store, [1])
    store.remove_damaged()
    FeatureStore.create(tmp_path, OTHER, ORIGIN, rebuild=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*own, "features-old", "features.json"])
    assert {(tmp_path / name).read_text() for name in own} == {"my own"}


# Damage


def test_a_missing_store_says_which_command_makes_it(tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match=r"no features here yet .*; run `keyart extract`"):
        FeatureStore.open(tmp_path)


def test_a_store_of_another_version_is_refused(store: FeatureStore) -> None:
    path = store.folder / "features.json"
    rewrite_record(path, lambda record: {**record, "version": 1})
    with pytest.raises(
        DataError,
        match=r"features\.json is of version 1, this keyart reads version 2.*; or run `keyart extract --rebuild`",
    ):
        FeatureStore.open(store.folder)


@pytest.mark.parametrize("identity", [None, {}, {"name": "vgg16"}])
def test_a_record_without_an_identity_is_refused(store: FeatureStore, identity: object) -> None:
    path = store.folder / "features.json"
    rewrite_record(path, lambda record: {**record, "identity": identity})
    with pytest.raises(DataError, match=r"features\.json is damaged .*; run `keyart extract --rebuild`"):
        FeatureStore.open(store.folder)


def _damages() -> Iterator[object]:
    for suffix in ("npy", "parquet"):
        yield pytest.param(suffix, lambda content: b"", id=f"{suffix} emptied")
        yield pytest.param(suffix, lambda content: content[: len(content) * 2 // 3], id=f"{suffix} cut off")
        yield pytest.param(suffix, lambda content: b"once upon a time", id=f"{suffix} a text")
        yield pytest.param(suffix, None, id=f"{suffix} missing")
    yield pytest.param("json", lambda content: content.replace(b"3", b"4"), id="record of more rows")


@pytest.mark.parametrize(("suffix", "damage"), list(_damages()))
def test_a_damaged_shard_is_named_with_what_to_do(
    store: FeatureStore, suffix: str, damage: Callable[[bytes], bytes] | None
) -> None:
    append(store, [1, 2, 3])
    path = store.folder / f"features-00000.{suffix}"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"features-00000\.\* is damaged .*; run `keyart extract` again"):
        store.rows()


@pytest.mark.parametrize(
    "features", [np.zeros((3, 7), np.float16), np.zeros((3, 6), np.float32), np.zeros((2, 6), np.float16)]
)
def test_a_shard_of_another_shape_or_type_is_damaged(store: FeatureStore, features: npt.NDArray[np.floating]) -> None:
    append(store, [1, 2, 3])
    np.save(store.folder / "features-00000.npy", features)
    with pytest.raises(DataError, match="is damaged"):
        store.rows()


@pytest.mark.parametrize("suffix", ["npy", "parquet", "json"])
def test_a_temporary_read_error_is_not_damage(store: FeatureStore, suffix: str) -> None:
    append(store, [1])
    path = store.folder / f"features-00000.{suffix}"
    kept = path.rename(store.folder / "kept")
    # As good as a disk that does not answer: the system refuses to read it, and it is not missing.
    path.symlink_to(path.name)
    for look in (store.remove_damaged, lambda: store.rows(check=True)):
        with pytest.raises(StoreError, match=r"cannot read .*features-00000\..*: .*; check disk and rights"):
            look()
    kept.replace(path)
    assert store.remove_damaged() == Damage()
    assert store.rows(check=True).movie_ids.tolist() == [1]


def test_a_shard_whose_record_is_lost_is_kept_until_its_features_can_be_computed_again(store: FeatureStore) -> None:
    for movie_ids in ([3, 4], [1, 2]):
        append(store, movie_ids)
    (store.folder / "features-00001.json").unlink()
    assert store.lost_shards() == {"features-00001": 2}
    assert store.lost_shards(lambda movie_id, _: movie_id == 1) == {"features-00001": 1}
    before = {path: path.read_bytes() for path in map(Path, map(str, store.unrecorded()))}
    # The rows that remain are written anew, into no file that is there.
    assert store.drop([3]) == 1
    assert {path: path.read_bytes() for path in map(Path, map(str, store.unrecorded()))} == before
    assert len(before) == 2
    # Nothing proves that they are whole.
    assert store.rows().movie_ids.tolist() == [4]
    assert store.remove_damaged() == Damage()
    assert store.unrecorded() == []


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
def test_a_shard_without_a_record_that_is_not_whole_is_removed(store: FeatureStore, suffix: str) -> None:
    append(store, [1, 2])
    (store.folder / "features-00000.json").unlink()
    path = store.folder / f"features-00000.{suffix}"
    path.write_bytes(path.read_bytes()[:-1])
    store.drop([9])
    assert store.unrecorded() == []


def test_images_that_are_gone_keep_no_shard_whose_record_is_lost(store: FeatureStore) -> None:
    append(store, [1, 2])
    (store.folder / "features-00000.json").unlink()
    store.drop([1, 2])
    assert store.unrecorded() == []


# Skipped posters


def test_skipped_posters_are_those_recorded_last(store: FeatureStore) -> None:
    assert store.skipped() == ()
    store.write_skipped([Skipped(1, "a text file"), Skipped(2, "cut off")])
    store.write_skipped([Skipped(2, "cut off")])
    assert FeatureStore.open(store.folder).skipped() == (Skipped(2, "cut off"),)


# Folders in other use


_FOREIGN = {
    "features.json": '{"type": "FeatureCollection", "features": []}',
    "features-00000.npy": "mine",
    "features-00000.json": '{"mine": true}',
    "whitening.npz": "mine",
    "skipped.json": "[]",
    "photo.jpg": "mine",
}


@pytest.mark.parametrize("name", _FOREIGN)
def test_folders_of_other_files_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(_FOREIGN[name])
    with pytest.raises(ConfigError, match=rf"is not empty and holds no features \(but {name}, for one\)"):
        check_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_own_and_interrupted_folders_are_accepted(tmp_path: Path) -> None:
    check_folder(tmp_path / "new")
    (tmp_path / "writer.pid.lock").touch()
    (tmp_path / ".features.json.1234.partial").touch()
    Whitening.fit(np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)).save(tmp_path / "whitening.npz")
    check_folder(tmp_path)
    store = FeatureStore.create(tmp_path, IDENTITY, ORIGIN)
    append(store, [1, 2])
    (tmp_path / "photo.jpg").write_text("beside the features")
    check_folder(tmp_path)
    (tmp_path / "features.json").unlink()
    check_folder(tmp_path)


def test_a_killed_removal_leaves_a_folder_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeatureStore.create(tmp_path, IDENTITY, ORIGIN)
    append(store, [1, 2])
    unlink, left = Path.unlink, iter(range(3))

    def unlink_some(path: Path, *, missing_ok: bool = False) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_some)
    with pytest.raises(KeyboardInterrupt):
        store.clear()
    check_folder(tmp_path)


def test_a_folder_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere does not exist; create it first"):
        check_folder(tmp_path / "nowhere" / "features")


def test_an_interrupted_replacement_leaves_a_store_that_is_known(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, [1])
    other = replace(store.identity, backbone="other")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("features.store.write_record", interrupt)
    with pytest.raises(KeyboardInterrupt):
        FeatureStore.create(store.folder, other, {}, rebuild=True)
    monkeypatch.undo()
    assert FeatureStore.open(store.folder).identity == store.identity
    assert not len(FeatureStore.open(store.folder).rows())
    assert FeatureStore.create(store.folder, other, {}, rebuild=True).identity == other
