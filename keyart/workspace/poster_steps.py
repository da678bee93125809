"""Which commands bring posters, or bring lost ones back, for messages."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from catalog.errors import KeyartError
from catalog.films import Catalog
from keyart.workspace.layout import Workspace
from posters.store import named_as_posters


def poster_step(workspace: Workspace) -> str:
    """Return the commands that bring posters, by the ids that films have."""
    with Catalog.open(workspace.catalog_path) as catalog:
        return poster_commands(catalog.id_kinds())


def poster_commands(id_kinds: Collection[str]) -> str:
    """Return the commands that bring posters to films that have ids of these kinds: "imdb", "tmdb"."""
    by = next((kind for kind in ("imdb", "tmdb") if kind in id_kinds), "movie")
    bring = f"`keyart import FOLDER --by {by}`"
    return f"`keyart fetch` or {bring}" if id_kinds else bring


def lost_poster_step(workspace: Workspace) -> str:
    """Return the commands that bring posters back whose database is lost: from their own folder, if they are there."""
    if named_as_posters(workspace.posters_dir):
        return f"`keyart import {workspace.posters_dir} --by movie`"
    with suppress(KeyartError):
        return poster_step(workspace)
    # The catalog, which knows of ids, is lost too.
    return poster_commands(())
