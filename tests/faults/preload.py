"""The library that is preloaded into a process to count, fail, interrupt or record its operations on files."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
COMPILER = shutil.which("cc") or shutil.which("gcc")
IS_AVAILABLE = COMPILER is not None and sys.platform == "linux"
VARIABLE = "KEYART_FAULTS_SHIM"


class Action(IntEnum):
    """What happens at the wanted operation, as in shim.c."""

    OFF = 0
    COUNT = 1
    FAIL = 2
    KILL = 3
    INTERRUPT = 4
    RECORD = 5
    REFUSE = 6


class Kind(IntEnum):
    """A recorded operation, as in shim.c."""

    OPEN = 0
    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    RENAME = 5
    UNLINK = 6
    MKDIR = 7
    RMDIR = 8
    LINK = 9


@dataclass(frozen=True)
class Fault:
    """A fault at the operation with a number from 1; `lasting` means at all after it, too.

    Of `Action.REFUSE`, which lets openings to read fail, the number is that of such an opening.
    """

    action: Action = Action.COUNT
    at: int = 0
    error: int = 0
    lasting: bool = False

    def __str__(self) -> str:
        name = errno.errorcode[self.error] if self.error else self.action.name
        return f"{name} at {self.at}" + (" and after" if self.lasting else "")


@dataclass(frozen=True)
class Operation:
    """A recorded operation; `number` is that of `Fault.at`, `serial` names an open file."""

    kind: Kind
    serial: int
    number: int
    offset: int
    path: str
    other: str
    content: bytes

    def __str__(self) -> str:
        return f"{self.kind.name.lower()} {self.other or self.path}"

    @property
    def is_reading(self) -> bool:
        """Whether it opens a file or a folder without changing it, which is counted apart."""
        return self.kind is Kind.OPEN and self.offset == 2

    @property
    def is_emptying(self) -> bool:
        """Whether it opens a file and cuts it to no length."""
        return self.kind is Kind.OPEN and self.offset == 1


class Tally:
    """What a process counted, in memory that it shares with its parent."""

    _FORMAT = "qqq512s"

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))

    def read(self) -> tuple[int, int, str]:
        """Return the number of operations, that of openings to read, and the one that was hit."""
        n, n_readings, _, what = struct.unpack_from(self._FORMAT, self._memory)
        return n, n_readings, what.rstrip(b"\0").decode(errors="replace")


def build(folder: Path) -> Path:
    """Compile the library."""
    path = folder / "shim.so"
    command = [COMPILER or "cc", "-O1", "-shared", "-fPIC", "-o", str(path), str(SOURCE), "-lpthread"]
    subprocess.run(command, check=True)
    return path


def environment(library: Path) -> dict[str, str]:
    """Return the environment of a process with the library, and without threads that do not survive a fork."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    # Neither keys nor a workspace of the user's own.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("KEYART", "TMDB"))}
    return {**inherited, **threads, "LD_PRELOAD": str(library), VARIABLE: str(library)}


def arm(fault: Fault, below: Path, tally: Tally, record: Path | None = None) -> None:
    """Begin to count in this process the operations below a folder."""
    library = ctypes.CDLL(os.environ[VARIABLE])
    library.faults_arm(
        os.fsencode(below),
        int(Action.RECORD if record else fault.action),
        ctypes.c_int64(fault.at),
        fault.error,
        int(fault.lasting),
        os.fsencode(record) if record else None,
        ctypes.c_void_p(tally.address),
    )


def pause(*, pauses: bool) -> None:
    """Do not count for a while, or count again."""
    ctypes.CDLL(os.environ[VARIABLE]).faults_pause(int(pauses))


def disarm() -> None:
    """Stop counting."""
    library = ctypes.CDLL(os.environ[VARIABLE])
    library.faults_arm(b"", int(Action.OFF), ctypes.c_int64(0), 0, 0, None, None)


def read_record(path: Path) -> Iterator[Operation]:
    """Read what was recorded."""
    content, at = path.read_bytes(), 0
    form = struct.Struct("iiqqqii")
    while at < len(content):
        kind, serial, number, offset, length, n_path, n_other = form.unpack_from(content, at)
        at += form.size
        path_text = content[at : at + n_path].decode()
        other = content[at + n_path : at + n_path + n_other].decode()
        at += n_path + n_other
        n_bytes = length if kind == Kind.WRITE else 0
        yield Operation(Kind(kind), serial, number, offset, path_text, other, content[at : at + n_bytes])
        at += n_bytes
