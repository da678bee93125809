"""The encoders of a workspace: which is the default, and removing one."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from catalog.errors import ConfigError
from catalog.io.files import write_error
from catalog.io.locks import check_free
from keyart.workspace.encoders import list_encoders, name_of, open_view
from keyart.workspace.hints import names_workspace
from keyart.workspace.layout import Home, Workspace

_REMOVED = ".removed-"


@names_workspace
def set_default_encoder(home: Home, name: str) -> None:
    """Choose the encoder by which a workspace is opened where none is named.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace.
    name : str
        One of its encoders.

    Raises
    ------
    ConfigError
        The workspace has no such encoder.
    """
    view = open_view(home, name)
    view.set_default(view.encoder)


@names_workspace
def remove_encoder(home: Home, name: str) -> None:
    """Remove the features of an encoder, and all that was made from them: index, atlas and blend.

    An interrupted removal leaves the encoder whole, gone, or without its index; the same call finishes it.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace.
    name : str
        One of its encoders; the default only where it is the only one.

    Raises
    ------
    ConfigError
        The workspace has no such encoder, or it is the default beside others.
    StoreError
        Another process is writing its features, or a file cannot be removed.
    """
    workspace = Workspace.open(home)
    _finish_removals(workspace)
    view = open_view(workspace, name)
    others = [one for one in list_encoders(workspace) if one.encoder != view.encoder]
    if view.encoder == workspace.default().encoder and others:
        other = name_of(others[0])
        raise ConfigError(f"{name} is the default; choose another one first, as in `keyart encoders default {other}`")
    for folder in (view.features_dir, view.index_dir, view.atlas_dir, view.looks_dir):
        check_free(folder)
    if not others:
        workspace.set_default(None)
    for path in _parts(view):
        _discard(workspace, path)
    _finish_removals(workspace)


def _parts(view: Workspace) -> Iterator[Path]:
    if view.encoder is not None:
        yield view.encoder_dir
        return
    # The features last: as long as they are there, the encoder is listed and its removal can be repeated.
    yield from (view.hybrid_path, view.atlas_dir, view.looks_dir, view.cold_start_dir, view.index_dir)
    yield view.features_dir


def _discard(workspace: Workspace, path: Path) -> None:
    """Take a part out of its place at once; its files are removed later."""
    if not path.exists():
        return
    try:
        workspace.encoders_dir.mkdir(exist_ok=True)
        path.rename(workspace.encoders_dir / f"{_REMOVED}{secrets.token_hex(4)}")
    except OSError as error:
        raise write_error(path, error, "remove") from error


def _finish_removals(workspace: Workspace) -> None:
    """Remove the files of parts that were taken out of their places, also those of an interrupted removal."""
    for path in removed_parts(workspace):
        remove_for_good(path)


def removed_parts(workspace: Workspace) -> list[Path]:
    """List the parts that were taken out of their places, and whose files are still there."""
    return sorted(workspace.encoders_dir.glob(f"{_REMOVED}*"))


def remove_for_good(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    try:
        while os.path.lexists(path):
            # Another process may remove the same.
            with suppress(FileNotFoundError):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except OSError as error:
        raise write_error(path, error, "remove") from error
