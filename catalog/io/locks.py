"""A lock that lets one process at a time write into a folder; readers never wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import portalocker

from catalog.errors import StoreError
from catalog.io.files import clear_partial, is_partial, remove_file, write_error
from catalog.io.remote import AnyPath, RemotePath

LOCK_NAME = "writer.pid"


SHORTLY_S = 60.0
"""How long what takes a moment to write, and minutes to compute, waits for another writer."""


@contextmanager
def exclusive(folder: AnyPath, wait_s: float = 0.0) -> Iterator[None]:
    """Keep other processes from writing during the block; partial files of killed processes are removed.

    StoreError if another process is writing, and still is after `wait_s` seconds. Remote file systems are not locked:
    none of them has locks that end with their holder.
    """
    if isinstance(folder, RemotePath):
        yield
        return
    path = folder / LOCK_NAME
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # The operating system releases the lock however its holder ends.
            holder_pid = held.enter_context(portalocker.PidFileLock(path, wait_s, fail_when_locked=not wait_s))
        except portalocker.AlreadyLocked:
            raise _busy(folder, None) from None
        except portalocker.LockException as error:
            raise StoreError(f"{folder} cannot be locked ({error}); keep the workspace on another disk") from error
        except OSError as error:
            raise write_error(path, error) from error
        if holder_pid is not None:
            raise _busy(folder, holder_pid)
        clear_partial(folder)
        for leftover in folder.glob(f"{LOCK_NAME}.*.tmp"):
            remove_file(leftover)
        yield


def is_leftover(name: str) -> bool:
    """Return whether a process that was killed before it wrote anything may have left a file of this name."""
    return name.startswith(LOCK_NAME) or is_partial(name)


def check_free(folder: AnyPath) -> None:
    """Raise StoreError if another process is writing into a folder; call it before work that ends in `exclusive`."""
    if isinstance(folder, RemotePath) or not (folder / LOCK_NAME).is_file():
        return
    with exclusive(folder):
        pass


def check_idle(folder: Path) -> None:
    """Raise StoreError if another process is writing into a folder; unlike `check_free`, changes nothing else."""
    path = folder / LOCK_NAME
    if not path.is_file():
        return
    with suppress(OSError), ExitStack() as held:
        try:
            holder_pid = held.enter_context(portalocker.PidFileLock(path))
        except portalocker.AlreadyLocked:
            raise _busy(folder, None) from None
        if holder_pid is not None:
            raise _busy(folder, holder_pid)


def _busy(folder: Path, holder_pid: int | None) -> StoreError:
    who = "another process" if holder_pid is None else f"process {holder_pid}"
    return StoreError(f"{who} is writing into {folder}; let it finish, or stop it first")
