"""``keyart similar``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import keyart
from catalog.errors import AmbiguousFilmError, ConfigError, UnknownFilmError
from catalog.films import Catalog
from catalog.filters import Filter
from catalog.genres import match_genres
from index.region import Region
from keyart import render, similarity
from keyart.cli.completion import complete_film
from keyart.cli.encoders import encoder_option, require_runtimes
from keyart.cli.groups import renamed
from keyart.cli.options import (
    Share,
    check_one_format,
    csv_option,
    file_option,
    json_option,
    k_option,
    notes_on_fewer,
    read_movie_ids,
    workspace_options,
)
from keyart.cli.output import echo, print_csv, print_json, print_notes, table
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from keyart.engine import Engine
    from keyart.results import Alpha, ContentShare, SimilarFilms
    from keyart.similarity.query import Image, Text


class _AlphaType(Share):
    name = "auto|0..1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == "auto" else super().convert(value, param, ctx)


def _region(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Region | None:
    if value is None:
        return None
    try:
        return Region.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


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


def _images_option(name: str, parameter: str, meaning: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add an option that takes the paths of images."""
    return click.option(name, parameter, multiple=True, type=click.Path(path_type=Path), metavar="FILE", help=meaning)


def _texts_option(name: str, parameter: str, meaning: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add an option that takes descriptions."""
    return click.option(name, parameter, multiple=True, callback=_texts, metavar="WORDS", help=meaning)


def _texts(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[keyart.Text, ...]:
    if not all(value.strip() for value in values):
        raise click.BadParameter('expected words, as in "red moon"; received none', context, parameter)
    return tuple(keyart.Text(value) for value in values)


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
    @file_option("--movie-ids", "Only films of this list, one id a line: 6, tt0113277 or tmdb:949.")
    @wraps(command)
    def with_filter(
        years: tuple[int | None, int | None],
        genres: tuple[str, ...],
        min_ratings: int,
        movie_ids: Path | None,
        home: Path,
        **others: Any,
    ) -> None:
        listed = read_movie_ids(Workspace.open(home), movie_ids) if movie_ids else None
        command(wanted=Filter(years, genres, min_ratings, listed), home=home, **others)

    return with_filter


@click.command("similar", cls=renamed(fold="--merge-duplicates"))
@click.argument("words", nargs=-1, metavar="[FILM]...", shell_complete=complete_film)
@_images_option("--image", "images", "An image that is sought for, in place of FILM or beside it; may be repeated.")
@_texts_option("--text", "texts", "A description that is sought for, in place of FILM or beside it; may be repeated.")
@k_option(10)
@click.option(
    "--alpha",
    type=_AlphaType(),
    default="auto",
    show_default=True,
    help="The visual share: 1 is looks alone, 0 ratings alone.",
)
@click.option(
    "--content",
    type=_AlphaType(),
    default="auto",
    show_default=True,
    help="The share of genres, tags, years, titles and people: 0 is looks and ratings alone, 1 content alone.",
)
@click.option(
    "--unlike",
    multiple=True,
    metavar="FILM",
    shell_complete=complete_film,
    help="A film whose looks are to be avoided; may be repeated.",
)
@_images_option("--unlike-image", "unlike_images", "An image whose looks are to be avoided; may be repeated.")
@_texts_option("--unlike-text", "unlike_texts", "A description of looks that are to be avoided; may be repeated.")
@click.option(
    "--diverse",
    type=Share(),
    default=0.0,
    show_default=True,
    help="The weight of variety: likeness to films above counts against a film.",
)
@click.option(
    "--region",
    callback=_region,
    metavar="X,Y,WIDTH,HEIGHT",
    help="Compare one region of the posters, in cells of the 7 × 7 grid of VGG16: 0,0,7,3 is the upper part.",
)
@_filter_options
@encoder_option(takes_blends=True)
@click.option("--merge-duplicates", is_flag=True, help="Show films with the same artwork once.")
@click.option("--explain", is_flag=True, help="Explain in words why each film was found.")
@json_option
@csv_option
@file_option("--sheet", "Write a contact sheet (.png, .jpg, .webp, .pdf).")
@workspace_options
def command(
    words: tuple[str, ...],
    images: tuple[Path, ...],
    texts: tuple[Text, ...],
    k: int,
    alpha: Alpha,
    content: ContentShare,
    unlike: tuple[str, ...],
    unlike_images: tuple[Path, ...],
    unlike_texts: tuple[Text, ...],
    diverse: float,
    region: Region | None,
    wanted: Filter,
    encoder: str | None,
    merge_duplicates: bool,
    explain: bool,
    as_json: bool,
    as_csv: bool,
    sheet: Path | None,
    home: Path,
) -> None:
    """Find films that look like FILM and are liked like it; or like several films, images and descriptions.

    FILM is a title, with or without its year, or an id: "Heat (1995)", matrix, 6, tt0113277, tmdb:949. Words that
    together form one title are read as that title, else each of them as a film.
    """
    _check_options(words, bool(images or texts), as_json=as_json, as_csv=as_csv, explain=explain)
    if region and not (alpha in ("auto", 1.0) and content in ("auto", 0.0)):
        raise ConfigError("a region is compared by looks alone, so --alpha and --content do not go with --region")

    if sheet:
        render.drawing.check_sheet_path(sheet, [*images, *unlike_images])
    like_these, unlike_these = ([keyart.Image(path) for path in paths] for paths in (images, unlike_images))
    films = _checked_films(home, words, unlike, wanted)
    _check_images(home, encoder, (*like_these, *unlike_these))

    engine = keyart.Engine.open(home, encoder)
    mix = keyart.Mix([*films, *like_these, *texts], [*unlike, *unlike_these, *unlike_texts])
    query = mix if mix.unlike or len(mix.like) > 1 else mix.like[0]
    options = keyart.SimilarOptions(k, alpha, wanted, merge_duplicates, diverse, region, content)
    results = engine.similar(query, options=options)
    named = [note for film in (*films, *unlike) for note in title_notes(engine, film)]
    notes = (
        *named,
        *_notes_on_words(engine.catalog, words, films),
        *results.notes,
        *notes_on_fewer(len(results)),
        *_notes_on_sheet(results, sheet),
    )
    result = replace(results, notes=notes)
    print_notes(result.notes)
    _print(result, explain=explain, as_json=as_json, as_csv=as_csv)
    if sheet:
        # It says itself how many films it shows.
        keyart.write_contact_sheet(results, sheet)
        echo(f"contact sheet: {sheet}", err=True)


def _print(result: keyart.SimilarFilms, *, explain: bool, as_json: bool, as_csv: bool) -> None:
    if as_json:
        print_json(_with_reasons(result) if explain else result.to_dict())
    elif as_csv:
        _print_csv(result)
    else:
        print_table(result)
        if explain:
            _print_reasons(result)


def _notes_on_sheet(result: SimilarFilms, sheet: Path | None) -> list[str]:
    n_drawn = render.contact_sheet.MAX_HITS
    cut = sheet is not None and len(result) > n_drawn
    return [f"the contact sheet shows the first {n_drawn} of {len(result)} films"] if cut else []


def _check_options(
    words: tuple[str, ...],
    has_unrated: bool,
    *,
    as_json: bool,
    as_csv: bool,
    explain: bool,
) -> None:
    if not any(words) and not has_unrated:
        raise ConfigError('name a film, as in `keyart similar "Heat (1995)"`, or --image FILE, or --text "red moon"')
    check_one_format(as_json=as_json, as_csv=as_csv)
    if explain and as_csv:
        raise ConfigError("--explain prints sentences, which CSV has no column for; use --json")


def _checked_films(home: Path, words: tuple[str, ...], unlike: tuple[str, ...], wanted: Filter) -> tuple[str, ...]:
    """Read the words as films; check what can be known before the engine is imported."""
    with Catalog.open(Workspace.open(home).catalog_path) as catalog:
        match_genres(wanted.genres, catalog.genres())
        for film in unlike:
            catalog.find(film)
        return _films_of(catalog, words) if any(words) else ()


def _check_images(home: Path, encoder: str | None, images: Sequence[Image]) -> None:
    """Check images, and that their encoder can run, before the engine and what runs it are imported."""
    if images:
        require_runtimes(home, encoder)
    for image in images:
        image.pixels()


def _films_of(catalog: Catalog, words: tuple[str, ...]) -> tuple[str, ...]:
    """Read words as one title, which may be typed without quotes; else as a film each."""
    title = " ".join(words)
    try:
        catalog.find(title)
    except AmbiguousFilmError:
        raise
    except UnknownFilmError as error:
        alone = [_names_a_film(catalog, word) for word in words]
        # A blank within a word was quoted, so every word is a title.
        is_each_a_title = any(" " in word.strip() for word in words) and len(words) > 1
        if len(words) == 1 or not (any(alone) or is_each_a_title):
            raise
        if not (all(alone) or is_each_a_title):
            unknown = " nor ".join(repr(word) for word, result in zip(words, alone, strict=True) if not result)
            raise UnknownFilmError(f"{error}; nor is any titled {unknown}, to read each word as a film") from error
        for word in words:
            catalog.find(word)
        return words
    return (title,)


def _names_a_film(catalog: Catalog, word: str) -> bool:
    """Return whether a word names a film, or several of the same title."""
    try:
        catalog.find(word)
    except AmbiguousFilmError:
        return True
    except UnknownFilmError:
        return False
    return True


def _notes_on_words(catalog: Catalog, words: tuple[str, ...], films: tuple[str, ...]) -> list[str]:
    if len(films) != 1 or len(words) < 2 or not all(_names_a_film(catalog, word) for word in words):
        return []
    label = catalog.find(films[0]).label
    return [f"{films[0]!r} was read as {label}; for a film of each word, add the year of each, or type movie_ids"]


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
    movie_id = f"  [{result.query.movie_id}]" if result.query.movie_id else ""
    region = f"  region {','.join(map(str, result.region))}" if result.region else ""
    echo(f"{result.query.label}{movie_id}{region}")
    rows = [
        (
            str(hit.rank),
            hit.label + (f" (+{len(hit.same_artwork)} with this artwork)" if hit.same_artwork else ""),
            str(hit.movie_id),
            f"{hit.score:.3f}",
            _number(hit.visual),
            _number(hit.cf),
            *([_number(hit.content)] if result.n_content else []),
            str(hit.n_ratings),
        )
        for hit in result
    ]
    header = ("", "film", "movie_id", "score", "visual", "cf", *(["content"] if result.n_content else []), "ratings")
    if result.query.like:
        nearest = [result.nearest(hit) for hit in result]
        rows = [(*row, film.label if film else "–") for row, film in zip(rows, nearest, strict=True)]
        echo(table((*header, "nearest to"), rows, left=(1, len(header))))
    elif result.n_content:
        rows = [(*row, ", ".join(hit.in_common)) for row, hit in zip(rows, result, strict=True)]
        echo(table((*header, "in common"), rows, left=(1, len(header))))
    else:
        echo(table(header, rows, left=(1,)))


def _print_reasons(result: SimilarFilms) -> None:

    for hit in result:
        echo(f"\n{hit.rank}  {hit.label}")
        for reason in similarity.reasons.reasons(result, hit):
            echo(f"   {reason}")


def _with_reasons(result: SimilarFilms) -> dict[str, Any]:

    record = result.to_dict()
    pairs = zip(record["results"], result, strict=True)
    return {**record, "results": [{**fields, "why": similarity.reasons.reasons(result, hit)} for fields, hit in pairs]}


def _print_csv(result: SimilarFilms) -> None:
    from keyart.results import HIT_COLUMNS, hit_cells

    print_csv(HIT_COLUMNS, [hit_cells(hit) for hit in result.to_dict()["results"]])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
