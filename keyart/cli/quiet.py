"""Suppress the messages that Spark prints when it starts, which no setting silences."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

from keyart.cli.options import DEBUG

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@contextmanager
def spark_session(master: str) -> Iterator[SparkSession]:
    """Open a Spark session with standard error closed to its processes, except with ``--debug``.

    An empty `master` means that of Spark's own configuration. Errors arrive as exceptions either way.
    """
    from features.spark import session

    with ExitStack() as stack:
        with nullcontext() if DEBUG.is_set() else _standard_error_closed():
            spark = stack.enter_context(session(master or None))
        yield spark


@contextmanager
def _standard_error_closed() -> Iterator[None]:
    sys.stderr.flush()
    saved, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(devnull)
