"""``keyart explain``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

import keyart
from keyart import render
from keyart.cli.commands.similar import title_notes
from keyart.cli.completion import complete_film
from keyart.cli.encoders import encoder_option
from keyart.cli.options import file_option, json_option, workspace_options
from keyart.cli.output import echo, print_json, print_notes, table
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from keyart.results import Explanation

_N_LARGEST = 3


@click.command("explain")
@click.argument("films", nargs=-1, metavar="FILM FILM", shell_complete=complete_film)
@json_option
@file_option("--sheet", "Draw the contributions over both posters (.png, .jpg, .webp, .pdf).")
@encoder_option()
@workspace_options
def command(films: tuple[str, ...], as_json: bool, sheet: Path | None, encoder: str | None, home: Path) -> None:
    """Show where the posters of two films look alike.

    Each FILM is a title in quotes, with or without its year, or a movie_id. The visual similarity is split into the
    contributions of the regions of the posters.
    """
    if len(films) != 2:
        example = '`keyart explain "Heat (1995)" "Ronin (1998)"`'
        raise click.UsageError(f"Expected two films, received {len(films)}; put titles in quotes, as in: {example}.")

    if sheet:
        render.drawing.check_sheet_path(sheet)
    Workspace.open(home)

    engine = keyart.Engine.open(home, encoder)
    explanation = engine.explain(*films)
    notes = (note for film in films for note in title_notes(engine, film))
    explanation = replace(explanation, notes=(*notes, *explanation.notes))
    print_notes(explanation.notes)
    if as_json:
        print_json(explanation.to_dict())
    else:
        _print_explanation(explanation)
    if sheet:
        keyart.write_heat_map(explanation, sheet)
        echo(f"heat map: {sheet}", err=True)


def _print_explanation(explanation: Explanation) -> None:
    for film in explanation.films:
        echo(f"{film.label}  [{film.movie_id}]")
    echo(f"\nsimilarity of looks: {explanation.similarity:.3f}")
    if explanation.second_grid is None:
        echo("\ncontribution of each region of the posters, in thousandths:")
        _print_grid(explanation.grid)
        return
    for film, grid in zip(explanation.films, explanation.grids, strict=True):
        echo(f"\ncontribution of each region of {film.label}, in thousandths:")
        _print_grid(grid)


def _print_grid(grid: npt.NDArray[np.float64]) -> None:
    header = ["", *(str(column + 1) for column in range(grid.shape[1]))]
    # Rounded to whole numbers, so that none is printed as -0.
    cells = [[str(round(1000 * value)) for value in row] for row in grid.tolist()]
    echo(table(header, [[str(row + 1), *texts] for row, texts in enumerate(cells)]))
    largest = _largest(grid)
    if largest:
        echo(f"\nmost: {', '.join(largest)}")


def _largest(grid: npt.NDArray[np.float64]) -> list[str]:
    """Name the regions that contribute most, the largest first."""
    height, width = grid.shape
    regions = [divmod(int(n), width) for n in (-grid).argsort(axis=None, kind="stable")[:_N_LARGEST]]
    return [
        f"{_in_words(row, height, column, width)} (row {row + 1}, column {column + 1})"
        for row, column in regions
        if grid[row, column] > 0
    ]


def _in_words(row: int, height: int, column: int, width: int) -> str:
    # The third of the poster that the middle of the region lies in.
    across = ("left", "center", "right")[3 * (2 * column + 1) // (2 * width)]
    down = ("top", "middle", "bottom")[3 * (2 * row + 1) // (2 * height)]
    return across if (down, across) == ("middle", "center") else f"{down} {across}"
