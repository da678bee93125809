"""``keyart evaluate look-alikes``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalog.errors import ConfigError
from catalog.io.progress import bar
from catalog.text import plural
from keyart import pipeline, render
from keyart.cli.completion import complete_embedding
from keyart.cli.encoders import complete_encoder
from keyart.cli.estimates import estimate, nulled, number
from keyart.cli.options import (
    Command,
    check_one_format,
    csv_option,
    file_option,
    is_home_given,
    json_option,
    workspace_options,
)
from keyart.cli.output import echo, print_csv, print_json, print_notes, table
from keyart.workspace.outputs import check_output

if TYPE_CHECKING:
    from keyart.pipeline import LookAlikeEvaluation, LookAlikeOptions
    from keyart.similarity.evaluation.report import Figure, Measure

_COLUMNS = "task measure distortion strength embedding value low high gain gain_low gain_high n_questions n_groups"


def _split(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _folder_option(name: str, meaning: str) -> Callable[[Command], Command]:
    return click.option(name, type=click.Path(path_type=Path), metavar="DIR", help=meaning)


@click.command("look-alikes")
@click.argument("names", nargs=-1, metavar="[EMBEDDING]...", shell_complete=complete_embedding)
@click.option(
    "--tasks",
    default="",
    metavar="TASK,…",
    callback=_split,
    help="Any of alternate, series, distortion, genre, decade and hubness.  [default: all that can be measured]",
)
@click.option(
    "--encoder",
    "encoders",
    multiple=True,
    metavar="NAME[+NAME]",
    shell_complete=complete_encoder,
    help="An encoder of the workspace, or a blend of two; repeat it to compare them.  [default: its default]",
)
@file_option("--pairs", "For alternate: a CSV with movie_id and path of another poster of the film.")
@_folder_option("--features", "Measure a folder of features in place of a workspace; pictures named by movie_id.")
@file_option("--titles", "With --features: a CSV with movie_id, title and genres, such as movies.csv.")
@_folder_option("--posters", "With --features: the folder of the posters, named by movie_id.")
@click.option(
    "--half",
    type=click.Choice(["all", "choose", "report"]),
    default="all",
    show_default=True,
    help="Ask about all films, or about one half: one is for choosing, the other for the report.",
)
@click.option(
    "--distorted", "n_distorted", default=50, show_default=True, type=click.IntRange(min=1), help="Posters to distort."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Random seed of all draws.")
@json_option
@csv_option
@file_option("--plot", "Plot the differences to the first embedding (.png, .svg, .pdf).")
@file_option("--sheet", "Draw films whose look-alikes differ most between the first two (.png, .jpg, .webp, .pdf).")
@workspace_options
def command(
    names: tuple[str, ...],
    pairs: Path | None,
    titles: Path | None,
    features: Path | None,
    as_json: bool,
    as_csv: bool,
    plot: Path | None,
    sheet: Path | None,
    home: Path,
    **others: Any,
) -> None:
    """Measure whether embeddings find what people agree looks alike, all embeddings by default.

    Another poster of the same film, films of the same series and distorted posters should be found; genres and decades
    should agree more than by chance; and no film should be in many lists of ten, or in none. Intervals are 95 %
    intervals of a bootstrap over films and series. With --features, no workspace is needed.
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    if names and names != ("all",):
        others["embeddings"] = names
    options = pipeline.LookAlikeOptions(pairs=pairs, films=titles, features=features, **others)
    if features and is_home_given():
        raise click.UsageError("--features takes the place of a workspace; leave --home out")
    inputs = (pairs, titles)
    if plot:
        if options.tasks and set(options.tasks) == {"hubness"}:
            raise ConfigError(pipeline.look_alikes.NOTHING_TO_PLOT)
        render.plots.check_plot_path(plot)
        check_output(plot, (plot.suffix,), inputs)
    if sheet:
        _check_sheet(sheet, options, inputs)
    where = None if features else home
    evaluation = pipeline.evaluate_look_alikes(where, options, progress=bar)
    _print(evaluation, as_json=as_json, as_csv=as_csv)
    for path, draw in ((plot, evaluation.plot), (sheet, evaluation.write_sheet)):
        if path:
            draw(path)
            echo(f"{'plot' if path is plot else 'sheet'}: {path}", err=True)


def _check_sheet(sheet: Path, options: LookAlikeOptions, inputs: Iterable[Path | None]) -> None:
    if len(options.embeddings) * max(len(options.encoders), 1) < 2:
        raise ConfigError("--sheet compares two embeddings; name another one")
    if options.features and not options.posters:
        raise ConfigError("--sheet draws posters; name their folder with --posters")
    render.drawing.check_sheet_path(sheet, inputs)


def _print(evaluation: LookAlikeEvaluation, *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        print_json(nulled(evaluation.to_dict()))
        return
    print_notes([*map(str, evaluation.left_out), *evaluation.notes])
    if as_csv:
        print_csv(_COLUMNS.split(), map(nulled, evaluation.to_rows()))
        return
    echo(_table(evaluation))
    if distortions := _distortions(evaluation.measures, evaluation.embeddings):
        echo(f"\nrecall@1 of distorted posters, by strength:\n{distortions}")
    half = "" if evaluation.half == "all" else f", the half to {evaluation.half}"
    echo(f"\n{plural(evaluation.n_films, 'film')}{half}; intervals are 95 % intervals")


def _table(evaluation: LookAlikeEvaluation) -> str:
    first, *others = evaluation.embeddings
    rows = [
        (
            one.task,
            one.measure,
            f"{one.n_questions:,}" if one.n_groups else "",
            _value(one, one.figures[0]),
            *(cell for figure in one.figures[1:] for cell in (_value(one, figure), _gain(figure))),
        )
        for one in evaluation.measures
        if one.distortion is None
    ]
    header = ("task", "measure", "asked", first, *(cell for name in others for cell in (name, f"over {first}")))
    return table(header, rows, left=(0, 1))


def _value(one: Measure, figure: Figure) -> str:
    value = figure.value.value
    if one.measure == "share in no list":
        return f"{value:.1%}"
    return f"{value:,.0f}" if one.measure == "most lists with one" else number(value)


def _gain(figure: Figure) -> str:
    gain = figure.gain
    if gain.low != gain.low:
        return number(gain.value, "+.1f") + (" %" if gain.value == gain.value else "")
    return estimate(gain, "+.1f", " %")


def _distortions(measures: Iterable[Measure], names: Sequence[str]) -> str:
    """Print a line for each kind and embedding, a column for each strength."""
    values = {
        (one.distortion, figure.embedding, one.strength): number(figure.value.value)
        for one in measures
        if one.distortion
        for figure in one.figures
    }
    strengths = sorted({strength for _, _, strength in values if strength})
    kinds = dict.fromkeys(kind for kind, _, _ in values if kind)
    rows = list(_lines(values, kinds, names, strengths))
    return table(("distortion", "embedding", *map(str, strengths)), rows, left=(0, 1)) if rows else ""


def _lines(
    values: dict[Any, str], kinds: Iterable[str], names: Sequence[str], strengths: Sequence[int]
) -> Iterator[tuple[str, ...]]:
    for kind in kinds:
        for name in names:
            yield (kind if name == names[0] else "", name, *(values.get((kind, name, one), "") for one in strengths))
