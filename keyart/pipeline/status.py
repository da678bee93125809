"""What is in a workspace, what is missing, and which command comes next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from catalog.errors import DataError, NotBuiltError
from catalog.films import Catalog
from cf.models.neighbors import ItemCosine
from keyart.atlas.record import Atlas
from keyart.workspace.contents import current_features, fingerprint, open_ratings
from keyart.workspace.index import open_index
from keyart.workspace.layout import Workspace
from posters.database import State
from posters.store import PosterStore


@dataclass(frozen=True)
class Status:
    """What is in a workspace."""

    home: Path
    source: str
    n_films: int
    n_added: int
    n_ratings: int
    n_rated: int
    posters: dict[str, int]
    n_features: int
    n_skipped: int
    backbone: str | None
    n_indexed: int
    index: str
    index_is_current: bool
    n_mapped: int
    n_similar: int
    n_linked: int
    similarities_are_current: bool
    damaged: tuple[str, ...]

    @property
    def n_posters(self) -> int:
        """Films with a poster."""
        return self.posters[State.OK]

    def next_step(self) -> str:
        """Tell which command comes next."""
        bring = "`keyart import FOLDER --by imdb` for posters you have"
        if self.n_linked:
            bring = f"`keyart fetch` for posters from TMDB, or {bring}"
        if self.damaged:
            return "mend what is damaged, as said above"
        if not self.n_posters and not self.n_indexed and not self.n_similar:
            return bring
        if self.n_features + self.n_skipped < self.n_posters:
            return f"`keyart extract`: {self.n_posters - self.n_features - self.n_skipped} posters have no features yet"
        if not self.index_is_current:
            return "`keyart build`: the index is " + ("out of date" if self.n_indexed else "not built yet")
        if not self.similarities_are_current:
            return "`keyart build`: the item similarities are " + ("out of date" if self.n_similar else "not built yet")
        if not self.n_posters:
            return f"`keyart similar TITLE`, by ratings alone; for looks, {bring}"
        return "`keyart similar TITLE`, or `keyart serve` to look and click"

    def to_dict(self) -> dict[str, Any]:
        """Write the inventory as plain values."""
        return {**asdict(self), "home": str(self.home), "n_posters": self.n_posters, "next": self.next_step()}


def read_status(workspace: Workspace) -> Status:
    """Look at every part of a workspace."""
    damaged: list[str] = []
    with Catalog.open(workspace.catalog_path) as catalog:
        films, n_added = list(catalog), len(catalog.added())
        source, ratings_name = catalog.fact("source") or "", catalog.fact("ratings") or ""
    n_features, n_skipped, backbone, current = _features(workspace, damaged)
    n_indexed, indexed, index = _index(workspace, damaged)
    n_ratings = _n_ratings(workspace, damaged)
    n_similar, similarities_of = _similarities(workspace, damaged)
    return Status(
        home=workspace.home,
        source=source,
        n_films=len(films),
        n_added=n_added,
        n_ratings=n_ratings,
        n_rated=sum(film.n_ratings > 0 for film in films),
        posters=_poster_counts(workspace, [film.movie_id for film in films], damaged),
        n_features=n_features,
        n_skipped=n_skipped,
        backbone=backbone,
        n_indexed=n_indexed,
        index=index,
        index_is_current=indexed == current,
        n_mapped=_n_mapped(workspace, damaged),
        n_similar=n_similar,
        n_linked=sum(bool(film.tmdb_id or film.imdb_id) for film in films),
        similarities_are_current=similarities_of == ratings_name or not n_ratings,
        # What is damaged may stand in the way of several parts.
        damaged=tuple(dict.fromkeys(damaged)),
    )


def _poster_counts(workspace: Workspace, movie_ids: list[int], damaged: list[str]) -> dict[str, int]:
    try:
        with PosterStore.open_to_read(workspace.posters_dir) as store:
            return {state.value: n for state, n in store.counts(movie_ids).items()}
    except NotBuiltError:
        pass
    except DataError as error:
        damaged.append(str(error))
    return {state.value: len(movie_ids) if state is State.MISSING else 0 for state in State}


def _features(workspace: Workspace, damaged: list[str]) -> tuple[int, int, str | None, str | None]:
    try:
        store, rows = current_features(workspace)
        return len(rows), len(store.skipped()), str(store.identity), fingerprint(rows) if len(rows) else None
    except NotBuiltError:
        pass
    except DataError as error:
        damaged.append(str(error))
    return 0, 0, None, None


def _index(workspace: Workspace, damaged: list[str]) -> tuple[int, str | None, str]:
    try:
        index = open_index(workspace)
    except NotBuiltError:
        return 0, None, ""
    except DataError as error:
        damaged.append(str(error))
        return 0, None, ""
    # Whatever is stale is out of date, by fingerprint too.
    return len(index), index.fingerprint, index.kind


def _n_mapped(workspace: Workspace, damaged: list[str]) -> int:
    try:
        return len(Atlas.open(workspace.atlas_dir))
    except NotBuiltError:
        pass
    except DataError as error:
        damaged.append(str(error))
    return 0


def _similarities(workspace: Workspace, damaged: list[str]) -> tuple[int, str | None]:
    try:
        model = ItemCosine.open(workspace.model_dir(ItemCosine.name))
    except NotBuiltError:
        return 0, None
    except DataError as error:
        damaged.append(str(error))
        return 0, None
    return len(model.movie_ids_), model.source


def _n_ratings(workspace: Workspace, damaged: list[str]) -> int:
    try:
        return len(open_ratings(workspace))
    except DataError as error:
        damaged.append(str(error))
        return 0
