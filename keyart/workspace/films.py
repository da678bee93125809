"""The films and posters of a workspace.

Apart from its ratings and features, so that fetching posters for days does not carry pandas in memory.
"""

from __future__ import annotations

from pathlib import Path

from catalog.errors import NotBuiltError
from catalog.film import Film
from catalog.films import Catalog
from catalog.movielens import FILE_NAMES
from keyart.workspace.layout import Workspace
from posters.store import Poster, PosterStore


def list_films(workspace: Workspace) -> list[Film]:
    """Return all films by movie_id."""
    with Catalog.open(workspace.catalog_path) as catalog:
        return list(catalog)


def loaded_files(workspace: Workspace) -> list[Path]:
    """Return the files that may have been loaded; none if an earlier version loaded them."""
    with Catalog.open(workspace.catalog_path) as catalog:
        sources = [Path(line) for line in (catalog.fact("loaded_from") or "").splitlines()]
    names = [name + packed for name in FILE_NAMES for packed in ("", ".gz")]
    return [path for source in sources for path in (source, *(source / name for name in names))]


def list_posters(workspace: Workspace) -> list[Poster]:
    """Return the posters of the catalog's films by movie_id; none if no poster was added yet."""
    known = {film.movie_id for film in list_films(workspace)}
    try:
        with PosterStore.open_to_read(workspace.posters_dir) as store:
            return [poster for poster in store.posters() if poster.movie_id in known]
    except NotBuiltError:
        return []
