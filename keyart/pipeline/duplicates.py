"""Films with the same artwork, and the best picture of each group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.film import Film, Titled
from catalog.io.progress import Progress, silent
from catalog.scored_ids import ScoredIds
from index.embedding import FEWEST_FILMS
from keyart.render.group_sheet import Shown, write_group_sheet
from keyart.workspace.encoders import open_view
from keyart.workspace.films import list_films, list_posters
from keyart.workspace.hints import names_workspace
from keyart.workspace.index import notes_on_index, open_built_index
from keyart.workspace.layout import Home
from posters.store import Poster

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DuplicateFilm(Titled):
    """One film of a group with the same artwork.

    Parameters
    ----------
    group : int
        The number of its group, from 1.
    movie_id : int
        The film.
    title : str
        Its title.
    year : int or None
        Its year of release, where known.
    imdb_id : str or None
        IMDb's number, zero-padded, without ``tt``.
    tmdb_id : int or None
        TMDB's number.
    similarity : float
        The similarity of its poster with that of the first film of the group, in [-1, 1].
    keep : bool
        Whether its poster is the best of the group: that of the most pixels, then of the most bytes, then of the lowest
        movie_id.
    width, height : int or None
        The size of its poster in pixels, where the file is there.
    n_bytes : int or None
        The size of the file.
    poster_path : Path or None
        The file.
    """

    group: int
    movie_id: int
    title: str
    year: int | None
    imdb_id: str | None
    tmdb_id: int | None
    similarity: float
    keep: bool
    width: int | None = None
    height: int | None = None
    n_bytes: int | None = None
    poster_path: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, ready for JSON.

        Returns
        -------
        dict
            The fields by name; the path as text.
        """
        return vars(self) | {"poster_path": str(self.poster_path) if self.poster_path else None}


_NOTE = "this index finds little more than the same picture again; for copies, run `keyart build --similarity whitened`"
COLUMNS = tuple(field.name for field in fields(DuplicateFilm))
"""What JSON, CSV and data frames show of a film, in this order."""


@dataclass(frozen=True)
class Duplicates:
    """All groups of films with the same artwork.

    Parameters
    ----------
    groups : tuple of tuple of DuplicateFilm
        The largest first. The first film of a group is the one that the others are compared with.
    min_similarity : float
        From this similarity on, two posters count as the same artwork.
    n_films : int
        How many films were compared.
    notes : tuple of str
        What the user should know, such as that the index is out of date.
    """

    groups: tuple[tuple[DuplicateFilm, ...], ...]
    min_similarity: float
    n_films: int
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[tuple[DuplicateFilm, ...]]:
        return iter(self.groups)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, ready for JSON.

        Returns
        -------
        dict
            The fields by name; `groups` as lists of films.
        """
        groups = [[film.to_dict() for film in group] for group in self.groups]
        return vars(self) | {"groups": groups, "notes": list(self.notes)}

    def to_frame(self) -> pd.DataFrame:
        """Convert to a table, a row for each film.

        Returns
        -------
        DataFrame
            The fields of `DuplicateFilm`.
        """
        import pandas as pd

        return pd.DataFrame([film.to_dict() for group in self.groups for film in group], columns=list(COLUMNS))

    def write_sheet(self, path: str | Path) -> None:
        """Draw the first 50 groups, a row each, the posters to keep framed.

        Parameters
        ----------
        path : str or Path
            The file to write: .png, .jpg, .webp or .pdf.

        Raises
        ------
        ConfigError
            The file name has another ending, or is that of one of the posters.
        StoreError
            The file cannot be written.
        """
        groups = [[Shown(film.label, film.poster_path, film.keep) for film in group] for group in self.groups]
        write_group_sheet(groups, Path(path))


@names_workspace
def find_duplicates(
    home: Home, min_similarity: float | None = None, *, encoder: str | None = None, progress: Progress = silent
) -> Duplicates:
    """Find the films whose posters show the same artwork: recompressed, cropped, recolored or in another language.

    Nothing is changed or deleted.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace, with an index.
    min_similarity : float, optional
        From which similarity on two posters count as the same artwork. By default, the one that was calibrated for what
        the index compares.
    encoder : str, optional
        Which of the workspace's encoders compares posters; by default its default.
    progress : callable, optional
        Opens a progress display, given a description, the total and the unit; shows nothing by default.

    Returns
    -------
    Duplicates
        The groups, with the best picture of each.

    Raises
    ------
    NotBuiltError
        There is no workspace, or it has no index.
    ConfigError
        The workspace has no such encoder.
    DataError
        The index is damaged, or of another encoder than the features.
    ValueError
        `min_similarity` is not in [-1, 1].
    """
    if min_similarity is not None and not -1 <= min_similarity <= 1:
        raise ValueError(f"min_similarity: expected a number from -1 to 1, received {min_similarity}")
    workspace = open_view(home, encoder)
    films = {film.movie_id: film for film in list_films(workspace)}
    posters = {poster.movie_id: poster for poster in list_posters(workspace)}
    with open_built_index(workspace) as index:
        bound = index.duplicate_similarity if min_similarity is None else min_similarity
        with progress("duplicates", len(index), "films") as advance:
            result = index.duplicates(bound, advance)
        hashes = {movie_id: poster.sha256 for movie_id, poster in posters.items()}
        n_films, notes = len(index), notes_on_index(workspace, index, hashes)
        if index.similarity == "cosine" and len(index) >= FEWEST_FILMS:
            notes = (*notes, _NOTE)
    return Duplicates(_groups(result, films, posters), bound, n_films, notes)


def _groups(
    found: Sequence[ScoredIds], films: Mapping[int, Film], posters: Mapping[int, Poster]
) -> tuple[tuple[DuplicateFilm, ...], ...]:
    """Describe groups, the largest first, of films that the catalog still has."""
    scored = [list(zip(group.ids.tolist(), group.scores.tolist(), strict=True)) for group in found]
    known = [[(movie_id, score) for movie_id, score in group if movie_id in films] for group in scored]
    ordered = sorted((group for group in known if len(group) > 1), key=lambda group: (-len(group), min(group)))
    return tuple(_group(number, group, films, posters) for number, group in enumerate(ordered, start=1))


def _group(
    number: int, scored: Sequence[tuple[int, float]], films: Mapping[int, Film], posters: Mapping[int, Poster]
) -> tuple[DuplicateFilm, ...]:
    best = max(sorted(movie_id for movie_id, _ in scored), key=lambda movie_id: _quality(posters.get(movie_id)))
    described = []
    for movie_id, score in scored:
        film, poster = films[movie_id], posters.get(movie_id)
        sizes = (poster.width, poster.height, poster.n_bytes, poster.path) if poster else ()
        ids = (film.title, film.year, film.imdb_id, film.tmdb_id)
        described.append(DuplicateFilm(number, movie_id, *ids, round(score, 6), movie_id == best, *sizes))
    return tuple(described)


def _quality(poster: Poster | None) -> tuple[int, int]:
    return (poster.width * poster.height, poster.n_bytes) if poster else (0, 0)
