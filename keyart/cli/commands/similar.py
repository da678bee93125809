"""``keyart similar``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import keyart
from catalog.errors import ConfigError
from catalog.films import Catalog
from catalog.filters import Filter, read_movie_ids
from catalog.genres import match_genres
from keyart import render, similarity
from keyart.cli.completion import complete_film
from keyart.cli.groups import renamed
from keyart.cli.options import (
    Share,
    check_one_format,
    csv_option,
    file_option,
    json_option,
    k_option,
    notes_on_fewer,
    workspace_options,
)
from keyart.cli.output import print_csv, print_json, print_notes, table
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from keyart.engine import Engine
    from keyart.results import Alpha, SimilarFilms
    from keyart.similarity.query import Image


class _AlphaType(Share):
    name = "auto|0..1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == "auto" else super().convert(value, param, ctx)


def _years(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int | None, int | None]:
    if value is None:
        return None, None
    match = re.fullmatch(r"(\d{4})|(\d{4})?\s*[-–]\s*(\d{4})?", value.strip())
    if not match or not any(match.groups()):
        raise click.BadParameter(f"expected years as in 1995, 1990-1999, 1990- or -1960; received {value!r}")
    only, first, last = (int(year) if year else None for year in match.groups())
    if first and last and first > last:
        raise click.BadParameter(f"{first} is later than {last}")
    return only or first, only or last


def _filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose films; the command receives one Filter, `wanted`."""

    @click.option(
        "--years",
        callback=_years,
        metavar="YEAR[-YEAR]",
        help="Only films of these years: 1995, 1990-1999, 1990-, -1960.",
    )
    @click.option(
        "--genre", "genres", multiple=True, metavar="GENRE", help="Only films of this genre; may be repeated."
    )
    @click.option(
        "--min-ratings",
        default=0,
        type=click.IntRange(min=0),
        metavar="N",
        help="Only films with at least N ratings.",
    )
    @file_option("--movie-ids", "Only films of this list, one movie_id a line.")
    @wraps(command)
    def with_filter(
        years: tuple[int | None, int | None],
        genres: tuple[str, ...],
        min_ratings: int,
        movie_ids: Path | None,
        **others: Any,
    ) -> None:
        listed = read_movie_ids(movie_ids) if movie_ids else None
        command(wanted=Filter(years, genres, min_ratings, listed), **others)

    return with_filter


@click.command("similar", cls=renamed(fold="--merge-duplicates"))
@click.argument("words", nargs=-1, metavar="[FILM]", shell_complete=complete_film)
@file_option("--image", "An image, in place of FILM.")
@k_option(10)
@click.option(
    "--alpha",
    type=_AlphaType(),
    default="auto",
    show_default=True,
    help="The visual share: 1 is looks alone, 0 ratings alone.",
)
@_filter_options
@click.option("--merge-duplicates", is_flag=True, help="Show films with the same artwork once.")
@click.option("--explain", is_flag=True, help="Explain in words why each film was found.")
@json_option
@csv_option
@file_option("--sheet", "Write a contact sheet (.png, .jpg, .webp, .pdf).")
@workspace_options
def command(
    words: tuple[str, ...],
    image: Path | None,
    k: int,
    alpha: Alpha,
    wanted: Filter,
    merge_duplicates: bool,
    explain: bool,
    as_json: bool,
    as_csv: bool,
    sheet: Path | None,
    home: Path,
) -> None:
    """Find films that look like FILM and are liked like it.

    FILM is a title, with or without its year, or a movie_id: "Heat (1995)", matrix, 6.
    """
    # A title of several words may be typed without quotes.
    film = " ".join(words)
    _check_options(film, image, alpha, as_json=as_json, as_csv=as_csv, explain=explain)

    if sheet:
        render.drawing.check_sheet_path(sheet, [image])
    query = keyart.Image(image) if image else film
    _check_workspace(home, query, wanted)

    engine = keyart.Engine.open(home)
    found = engine.similar(query, options=keyart.SimilarOptions(k, alpha, wanted, merge_duplicates))
    notes = (*title_notes(engine, film), *found.notes, *notes_on_fewer(len(found)), *_notes_on_sheet(found, sheet))
    result = replace(found, notes=notes)
    print_notes(result.notes)
    if as_json:
        print_json(_with_reasons(result) if explain else result.to_dict())
    elif as_csv:
        _print_csv(result)
    else:
        print_table(result)
        if explain:
            _print_reasons(result)
    if sheet:
        # It says itself how many films it shows.
        keyart.write_contact_sheet(found, sheet)
        click.echo(f"contact sheet: {sheet}", err=True)


def _notes_on_sheet(result: SimilarFilms, sheet: Path | None) -> list[str]:
    n_drawn = render.contact_sheet.MAX_HITS
    cut = sheet is not None and len(result) > n_drawn
    return [f"the contact sheet shows the first {n_drawn} of {len(result)} films"] if cut else []


def _check_options(film: str, image: Path | None, alpha: Alpha, *, as_json: bool, as_csv: bool, explain: bool) -> None:
    if bool(film) == (image is not None):
        raise ConfigError('name either a film, as in `keyart similar "Heat (1995)"`, or --image FILE')
    if image and alpha not in ("auto", 1.0):
        raise ConfigError("an image has no ratings, so --alpha does not go with --image")
    check_one_format(as_json=as_json, as_csv=as_csv)
    if explain and as_csv:
        raise ConfigError("--explain prints sentences, which CSV has no column for; use --json")


def _check_workspace(home: Path, query: Image | str, wanted: Filter) -> None:
    """Check what can be known before the engine, and TensorFlow for an image, are imported."""
    with Catalog.open(Workspace.open(home).catalog_path) as catalog:
        match_genres(wanted.genres, catalog.genres())
        if isinstance(query, str):
            catalog.find(query)
        else:
            query.pixels()


def title_notes(engine: Engine, film: str) -> list[str]:
    """Return notes on other films that a text may mean: one titled by a number, "300", or one of the same title."""
    if not film:
        return []
    catalog = engine.catalog
    notes = [
        f"{film} was read as a movie_id; for the film of that title, type {one.label!r}"
        for one in catalog.titled_by_number(film)
    ]
    if others := catalog.others_meant(film):
        labels = " or ".join(repr(one.label) for one in others)
        notes.append(f"{film!r} was read as {catalog.find(film).label}; for another film of that title, type {labels}")
    return notes


def print_table(result: SimilarFilms) -> None:
    """Print the query and a table of its hits."""
    click.echo(f"{result.query.label}" + (f"  [{result.query.movie_id}]" if result.query.movie_id else ""))
    rows = [
        (
            str(hit.rank),
            hit.label + (f" (+{len(hit.same_artwork)} with this artwork)" if hit.same_artwork else ""),
            str(hit.movie_id),
            f"{hit.score:.3f}",
            _number(hit.visual),
            _number(hit.cf),
            str(hit.n_ratings),
        )
        for hit in result
    ]
    click.echo(table(("", "film", "movie_id", "score", "visual", "cf", "ratings"), rows, left=(1,)))


def _print_reasons(result: SimilarFilms) -> None:

    for hit in result:
        click.echo(f"\n{hit.rank}  {hit.label}")
        for reason in similarity.reasons.reasons(result, hit):
            click.echo(f"   {reason}")


def _with_reasons(result: SimilarFilms) -> dict[str, Any]:

    record = result.to_dict()
    pairs = zip(record["results"], result, strict=True)
    return {**record, "results": [{**fields, "why": similarity.reasons.reasons(result, hit)} for fields, hit in pairs]}


def _print_csv(result: SimilarFilms) -> None:
    from keyart.results import HIT_COLUMNS

    hits = result.to_dict()["results"]
    print_csv(HIT_COLUMNS, [{**hit, "same_artwork": " ".join(map(str, hit["same_artwork"]))} for hit in hits])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
