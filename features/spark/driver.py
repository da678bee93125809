"""The driver's part: what is known beforehand, what came of every picture afterwards, and order in the store.

May import `catalog` only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import StoreError
from catalog.io.locks import exclusive
from catalog.io.spark import quietly
from features.encoders.encoder import Extractor, load_extractor
from features.encoders.keras import IMAGENET, KERAS, VGG16, BackboneChoice
from features.encoders.weights import imagenet_weights_path
from features.extraction import ExtractionReport, is_current, kept_whitening, open_store
from features.images import Resize
from features.pooling import Pooling, Whitening
from features.shards import number_of
from features.spark.cluster import changed_settings, folder_at, reworded, watched
from features.spark.tables import checked, joined_with_known
from features.spark.tasks import BROKEN, KNOWN, NEW, Recipe, Task
from features.store import SHARD_ROWS, FeatureStore, Skipped

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


# A batch on its way to a worker is held by the JVM and by Arrow at once: 64 posters are 2 to 10 MB.
_ARROW_ROWS = 64


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
        extractor = extractor.whitened_by(kept_whitening(folder, extractor, lost_is_none=replace))
    # Of drivers; the workers of one driver write shards of different numbers.
    with exclusive(folder):
        store = open_store(folder, choice, extractor, replace=replace)
        return extract_features(df, choice, extractor, store, cache_dir, drop_gone=drop_gone, shard_rows=shard_rows)


@quietly()
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
    spark, pictures = df.sparkSession, checked(df)
    mended = store.mend()
    context = spark.sparkContext
    path = _weights_path(choice, cache_dir)
    recipe = Recipe(
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
    with changed_settings(spark, settings), reworded():
        joined, id_type = joined_with_known(pictures, store)
        ordered = joined.sortWithinPartitions("id")
        n_partitions = ordered.rdd.getNumPartitions()
        task = Task(recipe, store.folder.absolute(), _next_number(store), n_partitions, shard_rows)
        schema = f"id {id_type}, state string, sha256 string, reason string"
        with watched(spark, n_partitions, on_progress):
            results = ordered.mapInArrow(task.run, schema).toArrow().to_pydict()
    return _settle(results, store, drop_gone, shard_rows, mended)


def _settle(
    results: dict[str, list[Any]], store: FeatureStore, drop_gone: bool, shard_rows: int, mended: tuple[str, ...]
) -> ExtractionReport:
    """See that all is there, drop what no longer counts, record what could not be read."""
    ids, states = results["id"], results["state"]
    present: dict[Any, str | None] = dict(zip(ids, results["sha256"], strict=True))
    there = store.rows()
    written = dict(zip(there.picture_ids.tolist(), there.poster_sha256s, strict=True))
    new = [picture_id for picture_id, state in zip(ids, states, strict=True) if state == NEW]
    n_missing = sum(written.get(picture_id) != present[picture_id] for picture_id in new)
    if n_missing:
        raise StoreError(
            f"{n_missing} of {len(new)} pictures that the workers computed are not in {store.folder}; expected a "
            "folder that the driver and all workers share"
        )
    reasons = sorted(pair for *pair, state in zip(ids, results["reason"], states, strict=True) if state == BROKEN)
    skipped = tuple(Skipped(*pair) for pair in reasons)
    # Every task leaves a shard that is not full. To join all of these would be to write nearly everything anew, on
    # the driver; it joins those that are less than half full.
    n_dropped = store.tidy(is_current(present, drop_gone=drop_gone), max(shard_rows // 2, 1))
    store.write_skipped(skipped)
    return ExtractionReport(len(new), states.count(KNOWN), skipped, n_dropped, mended)


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
