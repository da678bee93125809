"""``keyart explore``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from catalog.errors import ConfigError
from keyart.cli.options import check_one_format, csv_option, json_option, workspace_options
from keyart.cli.output import print_csv, print_json, print_notes, table

if TYPE_CHECKING:
    from keyart.recommend.analysis import Topic

_TOPICS = ("ratings", "best", "most-rated", "genres", "biases", "clusters", "map")


@click.command("explore", short_help="Explore the ratings: the best films, genres, clusters, a map.")
@click.argument("topic", metavar="TOPIC", type=click.Choice(_TOPICS))
@click.option("--model", "name", default="als", show_default=True, metavar="MODEL", help="Whose biases or factors.")
@click.option(
    "-k", default=20, show_default=True, type=click.IntRange(min=1), help="How many; of a cluster, its films."
)
@click.option(
    "--min-ratings", default=11, show_default=True, type=click.IntRange(min=0), help="Only films with so many ratings."
)
@click.option(
    "--damping",
    default=0.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Add so many ratings of the overall mean to every film, for best.",
)
@click.option(
    "--by", type=click.Choice(["mean", "votes"]), default="mean", show_default=True, help="The order of genres."
)
@click.option("--smallest", is_flag=True, help="The smallest biases first.")
@click.option("--clusters", "n_clusters", default=100, show_default=True, type=click.IntRange(min=1), help="How many.")
@json_option
@csv_option
@click.option(
    "--sheet", type=click.Path(path_type=Path), metavar="FILE", help="Draw the map with titles (.png, .svg, .pdf)."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Ratings with titles (.parquet, .csv).")
@workspace_options
def command(
    topic: Topic | Literal["ratings"],
    name: str,
    as_json: bool,
    as_csv: bool,
    sheet: Path | None,
    out: Path | None,
    home: Path,
    k: int,
    min_ratings: int,
    damping: float,
    by: Literal["mean", "votes"],
    smallest: bool,
    n_clusters: int,
) -> None:
    """Explore the ratings of films.

    TOPIC is best, most-rated or genres, of the ratings; or biases, clusters or map, of what a model that `keyart fit`
    has fitted learned of the films; or ratings: all of them, joined with titles, into the file --out (.parquet, .csv).
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    if sheet and topic != "map":
        raise ConfigError(f"--sheet draws the map, not {topic}; leave it out or choose the topic map")
    if (out is None) is (topic == "ratings"):
        raise ConfigError("--out and the topic ratings go together: `keyart explore ratings --out ratings.parquet`")
    from keyart.recommend.analysis import OF_A_MODEL, Choice, write_ratings
    from keyart.recommend.models import open_model
    from keyart.render.plots import check_plot_path
    from keyart.workspace.contents import open_ratings
    from keyart.workspace.layout import Workspace

    if sheet:
        check_plot_path(sheet)
    choice = Choice(k, min_ratings, damping, by, smallest, n_clusters)
    workspace = Workspace.open(home)
    if topic == "ratings":
        write_ratings(workspace, open_ratings(workspace), Path(out or ""))
        click.echo(f"ratings with titles: {out}", err=True)
        return
    if topic in OF_A_MODEL:
        print_notes(open_model(workspace, name)[1])
    rows = _rows(workspace, topic, name, choice, sheet)
    if as_json:
        print_json({"topic": topic, "results": rows})
    elif as_csv:
        print_csv(list(rows[0]) if rows else [], rows)
    elif not sheet:
        _print_table(rows)
    if sheet:
        click.echo(f"map: {sheet}", err=True)


def _rows(workspace: Any, topic: Topic, name: str, choice: Any, sheet: Path | None) -> list[dict[str, Any]]:
    from keyart.recommend import analysis
    from keyart.render.plots import draw_map
    from keyart.workspace.contents import open_ratings

    if topic in analysis.OF_RATINGS:
        return [asdict(row) for row in analysis.explore_ratings(workspace, open_ratings(workspace), topic, choice)]
    if topic == "biases":
        return [asdict(row) for row in analysis.explore_biases(workspace, name, choice)]
    if topic == "clusters":
        clusters = analysis.explore_clusters(workspace, name, choice)
        return [
            {"cluster": cluster.number, "spread": cluster.spread, "movie_id": film.movie_id, "title": film.title}
            for cluster in clusters
            for film in cluster.films[: choice.k]
        ]
    laid_out, n_ratings = analysis.explore_map(workspace, name, choice)
    if sheet:
        draw_map(laid_out, n_ratings, sheet)
    positions = zip(laid_out.movie_ids.tolist(), laid_out.titles, laid_out.positions.tolist(), strict=True)
    return [{"movie_id": movie_id, "title": title, "x": x, "y": y} for movie_id, title, (x, y) in positions]


def _print_table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("nothing has so many ratings; lower --min-ratings")
        return
    header = tuple(rows[0])
    cells = [
        tuple(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()) for row in rows
    ]
    click.echo(table(header, cells, left=[at for at, name in enumerate(header) if name in ("title", "genre")]))
