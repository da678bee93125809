"""``keyart duplicates``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalog.io.progress import bar
from catalog.text import plural
from keyart import pipeline, render
from keyart.cli.encoders import encoder_option
from keyart.cli.options import Share, check_one_format, csv_option, file_option, json_option, workspace_options
from keyart.cli.output import echo, print_csv, print_json, print_notes, table
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from keyart.pipeline import DuplicateFilm, Duplicates


@click.command("duplicates")
@click.option(
    "--min-similarity",
    type=Share(),
    help="From this similarity on, posters count as the same artwork.  [default: as calibrated for the index]",
)
@click.option("--keep-best", is_flag=True, help="Print only the largest picture of each group. Nothing is deleted.")
@json_option
@csv_option
@file_option("--sheet", "Draw the groups, the poster to keep framed (.png, .jpg, .webp, .pdf).")
@encoder_option()
@workspace_options
def command(
    min_similarity: float | None,
    keep_best: bool,
    as_json: bool,
    as_csv: bool,
    sheet: Path | None,
    encoder: str | None,
    home: Path,
) -> None:
    """Find films whose posters show the same artwork: recompressed, cropped, recolored or in another language.

    Nothing is changed or deleted.
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    if sheet:
        render.drawing.check_sheet_path(sheet)
    # Before the module that imports FAISS.
    workspace = Workspace.open(home)
    result = pipeline.find_duplicates(workspace, min_similarity, encoder=encoder, progress=bar)
    groups = [[film for film in group if film.keep or not keep_best] for group in result]
    print_notes(result.notes)
    if as_json:
        print_json(result.to_dict() | {"groups": [[film.to_dict() for film in group] for group in groups]})
    elif as_csv:
        films = [film.to_dict() for group in groups for film in group]
        print_csv(pipeline.duplicates.COLUMNS, films)
    else:
        _print_table(result, groups)
    if sheet:
        result.write_sheet(sheet)
        print_notes(_notes_on_sheet(result))
        echo(f"sheet: {sheet}", err=True)


def _print_table(found: Duplicates, groups: list[list[DuplicateFilm]]) -> None:
    header = ("group", "film", "movie_id", "similarity", "pixels", "bytes", "keep", "poster")
    rows = [_row(film) for group in groups for film in group]
    if rows:
        echo(table(header, rows, left=(1, 6, 7)))
    n_films = plural(sum(map(len, found)), "film")
    echo(
        f"{n_films} in {plural(len(found), 'group')} with the same artwork, of {plural(found.n_films, 'film')}; "
        f"similarity {found.min_similarity:g} or more"
    )


def _row(film: DuplicateFilm) -> tuple[str, ...]:
    has_poster = film.poster_path is not None
    return (
        str(film.group),
        film.label,
        str(film.movie_id),
        f"{film.similarity:.3f}",
        f"{film.width} × {film.height}" if has_poster else "–",
        f"{film.n_bytes:,}" if has_poster else "–",
        "keep" if film.keep else "",
        film.poster_path.name if film.poster_path else "–",
    )


def _notes_on_sheet(found: Duplicates) -> list[str]:
    n_drawn = render.group_sheet.MAX_GROUPS
    return [f"the sheet shows the first {n_drawn} of {len(found)} groups"] if len(found) > n_drawn else []
