"""New films made part of a workspace: films, posters, features, index; nothing is built anew.

All that is said of the films is checked before anything is changed. Then posters are written, and the catalog names
the films, all at once; features and index follow. Whatever interrupts that, the same command finishes it: a film that
was added with this very poster is passed over, and gets what it lacks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from catalog.errors import ConfigError, DataError
from catalog.film import Film
from catalog.films import FIRST_ADDED_ID, Catalog
from catalog.io.locks import exclusive
from catalog.io.progress import Progress, silent
from catalog.titles import title_key
from index.options import IndexOptions
from keyart.cold_start.new_film import NewFilm
from keyart.pipeline.features import open_poster_extraction
from keyart.pipeline.index import build_index
from keyart.similarity.query import Image
from keyart.workspace.contents import list_posters
from keyart.workspace.encoder import WorkspaceEncoder
from keyart.workspace.index import has_index
from keyart.workspace.layout import Home, Workspace
from posters.database import Origin, Source
from posters.store import PosterStore
from posters.validation import MAX_POSTER_BYTES, too_many_bytes, verify_image

_N_LISTED = 5


@dataclass(frozen=True)
class AddReport:
    """What became of new films.

    Parameters
    ----------
    added : tuple of Film
        Those that are in the catalog now.
    known : tuple of Film
        Those that had been added before, with the same posters.
    n_indexed : int
        Films in the index; 0 where there is none.
    notes : tuple of str
        What a user should know.
    """

    added: tuple[Film, ...]
    known: tuple[Film, ...]
    n_indexed: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    """Which films are to be added, which were before, and the pictures of those without a poster."""

    new: tuple[Film, ...]
    known: tuple[Film, ...]
    pictures: tuple[tuple[int, Image], ...]


def add(
    home: Home,
    films: Sequence[NewFilm],
    *,
    open_encoder: WorkspaceEncoder | None = None,
    progress: Progress = silent,
) -> AddReport:
    """Make films part of a workspace, so that they are found by title and by looks; an open engine keeps what it has.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace, with films.
    films : sequence of NewFilm
        Films with titles.
    open_encoder : WorkspaceEncoder, optional
        The workspace's encoder, where it is open already.
    progress : Progress, optional
        Shows how far it is.

    Returns
    -------
    AddReport
        What was added.

    Raises
    ------
    NotBuiltError
        Nothing has been loaded.
    ConfigError
        A film has no title; or a number is taken, or too large.
    DataError
        A picture is no poster, or a film is there already; nothing is changed.
    StoreError
        Something cannot be written; run the same command again.
    """
    workspace, hashes = Workspace.open(home), _verified(films)
    # Opened before anything is changed: a network may be no longer to be had.
    extraction = open_poster_extraction(workspace, len(films), open_encoder)
    with exclusive(workspace.home):
        plan = _planned(workspace, films, hashes)
        _write(workspace, plan)
    notes = []
    if extraction is None:
        notes.append("no features here yet: found by title only; run `keyart extract` and `keyart build`")
    else:
        report = extraction.run([film.movie_id for film in (*plan.new, *plan.known)], progress=progress)
        notes += [f"movie_id {one.picture_id} has no features: {one.reason}" for one in report.skipped]
    n_indexed = 0
    if has_index(workspace):
        change = build_index(workspace, IndexOptions(), check=False, progress=progress)
        n_indexed = len(change.index) if change else 0
    elif extraction is not None:
        notes.append("no index here yet: found by title only; run `keyart build`")
    return AddReport(plan.new, plan.known, n_indexed, tuple(notes))


def _write(workspace: Workspace, plan: _Plan) -> None:
    """Write posters, then films: a poster without a film is no more than a file, and is overwritten by the next one."""
    if plan.pictures:
        with PosterStore.open(workspace.posters_dir) as store, store.writing(), store.together():
            for movie_id, image in plan.pictures:
                store.put(movie_id, _read(image), Origin(Source.IMPORT))
    if plan.new:
        Catalog.add(workspace.catalog_path, plan.new)


def _verified(films: Sequence[NewFilm]) -> list[str]:
    """Decode all pictures: their hashes."""
    if not films:
        raise ConfigError("no film is named; expected one at least")
    if untitled := [film for film in films if not film.title]:
        raise ConfigError(f"{untitled[0].image} has no title; say it with --title, or in the column title")
    hashes, wrong = [], []
    for film in films:
        try:
            hashes.append(verify_image(_read(film.image)).sha256)
        except DataError as error:
            wrong.append(f"{film.image}: {error}")
    if wrong:
        more = f"; and {len(wrong) - _N_LISTED} more" if len(wrong) > _N_LISTED else ""
        raise DataError("; ".join(wrong[:_N_LISTED]) + f"{more}; nothing was added")
    return hashes


def _read(image: Image) -> bytes:
    try:
        # The size is looked up first: a file may be far too large to read.
        if image.path and (n_bytes := image.path.stat().st_size) > MAX_POSTER_BYTES:
            raise DataError(too_many_bytes(n_bytes))
        return image.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from error


def _planned(workspace: Workspace, films: Sequence[NewFilm], hashes: Sequence[str]) -> _Plan:
    """Hold the films to those that are there, and to each other; give those that are new their numbers."""
    posters = {poster.movie_id: poster.sha256 for poster in list_posters(workspace)}
    new: list[Film] = []
    known: list[Film] = []
    pictures: list[tuple[int, Image]] = []
    with Catalog.open(workspace.catalog_path) as catalog:
        _refuse_doubles(films)
        _refuse_taken(films, catalog)
        added = {film.movie_id for film in catalog.added()}
        free = _free_numbers(added, {film.movie_id for film in films})
        for film, sha256 in zip(films, hashes, strict=True):
            there = catalog.duplicates_of(film.title, film.year, film.tmdb_id, film.imdb_id)
            if there and not (
                there[0].movie_id in added
                and film.movie_id in (None, there[0].movie_id)
                and posters.get(there[0].movie_id, sha256) == sha256
            ):
                raise DataError(_there_already(film, there[0]))
            listed = there[0] if there else _film(film, film.movie_id or next(free))
            (known if there else new).append(listed)
            if listed.movie_id not in posters or not there:
                pictures.append((listed.movie_id, film.image))
    return _Plan(tuple(new), tuple(known), tuple(pictures))


def _film(film: NewFilm, movie_id: int) -> Film:
    names = tuple(film.genres), tuple(film.alternative_titles)
    return Film(movie_id, film.title, film.year, film.imdb_id, film.tmdb_id, *names)


def _free_numbers(added: Collection[int], asked: Collection[int | None]) -> Iterator[int]:
    first = max((movie_id + 1 for movie_id in added), default=FIRST_ADDED_ID)
    return (movie_id for movie_id in count(max(first, FIRST_ADDED_ID)) if movie_id not in asked)


def _refuse_doubles(films: Sequence[NewFilm]) -> None:
    """Refuse films that are one with each other."""
    seen: dict[tuple[str, object], NewFilm] = {}
    for film in films:
        numbers = (("movie_id", film.movie_id), ("tmdb_id", film.tmdb_id), ("imdb_id", film.imdb_id))
        marks = [("title", (title_key(film.title), film.year)), *(one for one in numbers if one[1])]
        for mark in marks:
            if other := seen.get(mark):
                raise DataError(
                    f"{film.image} and {other.image} are both of the {mark[0]} "
                    f"{film.label if mark[0] == 'title' else mark[1]!r}; name every film once"
                )
            seen[mark] = film


def _refuse_taken(films: Sequence[NewFilm], catalog: Catalog) -> None:
    """Refuse a movie_id that another film has."""
    taken = catalog.films(film.movie_id for film in films if film.movie_id)
    for film in films:
        other = taken.get(film.movie_id or 0)
        if other and (title_key(other.title), other.year) != (title_key(film.title), film.year):
            raise ConfigError(f"the movie_id {film.movie_id} is that of {other.label}; leave it out, or name another")


def _there_already(film: NewFilm, other: Film) -> str:
    which = film.label
    if film.tmdb_id and film.tmdb_id == other.tmdb_id:
        which = f"the tmdb_id {film.tmdb_id}"
    elif film.imdb_id and film.imdb_id == other.imdb_id:
        which = f"the imdb_id {film.imdb_id}"
    same = "" if which == other.label else f", {other.label}"
    return (
        f"{film.image}: {which} is in the catalog already, as movie_id {other.movie_id}{same}; to give that film this "
        "poster, name both in a CSV file for `keyart import --csv`"
    )
