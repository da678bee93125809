"""Import Keras and TensorFlow, without the messages that TensorFlow prints when it starts."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import IO, Any

from catalog.errors import ConfigError
from catalog.extras import pip_install
from catalog.text import first_line

# Lines of Abseil's log and what belongs to them; TensorFlow's C++ part writes some before it reads any setting.
_START_UP = re.compile(
    rb"WARNING: All log messages before absl::|[IWE]\d{4} \d\d:|\d{4}-\d\d-\d\d .*: [IWE] |To enable the following i"
)
_lock = Lock()


def has_keras() -> bool:
    """Return whether Keras is installed; imports nothing."""
    return find_spec("keras") is not None


def require_keras() -> None:
    """Raise ConfigError unless Keras is installed; imports nothing, so call it before any work."""
    if not has_keras():
        raise ConfigError(f"images and neural networks need TensorFlow: {pip_install('tensorflow')}")


def import_keras() -> Any:
    """Import Keras with its backend; raise ConfigError if one of them is not installed or does not start."""
    require_keras()
    try:
        keras = _import_quietly("keras")
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"Keras does not start: {first_line(error)}; let KERAS_BACKEND name what is installed: tensorflow, jax or "
            "torch"
        ) from error
    # Under another backend, Keras imports it later by itself, where it is installed.
    with suppress(ImportError):
        _import_quietly("tensorflow")
    return keras


def import_tensorflow() -> Any:
    """Import TensorFlow; raise ConfigError if it is not installed or does not start."""
    try:
        return _import_quietly("tensorflow")
    except ImportError as error:
        raise ConfigError(
            f"TensorFlow does not start: {first_line(error)}; install it: {pip_install('tensorflow')}"
        ) from error


def _import_quietly(name: str) -> Any:
    """Import a module without TensorFlow's messages, unless TensorFlow's own setting asks for them."""
    # Only 0 asks: JAX sets 1 by itself.
    if name in sys.modules or os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        return import_module(name)
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    with _lock, _without_start_up_messages():
        return import_module(name)


@contextmanager
def _without_start_up_messages() -> Iterator[None]:
    """Hold standard error back, and then write all of it but TensorFlow's messages.

    It is a file, as a thread that reads a pipe does not run while C++ holds the interpreter.
    """
    with ExitStack() as stack:
        # Without a standard error or room for a file, nothing is held back.
        with suppress(OSError):
            stack.enter_context(_held_back(stack.enter_context(tempfile.TemporaryFile())))
        yield


@contextmanager
def _held_back(file: IO[bytes]) -> Iterator[None]:
    _flush()
    original = os.dup(2)
    try:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            _flush()
            os.dup2(original, 2)
            file.seek(0)
            for line in file:
                if not _START_UP.match(line):
                    os.write(2, line)
    finally:
        os.close(original)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
