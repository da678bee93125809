"""Load directors, cast and keywords of films into a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from catalog.content_table import read_content
from catalog.errors import DataError
from catalog.film import TERM_KINDS, FilmTerm
from catalog.films import Catalog
from catalog.io.locks import check_free, exclusive
from keyart.workspace.hints import names_workspace
from keyart.workspace.layout import Home, Workspace


@dataclass(frozen=True)
class ContentReport:
    """What `load_content` read.

    Parameters
    ----------
    n_films : int
        Number of films that the file describes.
    n_terms : mapping of str to int
        Number of directors, cast and keywords ("director", "cast", "keyword"), each counted once per film.
    unmatched : tuple of str
        The rows that no film matches: their lines and ids.
    """

    n_films: int
    n_terms: Mapping[str, int]
    unmatched: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Convert to what JSON can hold.

        Returns
        -------
        dict
            The fields by name.
        """
        return {**asdict(self), "unmatched": list(self.unmatched)}


@names_workspace
def load_content(home: Home, path: str | Path) -> ContentReport:
    """Load directors, cast and keywords of films, by which `similar` compares them beside genres, tags and years.

    What was loaded before of the films in the file is replaced; that of others is kept, also when films are loaded
    again. On any error, the workspace is left unchanged.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace, with films.
    path : str or Path
        A CSV file with a column movie_id, imdb_id or tmdb_id, and any of director, cast and keywords, each with names
        or words separated by ``|``.

    Returns
    -------
    ContentReport
        What was read, and which rows no film matches.

    Raises
    ------
    NotBuiltError
        The workspace does not exist, or no films have been loaded.
    DataError
        The file is malformed, which the message names the line of, or no film of the workspace is in it.
    StoreError
        The workspace cannot be written.
    """
    workspace, path = Workspace.open(home), Path(path)
    check_free(workspace.home)
    rows = read_content(path)
    with exclusive(workspace.home):
        with Catalog.open(workspace.catalog_path) as catalog:
            matches = {row.film_id: catalog.with_ids([row.film_id])[0] for row in rows}
        # Spellings that differ by case alone are one term.
        terms = {
            (movie_id, kind, term.casefold()): FilmTerm(movie_id, kind, term)
            for row in rows
            for movie_id in matches[row.film_id]
            for kind, texts in row.terms.items()
            for term in texts
        }
        movie_ids = frozenset().union(*matches.values())
        if not movie_ids:
            raise DataError(f"{path} names no film of this workspace; its first row is of {rows[0].film_id}")
        Catalog.set_terms(workspace.catalog_path, movie_ids, terms.values())
    unmatched = tuple(f"line {row.line}: {row.film_id}" for row in rows if not matches[row.film_id])
    kinds = [kind for _, kind, _ in terms]
    return ContentReport(len(movie_ids), {kind: kinds.count(kind) for kind in TERM_KINDS}, unmatched)
