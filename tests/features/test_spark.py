from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import copytree, which
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from catalog.errors import ConfigError, DataError, StoreError
from catalog.extras import pip_install
from catalog.io.remote import RemotePath, as_path
from catalog.io.spark import use_this_python
from features.extraction import open_store
from features.options import ExtractOptions
from features.pipeline import Picture
from features.spark import Job, extract, folder_at, frame_of, read_table, sample_of, session
from features.spark.cluster import _s3_options
from features.spark.tasks import Recipe, Task, _encoder, _limited_cores
from features.store import FeatureStore
from keyart.cli import main
from keyart.pipeline.features import extract_images
from tests.features import conftest
from tests.features.conftest import draw_poster, draw_white, small_model
from tests.features.encoders.onnx_files import save_as_onnx
from tests.features.numpy_network import HeldRecipe, NumpyRecipe, load_encoder, save_network

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.heavy

needs_java = pytest.mark.skipif(
    which("java") is None and "JAVA_HOME" not in os.environ, reason="Spark needs Java 17 (openjdk-17-jre-headless)"
)
_SHARD_ROWS = 4
_OPTIONS = ("engine", "resize", "preprocessing")
_PATIENCE_S = 120


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    """Two workers; a task may fail once."""
    with session("local[2,2]") as opened:
        yield opened


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network of NumPy, which driver and workers take for one of Keras."""
    for module in ("features.extraction", "features.spark.driver"):
        monkeypatch.setattr(f"{module}.load_encoder", load_encoder)
    monkeypatch.setattr("features.spark.driver.Recipe", NumpyRecipe)
    (tmp_path / "network").mkdir()
    return save_network(tmp_path / "network/tiny.npz")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    for movie_id in range(1, 22):
        draw_poster(folder / f"{movie_id}.png", movie_id)
    return folder


@pytest.fixture
def folder(drawn: Path, tmp_path: Path) -> Path:
    return copytree(drawn, tmp_path / "posters")


def _pictures(folder: Path) -> list[Picture]:
    return [Picture(int(path.stem), path) for path in sorted(folder.iterdir(), key=lambda path: int(path.stem))]


def _items(pictures: list[Picture]) -> list[tuple[Any, Any]]:
    return [(picture.picture_id, picture.source) for picture in pictures]


def _extract(df: DataFrame, out: Path | str, network: Path, **how: Any) -> tuple[int, int, int]:
    options = ExtractOptions(network, **{name: how.pop(name) for name in _OPTIONS if name in how})
    folder = out if isinstance(out, RemotePath) else folder_at(df.sparkSession, out)
    report = extract(df, folder, options, network.parent, **{"shard_rows": _SHARD_ROWS, **how})
    return report.n_new, report.n_known, len(report.skipped)


def _content(out: Path) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Read all rows by id, and the shards' tables of them."""
    store = FeatureStore.open(out)
    rows = store.rows(check=True)
    tables = [pd.read_parquet(path) for path in out.glob("features-*.parquet")]
    table = pd.concat(tables).sort_values(tables[0].columns[0], ignore_index=True)
    assert len(table) == len(rows), "duplicate rows"
    return table, np.concatenate(list(store.blocks(rows)))


def _assert_equal(out: Path, expected: Path) -> None:
    (table, rows), (expected_table, expected_rows) = _content(out), _content(expected)
    pd.testing.assert_frame_equal(table, expected_table)
    assert rows.tobytes() == expected_rows.tobytes()
    assert (out / "features.json").read_bytes() == (expected / "features.json").read_bytes()
    assert FeatureStore.open(out).skipped() == FeatureStore.open(expected).skipped()


def _times(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob("features-*")}


@needs_java
def test_two_workers_write_the_same_bits_as_one_machine(
    spark: SparkSession, folder: Path, network: Path, tmp_path: Path
) -> None:
    (folder / "5.png").write_text("not an image")
    pictures = [*_pictures(folder), Picture(99, folder / "gone.png"), Picture(100, tmp_path / "pipe.png")]
    # Reading it would never end.
    os.mkfifo(tmp_path / "pipe.png")
    df = frame_of(spark, pictures, _SHARD_ROWS)
    assert df.rdd.getNumPartitions() == 6
    assert _extract(df, tmp_path / "spark", network) == (20, 0, 3)
    extract_images(_items(pictures), tmp_path / "one", ExtractOptions(network))
    _assert_equal(tmp_path / "spark", tmp_path / "one")


@needs_java
def test_workers_of_a_session_that_the_user_opened_run_this_interpreter(
    spark: SparkSession, folder: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a session has that was not opened by keyart: the first Python in PATH, which may be any.
    monkeypatch.setattr(spark.sparkContext, "pythonExec", "python3")
    assert _extract(frame_of(spark, _pictures(folder), _SHARD_ROWS), tmp_path / "out", network) == (21, 0, 0)
    assert spark.sparkContext.pythonExec == sys.executable


@pytest.mark.release
@needs_java
def test_a_java_process_that_ends_is_reported() -> None:
    code = """
import os, signal
from catalog.errors import StoreError
from features.spark.cluster import worker_errors
from features.spark import session
try:
    with session("local[1]") as spark, worker_errors():
        java = spark.sparkContext._gateway.proc
        os.kill(java.pid, signal.SIGKILL)
        java.wait()
        spark.range(9).count()
except StoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Java process ended" in done.stdout, done.stderr


@needs_java
def test_an_interpreter_that_was_chosen_is_kept(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark.sparkContext, "pythonExec", "/opt/python")
    use_this_python(spark.sparkContext)
    assert spark.sparkContext.pythonExec == "/opt/python"


@pytest.mark.release
@needs_java
def test_workers_compute_what_one_machine_does_with_keras_and_onnx_runtime(
    spark: SparkSession, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    # One test, as workers take seconds to import TensorFlow.
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    keras.utils.set_random_seed(3)
    layers = [keras.layers.AveragePooling2D(28), keras.layers.Conv2D(5, 3, activation="relu")]
    convolutions = keras.Sequential([keras.Input((224, 224, 3)), *layers], name="convolutions")
    (tmp_path / "networks").mkdir()
    pictures = _pictures(folder)
    networks = {name: tmp_path / f"networks/{name}" for name in ("tiny.keras", "convolutions.keras", "net.onnx")}
    conftest.save_network(small_model(), networks["tiny.keras"])
    conftest.save_network(convolutions, networks["convolutions.keras"])
    save_as_onnx(convolutions, networks["net.onnx"])
    cases = (
        ("tiny.keras", {"engine": "keras", "preprocessing": "caffe"}),
        ("convolutions.keras", {"engine": "onnx", "preprocessing": "rgb,127,128"}),
        ("net.onnx", {"preprocessing": "tf,fit=crop,output=maps"}),
    )
    for name, how in cases:
        network = networks[name]
        df, out, one = frame_of(spark, pictures, _SHARD_ROWS), tmp_path / name, tmp_path / f"one-{name}"
        assert _extract(df, out, network, **how) == (21, 0, 0)
        extract_images(_items(pictures), one, ExtractOptions(network, **how))
        _assert_equal(out, one)


@needs_java
def test_table_of_file_contents_gives_the_same_bits_as_files(
    spark: SparkSession, folder: Path, network: Path, tmp_path: Path
) -> None:
    (folder / "7.png").write_bytes(b"")
    named = {f"film {path.stem}": path.read_bytes() for path in folder.iterdir()}
    table = pa.table({"id": list(named), "content": pa.array(named.values(), pa.binary())})
    for part in range(3):
        # As three tasks see it: files of a folder.
        rows = pa.array(range(part, len(named), 3))
        (tmp_path / "posters.parquet").mkdir(exist_ok=True)
        pd.DataFrame(table.take(rows).to_pydict()).to_parquet(tmp_path / f"posters.parquet/{part}.parquet")
    df = read_table(spark, str(tmp_path / "posters.parquet"))
    assert _extract(df, tmp_path / "spark", network) == (20, 0, 1)
    extract_images(named.items(), tmp_path / "one", ExtractOptions(network))
    _assert_equal(tmp_path / "spark", tmp_path / "one")


@pytest.mark.release
@needs_java
def test_another_run_computes_only_new_and_changed_pictures(
    spark: SparkSession, folder: Path, network: Path, tmp_path: Path
) -> None:
    out = tmp_path / "features"
    pictures = _pictures(folder)
    assert _extract(frame_of(spark, pictures[:18], _SHARD_ROWS), out, network) == (18, 0, 0)
    before = _times(out)
    assert _extract(frame_of(spark, pictures[:18], _SHARD_ROWS), out, network) == (0, 18, 0)
    assert _times(out) == before
    draw_poster(folder / "2.png", 99)
    assert _extract(frame_of(spark, pictures[1:], _SHARD_ROWS), out, network, drop_missing=True) == (4, 16, 0)
    extract_images(_items(pictures[1:]), tmp_path / "one", ExtractOptions(network))
    _assert_equal(out, tmp_path / "one")


@pytest.mark.release
@needs_java
def test_survives_a_killed_worker(
    spark: SparkSession, folder: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "features"
    pictures = [Picture(movie_id, folder / f"{1 + movie_id % 20}.png") for movie_id in range(1, 240)]
    # Two tasks of 120 pictures; the worker of the second waits at its last one.
    draw_white(tmp_path / "white.png")
    df = frame_of(spark, [*pictures, Picture(240, tmp_path / "white.png")], 120)
    results: list[tuple[int, int, int]] = []
    with _held(tmp_path / "hold", monkeypatch) as hold:
        _extract(frame_of(spark, pictures[:1]), out, network)
        run = threading.Thread(target=lambda: results.append(_extract(df, out, network, shard_rows=32)), daemon=True)
        run.start()
        # The one shard of the run before, and one of this task: numbers go round by task.
        assert _comes_true((out / "features-00002.json").exists)
        assert _comes_true(lambda: hold.read_text() != "")
        os.kill(int(hold.read_text()), signal.SIGKILL)
    run.join(_PATIENCE_S)
    assert results == [(239, 1, 0)]
    assert len(_content(out)[0]) == 240


def _comes_true(condition: Callable[[], bool]) -> bool:
    wait = threading.Event()
    return any(condition() or wait.wait(0.02) for _ in range(50 * _PATIENCE_S))


@contextmanager
def _held(hold: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let the worker that comes to a white image wait until this ends."""
    hold.touch()
    monkeypatch.setattr("features.spark.driver.Recipe", partial(HeldRecipe, hold=hold))
    try:
        yield hold
    finally:
        hold.unlink()


@needs_java
@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"id": [1, 2, 1], "path": ["a", "b", "c"]}, "every id once, received 1 2 times"),
        ({"id": [1, None], "path": ["a", "b"]}, "every id once, received None"),
        ({"id": [1], "path": pa.array([None], pa.string())}, "a path for every id, received none for 1"),
        ({"id": [1], "poster": ["a"]}, "a column path"),
        ({"id": [1.5], "path": ["a"]}, "a column id"),
        ({"id": [1], "content": ["a"]}, "content"),
    ],
)
def test_refuses_a_table_with_wrong_columns_or_ids(
    spark: SparkSession, network: Path, tmp_path: Path, table: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        _extract(spark.createDataFrame(pa.table(table)), tmp_path / "features", network)


@needs_java
def test_refuses_integer_ids_in_a_folder_of_text_ids(
    spark: SparkSession, folder: Path, network: Path, tmp_path: Path
) -> None:
    out = tmp_path / "features"
    extract_images([("heat", folder / "1.png")], out, ExtractOptions(network))
    with pytest.raises(DataError, match="ids of one kind"):
        _extract(frame_of(spark, _pictures(folder)), out, network)


@pytest.mark.release
@needs_java
def test_error_of_a_worker_is_raised_unchanged_by_the_driver(
    spark: SparkSession, folder: Path, network: Path, tmp_path: Path
) -> None:
    too_large = save_network(network.with_name("huge.npy"), scale=1e6)
    with pytest.raises(DataError, match=r"^huge gives numbers"):
        _extract(frame_of(spark, _pictures(folder)[:2]), tmp_path / "features", too_large)


@needs_java
def test_command_extracts_a_folder_and_a_table(
    spark: SparkSession, folder: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["extract", "--encoder", str(network), *map(str, words), "--spark"])
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    (folder / "3.png").write_text("not an image")
    code, out, err = run("--images", folder, "--out", tmp_path / "features")
    assert (code, out) == (0, "features of 20 images computed, 0 already here\n")
    assert err.splitlines()[0] == "1 image could not be read:"
    named = [{"id": path.name, "path": str(path)} for path in folder.iterdir() if path.name != "21.png"]
    pd.DataFrame(named).to_parquet(tmp_path / "named.parquet")
    code, out, _ = run("--images", tmp_path / "named.parquet", "--out", tmp_path / "features")
    assert (code, out) == (0, "features of 0 images computed, 19 already here, 1 dropped\n")
    code, _, err = run("--images", tmp_path / "none.parquet", "--out", tmp_path / "features")
    assert (code, len(err.splitlines())) == (1, 1)


@needs_java
def test_error_names_a_missing_table(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.parquet"):
        read_table(spark, str(tmp_path / "nothing.parquet"))


@needs_java
def test_reports_an_output_folder_that_workers_do_not_share(
    spark: SparkSession, folder: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Workers write to another folder of the same name, as on a cluster without a common disk.
    monkeypatch.setattr(Path, "absolute", lambda path: tmp_path / "elsewhere" if path.name == "features" else path)
    with pytest.raises(StoreError, match=r"2 of 2 pictures .* share"):
        _extract(frame_of(spark, _pictures(folder)[:2]), tmp_path / "features", network)


@needs_java
def test_reports_the_number_of_finished_tasks(
    spark: SparkSession, folder: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.spark.cluster._GLANCE_S", 0.01)
    options = ExtractOptions(network)
    encoder = load_encoder(options, tmp_path)
    job = Job(options, encoder, tmp_path, open_store(tmp_path / "features", encoder, options))
    draw_white(tmp_path / "white.png")
    df = frame_of(spark, [*_pictures(folder)[:20], Picture(21, tmp_path / "white.png")], _SHARD_ROWS)
    shown: list[tuple[int, int]] = []
    groups: list[str | None] = []

    def run() -> None:
        spark.sparkContext.setJobGroup("mine", "of the user")
        job.run(df, on_progress=lambda *done: shown.append(done))
        groups.append(spark.sparkContext.getLocalProperty("spark.jobGroup.id"))

    thread = threading.Thread(target=run, daemon=True)
    with _held(tmp_path / "hold", monkeypatch):
        thread.start()
        # The task of the white image waits until the others have been seen to be done.
        assert _comes_true(lambda: (5, 6) in shown)
    thread.join(_PATIENCE_S)
    assert (shown[0], shown[-1]) == ((0, 6), (6, 6))
    assert shown == sorted(shown)
    assert groups == ["mine"]


@pytest.mark.release
@needs_java
def test_learns_a_whitening_from_a_table_once(
    spark: SparkSession,
    folder: Path,
    network: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = {"id": [int(path.stem) for path in folder.iterdir()], "content": [p.read_bytes() for p in folder.iterdir()]}
    pd.DataFrame(table).to_parquet(tmp_path / "posters.parquet")
    df = spark.read.parquet(str(tmp_path / "posters.parquet"))
    monkeypatch.setattr("features.spark.tables.WHITENING_SAMPLE", 7)
    samples = [sorted(one.picture_id for one in sample_of(df.repartition(n))) for n in (1, 5)]
    assert samples[0] == samples[1]
    assert len(samples[0]) == 7
    words = ["extract", "--images", f"{tmp_path}/posters.parquet", "--out", f"{tmp_path}/out", "--features", "gem"]
    for expected in ("21 images computed, 0 already", "0 images computed, 21 already"):
        with pytest.raises(SystemExit) as left:
            main([*words, "--encoder", str(network), "--whiten", "--spark"])
        assert (left.value.code, expected in capsys.readouterr().out) == (0, True)
    assert FeatureStore.open(tmp_path / "out").whitening() is not None


@needs_java
def test_skips_a_file_whose_name_is_not_utf_8(spark: SparkSession, folder: Path, network: Path, tmp_path: Path) -> None:
    odd = Picture(99, Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")))
    out = tmp_path / "features"
    assert _extract(frame_of(spark, [*_pictures(folder)[:2], odd]), out, network) == (2, 0, 1)
    assert r"caf\xe9.png" in FeatureStore.open(out).skipped()[0].reason


# Other file systems


@pytest.fixture
def bucket(spark: SparkSession, s3: dict[str, Any], tmp_path: Path) -> Iterator[str]:
    """A folder in a bucket that Spark's settings lead to, as those of a cluster do."""
    configuration = spark.sparkContext._jsc.hadoopConfiguration()
    settings = {"access.key": s3["access_key"], "secret.key": s3["secret_key"], "endpoint.region": s3["region"]}
    settings |= {"endpoint": s3["endpoint_override"], "connection.ssl.enabled": "false"}
    for name, value in settings.items():
        configuration.set(f"fs.s3a.{name}", value)
    yield f"s3a://bucket/{tmp_path.name}"
    for name in settings:
        configuration.unset(f"fs.s3a.{name}")


def _downloaded(out: RemotePath, folder: Path) -> Path:
    folder.mkdir()
    for path in out.glob("*"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.release
@needs_java
def test_workers_write_the_same_bits_into_a_bucket_and_compute_only_missing_shards(
    spark: SparkSession, bucket: str, folder: Path, network: Path, tmp_path: Path
) -> None:
    (folder / "5.png").write_text("not an image")
    pictures = _pictures(folder)
    extract_images(_items(pictures), tmp_path / "one", ExtractOptions(network))
    df, out = frame_of(spark, pictures, _SHARD_ROWS), folder_at(spark, bucket)
    assert isinstance(out, RemotePath)
    assert _extract(df, bucket, network) == (20, 0, 1)
    _assert_equal(_downloaded(out, tmp_path / "first"), tmp_path / "one")
    # A run that was killed before a record was written, and a byte that the network turned.
    (out / "features-00001.json").unlink()
    content = bytearray((out / "features-00003.npy").read_bytes())
    content[-1] ^= 1
    (out / "features-00003.npy").write_bytes(bytes(content))
    # One partition holds the picture that is none.
    assert _extract(df, bucket, network) == (7, 13, 1)
    _assert_equal(_downloaded(out, tmp_path / "again"), tmp_path / "one")
    draw_poster(folder / "2.png", 99)
    assert _extract(frame_of(spark, pictures[1:], _SHARD_ROWS), bucket, network, drop_missing=True) == (1, 18, 1)
    with pytest.raises(DataError, match=rf"^{bucket} holds features of tiny .* never mix"):
        _extract(df, bucket, network, resize="nearest")


@pytest.mark.release
@needs_java
def test_command_writes_whitened_features_into_a_bucket(
    spark: SparkSession, bucket: str, folder: Path, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["extract", "--images", str(folder), "--out", bucket, "--encoder", str(network), "--features", "gem"]
    words += ["--preprocessing", "caffe"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--whiten", "--spark"])
    assert (left.value.code, capsys.readouterr().out) == (0, "features of 21 images computed, 0 already here\n")
    with pytest.raises(SystemExit) as left:
        main([*words, "--whiten", "--spark"])
    assert (left.value.code, capsys.readouterr().out) == (0, "features of 0 images computed, 21 already here\n")


@needs_java
def test_file_uri_is_a_local_folder(spark: SparkSession, folder: Path, network: Path, tmp_path: Path) -> None:
    assert _extract(frame_of(spark, _pictures(folder)[:2]), f"file://{tmp_path}/features", network) == (2, 0, 0)
    assert len(_content(tmp_path / "features")[0]) == 2


@needs_java
def test_error_of_a_missing_bucket_is_one_line(spark: SparkSession, bucket: str, folder: Path, network: Path) -> None:
    with pytest.raises(StoreError, match=r"^s3a://nobodys/f/features\.json cannot be reached: [^\n]*$"):
        _extract(frame_of(spark, _pictures(folder)[:2]), "s3a://nobodys/f", network)


@pytest.mark.release
def test_task_that_runs_again_overwrites_the_same_files(
    s3: dict[str, Any], drawn: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(ExtractOptions(network), tmp_path)
    monkeypatch.setattr("features.spark.tasks._encoder", lambda recipe: encoder)
    out = as_path(f"s3://bucket/{tmp_path.name}", **s3)
    assert isinstance(out, RemotePath)
    recipe = Recipe(ExtractOptions(), encoder.identity, None, None, 1)
    paths = [str(drawn / f"{movie_id}.png") for movie_id in range(1, 11)]
    nothing = pa.array([None] * 10, pa.string())
    columns = {"id": list(range(1, 11)), "source": paths, "sha256": nothing, "known_sha256": nothing}
    batch, task = pa.RecordBatch.from_pydict(columns), Task(recipe, out, 7, 2, _SHARD_ROWS)

    def run() -> dict[str, bytes]:
        assert [len(results) for results in task.run_partition(1, iter([batch]))] == [4, 4, 2]
        return {path.name: path.read_bytes() for path in out.glob("*")}

    first = run()
    assert sorted(name for name in first if name.endswith(".json")) == [
        "features-00008.json",
        "features-00010.json",
        "features-00012.json",
    ]
    assert run() == first


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        ({"fs.s3a.endpoint": "s3.eu-west-1.amazonaws.com", "fs.s3a.endpoint.region": "r"}, {"region": "r"}),
        ({"fs.s3a.endpoint": "http://h:1"}, {"endpoint_override": "h:1", "scheme": "http"}),
        ({"fs.s3a.endpoint": "h:1"}, {"endpoint_override": "h:1", "scheme": "https"}),
        (
            {"fs.s3a.endpoint": "h:1", "fs.s3a.connection.ssl.enabled": "false"},
            {"endpoint_override": "h:1", "scheme": "http"},
        ),
        ({"fs.s3a.access.key": "a", "fs.s3a.session.token": "t"}, {"access_key": "a", "session_token": "t"}),
    ],
)
def test_translates_s3_settings_of_spark_to_options_of_arrow(settings: dict[str, str], options: dict[str, str]) -> None:
    assert _s3_options(settings.get) == options


def test_worker_loads_a_network_once(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder(ExtractOptions(network), network.parent)
    recipe = Recipe(ExtractOptions(), encoder.identity, None, None, 1)
    loaded: list[Recipe] = []
    monkeypatch.setattr(Recipe, "load", lambda self: loaded.append(self) or encoder)
    monkeypatch.setattr("features.spark.tasks._loaded", {})
    other = replace(recipe, identity=replace(recipe.identity, weights_sha256="0"))
    for one in (recipe, replace(recipe), other, other):
        assert _encoder(one) is encoder
    assert loaded == [recipe, other]


def test_worker_refuses_a_network_that_is_not_the_drivers(network: Path) -> None:
    encoder = load_encoder(ExtractOptions(network), network.parent)
    identity = replace(encoder.identity, weights_sha256="0" * 64)
    with pytest.raises(DataError, match="a worker's network"):
        NumpyRecipe(ExtractOptions(str(network)), identity, None, None, 1).load()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a process choose its cores")
def test_limits_cores_to_those_of_a_task_temporarily() -> None:
    before = os.sched_getaffinity(0)
    with _limited_cores(1):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_error_names_a_master_that_does_not_answer() -> None:
    pytest.importorskip("pyspark")
    with (
        pytest.raises(ConfigError, match=r"no Spark master answers at spark://127\.0\.0\.1:1;"),
        session("spark://127.0.0.1:1"),
    ):
        pass


def test_error_without_pyspark_says_how_to_install_it() -> None:
    # In a process of its own: this one may have PySpark from other tests, with objects that still use it.
    code = "import sys; sys.modules['pyspark'] = None\nfrom features.spark import session\nwith session(): pass"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert f"ConfigError: Spark needs pyspark: {pip_install('pyspark')}" in done.stderr


def test_error_without_java_names_the_required_version(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "ps", "env"):
        (tmp_path / name).symlink_to(which(name) or "/bin/false")
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    code = "from features.spark import session\nwith session(): pass"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "ConfigError: Spark needs Java 17" in done.stderr
