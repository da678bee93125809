"""Add new films to a workspace: to its catalog, posters, features and index, without building anything anew.

All films are checked before anything is changed. Then the posters are written, the catalog takes up all films at once,
and features and index follow. After an interruption, the same call finishes the work: a film that was added before with
the same poster gets only what it lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from catalog.errors import ConfigError, DamageError, DataError, KeyartError
from catalog.film import Film, FilmTerm
from catalog.films import Catalog
from catalog.io.locks import check_free, exclusive
from catalog.io.progress import Progress, silent
from catalog.text import clean, is_clean
from catalog.titles import notes_on_titles, title_key
from index.options import IndexOptions
from keyart.cold_start.new_film import NewFilm, checked, film_terms
from keyart.pipeline.features import PosterExtraction, open_poster_extraction
from keyart.pipeline.index import build_index
from keyart.similarity.query import Image
from keyart.workspace.encoder import WorkspaceEncoder
from keyart.workspace.encoders import has_index, list_encoders, name_of
from keyart.workspace.films import PosterReader, posters_of
from keyart.workspace.hints import names_workspace
from keyart.workspace.layout import Home, Workspace
from posters.database import Origin, Source
from posters.store import Poster, PosterStore
from posters.validation import MAX_POSTER_BYTES, too_many_bytes, verify_image

_N_LISTED = 5


@dataclass(frozen=True)
class AddReport:
    """What `add` did.

    Parameters
    ----------
    added : tuple of Film
        Films that are new in the catalog.
    known : tuple of Film
        Films that had been added before, with the same posters.
    n_indexed : int
        Number of films in the index afterwards; 0 where there is none.
    notes : tuple of str
        What a user should know, a sentence each.
    """

    added: tuple[Film, ...]
    known: tuple[Film, ...]
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


@dataclass(frozen=True)
class _Plan:
    """Which films to add, which exist, and the posters to write."""

    new: tuple[Film, ...]
    known: tuple[Film, ...]
    posters: tuple[tuple[int, Image], ...]
    terms: tuple[FilmTerm, ...]


@names_workspace
def add(
    home: Home,
    films: Sequence[NewFilm],
    *,
    encoder: WorkspaceEncoder | None = None,
    progress: Progress = silent,
) -> AddReport:
    """Add films to a workspace, so that they are found by title and by looks. They are kept through later loads.

    Features and index of each encoder are extended where the workspace has them, nothing is built anew; a note names
    an encoder by which that failed. An engine that is open does not change; open another one to see the new films.
    Adding the same films again finishes what was interrupted.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace, with films.
    films : sequence of NewFilm
        Films with titles and posters. Those without a movie_id get the next free one from 1000000001 on.
    encoder : WorkspaceEncoder, optional
        The workspace's encoder, where it is loaded already.
    progress : callable, optional
        Opens a progress display, given a description, the total and the unit; shows nothing by default.

    Returns
    -------
    AddReport
        What was added.

    Raises
    ------
    NotBuiltError
        The workspace does not exist, or no films have been loaded.
    ConfigError
        A film has no title, its genre, year or an id is not known or valid, or its movie_id belongs to another film;
        nothing is changed.
    DataError
        A poster is no image, or a film is in the catalog already with another poster; nothing is changed.
    StoreError
        Something cannot be written; run the same call again.
    """
    workspace, hashes = Workspace.open(home), _verified(films)
    for folder in (workspace.home, workspace.posters_dir, workspace.features_dir, workspace.index_dir):
        check_free(folder)
    # Before anything is changed: the encoder may not be available any more.
    extraction = open_poster_extraction(workspace, len(films), encoder)
    with exclusive(workspace.home):
        plan = _planned(workspace, films, hashes)
        _write(workspace, plan)
    movie_ids = [film.movie_id for film in (*plan.new, *plan.known)]
    cleaned = notes_on_titles(sum(not is_clean(film.title) for film in films))
    posters = PosterReader(workspace)
    n_indexed, notes = _brought_up_to_date(workspace, extraction, movie_ids, posters, progress)
    for view in list_encoders(workspace):
        if view.encoder != workspace.encoder:
            notes += _brought_up_to_date_too(view, movie_ids, posters, progress)
    return AddReport(plan.new, plan.known, n_indexed, (*cleaned, *notes))


def _brought_up_to_date(
    workspace: Workspace,
    extraction: PosterExtraction | None,
    movie_ids: Sequence[int],
    posters: PosterReader,
    progress: Progress,
) -> tuple[int, list[str]]:
    """Add films to the features and the index of a view; returns how many are indexed, and what a user should know."""
    notes = []
    if extraction is None:
        notes.append("no features here yet: found by title only; run `keyart extract` and `keyart build`")
    else:
        report = extraction.run(movie_ids, posters, progress=progress)
        notes += [f"features were computed again: {reason}" for reason in report.damaged]
        notes += [f"movie_id {one.picture_id} has no features: {one.reason}" for one in report.skipped]
    n_indexed = 0
    if has_index(workspace):
        change = build_index(workspace, IndexOptions(), check=False, posters=posters, progress=progress)
        if change is not None:
            n_indexed = change.record.n_films
            left_out = change.record.left_out
            notes += [f"movie_id {one} is not in the index: {left_out[one]}" for one in movie_ids if one in left_out]
            notes += change.notes
    elif extraction is not None:
        notes.append("no index here yet: found by title only; run `keyart build`")
    return n_indexed, notes


def _brought_up_to_date_too(
    view: Workspace, movie_ids: Sequence[int], posters: PosterReader, progress: Progress
) -> list[str]:
    """Do the same by another encoder than the default, which may fail; returns what a user should know."""
    name = name_of(view)
    try:
        extraction = open_poster_extraction(view, len(movie_ids))
        _, notes = _brought_up_to_date(view, extraction, movie_ids, posters, progress)
    except KeyartError as error:
        return [f"{name} lacks these films: {error}; then run `keyart extract`, and `keyart build`"]
    return [f"{name}: {note}" for note in notes]


def _write(workspace: Workspace, plan: _Plan) -> None:
    """Write posters, then films: a poster without a film does no harm, and is overwritten by the next one."""
    if plan.posters:
        with PosterStore.open(workspace.posters_dir) as store, store.writer_lock(), store.transaction():
            for movie_id, image in plan.posters:
                store.put(movie_id, _read(image), Origin(Source.IMPORT))
    if plan.new:
        Catalog.add(workspace.catalog_path, plan.new, plan.terms)


def _verified(films: Sequence[NewFilm]) -> list[str]:
    """Decode all posters; returns their hashes."""
    if not films:
        raise ConfigError("expected at least one film, received none")
    if untitled := [film for film in films if not clean(film.title)]:
        raise ConfigError(f"{untitled[0].image} has no title; set it with --title, or in the column title")
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
    """Compare the films with the catalog and with each other, and number the new ones."""
    new: list[Film] = []
    known: list[Film] = []
    new_posters: list[tuple[int, Image]] = []
    terms: list[FilmTerm] = []
    with Catalog.open(workspace.catalog_path) as catalog:
        genres = catalog.genres()
        films = [checked(film, genres) for film in films]
        _refuse_duplicates(films)
        _refuse_taken(films, catalog)
        added = {film.movie_id for film in catalog.added()}
        free = catalog.free_ids({film.movie_id for film in films if film.movie_id})
        same = (catalog.duplicates_of(film.title, film.year, film.tmdb_id, film.imdb_id) for film in films)
        matches = [next(iter(duplicates), None) for duplicates in same]
        posters = posters_of(workspace, [film.movie_id for film in matches if film])
        for film, sha256, existing in zip(films, hashes, matches, strict=True):
            if existing and not (
                existing.movie_id in added
                and film.movie_id in (None, existing.movie_id)
                and (existing.movie_id not in posters or posters[existing.movie_id].sha256 == sha256)
            ):
                raise DataError(_exists_message(film, existing))
            listed = existing or _film(film, film.movie_id or next(free))
            (known if existing else new).append(listed)
            terms += [] if existing else film_terms(film, listed.movie_id)
            if not existing or not _is_stored(posters.get(listed.movie_id)):
                new_posters.append((listed.movie_id, film.image))
    return _Plan(tuple(new), tuple(known), tuple(new_posters), tuple(terms))


def _is_stored(poster: Poster | None) -> bool:
    """Return whether a poster is there, with the content that was stored."""
    try:
        return poster is not None and bool(poster.read())
    except DamageError:
        return False


def _film(film: NewFilm, movie_id: int) -> Film:
    names = tuple(film.genres), tuple(film.alternative_titles)
    return Film(movie_id, film.title, film.year, film.imdb_id, film.tmdb_id, *names)


def _refuse_duplicates(films: Sequence[NewFilm]) -> None:
    """Refuse films that are the same as each other, by title or by an id."""
    seen: dict[tuple[str, object], NewFilm] = {}
    for film in films:
        numbers = (("movie_id", film.movie_id), ("tmdb_id", film.tmdb_id), ("imdb_id", film.imdb_id))
        keys = [("title", (title_key(film.title), film.year)), *(one for one in numbers if one[1])]
        for key in keys:
            if other := seen.get(key):
                raise DataError(
                    f"{film.image} and {other.image} are both of the {key[0]} "
                    f"{film.label if key[0] == 'title' else key[1]!r}; name every film once"
                )
            seen[key] = film


def _refuse_taken(films: Sequence[NewFilm], catalog: Catalog) -> None:
    """Refuse a movie_id that belongs to another film."""
    taken = catalog.films(film.movie_id for film in films if film.movie_id)
    for film in films:
        other = taken.get(film.movie_id or 0)
        if other and (title_key(other.title), other.year) != (title_key(film.title), film.year):
            raise ConfigError(f"the movie_id {film.movie_id} is that of {other.label}; leave it out, or name another")


def _exists_message(film: NewFilm, other: Film) -> str:
    which = film.label
    if film.tmdb_id and film.tmdb_id == other.tmdb_id:
        which = f"the tmdb_id {film.tmdb_id}"
    elif film.imdb_id and film.imdb_id == other.imdb_id:
        which = f"the imdb_id {film.imdb_id}"
    same = "" if which == other.label else f", {other.label}"
    return (
        f"{film.image}: {which} is in the catalog already, as movie_id {other.movie_id}{same}; to give that film this "
        "poster, name both in a CSV file for `keyart import --csv FILE`"
    )
