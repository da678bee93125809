"""The driver's part of an extraction on Spark: distribute the work, collect the results, tidy the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import StoreError
from catalog.io.locks import check_free, exclusive
from catalog.io.progress import Progress, shown, silent
from catalog.io.remote import AnyPath
from catalog.io.spark import quietly, use_this_python
from features.encoders.encoder import Encoder, load_encoder
from features.encoders.loading import encoder_files
from features.extraction import ExtractReport, is_current, kept_whitening, learn_whitening, open_store
from features.options import ExtractOptions
from features.shards import SHARD_ROWS
from features.spark.cluster import changed_settings, watched, worker_errors
from features.spark.tables import checked, joined_with_known, sample_of
from features.spark.tasks import BROKEN, KNOWN, NEW, Recipe, Task
from features.store import Damage, FeatureStore, Skipped

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import DataFrame

# The JVM and Arrow both hold a batch on its way to a worker: 64 posters are 2 to 10 MB.
_ARROW_ROWS = 64


def extract(
    df: DataFrame,
    folder: AnyPath,
    options: ExtractOptions,
    cache_dir: Path,
    *,
    drop_missing: bool = False,
    shard_rows: int = SHARD_ROWS,
    progress: Progress = silent,
) -> ExtractReport:
    """Compute the features of a DataFrame's images into a folder, apart from those that it holds already.

    `df` has the columns ``id`` (integers or texts, each once) and ``path`` (readable on every machine) or ``content``
    (a file's bytes), and may have ``sha256``: images whose features are known are then not even read. A partition is
    a task. Memory of a worker: the network, two batches of Arrow, a few batches of pixels and a shard. Memory of the
    driver: some hundred bytes per image.
    """
    check_free(folder)
    encoder = load_encoder(options, cache_dir)
    # Of drivers; the workers of one driver write shards of different numbers.
    with exclusive(folder):
        whitening = kept_whitening(folder, encoder, options)
        if options.whiten and whitening is None:
            whitening = learn_whitening(encoder, sample_of(df))
        encoder = encoder.whitened_by(whitening)
        job = Job(options, encoder, cache_dir, open_store(folder, encoder, options), shard_rows)
        with shown(progress, "extract", "tasks") as show:
            return job.run(df, drop_missing=drop_missing, on_progress=show)


@dataclass(frozen=True)
class Job:
    """What the workers compute and where they write it."""

    options: ExtractOptions
    encoder: Encoder
    cache_dir: Path
    store: FeatureStore
    shard_rows: int = SHARD_ROWS

    @quietly()
    def run(
        self,
        df: DataFrame,
        *,
        drop_missing: bool = True,
        on_progress: Callable[[int, int], None] = lambda *_: None,
    ) -> ExtractReport:
        """Compute on Spark what the store lacks, and tidy it.

        `on_progress` is called about once a second, in a thread of its own, with the number of finished tasks and of
        all tasks.
        """
        spark, pictures = df.sparkSession, checked(df)
        use_this_python(spark.sparkContext)
        damage = self.store.remove_damaged()
        recipe = self._recipe(spark.sparkContext)
        settings = {
            # Partitions must be neither joined nor split: shards are numbered by them.
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.execution.arrow.maxRecordsPerBatch": str(_ARROW_ROWS),
        }
        with worker_errors(), changed_settings(spark, settings):
            joined, id_type = joined_with_known(pictures, self.store)
            ordered = joined.sortWithinPartitions("id")
            n_partitions = ordered.rdd.getNumPartitions()
            task = Task(recipe, self.store.folder.absolute(), self.store.next_number(), n_partitions, self.shard_rows)
            schema = f"id {id_type}, state string, sha256 string, reason string"
            with watched(spark, n_partitions, on_progress):
                results = ordered.mapInArrow(task.run, schema).toArrow().to_pydict()
        return self._finish(results, drop_missing, damage)

    def _recipe(self, context: SparkContext) -> Recipe:
        paths = encoder_files(self.options, self.cache_dir)
        contents = {path.relative_to(paths[0].parent).as_posix(): path.read_bytes() for path in paths}
        # No file beside the network's is sent that says how pictures are prepared.
        options = replace(self.options, preprocessing=str(self.encoder.backbone.preprocessing))
        return Recipe(
            options,
            self.encoder.identity,
            self.encoder.whitening,
            context.broadcast(contents) if contents else None,
            int(context.getConf().get("spark.task.cpus", "1")),
        )

    def _finish(self, results: dict[str, list[Any]], drop_missing: bool, damage: Damage) -> ExtractReport:
        """Check that all shards arrived, drop rows that are no longer valid, record what could not be read."""
        ids, states = results["id"], results["state"]
        present: dict[Any, str | None] = dict(zip(ids, results["sha256"], strict=True))
        new = [picture_id for picture_id, state in zip(ids, states, strict=True) if state == NEW]
        _check_written(self.store, {picture_id: present[picture_id] for picture_id in new})
        reasons = sorted(pair for *pair, state in zip(ids, results["reason"], states, strict=True) if state == BROKEN)
        skipped = tuple(Skipped(picture_id, reason, present[picture_id] is None) for picture_id, reason in reasons)
        # Every task leaves a shard that is not full. To join them all would be to rewrite nearly everything on the
        # driver, so only those are joined that are less than half full.
        n_dropped = self.store.tidy(is_current(present, drop_missing=drop_missing), max(self.shard_rows // 2, 1))
        self.store.write_skipped(skipped)
        n_lost = damage.n_lost(present, self.store.rows(), len(new)) if damage.reasons and not drop_missing else 0
        return ExtractReport(len(new), states.count(KNOWN), skipped, n_dropped, damage.reasons, n_lost=n_lost)


def _check_written(store: FeatureStore, new: Mapping[Any, str | None]) -> None:
    """Raise StoreError unless the driver sees all rows that the workers wrote."""
    rows = store.rows()
    written = dict(zip(rows.picture_ids.tolist(), rows.poster_sha256s, strict=True))
    n_missing = sum(written.get(picture_id) != sha256 for picture_id, sha256 in new.items())
    if n_missing:
        raise StoreError(
            f"{n_missing} of {len(new)} pictures that the workers computed are not in {store.folder}; expected a "
            "folder that the driver and all workers share"
        )
