"""The encoders of a workspace: their names, and views of the workspace by each."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

from catalog.errors import ConfigError, DataError, NotBuiltError
from features.encoders.pairs import takes_text
from features.store import FeatureStore
from index import manifest
from keyart.workspace.layout import Home, Workspace, is_encoder_name

FIRST = "first"
"""What the first encoder is called where its record cannot be read."""

_ENDINGS = (".keras", ".hdf5", ".h5", ".onnx")


def encoder_name(encoder: str | Path) -> str:
    """Return what a workspace calls an encoder: its name, or the stem of its file in lower case and safe signs."""
    name = Path(encoder).name
    stem = next((name[: -len(ending)] for ending in _ENDINGS if name.lower().endswith(ending)), name)
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:64] or "encoder"


def check_encoder_name(name: str) -> None:
    """Raise ConfigError where a name cannot be that of an encoder."""
    if not is_encoder_name(name):
        raise ConfigError(
            f"an encoder is named in small letters, digits, dots, hyphens and underscores; received {name!r}"
        )


def name_of(workspace: Workspace) -> str:
    """Return the name of the encoder of a view."""
    if workspace.encoder is not None:
        return workspace.encoder
    try:
        return encoder_name(FeatureStore.open(workspace.features_dir).origin["backbone"])
    except (NotBuiltError, DataError, KeyError, TypeError):
        return FIRST


def has_parts(workspace: Workspace) -> bool:
    """Return whether features or an index of the encoder of a view are there, even if damaged."""
    folder = workspace.features_dir
    return (folder / "features.json").exists() or any(folder.glob("features-*.json")) or has_index(workspace)


def has_index(workspace: Workspace) -> bool:
    """Return whether an index was built, even if it is damaged."""
    return index_record_path(workspace).exists()


def index_record_path(workspace: Workspace) -> Path:
    """Return the path of the record of the index, which is written last."""
    return workspace.index_dir / manifest.RECORD


def list_encoders(workspace: Workspace) -> list[Workspace]:
    """Return a view by each encoder that the workspace has, the default first and the others by name."""
    default = workspace.default().encoder
    views = [view for view in _views(workspace) if has_parts(view)]
    return sorted(views, key=lambda view: view.encoder != default)


def encoder_list_paths(workspace: Workspace) -> list[Path]:
    """Return the files and folders that change with the encoders of a workspace, and with which is the default."""
    parts = ((view.features_dir, index_record_path(view)) for view in _views(workspace))
    return [workspace.record_path, *chain.from_iterable(parts)]


def _views(workspace: Workspace) -> list[Workspace]:
    names = [path.name for path in workspace.encoders_dir.glob("*") if is_encoder_name(path.name)]
    return [workspace.with_encoder(name) for name in (None, *sorted(names))]


def text_encoder(workspace: Workspace) -> str | None:
    """Return the first encoder that takes words and whose index is built; None where there is none.

    Raises DataError where none is found, but features are damaged whose encoder may take words.
    """
    damage = None
    for view in list_encoders(workspace):
        try:
            options = FeatureStore.open(view.features_dir).options()
        except NotBuiltError:
            continue
        except DataError as error:
            damage = error
            continue
        if takes_text(options) and has_index(view):
            return name_of(view)
    if damage is not None:
        raise damage
    return None


def find_encoder(workspace: Workspace, encoder: str) -> Workspace | None:
    """Return the view by an encoder that is named, or whose file is; None where the workspace does not have it."""
    views = {name_of(view): view for view in list_encoders(workspace)}
    result = views.get(encoder) or views.get(encoder_name(encoder))
    if result is None and encoder == FIRST and has_parts(first := workspace.with_encoder(None)):
        return first
    return result


def place_of(workspace: Workspace, encoder: str | Path, name: str | None = None) -> Workspace:
    """Return the view that an encoder's features belong to: its own, or a new one, the first where that is free.

    One with a `name` of its own never is the first, which is called after its encoder.
    """
    if name is not None:
        check_encoder_name(name)
    wanted = name or encoder_name(encoder)
    if result := find_encoder(workspace, wanted):
        return result
    if name is not None:
        return workspace.with_encoder(name)
    first = workspace.with_encoder(None)
    if not has_parts(first) or name_of(first) == FIRST:
        # What is damaged beyond recognition is built anew in its place, too.
        return first
    return workspace.with_encoder(wanted)


def open_views(home: Home, encoder: str | None) -> tuple[Workspace, ...]:
    """Open a workspace by an encoder, by several joined by +, or by the default.

    Raises ConfigError where the workspace does not have an encoder, where one is named twice, or a name is missing.
    """
    workspace = Workspace.open(home)
    if encoder is None:
        return (workspace,)
    names = [name.strip() for name in encoder.split("+")]
    # A file may have a + in its name, but the name of no encoder begins or ends with one.
    is_finished = len(names) == 1 or (names[0] and names[-1])
    if is_finished and (view := find_encoder(workspace, encoder)) is not None:
        return (view,)
    if len(names) > 1 and not all(names):
        raise ConfigError(f"a blend takes the names of two encoders or more, as in A+B; received {encoder!r}")
    views = tuple(_required(workspace, name) for name in names)
    if len({view.encoder for view in views}) < len(views):
        raise ConfigError(f"a blend takes different encoders, received {encoder!r}; name each once")
    return views


def open_view(home: Home, encoder: str | None) -> Workspace:
    """Open a workspace by one encoder; ConfigError where several are named."""
    views = open_views(home, encoder)
    if len(views) > 1:
        raise ConfigError(f"this takes one encoder, not a blend; choose one of {' and '.join(map(name_of, views))}")
    return views[0]


def _required(workspace: Workspace, encoder: str) -> Workspace:
    result = find_encoder(workspace, encoder)
    if result is None:
        present = ", ".join(map(name_of, list_encoders(workspace))) or "none yet"
        raise ConfigError(
            f"no features of the encoder {encoder!r} here; this workspace has {present}: add it with `keyart extract "
            f"--encoder {encoder or 'NAME'}`, then `keyart build`"
        )
    return result
