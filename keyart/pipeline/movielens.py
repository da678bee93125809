"""Load films, links, tags and ratings into a workspace, from a MovieLens folder or a table of films."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from catalog.errors import ConfigError, DataError, NotBuiltError
from catalog.film import Film, FilmTerm
from catalog.film_table import read_film_table, read_rated_films
from catalog.films import Catalog
from catalog.genres import notes_on_genres
from catalog.io.archives import list_archive, unpacked
from catalog.io.files import atomic_path, check_input, remove_file, removed_on_failure, xxh3_file
from catalog.io.locks import check_free, exclusive
from catalog.movielens import FILE_NAMES, KNOWN, RATING_NAMES, FilmFiles, data_folder, first_of, is_data_set, read_films
from catalog.text import plural, printable
from catalog.titles import title_key
from cf.ratings import Ratings, is_table_of_ratings, read_movielens, read_ratings
from keyart.workspace.hints import names_workspace
from keyart.workspace.layout import Home, Workspace, is_ratings_name
from posters.database import DATABASE_NAME

_FILM_COLUMNS = {
    "item": "movie_id",
    "title": "title",
    "year": "year",
    "genres": "genres",
    "imdb": "imdb_id",
    "tmdb": "tmdb_id",
}
_TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
_RATING_COLUMNS = {"user": "userId", "item": "movieId", "rating": "rating", "time": "timestamp"}


@dataclass(frozen=True)
class LoadReport:
    """What `load` read.

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


@names_workspace
def load(
    home: Home,
    source: str | Path,
    ratings: str | Path | None = None,
    *,
    columns: Mapping[str, str] | None = None,
) -> LoadReport:
    """Load films, links, tags and ratings, replacing those of an earlier load.

    Posters, features, the index, films added with `add` and what `load_content` loaded are kept: all sizes of MovieLens
    share their movie_ids.
    On any error, the workspace is left unchanged.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace; created if it does not exist.
    source : str or Path
        A data set, as its folder or its zip archive, files compressed by gzip or not: MovieLens in all its editions,
        also as Kaggle has them, or The Movies Dataset; ratings and links may be missing. Or a CSV file of films with
        the columns movie_id, title and, where known, year, genres, imdb_id, tmdb_id.
    ratings : str or Path, optional
        A file of ratings, by default those of the folder: a table or Parquet with the columns user_id, movie_id, rating
        and mostly timestamp, or tab-separated as ``u.data``.
    columns : mapping of str to str, optional
        What the tables of your own call their columns: any of user, item, rating, time, title, year, genres, imdb and
        tmdb. Each has to be there. A `source` with users and ratings is itself the table of ratings, unless `ratings`
        names one; where its ratings go beyond 5, they are ten points and halved.

    Returns
    -------
    LoadReport
        What was read.

    Raises
    ------
    DataError
        The source is neither a MovieLens folder nor a table of films, or a file is malformed; the message names the
        file and the line.
    ConfigError
        The workspace holds films whose movie_ids mean other films, or `home` is another folder in use.
    StoreError
        The workspace cannot be written.
    """
    source = Path(source)
    check_free(home.home if isinstance(home, Workspace) else Path(home))
    files, given = _read(source, None if ratings is None else Path(ratings), columns or {})
    workspace = Workspace.create(home)
    remaining = given.of_films([film.movie_id for film in files.films])
    with exclusive(workspace.home):
        sources = [path.absolute() for path in (source, *([Path(ratings)] if ratings is not None else []))]
        notes = [*files.notes, *_write_catalog(workspace, sources, files, remaining)]
    if len(given) > len(remaining):
        n_ignored = len(given) - len(remaining)
        what = plural(n_ignored, "rating is of a film", "ratings are of films")
        notes.append(f"{what} that {source.name} does not list; ignored")
    notes += _notes_on_ratings(given)
    notes += notes_on_genres(files.films)
    if not any(film.tmdb_id or film.imdb_id for film in files.films):
        notes.append("no film has a TMDB or IMDb id: posters cannot be fetched; `keyart import FOLDER --by movie`")
    if not len(given):
        notes.append(f"no ratings in {ratings or source}: films will be compared by posters and content")
    n_users = len(set(remaining.user_ids.tolist()))
    return LoadReport(len(files.films), len(remaining), n_users, len(files.tags), tuple(notes))


def _notes_on_ratings(ratings: Ratings) -> Iterator[str]:
    if ratings.is_halved:
        yield "ratings go beyond 5, so they count as ten points, of which two are a star"
    if n := ratings.n_replaced:
        counts = "the latest counts" if ratings.timestamps.any() else "the last line counts, as there are no times"
        yield f"{plural(n, 'rating')} of a film that the same user rated again; {counts}"


def _read(source: Path, ratings: Path | None, columns: Mapping[str, str]) -> tuple[FilmFiles, Ratings]:
    """Read films and ratings, also from archives and compressed files."""
    film_names, rating_names = _names(columns, _FILM_COLUMNS), _names(columns, _RATING_COLUMNS)
    with ExitStack() as unpacking:
        if source.is_file() and ratings is None and not columns:
            _check_whole(source)
        opened = unpacking.enter_context(_unpacked(data_folder(source)))
        rated = None if ratings is None else unpacking.enter_context(_unpacked(ratings))
        if rated is not None and rated.is_dir():
            folder, rated = rated, first_of(rated, (*RATING_NAMES, rated.stem))
            if rated is None:
                raise DataError(f"{folder} holds no ratings; expected one of {', '.join(RATING_NAMES)}")
        if not opened.is_file():
            # Those of ratings may be of a table beside it.
            _check_columns_known(source, columns if rated is None else film_names.keys() - {"movie_id"})
            files = _named(read_films(opened), opened, source)
        elif opened.suffix.lower() not in _TABLE_SUFFIXES:
            raise DataError(f"{source} is neither a folder, a zip archive nor a CSV file; known are {KNOWN}")
        elif rated is None and _has_ratings(opened, rating_names):
            files, rated = read_rated_films(opened, film_names), opened
        else:
            files = read_film_table(opened, film_names)
        given = read_movielens(opened) if rated is None else read_ratings(rated, rating_names, ten_points=True)
        return files, given


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    """Unpack a data set, or a single table, which may have any name."""
    if os.path.lexists(source) and not source.is_dir():
        check_input(source)
    name = _lone_table(source)
    # A table called ratings.csv is in ratings.csv.zip.
    inside = (source.stem,) if source.stem.endswith(_TABLE_SUFFIXES) else ()
    with unpacked(source, (name,) if name else (*FILE_NAMES, *inside)) as opened:
        yield opened / name if name and opened.is_dir() else opened


def _lone_table(source: Path) -> str | None:
    """Return the name of the table that is alone in an archive."""
    if source.suffix.lower() != ".zip":
        return None
    paths = [path for path in list_archive(source) if not path.parts[0].startswith((".", "__MACOSX"))]
    return paths[0].name if len(paths) == 1 and paths[0].suffix.lower() in _TABLE_SUFFIXES else None


def _named(files: FilmFiles, opened: Path, source: Path) -> FilmFiles:
    """Name the source in notes in place of what it was unpacked to."""
    return replace(files, notes=tuple(note.replace(str(opened), str(source)) for note in files.notes))


def _has_ratings(table: Path, rating_names: Mapping[str, str]) -> bool:
    if not rating_names.keys() - {"movieId"}:
        return is_table_of_ratings(table)
    return {"userId", "rating"} <= rating_names.keys()


def _check_columns_known(source: Path, columns: Collection[str]) -> None:
    if columns:
        raise ConfigError(
            f"--columns names those of a table of your own; {source} is a data set, whose columns are known"
        )


def _check_whole(source: Path) -> None:
    """Refuse a file of a data set, whose other files would be left out."""
    folder, name = source.parent, source.name.removesuffix(".gz")
    others = [path.name for path in folder.iterdir() if path.name.removesuffix(".gz") in FILE_NAMES and path != source]
    if name in FILE_NAMES and others and is_data_set(folder):
        raise DataError(
            f"{source} is one file of a data set, beside {', '.join(sorted(others))}; load the folder: "
            f"`keyart load {shlex.quote(str(folder))}`"
        )


def _names(columns: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    if unknown := columns.keys() - {*_FILM_COLUMNS, *_RATING_COLUMNS}:
        known = ", ".join(dict.fromkeys((*_RATING_COLUMNS, *_FILM_COLUMNS)))
        raise ConfigError(f"columns are named by {known}; received {', '.join(sorted(unknown))}")
    return {own[key]: name for key, name in columns.items() if key in own}


def _write_catalog(workspace: Workspace, sources: Sequence[Path], files: FilmFiles, ratings: Ratings) -> list[str]:
    """Write films and ratings, and keep the films added before; returns notes on these."""
    added, terms, notes = _added_before(workspace, files)
    # The catalog names its ratings, so the rename that puts it in place changes both at once.
    name, is_new = _save_ratings(workspace, ratings)
    new_paths = [workspace.ratings_path(name)] if is_new else []
    with removed_on_failure(lambda: new_paths, lambda: _named_ratings(workspace)):
        xxh3 = xxh3_file(workspace.ratings_path(name))
        facts = {"numbering": files.numbering, "ratings": name, "ratings_xxh3": xxh3}
        facts["source"] = printable(sources[0].name)
        facts["loaded_from"] = "\n".join(map(printable, sources))
        Catalog.create(workspace.catalog_path, _with_ratings(files.films, ratings), facts, added, files.tags, terms)
    for path in workspace.home.glob("ratings-*.parquet"):
        if path.name != name and is_ratings_name(path.name):
            remove_file(path)
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


def _named_ratings(workspace: Workspace) -> list[str]:
    """Return the name of the ratings that count; none where no catalog is there yet."""
    try:
        with Catalog.open(workspace.catalog_path) as catalog:
            return [catalog.fact("ratings") or ""]
    except NotBuiltError:
        return []


def _added_before(workspace: Workspace, files: FilmFiles) -> tuple[list[Film], list[FilmTerm], list[str]]:
    """Return the added films that were not loaded now, what was loaded of the content of films, and notes on them."""
    try:
        catalog = Catalog.open(workspace.catalog_path, check_ids=False)
    except NotBuiltError:
        # Posters are brought to films that were loaded.
        is_lost = (workspace.posters_dir / DATABASE_NAME).is_file()
        return [], [], [_lost_note("missing")] if is_lost else []
    except DataError:
        # Loading again is how a lost or damaged catalog is repaired; what was added to it is nowhere else.
        return [], [], [_lost_note(_what_became_of(workspace.catalog_path))]
    with catalog:
        _check_numbering(workspace, catalog.fact("numbering"), files.numbering)
        added, terms = catalog.added(), catalog.terms()
    loaded = {film.movie_id for film in files.films}
    present = loaded.union(film.movie_id for film in added)
    kept_films = [film for film in added if film.movie_id not in loaded]
    kept_terms = [term for term in terms if term.movie_id in present]
    return kept_films, kept_terms, list(_duplicate_notes(added, files.films))


def _lost_note(what_became: str) -> str:
    return (
        f"the earlier catalog is {what_became}: films that were added to it, and content that was loaded, are lost; "
        "bring them again by `keyart add` and `keyart load --content FILE`"
    )


def _what_became_of(path: Path) -> str:
    return f"damaged, and kept as {_kept_aside(path).name}" if path.is_file() else "missing"


def _kept_aside(path: Path) -> Path:
    damaged = path.with_name(f"{path.name}.damaged")
    with atomic_path(damaged) as temporary_path:
        shutil.copyfile(path, temporary_path)
    return damaged


def _check_numbering(workspace: Workspace, existing: str | None, numbering: str) -> None:
    """Refuse films whose movie_ids mean other films than those of the workspace."""
    if existing != numbering:
        raise ConfigError(
            f"{workspace.home} holds films numbered as in {existing}, this one numbers them as {numbering}, so "
            "posters would go to the wrong films; name another workspace with --home DIR"
        )


def _duplicate_notes(added: Sequence[Film], films: Sequence[Film]) -> Iterator[str]:
    by_id = {film.movie_id: film for film in films} if added else {}
    keys = {(title_key(film.title), film.year): film for film in films} if added else {}
    for film in added:
        other = keys.get((title_key(film.title), film.year))
        if other and other.movie_id != film.movie_id:
            yield f"{film.label} was added as movie_id {film.movie_id}, and was now loaded as {other.movie_id}"
        same_id = by_id.get(film.movie_id)
        if same_id and title_key(same_id.title) != title_key(film.title):
            yield f"{film.label} was added as movie_id {film.movie_id}, which is now {same_id.label}; add it again"


def _with_ratings(films: Sequence[Film], ratings: Ratings) -> list[Film]:
    movie_ids, n_ratings, means = (values.tolist() for values in ratings.film_statistics())
    by_film = {movie_id: (n, mean) for movie_id, n, mean in zip(movie_ids, n_ratings, means, strict=True)}
    rated = (by_film.get(film.movie_id, (0, None)) for film in films)
    return [replace(film, n_ratings=n, mean_rating=mean) for film, (n, mean) in zip(films, rated, strict=True)]
