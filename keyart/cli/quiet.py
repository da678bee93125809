"""Keeps TensorFlow's start-up remarks, which no setting silences, off a user's terminal."""

from __future__ import annotations

import os
import sys

from keyart.cli.options import DEBUG
from keyart.settings import KERAS_BACKEND, silence_tensorflow


def import_tensorflow_quietly() -> None:
    """Import TensorFlow with standard error closed to it; with ``--debug`` it may speak.

    Its C++ part writes to the file descriptor itself before it has read any of its settings.
    """
    if DEBUG.is_set() or "tensorflow" in sys.modules or KERAS_BACKEND.value() != "tensorflow":
        return
    silence_tensorflow()
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import tensorflow  # noqa: F401 - for what it prints
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
