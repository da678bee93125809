"""Suppress the messages that TensorFlow and Spark print when they start, which no setting silences."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from keyart.cli.options import DEBUG
from keyart.workspace.settings import silence_tensorflow

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def import_tensorflow_quietly() -> None:
    """Import TensorFlow with standard error closed, except with ``--debug``.

    Its C++ part writes to the file descriptor before it reads any setting. Keras imports it under every backend.
    """
    if DEBUG.is_set() or "tensorflow" in sys.modules:
        return
    silence_tensorflow()
    # A missing TensorFlow or an unknown Keras backend is reported where it is needed. Keras comes first: it refuses an
    # unknown backend at once, and would not have TensorFlow imported for nothing.
    with _standard_error_closed(), suppress(ImportError, ValueError):
        import keras  # noqa: F401 - for its side effects
        import tensorflow  # noqa: F401 - for its side effects


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
