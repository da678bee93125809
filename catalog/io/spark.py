"""Open a Spark session, and report its errors in one line; PySpark is imported when a session is opened."""

from __future__ import annotations

import re
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from catalog.errors import ConfigError
from catalog.extras import require

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

_CONNECT_S = 5.0


@contextmanager
def session(master: str | None = None) -> Iterator[SparkSession]:
    """Open a Spark session; it is stopped at the end unless it existed before."""
    require("spark", "Spark")
    with quietly():
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    from py4j.protocol import Py4JError

    existing = SparkSession.getActiveSession()
    builder = SparkSession.builder.appName("keyart")
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
        raise ConfigError(f"Spark does not start{named}: {reason_of(error)}") from error
    use_this_python(spark.sparkContext)
    try:
        yield spark
    finally:
        if existing is None:
            # There is nothing to stop where Java has ended.
            with suppress(Py4JError, ConnectionError):
                spark.stop()


def use_this_python(context: SparkContext) -> None:
    """Start the workers on this machine with the interpreter that runs here, unless another was chosen.

    Spark takes the first Python in PATH, which need not be the one that keyart is installed in.
    """
    if context.master.startswith("local") and context.pythonExec == "python3":
        context.pythonExec = sys.executable


@contextmanager
def quietly() -> Iterator[None]:
    """Suppress PySpark's warning of a newer pandas, which keyart does not use with Spark."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        yield


def reason_of(error: Exception) -> str:
    """Return the line of an error of Spark's that names the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"(?:[\w.]+(?:Error|Exception)): ", line)]
    return (named or lines or [type(error).__name__])[-1 if named else 0][:300]


def _reach(master: str) -> None:
    """Check that a standalone master answers; Spark itself would try for minutes."""
    if not master.startswith("spark://"):
        return
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S):
            return
    raise ConfigError(f"no Spark master answers at {master}; expected spark://HOST:PORT of one that runs")
