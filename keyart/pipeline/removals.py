"""Remove films from a workspace: from its catalog, posters, features, indexes, looks and maps; the opposite of `add`.

The catalog is changed last, so that an interrupted removal finds its films again: the same call finishes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from catalog.errors import AmbiguousFilmError, ConfigError, KeyartError, NotBuiltError, StoreError
from catalog.film import Film
from catalog.films import Catalog
from catalog.ids import MAX_ID
from catalog.io.locks import check_free, exclusive
from catalog.io.progress import Progress, silent
from catalog.text import plural
from features.store import FeatureStore
from index.options import IndexOptions
from keyart.atlas.build import drop_from_atlas
from keyart.cold_start.content import drop_looks
from keyart.pipeline.index import build_index
from keyart.workspace import alternates
from keyart.workspace.encoders import has_index, list_encoders, name_of
from keyart.workspace.films import PosterReader, check_posters, open_posters
from keyart.workspace.hints import names_workspace
from keyart.workspace.layout import Home, Workspace
from posters.store import PosterStore

_N_DIGITS = 18


@dataclass(frozen=True)
class RemoveReport:
    """What `remove` did.

    Parameters
    ----------
    removed : tuple of Film
        The films that were removed.
    n_indexed : int
        Number of films in the index afterwards; 0 where there is none.
    notes : tuple of str
        What a user should know, a sentence each.
    """

    removed: tuple[Film, ...]
    n_indexed: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Convert to what JSON can hold.

        Returns
        -------
        dict
            The fields by name; a film as a mapping of its fields.
        """
        return {**asdict(self), "notes": list(self.notes)}


@names_workspace
def remove(home: Home, films: Sequence[int | str], *, progress: Progress = silent) -> RemoveReport:
    """Remove films from a workspace, with their links, tags, posters, features, and their places in indexes and maps.

    What `add` made is unmade: after both, answers are what they were before. Films that came with `load` can be removed
    too, until they are loaded again; their ratings are left out from then on. An engine that is open does not change.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace, with films.
    films : sequence of int or str
        Films by movie_id, or by title or any id, as in ``"Heat (1995)"``, ``"tt0113277"`` or ``"tmdb:949"``.
    progress : callable, optional
        Opens a progress display, given a description, the total and the unit; shows nothing by default.

    Returns
    -------
    RemoveReport
        What was removed.

    Raises
    ------
    NotBuiltError
        The workspace does not exist, or no films have been loaded.
    ConfigError
        No film is named.
    UnknownFilmError
        A film is not in the workspace, or a title means several; nothing is changed.
    StoreError
        Something cannot be written; run the same call again.
    """
    workspace = Workspace.open(home)
    for folder in (workspace.home, workspace.posters_dir, workspace.features_dir, workspace.index_dir):
        check_free(folder)
    # Without the list of posters, all films would leave the indexes.
    check_posters(workspace)
    with exclusive(workspace.home):
        result, notes = _films_to_remove(workspace, films)
        movie_ids = {film.movie_id for film in result}
        # Nothing else of the workspace can be opened as long as the catalog holds such a film.
        Catalog.remove(workspace.catalog_path, [movie_id for movie_id in movie_ids if movie_id > MAX_ID])
        if workspace.posters_dir.is_dir():
            with PosterStore.open(workspace.posters_dir) as store, store.writer_lock():
                store.remove(movie_ids)
        posters = PosterReader(workspace)
        n_indexed = [_removed_from(view, movie_ids, posters, notes, progress) for view in list_encoders(workspace)]
        Catalog.remove(workspace.catalog_path, movie_ids)
    return RemoveReport(result, n_indexed[0] if n_indexed else 0, tuple(notes))


def _films_to_remove(workspace: Workspace, films: Sequence[int | str]) -> tuple[tuple[Film, ...], list[str]]:
    """Find all films, before any is removed, and what a user should know of them."""
    if isinstance(films, str | int) or not films:
        raise ConfigError(f"expected a sequence of films by title or id, received {films!r}")
    with Catalog.open(workspace.catalog_path, check_ids=False) as catalog:
        matches = {film.movie_id: film for film in (_film(workspace, catalog, film) for film in films)}
        added = {film.movie_id for film in catalog.added()}
    return tuple(matches.values()), list(_notes(list(matches.values()), added))


def _film(workspace: Workspace, catalog: Catalog, film: int | str) -> Film:
    if isinstance(film, bool) or not (isinstance(film, str) or hasattr(film, "__index__")):
        raise TypeError(f"expected a title or a movie_id, received {film!r}")
    text = str(film).strip()
    if text.isascii() and text.isdigit() and len(text) <= _N_DIGITS:
        movie_id = int(text)
        if one := catalog.films([movie_id]).get(movie_id):
            return one
        if _has_leftovers(workspace, movie_id):
            return Film(movie_id, f"film {movie_id}")
    one = catalog.film(int(film)) if not isinstance(film, str) else catalog.find(film)
    if isinstance(film, str) and (others := catalog.others_meant(film)):
        listed = ", ".join(f"{each.label} [{each.movie_id}]" for each in (one, *others))
        raise AmbiguousFilmError(
            f"{len(others) + 1} films may be meant by {film!r}: {listed}; name one by its movie_id"
        )
    return one


def _has_leftovers(workspace: Workspace, movie_id: int) -> bool:
    """Return whether parts of the workspace hold a film that has left the catalog."""
    if store := open_posters(workspace):
        with store:
            if store.record(movie_id) is not None:
                return True
    return any(movie_id in _films_with_features(view) for view in list_encoders(workspace))


def _films_with_features(view: Workspace) -> Collection[int]:
    try:
        return frozenset(FeatureStore.open(view.features_dir).rows().movie_ids.tolist())
    except KeyartError:
        return ()


def _notes(films: Sequence[Film], added: Collection[int]) -> Iterator[str]:
    loaded = [film for film in films if film.movie_id not in added and film.movie_id <= MAX_ID]
    if loaded:
        it = "it" if len(loaded) == 1 else "them"
        yield f"{_listed(loaded)}: loaded, not added, so that the next `keyart load` brings {it} back"
    if rated := [film for film in films if film.n_ratings]:
        n_ratings = sum(film.n_ratings for film in rated)
        yield (
            f"{plural(n_ratings, 'rating is', 'ratings are')} left out from now on; run `keyart build`, and "
            "`keyart fit` for models that are fitted, so that these go without them"
        )


def _listed(films: Sequence[Film], n_most: int = 3) -> str:
    more = f" and {len(films) - n_most:,} more" if len(films) > n_most else ""
    return ", ".join(film.label for film in films[:n_most]) + more


def _removed_from(
    view: Workspace, movie_ids: Collection[int], posters: PosterReader, notes: list[str], progress: Progress
) -> int:
    """Remove films from the parts of an encoder; returns how many its index holds then.

    What is damaged does not stop the removal: without its place in the catalog and its poster, no film is shown.
    """
    try:
        _drop_features(view, movie_ids)
        n_indexed = 0
        if has_index(view):
            change = build_index(view, IndexOptions(), check=False, posters=posters, progress=progress)
            n_indexed = change.record.n_films if change else 0
            notes.extend(change.notes if change else ())
        drop_looks(view, movie_ids)
        drop_from_atlas(view, movie_ids, progress=progress)
    except StoreError:
        # The same call may succeed later, as long as the catalog has the films.
        raise
    except KeyartError as error:
        notes.append(f"what {name_of(view)} made could not be brought up to date: {error}")
        return 0
    return n_indexed


def _drop_features(view: Workspace, movie_ids: Collection[int]) -> None:
    try:
        store = FeatureStore.open(view.features_dir)
    except NotBuiltError:
        return
    with exclusive(view.features_dir):
        store.drop(movie_ids)
        if (alternates.features_dir(view) / "features.json").is_file():
            further = FeatureStore.open(alternates.features_dir(view))
            names = [str(name) for name in further.rows().picture_ids.tolist()]
            further.drop([name for name in names if int(name.partition("-")[0]) in movie_ids])
