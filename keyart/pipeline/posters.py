"""Import poster files that a user already has."""

from __future__ import annotations

from pathlib import Path

from catalog.io.progress import Progress, shown, silent
from keyart.workspace.films import list_films
from keyart.workspace.hints import names_workspace
from keyart.workspace.layout import Home, Workspace
from posters.importing import By, ImportReport, import_csv, import_folder
from posters.store import PosterStore, check_registered


@names_workspace
def import_posters(
    home: Home, source: str | Path, by: By | None = None, *, progress: Progress = silent
) -> ImportReport:
    """Copy poster files that you already have into the workspace.

    Every file is verified and matched to its film. Files that match no film, or are no image, are reported and skipped.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace, with films.
    source : str or Path
        A folder of image files named by id, such as ``0113277.jpg``, ``tt0113277.png`` or ``6.webp``; or a CSV file
        with the column ``path`` and ``movie_id``, ``imdb_id`` or ``tmdb_id``.
    by : "movie", "imdb", "tmdb" or "name", optional
        Whose ids name the files of a folder: MovieLens', IMDb's or TMDB's; or "name" for titles and years, and for the
        folders of Kodi, Jellyfin, Emby and Plex. Leave it out for a CSV file.
    progress : callable, optional
        Opens a progress display, given a description, the total and the unit; shows nothing by default.

    Returns
    -------
    ImportReport
        What was copied, and what was skipped for which reason.

    Raises
    ------
    NotBuiltError
        The workspace does not exist, or no films have been loaded.
    DataError
        The folder or file is missing, empty or malformed.
    StoreError
        The disk is full; what was copied is kept.
    """
    workspace, source = Workspace.open(home), Path(source)
    films = list_films(workspace)
    if source.resolve() != workspace.posters_dir.resolve():
        check_registered(workspace.posters_dir)
    with PosterStore.open(workspace.posters_dir, anew=True) as store, shown(progress, "import", "posters") as show:
        if by is None:
            return import_csv(source, films, store, on_progress=show)
        return import_folder(source, films, store, by, on_progress=show)
