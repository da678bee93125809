"""Keeps start-up remarks of TensorFlow and Spark, which no setting silences, off a user's terminal."""

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
    """Import TensorFlow with standard error closed to it; with ``--debug`` it may speak.

    Its C++ part writes to the file descriptor itself before it has read any of its settings. Keras imports it under
    every backend.
    """
    if DEBUG.is_set() or "tensorflow" in sys.modules:
        return
    silence_tensorflow()
    # Whoever needs it will say that it is not there, or that Keras has no such backend.
    with _standard_error_closed(), suppress(ImportError, ValueError):
        import tensorflow  # noqa: F401 - for what it prints


@contextmanager
def spark_session(master: str) -> Iterator[SparkSession]:
    """Open a Spark session whose processes have nowhere to write remarks to; with ``--debug`` they may speak.

    What goes wrong there comes back as an exception either way.
    """
    from features.spark import session

    with ExitStack() as stack:
        with nullcontext() if DEBUG.is_set() else _standard_error_closed():
            spark = stack.enter_context(session(master or None))
        yield spark


@contextmanager
def _standard_error_closed() -> Iterator[None]:
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
