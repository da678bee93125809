"""``keyart import``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalog.errors import ConfigError, DataError, KeyartError
from catalog.image_formats import listed_endings
from catalog.io.progress import bar
from catalog.text import plural
from keyart import pipeline
from keyart.cli.interruption import RESUMES, keeps
from keyart.cli.options import workspace_options
from keyart.cli.output import echo, print_listed, print_notes
from keyart.workspace.films import list_posters
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from posters.importing import By


@click.command("import")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option(
    "--by",
    type=click.Choice(["imdb", "movie", "tmdb", "name"]),
    help="What the files in FOLDER are named by: an id; or name, for titles and the folders of media servers.",
)
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A CSV file with the column path, and movie_id, imdb_id or tmdb_id, in place of FOLDER.",
)
@workspace_options
def command(folder: Path | None, by: By | None, csv_path: Path | None, home: Path) -> None:
    """Copy posters that you already have into the workspace.

    Every file is verified and matched to its film by its name, such as 0113277.jpg, tt0113277.png or 6.webp; with
    --by name "Heat (1995).jpg" or "Heat (1995) {imdb-tt0113277}/poster.jpg". Files without a film are listed.
    """
    if (folder is None) == (csv_path is None):
        raise ConfigError("name either a folder of posters (with --by imdb, movie, tmdb or name) or --csv FILE")
    if csv_path is not None and by is not None:
        raise ConfigError("--by is for a folder; a CSV file names each poster's film by an id")
    if folder is not None and by is None:
        raise ConfigError(
            f"say what the files in {folder} are named by: --by imdb, movie or tmdb, or --by name for titles"
        )
    with keeps(RESUMES, lambda: _has_posters(home)):
        report = pipeline.import_posters(home, folder or csv_path or Path(), by if folder else None, progress=bar)
    echo(f"{plural(report.n_imported, 'poster')} imported, {report.n_unchanged:,} already here")
    print_listed("file matches no film", "files match no film", [str(path) for path in report.unmatched])
    print_listed("file is no poster", "files are no posters", [f"{path}: {reason}" for path, reason in report.rejected])
    second = "a second poster of a film, not used"
    print_listed(f"file is {second}", f"files are {second}", [str(path) for path in report.duplicates])
    several = "may be of several films"
    print_listed(f"file {several}", f"files {several}", [f"{path}: {films}" for path, films in report.ambiguous])
    if report.others:
        echo(f"{plural(len(report.others), 'picture')} of other kinds, such as fanart, passed over", err=True)
    if report.passed_over:
        n_others = plural(sum(report.passed_over.values()), "file")
        print_notes([f"{n_others} passed over, no images by their names: {listed_endings(report.passed_over)}"])
    if not report.n_imported + report.n_unchanged:
        reason = "no file matches a film; try another --by" if report.unmatched else "no file is a poster"
        raise DataError(f"nothing imported from {folder or csv_path}: {reason}")


def _has_posters(home: Path) -> bool:
    with suppress(KeyartError):
        return bool(list_posters(Workspace.open(home)))
    return False
