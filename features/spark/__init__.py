"""The same extraction on Spark: every task runs the pipeline of one machine over its partition and writes its shards.

::

    driver: identity, what is known → tasks: pictures → network → shards → driver: what came of every picture → order

What makes a run repeatable: a partition is sorted by id, its shards have numbers of its own, and the same content makes
the same bytes. A task that is run again, or twice at once, so writes the same files over, and no row stands twice.

Tasks run in ``mapInArrow``, which is ``mapInPandas`` without a detour by way of pandas, and not in a
``predict_batch_udf``, which would carry 25,088 numbers a picture through Arrow and the JVM into a column, only to be
written from there; and which knows no bytes, no pictures that are broken, and no shards. What goes through Arrow here
is ids, paths or files' bytes one way, and a line a picture the other.

`cluster` is the session at work, `tables` is what goes in, `tasks` what the workers do, and `driver` what
is done before and behind them. May import `catalog` only; importing it does not import PySpark.
"""

from catalog.io.spark import session
from features.spark.cluster import folder_at
from features.spark.driver import Job, extract
from features.spark.tables import frame_of, is_table, read_table, sample_of

__all__ = ["Job", "extract", "folder_at", "frame_of", "is_table", "read_table", "sample_of", "session"]
