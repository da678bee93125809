"""One process at a time writes into a folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest

from catalog.errors import StoreError
from catalog.io.locks import exclusive

HOLDER = """
import sys
from pathlib import Path
from catalog.io.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process that holds the lock of a folder until its standard input ends."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield holder


def test_a_second_process_is_refused_with_the_id_of_the_first(tmp_path: Path) -> None:
    with holding(tmp_path) as holder:
        with pytest.raises(StoreError, match=f"process {holder.pid} is writing into"), exclusive(tmp_path):
            pass
        # The operating system releases the lock of a killed process.
        holder.kill()
        holder.wait()
        with exclusive(tmp_path):
            pass


def test_partial_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".index.faiss.12ab.partial").write_bytes(b"half")
    (tmp_path / ".catalog.sqlite.12ab.partial-journal").write_bytes(b"half")
    (tmp_path / "writer.pid.123.tmp").write_bytes(b"123")
    (tmp_path / "index.faiss").write_bytes(b"whole")
    (tmp_path / "mine.partial").write_bytes(b"of a user")
    with exclusive(tmp_path):
        pass
    assert (tmp_path / "index.faiss").read_bytes() == b"whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.faiss", "mine.partial"]


def test_what_takes_a_moment_waits_for_its_turn(tmp_path: Path) -> None:
    with holding(tmp_path) as holder:
        assert holder.stdin
        Timer(0.3, holder.stdin.close).start()
        with exclusive(tmp_path, wait_s=60):
            assert holder.wait(60) == 0


def test_a_folder_that_cannot_be_created_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"), exclusive(tmp_path / "file" / "folder"):
        pass
