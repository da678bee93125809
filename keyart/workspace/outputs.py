"""Where a command may write: a path that its user names, but neither an input nor what a workspace keeps."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from catalog.errors import ConfigError
from catalog.io import files
from keyart.workspace.layout import Workspace


def check_output(path: Path, endings: Collection[str], inputs: Iterable[Path | None] = ()) -> None:
    """Raise ConfigError unless a file may be written to a path; call it before any work."""
    files.check_output(path, endings)
    check_replaceable(path, inputs)


def check_replaceable(path: Path, inputs: Iterable[Path | None] = ()) -> None:
    """Raise ConfigError if a path is an input, by whatever name, or what a workspace keeps."""
    # By inode, which a link to the input shares.
    if path.exists() and any(one is not None and one.exists() and one.samefile(path) for one in inputs):
        raise ConfigError(f"{path} is read by this command; name another file to write")
    target = path.resolve()
    for folder in target.parents:
        if Workspace(folder).keeps(target):
            raise ConfigError(f"{path} belongs to the workspace {folder}; name another path to write")
