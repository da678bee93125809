"""The films and posters of a workspace.

Apart from its ratings and features, so that fetching posters for days does not carry pandas in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from catalog.errors import IncompleteError, NotBuiltError
from catalog.film import Film
from catalog.films import Catalog
from catalog.filters import Filter
from catalog.io.checksums import log_path
from catalog.movielens import FILE_NAMES
from keyart.workspace.changes import Snapshot
from keyart.workspace.layout import Workspace
from keyart.workspace.poster_steps import lost_poster_step
from posters.database import DATABASE_NAME
from posters.store import Poster, PosterStore

# What is made of registered posters; the features of no poster have no shard.
_MADE_OF_POSTERS = ("features/features-*.json", "index/index.json")


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


@dataclass(frozen=True)
class PosterList:
    """The posters of the catalog's films by movie_id, and the films whose posters were stored and are gone."""

    posters: tuple[Poster, ...] = ()
    gone: tuple[int, ...] = ()

    @property
    def sha256s(self) -> dict[int, str]:
        """The hashes of the posters by movie_id."""
        return {poster.movie_id: poster.sha256 for poster in self.posters}


class PosterReader:
    """Lists the posters of a workspace, again only where the catalog or the database of posters has changed since.

    For a command of several steps, each of which has to see what another process has written meanwhile.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._snapshot: Snapshot | None = None
        self._listed = PosterList()

    def read(self) -> PosterList:
        """Return the posters as they are now; none if no poster was added yet."""
        if self._snapshot is None or not self._snapshot.is_current():
            # Before anything is read: what changes meanwhile is read again.
            paths = (self._workspace.catalog_path, *poster_list_paths(self._workspace))
            self._snapshot, self._listed = Snapshot.take(paths), _read_posters(self._workspace)
        return self._listed


def poster_list_paths(workspace: Workspace) -> tuple[Path, Path]:
    """Return the files that change with the list of posters: its database, and the log of who is writing it."""
    database = workspace.posters_dir / DATABASE_NAME
    return database, log_path(database)


def list_posters(workspace: Workspace) -> list[Poster]:
    """Return the posters of the catalog's films by movie_id; none if no poster was added yet."""
    return list(_read_posters(workspace).posters)


def posters_of(workspace: Workspace, movie_ids: Iterable[int]) -> dict[int, Poster]:
    """Return the posters of some films by movie_id; films without one are left out."""
    store = open_posters(workspace)
    if store is None:
        return {}
    with store:
        matches = ((movie_id, store.poster(movie_id)) for movie_id in movie_ids)
        return {movie_id: poster for movie_id, poster in matches if poster}


def open_posters(workspace: Workspace) -> PosterStore | None:
    """Open the posters for reading; None where none were registered yet.

    IncompleteError or DamageError where the database that lists them is lost, which parts made of them show too: they
    would shrink to nothing by an empty list.
    """
    try:
        return PosterStore.open_to_read(workspace.posters_dir)
    except IncompleteError:
        raise
    except NotBuiltError as error:
        if made := _made_of_posters(workspace):
            raise IncompleteError(
                f"{workspace.posters_dir / DATABASE_NAME} is missing or empty, though {made} was made of posters that "
                f"it listed; put it back, or bring the posters again: {lost_poster_step(workspace)}"
            ) from error
        return None


def check_posters(workspace: Workspace) -> None:
    """Raise the error of `open_posters`, before anything is changed that goes by the list of posters."""
    if store := open_posters(workspace):
        store.close()


def _made_of_posters(workspace: Workspace) -> Path | None:
    """Return a part that was made of posters; None where there is none."""
    patterns = (pattern for made in _MADE_OF_POSTERS for pattern in (made, f"encoders/*/{made}"))
    paths = (path for pattern in patterns for path in workspace.home.glob(pattern))
    return next((path.parent for path in paths), None)


def _read_posters(workspace: Workspace) -> PosterList:
    with Catalog.open(workspace.catalog_path) as catalog:
        known = catalog.movie_ids(Filter())
    store = open_posters(workspace)
    if store is None:
        return PosterList()
    with store:
        posters, gone = store.posters_and_gone()
    return PosterList(tuple(one for one in posters if one.movie_id in known), tuple(sorted(gone & known)))
