"""Extraction on Spark: every task runs the pipeline of one machine over its partition and writes its shards.

::

    driver: identity, known hashes → tasks: images → network → shards → driver: a state per image → tidy

Runs are repeatable: a partition is sorted by id, its shards have numbers of their own, and the same content makes the
same bytes. A task that runs again, or twice at once, overwrites the same files, so that no row is there twice.

Tasks run in ``mapInArrow``, which is ``mapInPandas`` without the conversion to pandas. A ``predict_batch_udf`` would
send 25,088 numbers per image through Arrow and the JVM into a column, and has no notion of bytes, broken images and
shards. Here ids with paths or bytes pass through Arrow one way, and a line per image the other. Importing this package
does not import PySpark.
"""

from catalog.io.spark import session
from features.spark.cluster import folder_at
from features.spark.driver import Job, extract
from features.spark.tables import frame_of, is_table, read_table, sample_of

__all__ = ["Job", "extract", "folder_at", "frame_of", "is_table", "read_table", "sample_of", "session"]
