"""``keyart neighbors``."""

from __future__ import annotations

from pathlib import Path

import click

from catalog.io.progress import bar
from catalog.text import plural
from keyart.cli.encoders import encoder_option
from keyart.cli.groups import renamed
from keyart.cli.interruption import RESUMES, keeps
from keyart.cli.options import file_option, k_option, workspace_options
from keyart.cli.output import echo, print_notes
from keyart.workspace.layout import Workspace
from keyart.workspace.outputs import check_output


@click.command("neighbors", cls=renamed(fold="--merge-duplicates"))
@k_option(50, "Number of neighbors per film.")
@file_option(
    "--out",
    "The file: movie_id, rank, neighbor_id, similarity, and both films' imdb_id and tmdb_id.",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("neighbors.parquet"),
    show_default=True,
)
@click.option("--merge-duplicates", is_flag=True, help="List films with the same artwork once.")
@encoder_option(takes_blends=True)
@workspace_options
def command(k: int, out: Path, merge_duplicates: bool, encoder: str | None, home: Path) -> None:
    """Write the nearest films of every film, by looks alone, into a Parquet file.

    Resumes if interrupted: run the same command again.
    """
    check_output(out, (".parquet",))
    workspace = Workspace.open(home)
    from index.neighbors import has_parts, write_neighbors
    from keyart.workspace.encoders import open_views
    from keyart.workspace.films import list_films, list_posters
    from keyart.workspace.index import notes_on_any_index, open_any_index

    ids = {film.movie_id: (film.imdb_id, film.tmdb_id) for film in list_films(workspace)}
    views = open_views(workspace, encoder)
    posters = {poster.movie_id: poster.sha256 for poster in list_posters(workspace)}
    with (
        keeps(RESUMES, lambda: has_parts(out)),
        open_any_index(views) as index,
        bar("neighbors", len(index), "films") as advance,
    ):
        bound = index.duplicate_similarity if merge_duplicates else None
        gone = sorted(set(index.movie_ids.tolist()) - ids.keys())
        n_pairs = write_neighbors(index, k, out, duplicate_similarity=bound, ids=ids, without=gone, advance=advance)
        n_films, notes = len(index) - len(gone), [*notes_on_any_index(views, index, posters)]
    if gone:
        films = plural(len(gone), "film of the index has", "films of the index have")
        notes.append(f"{films} left the catalog, and are not in the file")
    print_notes(notes)
    echo(f"{plural(n_pairs, 'pair')} of {plural(n_films, 'film')} written to {out}")
