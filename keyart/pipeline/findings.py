"""What can be wrong with a workspace: damage, parts that do not fit each other, and what killed processes left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from pathlib import Path

from catalog.errors import DataError, KeyartError, NotBuiltError, StoreError
from catalog.io.checksums import has_recorded_checksum, recorded_checksums
from catalog.io.files import parse_json, record_bytes
from keyart.workspace.layout import Workspace

_ADVICE = re.compile(r"; (?:or )?(?:run |put it back|check disk|fit the model|import or fetch|register |`keyart)")

_READ_AGAIN = "check disk and rights, and run `keyart check` again"


class Mend(IntEnum):
    """What mends a finding, in the order in which it is done."""

    NOTHING = 0
    RECORD = 1
    CATALOG_CHECKSUM = 2
    POSTERS_CHECKSUM = 3
    POSTER = 4
    LEFTOVER = 5
    EXTRACT = 6
    DISCARD = 7
    BUILD = 8
    FIT = 9
    TUNE = 10
    ATLAS = 11


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a workspace.

    Parameters
    ----------
    path : str
        The file or the folder, below the workspace.
    problem : str
        What is wrong with it.
    remedy : str
        What mends it: a command in backticks, or what a user has to do.
    """

    path: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.remedy}"


@dataclass(frozen=True)
class Fault(Finding):
    """A finding, and what mends it."""

    mend: Mend = Mend.NOTHING
    # What the mending is about: an encoder, a model, a film or a path.
    about: str = ""
    # Looks again, under the lock of those who write the part: another process may have mended it meanwhile.
    stands: Callable[[], bool] = field(default=lambda: True, compare=False, repr=False)


class Findings:
    """Collects findings of a workspace, and what cannot be verified.

    `trusts_databases` says that databases without their recorded checksums were written by another program.
    """

    def __init__(self, workspace: Workspace, *, trusts_databases: bool = False) -> None:
        self.workspace = workspace
        self.trusts_databases = trusts_databases
        self.faults: list[Fault] = []
        # What earlier versions wrote without checksums.
        self.unverified: list[str] = []
        # Databases that were changed since their checksums were recorded.
        self.changed: list[str] = []

    def add(
        self,
        path: Path,
        problem: str,
        remedy: str,
        mend: Mend = Mend.NOTHING,
        about: str = "",
        *,
        stands: Callable[[], bool] = lambda: True,
    ) -> None:
        """Add a finding; the path is named from the workspace."""
        finding = Fault(self.name_of(path), _ADVICE.split(problem, maxsplit=1)[0], remedy, mend, about, stands)
        if finding not in self.faults:
            self.faults.append(finding)

    def add_error(
        self,
        path: Path,
        error: KeyartError,
        remedy: str,
        mend: Mend = Mend.NOTHING,
        about: str = "",
        *,
        stands: Callable[[], bool] = lambda: True,
    ) -> None:
        """Add a finding of what an error says; what cannot be read now may be whole, and is left alone."""
        if isinstance(error, StoreError):
            remedy, mend = _READ_AGAIN, Mend.NOTHING
        self.add(path, problem_of(error), remedy, mend, about, stands=stands)

    def name_of(self, path: Path) -> str:
        """Name a path from the workspace, for messages."""
        return (
            path.relative_to(self.workspace.home).as_posix() if path.is_relative_to(self.workspace.home) else str(path)
        )

    @contextmanager
    def of(self, path: Path, remedy: str, mend: Mend = Mend.NOTHING, about: str = "") -> Iterator[None]:
        """Add a finding where the block raises an error that says what is wrong."""
        try:
            yield
        except KeyartError as error:
            self.add_error(path, error, remedy, mend, about)

    def is_fine(self, read: Callable[[], object], path: Path, remedy: str, mend: Mend, about: str = "") -> bool:
        """Call a function that reads a part; return whether it could, and add a finding otherwise."""
        n_before = len(self.faults)
        try:
            read()
        except KeyartError as error:
            self.add_error(path, error, remedy, mend, about, stands=partial(fails, read))
        return len(self.faults) == n_before

    def note_unverified(self, record_path: Path) -> None:
        """Note a readable record without a checksum."""
        try:
            content = parse_json(record_bytes(record_path))
        except (KeyartError, OSError, ValueError):
            return
        if isinstance(content, dict) and not {"checksum", "xxh3"} & content.keys():
            self.unverified.append(self.name_of(record_path))

    def note_unverified_database(self, path: Path) -> None:
        """Note a database that has no recorded checksum, or another one."""
        if recorded_checksums(path) is None:
            self.unverified.append(self.name_of(path))
        elif not has_recorded_checksum(path):
            self.changed.append(self.name_of(path))


def fails(read: Callable[[], object]) -> bool:
    """Return whether a part is still damaged or incomplete; what cannot be read now raises its error."""
    try:
        read()
    except (DataError, NotBuiltError):
        return True
    return False


def problem_of(error: Exception) -> str:
    """Return what an error says is wrong, without its advice."""
    return _ADVICE.split(str(error), maxsplit=1)[0]
