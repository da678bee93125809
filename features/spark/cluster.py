"""A Spark session: folders that it writes to, temporary settings, progress, and errors of workers."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from catalog import errors
from catalog.errors import KeyartError, StoreError
from catalog.io.remote import AnyPath, as_path
from catalog.io.spark import reason_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_GLANCE_S = 1.0


def folder_at(spark: SparkSession, name: str | Path) -> AnyPath:
    """Return a folder on this machine or on any file system that Spark writes to, from a path or URI.

    Workers have no way to Hadoop's file systems, so Arrow's take their place, with what Spark knows of S3: keys,
    endpoint and region of ``spark.hadoop.fs.s3a.*``.
    """
    return as_path(name, **_s3_options(spark.sparkContext._jsc.hadoopConfiguration().get))


def _s3_options(setting: Callable[[str], str | None]) -> dict[str, str]:
    """Translate Hadoop's settings of S3 to Arrow's options."""
    names = {"access_key": "access.key", "secret_key": "secret.key", "session_token": "session.token"}
    names |= {"region": "endpoint.region", "endpoint_override": "endpoint"}
    values = {ours: setting(f"fs.s3a.{theirs}") for ours, theirs in names.items()}
    s3 = {ours: value for ours, value in values.items() if value}
    scheme, _, host = s3.get("endpoint_override", "").rpartition("://")
    if host.endswith("amazonaws.com"):
        # Arrow derives the endpoint from the region.
        del s3["endpoint_override"]
    elif host:
        plain = setting("fs.s3a.connection.ssl.enabled") == "false"
        s3 |= {"endpoint_override": host, "scheme": scheme or ("http" if plain else "https")}
    return s3


@contextmanager
def changed_settings(spark: SparkSession, values: dict[str, str]) -> Iterator[None]:
    """Change settings of a user's session temporarily."""
    before = {name: spark.conf.get(name) for name in values}
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, str(value))


@contextmanager
def watched(spark: SparkSession, n_tasks: int, on_progress: Callable[[int, int], None]) -> Iterator[None]:
    """Report the numbers of finished and of all tasks about once a second, from a thread of its own."""
    from py4j.protocol import Py4JError

    context, group, done = spark.sparkContext, f"keyart-{secrets.token_hex(4)}", threading.Event()
    tracker = context.statusTracker()

    def n_done() -> int:
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
        # A broadcast is a stage too.
        return max((stage.numCompletedTasks for stage in stages if stage and stage.numTasks == n_tasks), default=0)

    def watch() -> None:
        # If the session ends first, the thread that waits for results raises.
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
    finally:
        done.set()
        watcher.join()
        for name, value in before.items():
            context.setLocalProperty(name, value)
    # Last, when the watcher can no longer report fewer.
    on_progress(n_tasks, n_tasks)


@contextmanager
def worker_errors() -> Iterator[None]:
    """Raise what a worker raised, without the tracebacks of three languages; other errors as StoreError."""
    from py4j.protocol import Py4JError, Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        pattern = rf"^{re.escape(errors.__name__)}\.(\w+): (.+)$"
        for name, message in re.findall(pattern, str(error), re.MULTILINE):
            kind = getattr(errors, name, None)
            if isinstance(kind, type) and issubclass(kind, KeyartError):
                raise kind(message) from error
        raise StoreError(
            f"Spark gave up: {reason_of(error)}; what was finished is kept, run the same command again to go on"
        ) from error
    except (ConnectionError, Py4JError) as error:
        raise StoreError(
            "Spark's Java process ended, perhaps for want of memory; what was finished is kept, run the same command "
            "again to go on"
        ) from error
