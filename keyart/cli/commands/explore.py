"""``keyart explore``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any, Literal

import click

from catalog.errors import ConfigError
from catalog.io.progress import bar
from catalog.text import plural
from keyart import recommend, render
from keyart.cli.completion import complete_model
from keyart.cli.groups import Group, note_renamed
from keyart.cli.options import (
    Command,
    check_one_format,
    csv_option,
    file_option,
    json_option,
    k_option,
    workspace_options,
)
from keyart.cli.output import announce, echo, print_csv, print_json, print_notes, table
from keyart.workspace.layout import Workspace

Rows = list[dict[str, Any]]
_NOTES = "keyart.notes"


@click.group("explore", cls=Group)
def command() -> None:
    """Explore the ratings of films, and what a recommender learned from them."""


def _topic(explore: Callable[..., Rows]) -> Callable[..., None]:
    """Add the options of workspace and format to a function that returns rows, and print the rows."""

    @json_option
    @csv_option
    @workspace_options
    @wraps(explore)
    def print_rows(home: Path, as_json: bool, as_csv: bool, **options: Any) -> None:
        check_one_format(as_json=as_json, as_csv=as_csv)
        workspace = Workspace.open(home)
        rows = explore(workspace, **options)
        if as_json or as_csv:
            rows = recommend.analysis.with_facts(workspace, rows)
        if as_json:
            context = click.get_current_context()
            notes = [*context.meta.get(_NOTES, ()), *([] if rows else [_nothing(workspace)])]
            print_json({"topic": context.info_name, "results": rows, "notes": notes})
        elif as_csv:
            print_notes([] if rows else [_nothing(workspace)])
            print_csv(list(rows[0]) if rows else [], rows)
        elif not options.get("sheet"):
            if rows:
                _print_table(rows)
            else:
                echo(_nothing(workspace))

    return print_rows


def _nothing(workspace: Workspace) -> str:
    """Explain an empty answer."""
    from keyart.workspace.contents import no_ratings, open_ratings

    if len(open_ratings(workspace)):
        return "no film has so many ratings; lower --min-ratings"
    return str(no_ratings())


def _least_option(command: Command) -> Command:
    return click.option(
        "--min-ratings",
        default=11,
        show_default=True,
        type=click.IntRange(min=0),
        metavar="N",
        help="Only films with at least N ratings.",
    )(command)


def _model_option(command: Command) -> Command:
    return click.option(
        "--model",
        default="als",
        show_default=True,
        metavar="MODEL",
        shell_complete=complete_model,
        help="A model that `keyart fit` has fitted.",
    )(command)


@command.command("best")
@k_option(20)
@_least_option
@click.option(
    "--damping",
    default=0.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Shrink means: add this many ratings of the overall mean to each film.",
)
@_topic
def best(workspace: Workspace, k: int, min_ratings: int, damping: float) -> Rows:
    """List the films with the highest mean rating."""
    return _dicts(recommend.analysis.best_rated(workspace, k, min_ratings, damping))


@command.command("most-rated")
@k_option(20)
@_topic
def most_rated(workspace: Workspace, k: int) -> Rows:
    """List the films with the most ratings."""
    return _dicts(recommend.analysis.most_rated(workspace, k))


class _By(click.Choice[str]):
    """Takes votes too, as ratings were called before."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "votes":
            note_renamed("--by votes", "--by ratings")
            return "ratings"
        return super().convert(value, param, ctx)


@command.command("genres")
@k_option(20, "Number of genres.")
@click.option(
    "--by",
    type=_By(["mean", "ratings"]),
    default="mean",
    show_default=True,
    help="Sort genres by mean rating or by number of ratings.",
)
@_topic
def genres(workspace: Workspace, k: int, by: Literal["mean", "ratings"]) -> Rows:
    """List the genres with their mean ratings."""
    return _dicts(recommend.analysis.rated_genres(workspace, k, by))


@command.command("biases")
@k_option(20)
@_least_option
@_model_option
@click.option("--smallest", is_flag=True, help="List the smallest biases instead of the largest.")
@_topic
def biases(workspace: Workspace, model: str, k: int, min_ratings: int, smallest: bool) -> Rows:
    """List the films that users rate higher than their other ratings explain."""
    opened = _open_model(workspace, model)
    return _dicts(recommend.analysis.largest_biases(workspace, opened, k, min_ratings, smallest=smallest))


@command.command("clusters")
@k_option(20, "Number of films shown per cluster.")
@_least_option
@_model_option
@click.option(
    "--clusters", "n_clusters", default=100, show_default=True, type=click.IntRange(min=1), help="Number of clusters."
)
@_topic
def clusters(workspace: Workspace, model: str, k: int, min_ratings: int, n_clusters: int) -> Rows:
    """Cluster films by the factors of a model, the tightest cluster first: series and sagas."""
    opened = _open_model(workspace, model)
    with _step("clusters"):
        result = recommend.analysis.clusters(workspace, opened, min_ratings, n_clusters)
    return [
        {"cluster": cluster.number, "spread": cluster.spread, "movie_id": film.movie_id, "title": film.title}
        for cluster in result
        for film in cluster.films[:k]
    ]


@command.command("map")
@click.option("-k", type=click.IntRange(min=1), help="Number of films, those with the most ratings.  [default: all]")
@_least_option
@_model_option
@file_option("--sheet", "Draw the map with titles (.png, .svg, .pdf).")
@_topic
def film_map(workspace: Workspace, model: str, k: int | None, min_ratings: int, sheet: Path | None) -> Rows:
    """Map films to a plane by the factors of a model."""
    if sheet:
        render.plots.check_plot_path(sheet)
    opened = _open_model(workspace, model)
    n_films, expected_s = recommend.analysis.expected_map(opened, min_ratings)
    announce("explore", expected_s, f" to lay out {plural(n_films, 'film')}")
    with _step("map"):
        laid_out, n_ratings = recommend.analysis.film_map(workspace, opened, min_ratings, k)
    if sheet:
        render.plots.draw_map(laid_out, n_ratings, sheet)
        echo(f"map: {sheet}", err=True)
    positions = zip(laid_out.movie_ids.tolist(), laid_out.titles, laid_out.positions.tolist(), strict=True)
    return [{"movie_id": movie_id, "title": title, "x": x, "y": y} for movie_id, title, (x, y) in positions]


@command.command("ratings")
@file_option("--out", "The file to write (.parquet, .csv).")
@workspace_options
def ratings(out: Path | None, home: Path) -> None:
    """Write all ratings, joined with titles and genres, to a file."""
    if out is None:
        raise ConfigError("name the file: `keyart explore ratings --out ratings.parquet`")

    recommend.analysis.write_ratings(Workspace.open(home), out)
    echo(f"ratings with titles: {out}", err=True)


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Show that one long step is at work."""
    with bar("explore", 1, "step") as advance:
        advance(0, name)
        yield
        advance(1)


def _open_model(workspace: Workspace, name: str) -> Any:

    model, notes = recommend.models.open_model(workspace, name)
    print_notes(notes)
    click.get_current_context().meta[_NOTES] = notes
    return model


def _dicts(rows: Iterable[Any]) -> Rows:
    return [asdict(row) for row in rows]


def _print_table(rows: Rows) -> None:
    header = tuple(rows[0])
    cells = [
        tuple(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()) for row in rows
    ]
    echo(table(header, cells, left=[at for at, name in enumerate(header) if name in ("title", "genre")]))
