"""The same extraction on Spark: every task runs the pipeline of one machine over its partition and writes its shards.

::

    driver: identity, what is known → tasks: pictures → network → shards → driver: what came of every picture → order

What makes a run repeatable: a partition is sorted by id, its shards have numbers of its own, and the same content makes
the same bytes. A task that is run again, or twice at once, so writes the same files over, and no row stands twice.

Tasks run in ``mapInArrow``, which is ``mapInPandas`` without a detour by way of pandas, and not in a
``predict_batch_udf``, which would carry 25,088 numbers a picture through Arrow and the JVM into a column, only to be
written from there; and which knows no bytes, no pictures that are broken, and no shards. What goes through Arrow here
is ids, paths or files' bytes one way, and a line a picture the other.

Workers are forked from a process that has never seen TensorFlow, import it after the fork, and keep the network for
the tasks that follow. May import `catalog` only; importing it does not import PySpark.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalog import errors
from catalog.errors import ConfigError, DataError, KeyartError, StoreError
from catalog.lock import exclusive
from catalog.remote import AnyPath, place
from catalog.storage import write_bytes
from features.backbone import IMAGENET, KERAS, VGG16, BackboneChoice
from features.descriptors import Pooling, Whitening
from features.extraction import (
    WHITENING_SAMPLE,
    Broken,
    Computed,
    ExtractionReport,
    Known,
    Picture,
    Row,
    compute,
    is_current,
    kept_whitening,
    open_store,
    printable,
    table_of,
)
from features.extractor import Extractor, load_extractor
from features.images import Resize
from features.shards import number_of, shard_files
from features.store import SHARD_ROWS, FeatureStore, Identity, PictureId, Skipped
from features.weights import imagenet_weights_path

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import DataFrame, SparkSession

# A batch on its way to a worker is held by the JVM and by Arrow at once: 64 posters are 2 to 10 MB.
_ARROW_ROWS = 64
_CONNECT_S = 5.0
_GLANCE_S = 1.0
# The driver reads a sample in so many parts, each of which it holds at once.
_SAMPLE_PARTS = 8
_NEW, _KNOWN, _BROKEN = "new", "known", "broken"


@contextmanager
def _quietly() -> Iterator[None]:
    """Let PySpark not warn of a pandas that is newer than itself: nothing here goes through pandas."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        yield


def extract(
    df: DataFrame,
    out: str | Path,
    *,
    backbone: str = VGG16,
    weights: str = IMAGENET,
    seed: int = 0,
    engine: str = KERAS,
    resize: str = Resize.ANTIALIAS.value,
    pooling: str = Pooling.RAW.value,
    whitening: Whitening | None = None,
    replace: bool = False,
    drop_gone: bool = False,
    cache_dir: Path | None = None,
    shard_rows: int = SHARD_ROWS,
) -> ExtractionReport:
    """Compute the features of pictures on a Spark cluster into a folder; those that are there are not computed again.

    Memory of a worker: the network, two batches of Arrow, a few batches of pixels and a shard. Of the driver: some
    hundred bytes a picture.

    Parameters
    ----------
    df : DataFrame
        The columns ``id`` (integer or text, each once) and either ``path`` (a file that every machine can read) or
        ``content`` (what stands in one); and ``sha256`` where the files' hashes are known, so that what was computed
        before is not even read. One partition is one task: some hundreds or thousands of pictures.
    out : str or Path
        The folder of features, which every machine can write to: a path that all of them share, or a URI of any file
        system that `folder_at` knows.
    backbone : str, default "vgg16"
        ``"vgg16"``, or the path of a Keras file. The driver reads files of weights and sends them to the workers.
    weights : str, default "imagenet"
        For VGG16: ``"imagenet"``, ``"random"``, or the path of a file.
    seed : int, default 0
        For random weights.
    engine : {"keras", "onnx"}
        What runs the network.
    resize : {"antialias", "nearest"}
        How pictures are brought to 224 × 224.
    pooling : {"raw", "gem", "rmac"}
        What is kept of the network's output.
    whitening : Whitening, optional
        What pooled descriptors go through; by default the one that the folder has, if any.
    replace : bool, default False
        Remove features of another network or choice, if such are there.
    drop_gone : bool, default False
        Remove the features of pictures that are not in `df`: then these must be all there are.
    cache_dir : Path, optional
        Where the driver keeps weights; by default Keras' folder, ``~/.keras/models``.
    shard_rows : int, default 256
        How many rows a shard holds at most.

    Returns
    -------
    ExtractionReport
        What was done.

    Raises
    ------
    ConfigError
        The choice of network makes no sense.
    DataError
        The columns are not as above; an id is there twice; or features of another network are there.
    FetchError
        The ImageNet weights are not here and cannot be downloaded.
    StoreError
        A shard cannot be written, or the driver does not see what the workers wrote.

    Examples
    --------
    >>> from features.spark import extract
    >>> extract(spark.read.parquet("posters.parquet"), "/shared/features")  # doctest: +SKIP
    ExtractionReport(n_new=1000000, n_known=0, skipped=(), n_dropped=0, mended=())
    """
    folder = folder_at(df.sparkSession, out)
    choice = BackboneChoice(backbone, weights, seed, engine)
    cache_dir = cache_dir or Path.home() / ".keras" / "models"
    extractor = load_extractor(choice, cache_dir, Resize(resize), Pooling(pooling), whitening)
    if whitening is None:
        extractor = extractor.whitened_by(kept_whitening(folder, extractor))
    # Of drivers; the workers of one driver write shards of different numbers.
    with exclusive(folder):
        store = open_store(folder, choice, extractor, replace=replace)
        return extract_features(df, choice, extractor, store, cache_dir, drop_gone=drop_gone, shard_rows=shard_rows)


@_quietly()
def extract_features(
    df: DataFrame,
    choice: BackboneChoice,
    extractor: Extractor,
    store: FeatureStore,
    cache_dir: Path,
    *,
    drop_gone: bool = True,
    shard_rows: int = SHARD_ROWS,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> ExtractionReport:
    """Compute on Spark what a store does not hold yet, and bring the store into order.

    Parameters
    ----------
    df : DataFrame
        As `extract` wants it.
    choice : BackboneChoice
        How the workers load the network.
    extractor : Extractor
        The same network on the driver, which says what the workers' must be.
    store : FeatureStore
        Where the features go; its identity is the extractor's.
    cache_dir : Path
        Where the driver keeps weights.
    drop_gone : bool, default True
        Remove the features of pictures that are not in `df`.
    shard_rows : int, default 256
        How many rows a shard holds at most.
    on_progress : callable, optional
        Told about once a second, in a thread of its own, how many tasks are done of how many.

    Returns
    -------
    ExtractionReport
        What was done.

    Raises
    ------
    DataError
        The columns are not as they should be, an id is there twice, or the network's numbers cannot be kept.
    StoreError
        A shard cannot be written, or the driver does not see what the workers wrote.
    """
    spark, pictures = df.sparkSession, _checked(df)
    mended = store.mend()
    context = spark.sparkContext
    path = _weights_path(choice, cache_dir)
    recipe = _Recipe(
        choice,
        extractor.identity,
        extractor.whitening,
        path.name if path else None,
        context.broadcast(path.read_bytes()) if path else None,
        int(context.getConf().get("spark.task.cpus", "1")),
    )
    settings = {
        # Partitions must not be joined or split behind our back: shards are numbered by them.
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(_ARROW_ROWS),
    }
    with _settings(spark, settings), _reworded():
        joined, id_type = _joined_with_known(pictures, store)
        ordered = joined.sortWithinPartitions("id")
        n_partitions = ordered.rdd.getNumPartitions()
        task = _Task(recipe, store.folder.absolute(), _next_number(store), n_partitions, shard_rows)
        schema = f"id {id_type}, state string, sha256 string, reason string"
        with _watched(spark, n_partitions, on_progress):
            results = ordered.mapInArrow(task.run, schema).toArrow().to_pydict()
    return _settle(results, store, drop_gone, shard_rows, mended)


@_quietly()
def frame_of(spark: SparkSession, pictures: Sequence[Picture], shard_rows: int = SHARD_ROWS) -> DataFrame:
    """Make a DataFrame of picture files, cut so that a task computes a shard, or less where cores would stand idle.

    Parameters
    ----------
    spark : SparkSession
        The session.
    pictures : sequence of Picture
        Files, not bytes; each id once.
    shard_rows : int, default 256
        How many rows a shard holds at most.

    Returns
    -------
    DataFrame
        The columns id, path, sha256; in the order of `pictures`.
    """
    from pyspark.sql import functions as F  # noqa: N812 - as everybody calls it

    table = pa.table(
        {
            "position": np.arange(len(pictures)),
            "id": [picture.picture_id for picture in pictures],
            "path": [_path(picture) for picture in pictures],
            "sha256": [picture.sha256 or "" for picture in pictures],
        }
    )
    n_rows = min(shard_rows, -(-len(pictures) // spark.sparkContext.defaultParallelism)) or 1
    # A range is cut into even slices; a table that is sent to Spark would be cut as it pleases.
    positions = spark.range(0, len(pictures), 1, -(-len(pictures) // n_rows)).withColumnRenamed("id", "position")
    joined = positions.join(F.broadcast(spark.createDataFrame(table)), "position")
    return joined.select("id", "path", F.nullif("sha256", F.lit("")).alias("sha256"))


@_quietly()
def sample_of(df: DataFrame) -> Iterator[Picture]:
    """Bring to the driver the pictures that a whitening is learnt from.

    Parameters
    ----------
    df : DataFrame
        As `extract` wants it.

    Yields
    ------
    Picture
        Up to 2,000, always the same ones whichever way the table is cut.

    Raises
    ------
    DataError
        The columns are not as they should be, or an id is there twice.
    """
    from pyspark.sql import functions as F  # noqa: N812 - as everybody calls it

    pictures = _checked(df).select("id", "source")
    # Ids alone are sorted: pictures would all pass through the driver.
    chosen = pictures.select("id").orderBy(F.xxhash64("id"), "id").limit(WHITENING_SAMPLE)
    with _reworded():
        rows = pictures.join(F.broadcast(chosen), "id", "left_semi").repartition(_SAMPLE_PARTS).toLocalIterator()
        for picture_id, source in rows:
            yield Picture(picture_id, bytes(source) if isinstance(source, bytearray | bytes) else Path(source))


def folder_at(spark: SparkSession, name: str | Path) -> AnyPath:
    """Find a folder to write to, on this machine or on any other file system that Spark writes to.

    Workers have no way to Hadoop's file systems, so Arrow's take their place, with what Spark knows of S3: keys,
    endpoint and region of ``spark.hadoop.fs.s3a.*``.

    Parameters
    ----------
    spark : SparkSession
        The session.
    name : str or Path
        A path, or as text a URI of ``s3a://``, ``gs://``, ``abfss://``, ``hdfs://`` or ``file://``.

    Returns
    -------
    Path or RemotePath
        The folder; it need not exist.

    Raises
    ------
    ConfigError
        There is no such file system, its client is missing, or it does not answer.
    """
    return place(name, **_s3_options(spark.sparkContext._jsc.hadoopConfiguration().get))


def _s3_options(setting: Callable[[str], str | None]) -> dict[str, str]:
    """Say in Arrow's words what Hadoop's settings say of S3."""
    names = {"access_key": "access.key", "secret_key": "secret.key", "session_token": "session.token"}
    names |= {"region": "endpoint.region", "endpoint_override": "endpoint"}
    told = {ours: setting(f"fs.s3a.{theirs}") for ours, theirs in names.items()}
    s3 = {ours: value for ours, value in told.items() if value}
    scheme, _, host = s3.get("endpoint_override", "").rpartition("://")
    if host.endswith("amazonaws.com"):
        # Arrow finds these by itself, from the region.
        del s3["endpoint_override"]
    elif host:
        plain = setting("fs.s3a.connection.ssl.enabled") == "false"
        s3 |= {"endpoint_override": host, "scheme": scheme or ("http" if plain else "https")}
    return s3


def is_table(name: str) -> bool:
    """Tell whether a name is of a Parquet table, not of a folder of pictures.

    Parameters
    ----------
    name : str
        A path or URI.

    Returns
    -------
    bool
        Whether it has a scheme, as in ``s3a://``, or ends with ``.parquet``.
    """
    return "://" in name or name.rstrip("/").endswith(".parquet")


@_quietly()
def read_table(spark: SparkSession, name: str) -> DataFrame:
    """Open a Parquet table of pictures, wherever Spark can read it.

    Parameters
    ----------
    spark : SparkSession
        The session.
    name : str
        A path or URI, of a file or of a folder of such files.

    Returns
    -------
    DataFrame
        As `extract` wants it.

    Raises
    ------
    DataError
        There is none.
    """
    from pyspark.errors import PySparkException

    try:
        return spark.read.parquet(name)
    except PySparkException as error:
        raise DataError(f"{name} cannot be read as a Parquet table: {_reason(error)}") from error


@contextmanager
def session(master: str | None = None) -> Iterator[SparkSession]:
    """Open a Spark session, and stop it in the end unless it was there before.

    Parameters
    ----------
    master : str, optional
        Such as ``local[4]`` or ``spark://host:7077``; by default what Spark's own configuration says, else all cores
        of this machine.

    Yields
    ------
    SparkSession
        The session.

    Raises
    ------
    ConfigError
        PySpark or Java is not there, or there is no such master.
    """
    with _quietly():
        try:
            from pyspark.errors import PySparkException
            from pyspark.sql import SparkSession
        except ImportError as error:
            raise ConfigError("Spark needs PySpark: pip install 'keyart[spark]'") from error
    from py4j.protocol import Py4JError

    there = SparkSession.getActiveSession()
    builder = SparkSession.builder.appName("keyart extract")
    if master:
        _reach(master)
        builder = builder.master(master)
    try:
        spark = builder.getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        if "JAVA_GATEWAY" in str(error) or isinstance(error, FileNotFoundError):
            raise ConfigError(
                "Spark needs Java 17 or newer, and none could be started; install it (such as openjdk-17-jre-headless) "
                "or let JAVA_HOME name it"
            ) from error
        named = f" with the master {master}" if master else ""
        raise ConfigError(f"Spark does not start{named}: {_reason(error)}") from error
    context = spark.sparkContext
    if context.master.startswith("local") and context.pythonExec == "python3":
        # Whatever PATH has first need not be the Python that keyart is installed in.
        context.pythonExec = sys.executable
    try:
        yield spark
    finally:
        if there is None:
            spark.stop()


@dataclass(frozen=True)
class _Recipe:
    """What a worker needs to make the driver's extractor: files' contents come with it, and need not be there."""

    choice: BackboneChoice
    identity: Identity
    whitening: Whitening | None
    file_name: str | None
    content: Broadcast[bytes] | None
    n_cores: int

    def load(self) -> Extractor:
        how = (Resize(self.identity.resize), Pooling(self.identity.pooling), self.whitening)
        with tempfile.TemporaryDirectory() as folder, _seeing_cores(self.n_cores):
            choice = self.choice
            if self.content is not None:
                path = Path(folder, str(self.file_name))
                path.write_bytes(self.content.value)
                in_vgg16 = choice.backbone == VGG16
                choice = replace(choice, weights=str(path)) if in_vgg16 else replace(choice, backbone=str(path))
            extractor = load_extractor(choice, Path(folder), *how)
        if extractor.identity != self.identity:
            raise DataError(
                f"a worker's network is {extractor.identity}, the driver's is {self.identity}; install the same "
                "versions on all machines"
            )
        return extractor


@dataclass(frozen=True)
class _Task:
    """What is done with a partition."""

    recipe: _Recipe
    out: AnyPath
    first_number: int
    n_partitions: int
    shard_rows: int

    def run(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        task = TaskContext.get()
        partition = task.partitionId() if task else 0
        if not partition < self.n_partitions:
            raise RuntimeError(f"partition {partition} of {self.n_partitions}")
        return self.run_partition(partition, batches)

    def run_partition(self, partition: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        known: dict[PictureId, str] = {}
        number = self.first_number + partition
        rows: list[Row] = []
        parts: list[npt.NDArray[np.float16]] = []
        others: list[tuple[PictureId, str, str | None, str | None]] = []
        pictures = _pictures(batches, known)
        for event in compute(pictures, _extractor(self.recipe), known=known, shard_rows=self.shard_rows):
            match event:
                case Computed(new, features):
                    rows += new
                    parts.append(features)
                case Known(picture_id, sha256):
                    others.append((picture_id, _KNOWN, sha256, None))
                case Broken(picture_id, reason, sha256):
                    others.append((picture_id, _BROKEN, sha256, reason))
            if len(rows) >= self.shard_rows:
                yield self._write(number, rows, parts)
                rows, parts, number = [], [], number + self.n_partitions
        if rows:
            yield self._write(number, rows, parts)
        if others:
            yield _results(others)

    def _write(self, number: int, rows: list[Row], parts: list[npt.NDArray[np.float16]]) -> pa.RecordBatch:
        for name, content in shard_files(number, table_of(rows), np.concatenate(parts)):
            write_bytes(self.out / name, content)
        return _results([(row.picture_id, _NEW, row.poster_sha256, None) for row in rows])


_loaded: dict[tuple[BackboneChoice, Identity, int], Extractor] = {}
"""The network of this worker, kept from task to task."""


def _extractor(recipe: _Recipe) -> Extractor:
    key = (recipe.choice, recipe.identity, recipe.n_cores)
    if key not in _loaded:
        _loaded.clear()
        _loaded[key] = recipe.load()
    return _loaded[key]


@contextmanager
def _seeing_cores(n_cores: int) -> Iterator[None]:
    """Let libraries start as many threads as a task has cores, so that workers do not fight.

    TensorFlow, JAX and ONNX Runtime each have a setting of their own for it; all of them count the cores that they may
    run on when they start. Afterwards every thread may run on any core again. Only Linux lets a process choose.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    # Workers that start at once have numbers in a row, and so start on different cores.
    first = os.getpid() * n_cores
    some = sorted(allowed)
    os.sched_setaffinity(0, {some[(first + more) % len(some)] for more in range(n_cores)})
    try:
        yield
    finally:
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), allowed)


def _pictures(batches: Iterator[pa.RecordBatch], known: dict[PictureId, str]) -> Iterator[Picture]:
    """Read pictures as they come, and note the hashes of those that are known before they are asked for."""
    for batch in batches:
        columns = (batch[name].to_pylist() for name in ("id", "source", "sha256", "known_sha256"))
        for picture_id, source, sha256, known_sha256 in zip(*columns, strict=True):
            if known_sha256 is not None:
                known[picture_id] = known_sha256
            content = source if isinstance(source, bytes) else Path(source)
            yield Picture(picture_id, content, sha256)


def _results(results: Sequence[tuple[PictureId, str, str | None, str | None]]) -> pa.RecordBatch:
    ids, *texts = zip(*results, strict=True)
    columns = [pa.array(ids), *(pa.array(text, pa.string()) for text in texts)]
    return pa.RecordBatch.from_arrays(columns, ["id", "state", "sha256", "reason"])


def _checked(df: DataFrame) -> DataFrame:
    """Bring a user's columns to id, source, sha256."""
    from pyspark.sql import functions as F  # noqa: N812 - as everybody calls it
    from pyspark.sql.types import BinaryType, IntegralType, StringType

    types = {field.name: field.dataType for field in df.schema.fields}
    source = next((name for name in ("content", "path") if name in types), None)
    expected = {"content": BinaryType, "path": StringType}
    if source is None or not isinstance(types[source], expected[source]):
        raise DataError(f"expected a column path (text) or content (bytes), received {df.schema.simpleString()}")
    if not isinstance(types.get("id"), IntegralType | StringType):
        raise DataError(f"expected a column id (integers or texts), received {df.schema.simpleString()}")
    picture_id = F.col("id").cast("long" if isinstance(types["id"], IntegralType) else "string")
    sha256 = F.col("sha256") if "sha256" in types else F.lit(None)
    pictures = df.select(picture_id.alias("id"), F.col(source).alias("source"), sha256.cast("string").alias("sha256"))
    with _reworded():
        # Of a Parquet file this reads the ids alone.
        twice = pictures.groupBy("id").count().filter("count > 1 or id is null").head()
        blank = pictures.filter("source is null").select("id").head()
    if twice:
        raise DataError(f"expected every id once, received {twice['id']} {twice['count']} times")
    if blank:
        raise DataError(f"expected a {source} for every id, received none for {blank['id']}")
    return pictures


def _joined_with_known(pictures: DataFrame, store: FeatureStore) -> tuple[DataFrame, str]:
    """Put the hash of what the store holds beside every picture; the JVM holds it once a machine, no worker does."""
    from pyspark.sql import functions as F  # noqa: N812 - as everybody calls it

    rows = store.rows()
    id_type = dict(pictures.dtypes)["id"]
    if len(rows) and (rows.picture_ids.dtype == np.int64) != (id_type == "bigint"):
        raise DataError(
            f"{store.folder} holds {'movie_ids' if id_type != 'bigint' else 'names'}, the column id does not; expected "
            "ids of one kind: name another folder"
        )
    id_column = pa.array(rows.picture_ids.tolist(), pa.int64() if id_type == "bigint" else pa.string())
    known = pa.table({"id": id_column, "known_sha256": pa.array(rows.poster_sha256s, pa.string())})
    there = pictures.sparkSession.createDataFrame(known)
    return pictures.join(F.broadcast(there), "id", "left"), id_type


def _settle(
    results: dict[str, list[Any]], store: FeatureStore, drop_gone: bool, shard_rows: int, mended: tuple[str, ...]
) -> ExtractionReport:
    """See that all is there, drop what no longer counts, record what could not be read."""
    ids, states = results["id"], results["state"]
    present: dict[Any, str | None] = dict(zip(ids, results["sha256"], strict=True))
    there = store.rows()
    written = dict(zip(there.picture_ids.tolist(), there.poster_sha256s, strict=True))
    new = [picture_id for picture_id, state in zip(ids, states, strict=True) if state == _NEW]
    n_missing = sum(written.get(picture_id) != present[picture_id] for picture_id in new)
    if n_missing:
        raise StoreError(
            f"{n_missing} of {len(new)} pictures that the workers computed are not in {store.folder}; expected a "
            "folder that the driver and all workers share"
        )
    reasons = sorted(pair for *pair, state in zip(ids, results["reason"], states, strict=True) if state == _BROKEN)
    skipped = tuple(Skipped(*pair) for pair in reasons)
    # Every task leaves a shard that is not full. To join all of these would be to write nearly everything anew, on
    # the driver; it joins those that are less than half full.
    n_dropped = store.tidy(is_current(present, drop_gone=drop_gone), max(shard_rows // 2, 1))
    store.write_skipped(skipped)
    return ExtractionReport(len(new), states.count(_KNOWN), skipped, n_dropped, mended)


def _next_number(store: FeatureStore) -> int:
    numbers = (number_of(path.name) for path in store.folder.glob("features-*.json"))
    return max((number for number in numbers if number is not None), default=-1) + 1


def _weights_path(choice: BackboneChoice, cache_dir: Path) -> Path | None:
    """Find the file that workers must be sent; random weights are drawn by every worker for itself."""
    if choice.backbone != VGG16:
        return Path(choice.backbone)
    if choice.weights == IMAGENET:
        return imagenet_weights_path(cache_dir)
    return None if choice.is_random else Path(choice.weights)


def _path(picture: Picture) -> str:
    if isinstance(picture.source, bytes):
        raise TypeError("expected a file, received bytes; put these into a DataFrame's column content")
    path = str(picture.source.absolute())
    if path != printable(path):
        raise DataError(f"{printable(path)} is not UTF-8, and Spark knows no other names; rename it")
    return path


@contextmanager
def _settings(spark: SparkSession, values: dict[str, str]) -> Iterator[None]:
    """Change settings of a user's session, and change them back."""
    before = {name: spark.conf.get(name) for name in values}
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, str(value))


@contextmanager
def _watched(spark: SparkSession, n_tasks: int, on_progress: Callable[[int, int], None]) -> Iterator[None]:
    """Tell how many tasks are done while Spark is at work, which this thread waits for."""
    from py4j.protocol import Py4JError

    context, group, done = spark.sparkContext, f"keyart-{secrets.token_hex(4)}", threading.Event()
    tracker = context.statusTracker()

    def n_done() -> int:
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
        # What is sent to all workers beforehand is a stage too.
        return max((stage.numCompletedTasks for stage in stages if stage and stage.numTasks == n_tasks), default=0)

    def watch() -> None:
        # Where the session ends first, whoever waits for its results will say so.
        with suppress(Py4JError, OSError):
            while not done.wait(_GLANCE_S):
                on_progress(n_done(), n_tasks)

    on_progress(0, n_tasks)
    before = {name: context.getLocalProperty(name) for name in ("spark.jobGroup.id", "spark.job.description")}
    context.setJobGroup(group, "keyart extract")
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
        on_progress(n_tasks, n_tasks)
    finally:
        done.set()
        watcher.join()
        for name, value in before.items():
            context.setLocalProperty(name, value)


@contextmanager
def _reworded() -> Iterator[None]:
    """Raise what a worker raised, without the tracebacks of three languages around it."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        for name, message in re.findall(r"^catalog\.errors\.(\w+): (.+)$", str(error), re.MULTILINE):
            kind = getattr(errors, name, None)
            if isinstance(kind, type) and issubclass(kind, KeyartError):
                raise kind(message) from error
        raise StoreError(
            f"Spark gave up: {_reason(error)}; what was finished is kept, run the same command again to go on"
        ) from error


def _reason(error: Exception) -> str:
    """Find the line that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"(?:[\w.]+(?:Error|Exception)): ", line)]
    return (told or lines or [type(error).__name__])[-1 if told else 0][:300]


def _reach(master: str) -> None:
    """Ask whether a standalone master answers, for Spark itself would try for minutes."""
    if not master.startswith("spark://"):
        return
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S):
            return
    raise ConfigError(f"no Spark master answers at {master}; expected spark://HOST:PORT of one that runs")
