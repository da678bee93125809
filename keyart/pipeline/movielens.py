"""Load films, links, tags and ratings from a MovieLens folder into a workspace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from catalog.errors import ConfigError, DataError, NotBuiltError
from catalog.film import Film
from catalog.films import Catalog
from catalog.io.locks import exclusive
from catalog.movielens import FilmFiles, read_films
from catalog.titles import title_key
from cf.ratings import Ratings, read_movielens
from keyart.workspace.layout import Home, Workspace, is_ratings_name


@dataclass(frozen=True)
class LoadReport:
    """What `load` read from a MovieLens folder.

    Parameters
    ----------
    n_films : int
        Number of films.
    n_ratings : int
        Number of ratings of these films.
    n_users : int
        Number of users who gave them.
    n_tags : int
        Number of tags, each counted once per film.
    notes : tuple of str
        What a user should know of the files, a sentence each.
    """

    n_films: int
    n_ratings: int
    n_users: int
    n_tags: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Convert to what JSON can hold.

        Returns
        -------
        dict
            The fields by name.
        """
        return {**asdict(self), "notes": list(self.notes)}


def load(home: Home, folder: str | Path) -> LoadReport:
    """Load films, links, tags and ratings from a MovieLens folder, replacing those of an earlier load.

    Posters, features, the index and films added with `add` are kept: all sizes of MovieLens share their movie_ids.
    On any error, the workspace is left unchanged.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace; created if it does not exist.
    folder : str or Path
        The unpacked archive: ml-latest-small, ml-25m, ml-32m and the like with ``movies.csv``, ``links.csv``,
        ``tags.csv`` and ``ratings.csv``, or ml-100k with ``u.item`` and ``u.data``. Ratings and links may be missing.

    Returns
    -------
    LoadReport
        What was read.

    Raises
    ------
    DataError
        The folder is not of MovieLens, or a file is malformed; the message names file and line.
    ConfigError
        The workspace holds films whose movie_ids mean other films, or `home` is another folder in use.
    StoreError
        The workspace cannot be written.
    """
    folder = Path(folder)
    files = read_films(folder)
    ratings = read_movielens(folder)
    workspace = Workspace.create(home)
    n_read = len(ratings)
    ratings = ratings.of_films([film.movie_id for film in files.films])
    with exclusive(workspace.home):
        notes = [*files.notes, *_write_catalog(workspace, folder, files, ratings)]
    if n_read > len(ratings):
        notes.append(f"{n_read - len(ratings)} ratings are of films that the folder does not list; ignored")
    if not any(film.tmdb_id or film.imdb_id for film in files.films):
        notes.append("no film has a TMDB or IMDb id: posters cannot be fetched; `keyart import FOLDER --by movie`")
    if not n_read:
        notes.append(f"no ratings in {folder}: films will be compared by their posters alone")
    n_users = len(set(ratings.user_ids.tolist()))
    return LoadReport(len(files.films), len(ratings), n_users, len(files.tags), tuple(notes))


def _write_catalog(workspace: Workspace, folder: Path, files: FilmFiles, ratings: Ratings) -> list[str]:
    """Write films and ratings, and keep the films added before; returns notes on these."""
    added, notes = _added_before(workspace, files)
    # The catalog names its ratings, so the rename that puts it in place changes both at once.
    name, is_new = _save_ratings(workspace, ratings)
    try:
        folder = folder.absolute()
        facts = {"numbering": files.numbering, "ratings": name, "source": folder.name, "folder": str(folder)}
        Catalog.create(workspace.catalog_path, _with_ratings(files.films, ratings), facts, added, files.tags)
    except BaseException:
        if is_new:
            workspace.ratings_path(name).unlink(missing_ok=True)
        raise
    for path in workspace.home.glob("ratings-*.parquet"):
        if path.name != name and is_ratings_name(path.name):
            path.unlink(missing_ok=True)
    return notes


def _save_ratings(workspace: Workspace, ratings: Ratings) -> tuple[str, bool]:
    """Write the ratings unless the workspace has the same; returns their file's name, and whether the file is new.

    Models record the name of the ratings that they learned from, so the same ratings keep their name.
    """
    digest = ratings.digest()
    with suppress(NotBuiltError, DataError), Catalog.open(workspace.catalog_path) as catalog:
        name = catalog.fact("ratings")
        if name and Ratings.open(workspace.ratings_path(name)).digest() == digest:
            return name, False
    name = f"ratings-{digest[:16]}.parquet"
    is_new = not workspace.ratings_path(name).exists()
    ratings.save(workspace.ratings_path(name))
    return name, is_new


def _added_before(workspace: Workspace, files: FilmFiles) -> tuple[list[Film], list[str]]:
    """Return the added films that are not in this folder, and notes on them."""
    if not workspace.catalog_path.is_file():
        return [], []
    try:
        catalog = Catalog.open(workspace.catalog_path)
    except DataError:
        # Loading again is how a damaged catalog is repaired.
        return [], ["the earlier catalog could not be read; films that were added to it have to be added again"]
    with catalog:
        _check_numbering(workspace, catalog.fact("numbering"), files.numbering)
        added = catalog.added()
    loaded = {film.movie_id for film in files.films}
    return [film for film in added if film.movie_id not in loaded], list(_duplicate_notes(added, files.films))


def _check_numbering(workspace: Workspace, existing: str | None, numbering: str) -> None:
    """Refuse films whose movie_ids mean other films than those of the workspace."""
    if existing != numbering:
        raise ConfigError(
            f"{workspace.home} holds films numbered as in {existing}, this folder numbers them as {numbering}, so "
            "posters would go to the wrong films; name another workspace with --home DIR"
        )


def _duplicate_notes(added: Sequence[Film], films: Sequence[Film]) -> Iterator[str]:
    keys = {(title_key(film.title), film.year): film for film in films} if added else {}
    for film in added:
        other = keys.get((title_key(film.title), film.year))
        if other and other.movie_id != film.movie_id:
            yield f"{film.label} was added as movie_id {film.movie_id}, and is in this folder as {other.movie_id}"


def _with_ratings(films: Sequence[Film], ratings: Ratings) -> list[Film]:
    movie_ids, n_ratings, means = (values.tolist() for values in ratings.film_statistics())
    by_film = {movie_id: (n, mean) for movie_id, n, mean in zip(movie_ids, n_ratings, means, strict=True)}
    rated = (by_film.get(film.movie_id, (0, None)) for film in films)
    return [replace(film, n_ratings=n, mean_rating=mean) for film, (n, mean) in zip(films, rated, strict=True)]
