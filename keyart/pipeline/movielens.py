"""Load a MovieLens folder into a workspace."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.errors import ConfigError, DataError
from catalog.film import Film
from catalog.films import Catalog
from catalog.io.locks import exclusive
from catalog.movielens import FilmFiles, read_films
from catalog.titles import title_key
from cf.ratings import Ratings, read_movielens
from keyart.workspace.layout import Home, Workspace


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


def load(home: Home, folder: str | Path) -> LoadReport:
    """Bring the films, links, tags and ratings of a MovieLens folder into a workspace, in place of those there.

    Posters, features and index stay: another size of MovieLens numbers its films alike. So do films that were added.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace; created if it does not exist.
    folder : str or Path
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
    folder = Path(folder)
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
    movie_ids, n_ratings, means = (values.tolist() for values in ratings.film_statistics())
    support = {movie_id: (n, mean) for movie_id, n, mean in zip(movie_ids, n_ratings, means, strict=True)}
    rated = (support.get(film.movie_id, (0, None)) for film in films)
    return [replace(film, n_ratings=n, mean_rating=mean) for film, (n, mean) in zip(films, rated, strict=True)]
