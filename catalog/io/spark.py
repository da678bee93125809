"""A Spark session: opening one, and what it says when something goes wrong.

Importing this does not import PySpark.
"""

from __future__ import annotations

import re
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from catalog.errors import ConfigError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CONNECT_S = 5.0


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
    with quietly():
        try:
            from pyspark.errors import PySparkException
            from pyspark.sql import SparkSession
        except ImportError as error:
            raise ConfigError("Spark needs PySpark: pip install 'keyart[spark]'") from error
    from py4j.protocol import Py4JError

    there = SparkSession.getActiveSession()
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
    context = spark.sparkContext
    if context.master.startswith("local") and context.pythonExec == "python3":
        # Whatever PATH has first need not be the Python that keyart is installed in.
        context.pythonExec = sys.executable
    try:
        yield spark
    finally:
        if there is None:
            spark.stop()


@contextmanager
def quietly() -> Iterator[None]:
    """Let PySpark not warn of a pandas that is newer than itself: nothing here goes through pandas.

    Yields
    ------
    None
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        yield


def reason_of(error: Exception) -> str:
    """Find the line that says what is wrong.

    Parameters
    ----------
    error : Exception
        Of PySpark or Py4J, whose messages hold the tracebacks of several machines.

    Returns
    -------
    str
        One line, of 300 characters at most.
    """
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
