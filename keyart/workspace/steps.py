"""Which commands bring what a workspace lacks, for messages: only steps that are missing and that can work."""

from __future__ import annotations

from catalog.errors import DataError, NotBuiltError
from keyart.workspace.contents import current_features
from keyart.workspace.films import list_posters
from keyart.workspace.layout import Workspace
from keyart.workspace.poster_steps import poster_step


def feature_steps(workspace: Workspace, movie_id: int | None = None) -> str:
    """Return the commands that bring features of posters, of one film or of any."""
    has_poster = any(movie_id in (None, poster.movie_id) for poster in list_posters(workspace))
    return "`keyart extract`" if has_poster else f"{poster_step(workspace)}, then `keyart extract`"


def index_steps(workspace: Workspace, movie_id: int | None = None) -> str:
    """Return the commands that bring an index, of one film or of any."""
    if _has_features(workspace, movie_id):
        return "`keyart build`"
    return f"{feature_steps(workspace, movie_id)}, then `keyart build`"


def more_feature_steps(workspace: Workspace) -> str:
    """Return the commands that bring features of more films than have some."""
    with_features = set(_films_with_features(workspace))
    waiting = any(poster.movie_id not in with_features for poster in list_posters(workspace))
    return "`keyart extract`" if waiting else f"{poster_step(workspace)}, then `keyart extract`"


def no_features(workspace: Workspace) -> NotBuiltError:
    """Return the error of a workspace without current features."""
    return NotBuiltError(f"no poster has features yet; run {feature_steps(workspace)}")


def no_index(workspace: Workspace) -> NotBuiltError:
    """Return the error of a workspace without an index."""
    return NotBuiltError(f"no index of posters here yet; run {index_steps(workspace)}")


def _has_features(workspace: Workspace, movie_id: int | None) -> bool:
    movie_ids = _films_with_features(workspace)
    return len(movie_ids) > 0 if movie_id is None else movie_id in movie_ids


def _films_with_features(workspace: Workspace) -> list[int]:
    try:
        _, rows = current_features(workspace)
    except (NotBuiltError, DataError):
        return []
    movie_ids: list[int] = rows.movie_ids.tolist()
    return movie_ids
