"""Import posters that a user already has."""

from __future__ import annotations

from pathlib import Path

from catalog.io.progress import Progress, shown, silent
from keyart.workspace.contents import list_films
from keyart.workspace.layout import Home, Workspace
from posters.importing import By, ImportReport, import_csv, import_folder
from posters.store import PosterStore


def import_posters(
    home: Home, source: str | Path, by: By | None = None, *, progress: Progress = silent
) -> ImportReport:
    """Copy posters that a user already has into the workspace.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace, with films.
    source : str or Path
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
    workspace, source = Workspace.open(home), Path(source)
    films = list_films(workspace)
    with PosterStore.open(workspace.posters_dir) as store, shown(progress, "import", "posters") as show:
        if by is None:
            return import_csv(source, films, store, on_progress=show)
        return import_folder(source, films, store, by, on_progress=show)
