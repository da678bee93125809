"""``keyart similar``."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalog.errors import ConfigError
from keyart.cli.options import workspace_options
from keyart.cli.output import print_notes

if TYPE_CHECKING:
    from keyart.engine import Engine
    from keyart.results import Alpha, SimilarFilms


class _AlphaType(click.FloatRange):
    name = "auto|0..1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "auto":
            return value
        number = super().convert(value, param, ctx)
        # Not a number passes every comparison.
        return number if number == number else self.fail("expected auto or a number from 0 to 1", param, ctx)


def _years(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int | None, int | None]:
    if value is None:
        return None, None
    found = re.fullmatch(r"(\d{4})|(\d{4})?\s*[-–]\s*(\d{4})?", value.strip())
    if not found or not any(found.groups()):
        raise click.BadParameter(f"expected years as in 1995, 1990-1999, 1990- or -1960; received {value!r}")
    only, first, last = (int(year) if year else None for year in found.groups())
    if first and last and first > last:
        raise click.BadParameter(f"{first} is later than {last}")
    return only or first, only or last


@click.command("similar")
@click.argument("words", nargs=-1, metavar="[FILM]")
@click.option("--image", type=click.Path(path_type=Path), metavar="FILE", help="A picture, in place of FILM.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="How many films.")
@click.option(
    "--alpha",
    type=_AlphaType(0, 1),
    default="auto",
    show_default=True,
    help="The visual share: 1 is looks alone, 0 ratings alone.",
)
@click.option(
    "--years", callback=_years, metavar="YEAR[-YEAR]", help="Only films of these years: 1995, 1990-1999, 1990-, -1960."
)
@click.option("--genre", "genres", multiple=True, metavar="GENRE", help="Only films of this genre; may be repeated.")
@click.option(
    "--min-ratings", default=0, type=click.IntRange(min=0), metavar="N", help="Only films that so many users rated."
)
@click.option(
    "--movie-ids",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Only films of this list, one movie_id a line.",
)
@click.option("--fold", is_flag=True, help="Show films with the same artwork once.")
@click.option("--explain", is_flag=True, help="Say in words why each film was found.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option(
    "--sheet", type=click.Path(path_type=Path), metavar="FILE", help="Write a contact sheet (.png, .jpg, .webp, .pdf)."
)
@workspace_options
def command(
    words: tuple[str, ...],
    image: Path | None,
    k: int,
    alpha: Alpha,
    years: tuple[int | None, int | None],
    genres: tuple[str, ...],
    min_ratings: int,
    movie_ids: Path | None,
    fold: bool,
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
    if bool(words) == (image is not None):
        raise ConfigError('name either a film, as in `keyart similar "Heat (1995)"`, or --image FILE')
    if image and alpha not in ("auto", 1.0):
        raise ConfigError("a picture has no ratings, so --alpha does not go with --image")
    if as_json and as_csv:
        raise ConfigError("--json and --csv both want standard output; name one")
    if explain and as_csv:
        raise ConfigError("--explain speaks in sentences, which do not go into CSV; take --json")
    from catalog.filters import Filter, read_movie_ids
    from keyart.cli.quiet import import_tensorflow_quietly
    from keyart.engine import Engine
    from keyart.render.contact_sheet import write_contact_sheet
    from keyart.render.drawing import check_sheet_path
    from keyart.similarity.query import Image, SimilarOptions

    if sheet:
        check_sheet_path(sheet)
    engine = Engine.open(home)
    if image:
        import_tensorflow_quietly()
    wanted = Filter(years, genres, min_ratings, read_movie_ids(movie_ids) if movie_ids else None)
    result = engine.similar(Image(image) if image else film, options=SimilarOptions(k, alpha, wanted, fold))
    print_notes([*number_notes(engine, film), *result.notes])
    if as_json:
        click.echo(json.dumps(_explained(result) if explain else result.to_dict(), ensure_ascii=False))
    elif as_csv:
        _print_csv(result)
    else:
        print_table(result)
        if explain:
            _print_reasons(result)
    if sheet:
        write_contact_sheet(result, sheet)
        click.echo(f"contact sheet: {sheet}", err=True)


def number_notes(engine: Engine, film: str) -> list[str]:
    """Say so when a number was read as a movie_id although a film is titled with it, as "300" is."""
    titled = engine.catalog.titled_by_number(film)
    return [f"{film} was read as a movie_id; for the film of that title, type {one.label!r}" for one in titled]


def print_table(result: SimilarFilms) -> None:
    """Print a result for people."""
    from keyart.cli.output import table

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
    from keyart.similarity.reasons import reasons

    for hit in result:
        click.echo(f"\n{hit.rank}  {hit.label}")
        for reason in reasons(result, hit):
            click.echo(f"   {reason}")


def _explained(result: SimilarFilms) -> dict[str, Any]:
    from keyart.similarity.reasons import reasons

    answer = result.to_dict()
    answer["results"] = [
        {**found, "why": reasons(result, hit)} for found, hit in zip(answer["results"], result, strict=True)
    ]
    return answer


def _print_csv(result: SimilarFilms) -> None:
    names = ["rank", "movie_id", "title", "year", "score", "visual", "cf", "alpha", "n_ratings", "same_artwork"]
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    for hit in result.to_dict()["results"]:
        writer.writerow({**hit, "same_artwork": " ".join(map(str, hit["same_artwork"]))})


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
