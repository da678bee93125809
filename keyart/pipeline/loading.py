"""The way in: a MovieLens folder, posters, features, an index; each step writes one part of the workspace."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from catalog.errors import ConfigError, DataError, NotBuiltError
from catalog.film import Film
from catalog.films import Catalog
from catalog.io.locks import exclusive
from catalog.io.progress import Progress, shown, silent
from catalog.movielens import FilmFiles, read_films
from catalog.titles import title_key
from cf.models.neighbors import ItemCosine
from cf.ratings import Ratings, read_movielens
from features.encoders.keras import BackboneChoice
from index import manifest as index_files
from index.plan import Plan
from keyart.pipeline.index import IndexChange, IndexOptions, bring_up_to_date
from keyart.workspace.contents import current_features, films_of, fingerprint, open_ratings
from keyart.workspace.layout import Workspace
from posters.importing import By, ImportReport, import_csv, import_folder
from posters.store import PosterStore


@dataclass(frozen=True)
class LoadReport:
    """What a load brought in.

    Parameters
    ----------
    n_films, n_ratings, n_users : int
        How many of each.
    n_tags : int
        How many tags, each counted once a film.
    notes : tuple of str
        What a user should know of the files.
    """

    n_films: int
    n_ratings: int
    n_users: int
    n_tags: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BuildReport:
    """What a build made.

    Parameters
    ----------
    index : dict
        What is known of the index, as ``index.json`` holds it; empty where there is none.
    how : str
        What became of it, in plain words.
    n_similar : int
        Films with item similarities.
    notes : tuple of str
        What a user should know.
    """

    index: dict[str, Any]
    how: str
    n_similar: int
    notes: tuple[str, ...]

    @property
    def n_indexed(self) -> int:
        """Films in the index."""
        return int(self.index.get("n_films", 0))

    @property
    def centered(self) -> bool:
        """Whether the mean of all features is subtracted before they are compared."""
        return bool(self.index.get("centred", False))


def load(home: Path, folder: Path) -> LoadReport:
    """Bring the films, links, tags and ratings of a MovieLens folder into a workspace, in place of those there.

    Posters, features and index stay: another size of MovieLens numbers its films alike. So do films that were added.

    Parameters
    ----------
    home : Path
        The workspace; made if it is not there.
    folder : Path
        The unpacked MovieLens folder.

    Returns
    -------
    LoadReport
        What came in.

    Raises
    ------
    DataError
        A file is malformed, and where.
    ConfigError
        The workspace holds films with other numbers.
    StoreError
        The workspace cannot be written. Whatever goes wrong, what was there before stays as it was.
    """
    files = read_films(folder)
    ratings = read_movielens(folder)
    workspace = Workspace.create(home)
    n_read = len(ratings)
    ratings = ratings.of_films([film.movie_id for film in files.films])
    with exclusive(workspace.home):
        notes = [*files.notes, *_write_catalog(workspace, folder, files, ratings)]
    if n_read > len(ratings):
        notes.append(f"{n_read - len(ratings)} ratings are of films that the folder does not list; passed over")
    if not any(film.tmdb_id or film.imdb_id for film in files.films):
        notes.append("no film has a TMDB or IMDb id: posters cannot be fetched, only imported")
    if not n_read:
        notes.append(f"no ratings in {folder}: films will be compared by their posters alone")
    n_users = len(set(ratings.user_ids.tolist()))
    return LoadReport(len(files.films), len(ratings), n_users, len(files.tags), tuple(notes))


def import_posters(workspace: Workspace, source: Path, by: By | None, *, progress: Progress = silent) -> ImportReport:
    """Copy posters that a user already has into the workspace.

    Parameters
    ----------
    workspace : Workspace
        The workspace, with films.
    source : Path
        A folder of picture files named by id; or a CSV file with the columns movie_id and path.
    by : {"movie", "imdb", "tmdb"} or None
        Whose ids the files are named by; None for a CSV file.
    progress : Progress, optional
        Shows how far it is.

    Returns
    -------
    ImportReport
        What was copied, what matches no film, what is no picture.

    Raises
    ------
    DataError
        The folder or file is missing, empty or malformed.
    StoreError
        The disk is full; what was copied is kept.
    """
    films = films_of(workspace)
    with PosterStore.open(workspace.posters_dir) as store, shown(progress, "import", "posters") as show:
        if by is None:
            return import_csv(source, films, store, on_progress=show)
        return import_folder(source, films, store, by, on_progress=show)


def build(
    workspace: Workspace,
    options: IndexOptions | None = None,
    *,
    progress: Progress = silent,
    on_plan: Callable[[Plan], None] = lambda _: None,
) -> BuildReport:
    """Bring the index up to date with the features, and the item similarities with the ratings.

    Parameters
    ----------
    workspace : Workspace
        The workspace, with features or ratings.
    options : IndexOptions, optional
        What is wanted of the index. Where nothing is said and nothing is there yet, its kind is chosen by its size,
        and the mean of all features is subtracted for random weights, whose features all point much the same way.
    progress : Progress, optional
        Shows how far it is.
    on_plan : callable, optional
        Is told what will be built and how long it takes, before the index is built anew.

    Returns
    -------
    BuildReport
        What was made.

    Raises
    ------
    NotBuiltError
        There are neither features nor ratings.
    StoreError
        The disk is full; what was built before is untouched.
    """
    notes = []
    ratings = open_ratings(workspace)
    indexed = build_index(workspace, options or IndexOptions(), progress=progress, on_plan=on_plan)
    if indexed is None:
        if not len(ratings):
            raise NotBuiltError("neither features nor ratings here yet; run `keyart import`, then `keyart extract`")
        notes.append(
            "no features yet, so films will be compared by ratings alone; run `keyart extract` for their looks"
        )
    n_similar = _build_item_similarities(workspace, ratings, progress)
    if not n_similar:
        notes.append("no ratings, so films will be compared by looks alone")
    if indexed is None:
        return BuildReport({}, "", n_similar, tuple(notes))
    return BuildReport(indexed.index.report, indexed.how, n_similar, (*notes, *_index_notes(indexed.index.report)))


def build_index(
    workspace: Workspace,
    options: IndexOptions,
    *,
    check: bool = True,
    progress: Progress = silent,
    on_plan: Callable[[Plan], None] = lambda _: None,
) -> IndexChange | None:
    """Bring the index up to date with the features.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    options : IndexOptions
        What is wanted of the index.
    check : bool, default True
        Hold all features to their checksums first, which reads them whole.
    progress : Progress, optional
        Shows how far it is.
    on_plan : callable, optional
        Is told what will be built and how long it takes, before the index is built anew.

    Returns
    -------
    IndexChange or None
        None where there are no features; of an index whose posters are all gone nothing is left.

    Raises
    ------
    DataError
        A shard of features is damaged.
    StoreError
        The disk is full; what was built before is untouched.
    """
    try:
        store, rows = current_features(workspace, check=check)
    except NotBuiltError:
        return None
    if not len(rows):
        # No poster is left of those that it was built from.
        with exclusive(workspace.index_dir):
            index_files.remove_all(workspace.index_dir)
        return None
    return bring_up_to_date(
        workspace,
        store,
        rows,
        fingerprint(rows),
        options,
        center_by_default=BackboneChoice(**store.origin).is_random,
        progress=progress,
        on_plan=on_plan,
    )


def _index_notes(report: dict[str, Any]) -> Iterator[str]:
    for movie_id, reason in report["left_out"].items():
        yield f"movie_id {movie_id} is not in the index: {reason}"
    measured = report["report"]
    if not measured["target_met"]:
        reached = ", ".join(f"{value:.3f} of {k}" for k, value in measured["recall"].items())
        yield (
            f"the shortlist finds {reached} truly nearest films, wanted were {measured['target_recall']:g}; allow more "
            "with --max-memory, or name --index exact"
        )


def _build_item_similarities(workspace: Workspace, ratings: Ratings, progress: Progress) -> int:
    with Catalog.open(workspace.catalog_path) as catalog:
        source = catalog.fact("ratings") or ""
    matrix = ratings.matrix()
    with progress("item similarity", len(matrix.movie_ids), "films") as advance:
        model = ItemCosine(source=source).fit(matrix)
        advance(len(matrix.movie_ids))
    with exclusive(workspace.model_dir(ItemCosine.name)):
        model.save(workspace.model_dir(ItemCosine.name))
    return len(matrix.movie_ids)


def _write_catalog(workspace: Workspace, folder: Path, files: FilmFiles, ratings: Ratings) -> list[str]:
    """Write films and ratings; films that were added before stay. Returns notes on these."""
    added, notes = _added_before(workspace, files)
    # The catalog names its ratings, so the rename that puts it in place changes both at once.
    name = f"ratings-{secrets.token_hex(4)}.parquet"
    ratings.save(workspace.ratings_path(name))
    try:
        facts = {"numbering": files.numbering, "ratings": name, "source": folder.absolute().name}
        Catalog.create(workspace.catalog_path, _with_support(files.films, ratings), facts, added, files.tags)
    except BaseException:
        workspace.ratings_path(name).unlink(missing_ok=True)
        raise
    for path in workspace.home.glob("ratings-*.parquet"):
        if path.name != name:
            path.unlink(missing_ok=True)
    return notes


def _added_before(workspace: Workspace, files: FilmFiles) -> tuple[list[Film], list[str]]:
    """List the films that were added to those of an earlier load, and that this one does not bring itself."""
    if not workspace.catalog_path.is_file():
        return [], []
    try:
        catalog = Catalog.open(workspace.catalog_path)
    except DataError:
        # Loading again is the way out.
        return [], ["the catalog that was there could not be read; films that were added to it have to be added again"]
    with catalog:
        _check_numbering(workspace, catalog.fact("numbering"), files.numbering)
        added = catalog.added()
    loaded = {film.movie_id for film in files.films}
    return [film for film in added if film.movie_id not in loaded], list(_double_notes(added, files.films))


def _check_numbering(workspace: Workspace, there: str | None, numbering: str) -> None:
    """Refuse films whose numbers mean other films than those that are there."""
    if there != numbering:
        raise ConfigError(
            f"{workspace.home} holds films numbered as in {there}, this folder numbers them as {numbering}, so "
            "posters would go to the wrong films; name another workspace with --home DIR"
        )


def _double_notes(added: Sequence[Film], films: Sequence[Film]) -> Iterator[str]:
    keys = {(title_key(film.title), film.year): film for film in films} if added else {}
    for film in added:
        other = keys.get((title_key(film.title), film.year))
        if other and other.movie_id != film.movie_id:
            yield f"{film.label} was added as movie_id {film.movie_id}, and is in this folder as {other.movie_id}"


def _with_support(films: Sequence[Film], ratings: Ratings) -> list[Film]:
    movie_ids, n_ratings, means = (values.tolist() for values in ratings.support())
    support = {movie_id: (n, mean) for movie_id, n, mean in zip(movie_ids, n_ratings, means, strict=True)}
    rated = (support.get(film.movie_id, (0, None)) for film in films)
    return [replace(film, n_ratings=n, mean_rating=mean) for film, (n, mean) in zip(films, rated, strict=True)]
