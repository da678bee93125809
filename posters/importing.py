"""Import existing posters: a folder of files named by an id, or a CSV with file and film.

File names and the CSV are checked before the first poster is copied. The posters themselves are checked one by one; an
invalid one is reported and skipped. Files are copied, never moved or changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from catalog.errors import DataError, StoreError
from catalog.film import Film
from catalog.film_ids import ID_COLUMNS, FilmId, Imdb, Movie, Tmdb, id_in, parse_film_id
from catalog.image_formats import SUFFIXES, count_endings, listed_endings
from catalog.io.files import read_bytes, sha256_file
from catalog.io.tables import read_rows
from catalog.matching import FilmMatcher, group_by_id
from posters.database import Origin, Source
from posters.media_names import films_of, inspect_folder, is_other_art, poster_rank
from posters.store import PosterStore
from posters.validation import MAX_POSTER_BYTES, too_many_bytes

By = Literal["imdb", "movie", "tmdb", "name"]
"""Which of a film's ids the files are named by; or they are named as media servers name them."""

OnProgress = Callable[[int, int], None]

# A file, and the films that it is a poster of.
_Claim = tuple[Path, tuple[int, ...]]

_KINDS: Mapping[By, type[FilmId]] = {"imdb": Imdb, "movie": Movie, "tmdb": Tmdb}


@dataclass(frozen=True)
class ImportReport:
    """The result of importing posters.

    Parameters
    ----------
    n_imported : int
        Number of films that received a poster, or another one than before.
    n_unchanged : int
        Number of films that had this very poster already.
    unmatched : tuple of Path
        Files that belong to no film of the catalog.
    rejected : tuple of (Path, str)
        Files that are no poster, each with the reason.
    duplicates : tuple of Path
        Files whose film received its poster from an earlier file of the same import.
    ambiguous : tuple of (Path, str), default ()
        Files that may be posters of several films, each with these.
    others : tuple of Path, default ()
        Pictures that are no posters by their names, such as fanart, or of series.
    passed_over : mapping of str to int, default {}
        Of a folder: the number of files that are no images by their names, by ending.
    """

    n_imported: int
    n_unchanged: int
    unmatched: tuple[Path, ...]
    rejected: tuple[tuple[Path, str], ...]
    duplicates: tuple[Path, ...]
    ambiguous: tuple[tuple[Path, str], ...] = ()
    others: tuple[Path, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Convert to what JSON can hold.

        Returns
        -------
        dict
            The fields by name; paths as text, a rejected file as ``{"path": …, "reason": …}``.
        """
        return {
            "n_imported": self.n_imported,
            "n_unchanged": self.n_unchanged,
            "unmatched": [str(path) for path in self.unmatched],
            "rejected": [{"path": str(path), "reason": reason} for path, reason in self.rejected],
            "duplicates": [str(path) for path in self.duplicates],
            "ambiguous": [{"path": str(path), "films": films} for path, films in self.ambiguous],
            "others": [str(path) for path in self.others],
            "passed_over": dict(self.passed_over),
        }


def import_folder(
    folder: Path,
    films: Iterable[Film],
    store: PosterStore,
    by: By = "imdb",
    *,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """Import posters from a folder and all below it, matched to films by the names of the files.

    Files are named as in ``0113277.jpg``, ``tt0113277.PNG`` or ``6.webp``; by "name", see `posters.media_names`.
    Films that share an id share the poster.
    """
    if by not in get_args(By):
        raise ValueError(f"expected by to be one of {', '.join(get_args(By))}; received {by!r}")
    paths, passed_over = _image_paths(folder)
    if by == "name":
        report = _import_named(paths, FilmMatcher(films), store, on_progress)
        return replace(report, passed_over=passed_over)
    by_id = group_by_id(films)
    claims: list[_Claim] = []
    for path in paths:
        film_id = _film_id(path.stem, by)
        claims.append((path, tuple(film.movie_id for film in by_id.get(film_id, ())) if film_id else ()))
    return replace(_import(claims, store, on_progress), passed_over=passed_over)


def _import_named(
    paths: list[Path], matcher: FilmMatcher, store: PosterStore, on_progress: OnProgress | None
) -> ImportReport:
    claims: list[_Claim] = []
    ambiguous: list[tuple[Path, str]] = []
    folders = {folder: inspect_folder(folder) for folder in {path.parent for path in paths}}
    others = tuple(path for path in paths if is_other_art(path) or folders[path.parent].is_of_series)
    for path in sorted(set(paths).difference(others), key=lambda path: (path.parent, poster_rank(path))):
        films, has_id = films_of(path, matcher, folders[path.parent].nfo)
        if len(films) > 1 and not has_id:
            ambiguous.append((path, ", ".join(f"{film.label} [{film.movie_id}]" for film in films)))
        else:
            claims.append((path, tuple(film.movie_id for film in films)))
    return replace(_import(claims, store, on_progress), ambiguous=tuple(ambiguous), others=others)


def import_csv(
    csv_path: Path, films: Iterable[Film], store: PosterStore, *, on_progress: OnProgress | None = None
) -> ImportReport:
    """Import posters named by a CSV with an id of the film and ``path``, relative to the CSV's folder.

    The id is in the column ``movie_id``, where it may be any (``tt0113277``), ``imdb_id`` or ``tmdb_id``.
    """
    matcher = FilmMatcher(films)
    claims: list[_Claim] = []
    for row in read_rows(csv_path, ("path",), tuple(ID_COLUMNS)):
        film_id = id_in(row)
        if not row["path"]:
            raise row.error("path", "the path of a poster")
        claims.append((csv_path.parent / row["path"], tuple(film.movie_id for film in matcher.by_id(film_id))))
    if not claims:
        raise DataError(f"{csv_path} holds no line below its header; expected one for every poster")
    return _import(claims, store, on_progress)


def _image_paths(folder: Path) -> tuple[list[Path], dict[str, int]]:
    """List the images of a folder, and count its other files by ending."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"expected a folder of posters; {folder} {what}")
    files = list(_visible_files(folder))
    paths = sorted(path for path in files if path.suffix.lower() in SUFFIXES)
    others = count_endings(path for path in files if path.suffix.lower() not in SUFFIXES)
    if not paths:
        raise DataError(
            f"{folder} holds no images; expected files such as 0113277.jpg, also .png, .webp, .avif and others; "
            f"found {listed_endings(others) or 'none'}"
        )
    return paths, others


def _visible_files(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder except hidden ones; links are followed, and no folder is visited twice."""
    visited: set[str] = set()
    for parent, folder_names, file_names in os.walk(folder, onerror=_raise, followlinks=True):
        if (real_parent := os.path.realpath(parent)) in visited:
            folder_names.clear()
            continue
        visited.add(real_parent)
        folder_names[:] = sorted(name for name in folder_names if not name.startswith("."))
        yield from (Path(parent, name) for name in file_names if not name.startswith("."))


def _raise(error: OSError) -> None:
    raise DataError(f"cannot read {error.filename}: {error.strerror}") from error


def _film_id(stem: str, by: By) -> FilmId | None:
    film_id = parse_film_id(stem)
    # Bare digits are of the kind that the files are named by, except for IMDb's: read as another id, they would give a
    # poster to the wrong film.
    if isinstance(film_id, Movie) and stem.isdigit():
        film_id = parse_film_id(f"{by}:{stem}")
    return film_id if isinstance(film_id, _KINDS[by]) else None


@dataclass
class _Tally:
    """Counts an import in progress."""

    imported: set[int] = field(default_factory=set)
    unchanged: set[int] = field(default_factory=set)
    unmatched: list[Path] = field(default_factory=list)
    rejected: list[tuple[Path, str]] = field(default_factory=list)
    duplicates: list[Path] = field(default_factory=list)

    def has(self, movie_id: int) -> bool:
        """Return whether this import has given the film a poster."""
        return movie_id in self.imported or movie_id in self.unchanged

    def report(self) -> ImportReport:
        return ImportReport(
            len(self.imported),
            len(self.unchanged),
            tuple(self.unmatched),
            tuple(self.rejected),
            tuple(self.duplicates),
        )


def _import(claims: list[_Claim], store: PosterStore, on_progress: OnProgress | None) -> ImportReport:
    """Import files; the first valid file of a film wins."""
    tally = _Tally()
    with store.writer_lock():
        for n_done, (path, movie_ids) in enumerate(claims, start=1):
            _import_file(path, movie_ids, store, tally)
            if on_progress:
                on_progress(n_done, len(claims))
    return tally.report()


def _import_file(path: Path, movie_ids: tuple[int, ...], store: PosterStore, tally: _Tally) -> None:
    waiting = [movie_id for movie_id in movie_ids if not tally.has(movie_id)]
    if not movie_ids:
        tally.unmatched.append(path)
    elif not waiting:
        tally.duplicates.append(path)
    else:
        try:
            _keep(_read(path), waiting, store, tally)
        except DataError as error:
            tally.rejected.append((path, str(error)))


def _read(path: Path) -> bytes:
    try:
        n_bytes = path.stat().st_size
        if n_bytes > MAX_POSTER_BYTES:
            raise DataError(too_many_bytes(n_bytes))
        return read_bytes(path, MAX_POSTER_BYTES)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from error


def _keep(content: bytes, movie_ids: list[int], store: PosterStore, tally: _Tally) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    for movie_id in movie_ids:
        poster = store.poster(movie_id)
        if poster and poster.sha256 == sha256 == _sha256_of(poster.path):
            tally.unchanged.add(movie_id)
        else:
            store.put(movie_id, content, Origin(Source.IMPORT))
            tally.imported.add(movie_id)


def _sha256_of(path: Path) -> str | None:
    """Hash a stored poster by its file, as an import is the way to repair one; None where it cannot be read."""
    try:
        return sha256_file(path)
    except (OSError, DataError, StoreError):
        return None
