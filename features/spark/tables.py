"""DataFrames of images, from files or Parquet tables, with the columns id, source (path or bytes) and sha256."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from catalog.errors import DataError
from catalog.io.spark import quietly, reason_of
from catalog.text import printable
from features.extraction import WHITENING_SAMPLE
from features.pipeline import Picture
from features.shards import SHARD_ROWS
from features.spark.cluster import worker_errors
from features.store import FeatureStore

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# The driver reads a sample in this many parts, one at a time.
_SAMPLE_PARTS = 8


@quietly()
def frame_of(spark: SparkSession, pictures: Sequence[Picture], shard_rows: int = SHARD_ROWS) -> DataFrame:
    """Make a DataFrame of image files, of one shard per task, or of less if cores would be idle."""
    from pyspark.sql import functions as F  # noqa: N812 - the customary name

    table = pa.table(
        {
            "position": np.arange(len(pictures)),
            "id": [picture.picture_id for picture in pictures],
            "path": [_path(picture) for picture in pictures],
            "sha256": [picture.sha256 or "" for picture in pictures],
        }
    )
    n_rows = min(shard_rows, -(-len(pictures) // spark.sparkContext.defaultParallelism)) or 1
    # Spark cuts a range into even slices, but a table as it chooses.
    positions = spark.range(0, len(pictures), 1, -(-len(pictures) // n_rows)).withColumnRenamed("id", "position")
    joined = positions.join(F.broadcast(spark.createDataFrame(table)), "position")
    return joined.select("id", "path", F.nullif("sha256", F.lit("")).alias("sha256"))


@quietly()
def sample_of(df: DataFrame) -> Iterator[Picture]:
    """Yield up to 2,000 images to learn a whitening from, the same ones however the table is partitioned."""
    from pyspark.sql import functions as F  # noqa: N812 - the customary name

    pictures = checked(df).select("id", "source")
    # Only ids are sorted: otherwise all images would pass through the driver.
    chosen = pictures.select("id").orderBy(F.xxhash64("id"), "id").limit(WHITENING_SAMPLE)
    with worker_errors():
        rows = pictures.join(F.broadcast(chosen), "id", "left_semi").repartition(_SAMPLE_PARTS).toLocalIterator()
        for picture_id, source in rows:
            yield Picture(picture_id, bytes(source) if isinstance(source, bytearray | bytes) else Path(source))


def is_table(name: str) -> bool:
    """Return whether a name is of a Parquet table: a URI, or ending with ``.parquet``."""
    return "://" in name or name.rstrip("/").endswith(".parquet")


@quietly()
def read_table(spark: SparkSession, name: str) -> DataFrame:
    """Open a Parquet table of images from any path or URI that Spark can read."""
    from pyspark.errors import PySparkException

    try:
        return spark.read.parquet(name)
    except PySparkException as error:
        raise DataError(f"{name} cannot be read as a Parquet table: {reason_of(error)}") from error


def checked(df: DataFrame) -> DataFrame:
    """Check a user's columns and rename them to id, source, sha256."""
    from pyspark.sql import functions as F  # noqa: N812 - the customary name
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
    with worker_errors():
        # This reads only the ids of a Parquet file.
        twice = pictures.groupBy("id").count().filter("count > 1 or id is null").head()
        blank = pictures.filter("source is null").select("id").head()
    if twice:
        raise DataError(f"expected every id once, received {twice['id']} {twice['count']} times")
    if blank:
        raise DataError(f"expected a {source} for every id, received none for {blank['id']}")
    return pictures


def joined_with_known(pictures: DataFrame, store: FeatureStore) -> tuple[DataFrame, str]:
    """Add the column known_sha256 of stored features, broadcast once per machine; return also the type of ids."""
    from pyspark.sql import functions as F  # noqa: N812 - the customary name

    rows = store.rows()
    id_type = dict(pictures.dtypes)["id"]
    if len(rows) and (rows.picture_ids.dtype == np.int64) != (id_type == "bigint"):
        raise DataError(
            f"{store.folder} holds {'movie_ids' if id_type != 'bigint' else 'names'}, the column id does not; expected "
            "ids of one kind: name another folder"
        )
    id_column = pa.array(rows.picture_ids.tolist(), pa.int64() if id_type == "bigint" else pa.string())
    known = pa.table({"id": id_column, "known_sha256": pa.array(rows.poster_sha256s, pa.string())})
    present = pictures.sparkSession.createDataFrame(known)
    return pictures.join(F.broadcast(present), "id", "left"), id_type


def _path(picture: Picture) -> str:
    if isinstance(picture.source, bytes):
        raise TypeError("expected a file, received bytes; put these into a DataFrame's column content")
    # Spark knows only UTF-8: a file of another name is reported as missing.
    return printable(picture.source.absolute())
