"""``keyart cold-start``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import keyart
from catalog.errors import ConfigError, DataError
from catalog.films import Catalog
from catalog.io.progress import bar
from catalog.text import plural
from keyart import cold_start
from keyart.cli.encoders import encoder_option, require_runtimes
from keyart.cli.groups import renamed
from keyart.cli.options import check_one_format, content_options, k_option, notes_on_fewer, workspace_options
from keyart.cli.output import echo, print_csv, print_json, print_notes, table
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from keyart.cold_start.new_film import NewFilm
    from keyart.results import ColdStartResult

_N_SHOWN = 10
_COLUMNS = ("poster", "title", "year", "expected_mean", "low", "high", "rank", "user_id", "score")


@click.command("cold-start", cls=renamed(genres="--genre"))
@click.argument("source", type=click.Path(path_type=Path), metavar="POSTER|FOLDER|CSV")
@click.option("--title", default="", metavar="TITLE", help="The film's title, shown in the output.")
@click.option("--genre", "genres", multiple=True, metavar="GENRE", help="A genre of the catalog; may be repeated.")
@click.option("--year", type=int, metavar="YEAR", help="The year of release.")
@content_options
@k_option(10, "Number of look-alikes.")
@click.option(
    "--users",
    "n_users",
    default=1000,
    show_default=True,
    type=click.IntRange(min=0),
    help="Length of the audience at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per film, one per line.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the audience as CSV: one row per film and user.")
@encoder_option(takes_blends=True)
@workspace_options
def command(
    source: Path,
    title: str,
    genres: tuple[str, ...],
    year: int | None,
    directors: tuple[str, ...],
    cast: tuple[str, ...],
    keywords: tuple[str, ...],
    k: int,
    n_users: int,
    as_json: bool,
    as_csv: bool,
    encoder: str | None,
    home: Path,
) -> None:
    """Predict how a film that nobody has rated would be received, from its poster and what else is known of it.

    POSTER is an image. A FOLDER of images, or a CSV file with the columns path, title, year, genres, director, cast,
    keywords, describes many films at once. Directors, cast and keywords count where `keyart load --content` has loaded
    such of rated films. The audience are the users who would like the film most, never those to whom it is below their
    own average.
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    require_runtimes(home, encoder)

    with Catalog.open(Workspace.open(home).catalog_path) as catalog:
        terms = {"directors": directors, "cast": cast, "keywords": keywords}
        films = _films(catalog.genres(), source, title, "|".join(genres), year, terms)
    if len(films) == 1:
        films[0].image.pixels()

    engine = keyart.Engine.open(home, encoder)
    broken: list[str] = []

    def remember(_film: NewFilm, error: DataError) -> None:
        broken.append(str(error))

    answers = engine.cold_start(films, k, n_users, on_broken=remember if len(films) > 1 else None, progress=bar)
    if not answers:
        raise DataError(f"none of the {len(films)} posters of {source} can be read; the first: {broken[0]}")
    answers = [replace(one, notes=(*one.notes, *notes_on_fewer(len(one.look_alikes)))) for one in answers]
    print_notes(dict.fromkeys(note for answer in answers for note in answer.notes))
    print_notes(f"passed over: {message}" for message in broken)
    if as_json:
        for answer in answers:
            print_json(answer.to_dict())
    elif as_csv:
        print_csv(_COLUMNS, _csv_rows(answers))
    else:
        echo("\n\n".join(_shown(answer, n_users) for answer in answers))


def _films(
    known: Sequence[str],
    source: Path,
    title: str,
    genres: str,
    year: int | None,
    terms: Mapping[str, Any],
) -> list[NewFilm]:
    if not source.is_dir() and source.suffix.lower() != ".csv":
        return [replace(cold_start.new_film.describe(source, title, year, genres, known_genres=known), **terms)]
    if title or genres or year is not None or any(terms.values()):
        raise ConfigError(
            f"{source} describes its films itself; options such as --title are for one poster. For many, put them "
            "into a CSV file with the columns path, title, year, genres, director, cast, keywords"
        )
    return cold_start.new_film.read_new_films(source, known, titled=False)


def _shown(answer: ColdStartResult, n_users: int) -> str:
    parts = [answer.query.label]
    if answer.expected:
        one = answer.expected
        parts.append(f"expected mean rating  {one.mean:.2f}  (95% interval: {one.low:.2f} to {one.high:.2f})")
    rows = [
        (str(hit.rank), hit.label, str(hit.movie_id), f"{hit.score:.3f}", str(hit.n_ratings))
        for hit in answer.look_alikes
    ]
    if rows:
        parts.append(table(("", "looks like", "movie_id", "visual", "ratings"), rows, left=(1,)))
    if answer.expected:
        n = len(answer.audience)
        parts.append(f"audience: {_audience(n, n_users)}" + (":" if n else ""))
        fans = [(str(rank), str(fan.user_id), f"{fan.score:+.2f}") for rank, fan in enumerate(answer.audience, start=1)]
        if fans:
            parts.append(table(("", "user_id", "score"), fans[:_N_SHOWN]))
        if n > _N_SHOWN:
            parts.append(f"… and {n - _N_SHOWN:,} more; --json or --csv has all")
    return "\n".join(parts)


def _audience(n: int, most: int) -> str:
    if n < most:
        return f"{plural(n, 'user')} who would like it better than their average film"
    return f"the {'user' if n == 1 else f'{n:,} users'} who would like it most"


def _csv_rows(results: Sequence[ColdStartResult]) -> Iterator[dict[str, Any]]:
    for result in results:
        film: dict[str, Any] = {
            "poster": result.query.poster_path,
            "title": result.query.title,
            "year": result.query.year,
        }
        if result.expected:
            film |= {
                "expected_mean": result.expected.mean,
                "low": result.expected.low,
                "high": result.expected.high,
            }
        for rank, fan in enumerate(result.audience, start=1):
            yield {**film, "rank": rank, "user_id": fan.user_id, "score": fan.score}
        if not result.audience:
            # Its mean rating is worth a row all the same.
            yield film
