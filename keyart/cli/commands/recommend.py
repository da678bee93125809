"""``keyart recommend``."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import cf
from catalog.errors import ConfigError
from catalog.ids import MAX_ID
from catalog.io.files import check_input
from keyart import recommend
from keyart.cli.completion import complete_model
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
from keyart.cli.output import echo, print_csv, print_json, print_notes, table
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    from keyart.recommend.recommendations import Recommendation, RecommendedFilm


@click.command("recommend")
@click.argument("user", required=False, type=click.IntRange(1, MAX_ID), metavar="[USER]")
@file_option(
    "--ratings",
    "One person's ratings, in place of USER: exported by Letterboxd, IMDb or Trakt, or a CSV with movie_id and rating.",
    "ratings_path",
)
@file_option("--report", "With --ratings: write what each of its rows was matched to, as CSV.", "report_path")
@click.option(
    "--model",
    "name",
    metavar="MODEL",
    shell_complete=complete_model,
    help="The recommender; `keyart fit` lists them.  [default: ease, else what is fitted and ranks best]",
)
@k_option(30)
@click.option(
    "--fresh",
    type=Share(),
    metavar="SHARE",
    help="The least share of new films; 0 for none.  [default: ranked with the others]",
)
@click.option("--explain", is_flag=True, help="Print below each film why it is recommended.")
@json_option
@csv_option
@workspace_options
def command(
    user: int | None,
    ratings_path: Path | None,
    report_path: Path | None,
    name: str | None,
    k: int,
    fresh: float | None,
    explain: bool,
    as_json: bool,
    as_csv: bool,
    home: Path,
) -> None:
    """Recommend films that USER, a user_id of the ratings, has not rated: known films and new ones.

    New films, which nobody has rated, are marked. They are recommended for what they are like: posters, genres, years.
    """
    if (user is None) == (ratings_path is None):
        raise ConfigError("name either a user, as in `keyart recommend 42`, or --ratings FILE")
    if report_path is not None and ratings_path is None:
        raise ConfigError("--report goes with --ratings FILE: it lists what the rows of that file were matched to")
    check_one_format(as_json=as_json, as_csv=as_csv)
    workspace = Workspace.open(home)

    if name is not None:
        cf.registry.model_class(name)
    if ratings_path is not None:
        check_input(ratings_path)
    default_notes: tuple[str, ...] = ()
    if name is None:
        name = recommend.models.default_model(workspace)
        default_notes = recommend.models.notes_on_default(name)

    if ratings_path is not None:
        personal = recommend.personal_ratings.read_personal_ratings(workspace, ratings_path)
        if report_path is not None:
            personal.write_report(report_path)
        recommendation = recommend.recommendations.recommend_new(workspace, name, personal, k, fresh)
    else:
        recommendation = recommend.recommendations.recommend(workspace, name, user or 0, k, fresh)
    notes = (*default_notes, *recommendation.notes, *notes_on_fewer(len(recommendation.films)))
    recommendation = replace(recommendation, notes=notes)
    print_notes(notes)
    if as_json:
        print_json(recommendation.to_dict())
    elif as_csv:
        columns = [one.name for one in fields(recommend.recommendations.RecommendedFilm)]
        print_csv(columns, [_cells(film) for film in recommendation.films])
    else:
        _print_table(recommendation)
        if explain:
            _print_reasons(recommendation)


def _print_table(recommendation: Recommendation) -> None:
    header = ("", "film", "movie_id", "score", "mean rating", "ratings")
    rows = [
        (
            str(film.rank),
            film.label + ("  (new)" if film.new else ""),
            str(film.movie_id),
            f"{film.score:.2f}" if recommendation.gives_stars else f"{film.score:.3f}",
            "–" if film.mean_rating is None else f"{film.mean_rating:.2f}",
            str(film.n_ratings),
        )
        for film in recommendation.films
    ]
    echo(table(header, rows, left=(1,)))


def _print_reasons(recommendation: Recommendation) -> None:
    for film in recommendation.films:
        echo(f"\n{film.rank}  {film.label}")
        echo(f"   {film.why or 'Nothing that you liked speaks for it.'}")


def _cells(film: RecommendedFilm) -> dict[str, Any]:
    because = "; ".join(one.label for one in film.because)
    return {**film.to_dict(), "by": "; ".join(film.by), "because": because}
