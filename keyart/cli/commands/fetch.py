"""``keyart fetch``."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from catalog.errors import ConfigError
from keyart.cli.options import workspace_options
from keyart.cli.output import print_notes
from keyart.workspace.api_keys import REFUSAL
from keyart.workspace.settings import TMDB_URL

if TYPE_CHECKING:
    from keyart.pipeline.tmdb import Standing
    from keyart.workspace.layout import Workspace
    from posters.database import State
    from posters.fetch import Choice, FetchProgress, FetchReport
    from posters.tmdb import TmdbClient

_EPILOG = (
    "This product uses TMDB and the TMDB APIs but is not endorsed, certified, or otherwise approved by TMDB. Its terms "
    "allow nothing to be kept longer than six months."
)
_N_REASONS = 5
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_AGE_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def _read_age(_context: click.Context, _parameter: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    number, unit = value[:-1], _AGE_UNITS.get(value[-1:])
    if not (number.isascii() and number.isdigit() and len(number) < 6 and unit):
        raise click.BadParameter(f"expected an age such as 180d, 26w or 12h; received {value!r}")
    return timedelta(**{unit: int(number)})


def _read_rate(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    # A range of click's lets nan through, and nobody waits a year for the next request.
    if value and not 0.01 <= value <= 100_000:
        raise click.BadParameter(f"expected requests a second, 0.01 to 100,000, or 0 for no limit; received {value:g}")
    return value


def _read_language(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    # TMDB takes anything, and answers in English.
    if not _LANGUAGE.fullmatch(value):
        raise click.BadParameter(f"expected a language such as en-US or fr; received {value!r}")
    return value


def _read_export(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    # Blank is an unset variable in somebody's script, not a run without the export.
    if value is not None and not value.strip():
        raise click.BadParameter("expected a file or an address; received a blank")
    return value


def _refuse_key(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise ConfigError(REFUSAL)


@click.command("fetch", epilog=_EPILOG)
@click.option(
    "--size",
    default="w342",
    show_default=True,
    help="TMDB's poster size; w342 is the smallest that needs no enlarging.",
)
@click.option(
    "--language",
    default="en-US",
    show_default=True,
    callback=_read_language,
    help="Which poster of a film is wanted.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Ask for at most N films.")
@click.option(
    "--movie-ids", "movie_ids_path", type=click.Path(path_type=Path), metavar="FILE", help="Only these; one id a line."
)
@click.option(
    "--refresh-older-than",
    "older_than",
    callback=_read_age,
    metavar="AGE",
    help="Ask again for what is older, such as 180d, the longest that TMDB's terms allow.",
)
@click.option(
    "--id-export",
    callback=_read_export,
    metavar="FILE|URL",
    help="TMDB's daily export of movie ids (.json.gz): ids that it does not list are not asked for.",
)
@click.option(
    "--rate",
    type=float,
    default=35,
    callback=_read_rate,
    show_default=True,
    metavar="N",
    help="Requests a second, at most; 0 for no limit (a mirror of your own).",
)
@click.option(
    "--connections",
    type=click.IntRange(min=1, max=20),
    default=20,
    show_default=True,
    metavar="N",
    help="Connections at a time, at most.",
)
@click.option(
    "--retries",
    type=click.IntRange(min=0, max=20),
    default=6,
    show_default=True,
    metavar="N",
    help="How often a request that failed is sent again.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would be asked for; ask and change nothing.")
@click.option("--report", "report_only", is_flag=True, help="Tell how things stand; ask and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--api-key",
    "--key",
    "--token",
    hidden=True,
    is_eager=True,
    expose_value=False,
    callback=_refuse_key,
    help="Refused: see TMDB_API_KEY.",
)
@workspace_options
def command(
    home: Path, movie_ids_path: Path | None, dry_run: bool, report_only: bool, as_json: bool, **asking: Any
) -> int:
    """Fetch the posters that are missing from TMDB.

    The key is read from TMDB_API_KEY (32 hexadecimal digits, or a read access token, eyJ…) or from the file that
    TMDB_API_KEY_FILE names. End it at any time with Ctrl-C, and run it again: it asks only for what is missing or
    failed.
    """
    from catalog.filters import read_movie_ids
    from keyart.pipeline.tmdb import plan, take_standing, unknown_ids
    from keyart.workspace.layout import Workspace
    from posters.fetch import Choice

    workspace = Workspace.open(home)
    if report_only:
        _print_standing(take_standing(workspace), as_json)
        return 0
    movie_ids = read_movie_ids(movie_ids_path) if movie_ids_path else None
    if movie_ids and (unknown := unknown_ids(workspace, movie_ids)):
        ids = "1 id" if len(unknown) == 1 else f"{len(unknown):,} ids"
        print_notes([f"of {movie_ids_path}, {ids} belong to no film, such as {min(unknown)}"])
    choice = Choice(asking.pop("limit"), movie_ids, asking.pop("older_than"))
    if dry_run:
        _print_plan(len(plan(workspace, choice, asking["id_export"])), asking["rate"], as_json)
        return 0
    return _fetch(workspace, choice, as_json=as_json, **asking)


def _fetch(
    workspace: Workspace,
    choice: Choice,
    *,
    as_json: bool,
    size: str,
    language: str,
    id_export: str | None,
    rate: float,
    connections: int,
    retries: int,
) -> int:
    from keyart.pipeline.tmdb import fetch, read_key, statistics, statistics_path, take_standing
    from posters.database import State
    from posters.rate_limit import InterruptedFetchError
    from posters.tmdb import TmdbClient

    with ExitStack() as open_:
        client = open_.enter_context(
            TmdbClient(
                read_key(),
                TMDB_URL.value() or "",
                language,
                rate=rate or None,
                n_connections=connections,
                n_retries=retries,
            )
        )
        signals = open_.enter_context(_ended_by_signals(client))
        on_progress = open_.enter_context(_bar())
        try:
            report = fetch(workspace, client, size=size, choice=choice, id_export=id_export, on_progress=on_progress)
        except InterruptedFetchError:
            click.echo("keyart: ended before anything was asked; run the same command again", err=True)
            return _code(signals)
    if as_json:
        click.echo(json.dumps(statistics(report)))
    else:
        _print_report(report)
        click.echo(f"statistics in {statistics_path(workspace)}")
    _say_what_is_left(report, take_standing(workspace).n_stale)
    if report.interrupted:
        return _code(signals)
    # A script should notice that nothing came; films that TMDB has no poster of are no failure.
    return 1 if report.n_settled and report.outcomes[State.FAILED] == report.n_settled else 0


@contextmanager
def _ended_by_signals(client: TmdbClient) -> Iterator[list[int]]:
    """Let the first Ctrl-C or SIGTERM end the run in good order, and the second at once; list what was received."""
    received: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            # Whatever moment it is, no more is lost than what is on its way.
            os._exit(128 + number)
        client.interrupt()
        # Not by way of a stream, which the signal may have interrupted in the middle of a line.
        os.write(2, b"\nkeyart: ending; what is on its way is waited for (once more: not)\n")

    earlier = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _code(signals: list[int]) -> int:
    """Give the exit code that shells know a signal by."""
    return 128 + signals[0] if signals else 1


@contextmanager
def _bar() -> Iterator[Callable[[FetchProgress], None]]:
    """Show rate, time left and success rate on standard error, if that is a terminal."""
    from tqdm import tqdm

    with tqdm(desc="fetch", unit=" films", disable=None, dynamic_ncols=True) as shown:

        def show(progress: FetchProgress) -> None:
            shown.total = progress.n_asked
            shown.set_postfix_str(f"{progress.n_ok / progress.n_done:.1%} came", refresh=False)
            shown.update(progress.n_done - shown.n)

        yield show


def _print_standing(standing: Standing, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(standing.as_dict()))
        return
    _print_states(standing.counts)
    click.echo(f"  {'together':<10} {standing.n_films:>7,} films, {standing.n_bytes / 1e6:,.1f} MB of posters")
    _print_reasons(standing.reasons, "--report --json lists film by film")
    _say_stale(standing.n_stale)


def _print_states(counts: dict[State, int]) -> None:
    for state, n_films in counts.items():
        click.echo(f"  {state.value:<10} {n_films:>7,} films")


def _print_plan(n_films: int, rate: float, as_json: bool) -> None:
    n_requests = 2 * n_films
    # The two hosts are asked side by side, each at the rate.
    least_s = n_films / rate if rate else 0.0
    if as_json:
        click.echo(json.dumps({"n_films": n_films, "n_requests": n_requests, "least_s": round(least_s, 1)}))
        return
    click.echo(f"would ask for {_films(n_films)}: about {n_requests:,} requests, {_span(least_s)} at least")


def _films(n_films: int) -> str:
    return f"{n_films:,} film" if n_films == 1 else f"{n_films:,} films"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _print_report(report: FetchReport) -> None:
    if report.n_asked:
        came = f"{report.n_ok:,} {'poster' if report.n_ok == 1 else 'posters'} came"
        speed = f"{report.n_ok / report.elapsed_s:,.1f} posters/s"
        size_and_time = f"{report.n_bytes / 1e6:,.1f} MB in {_span(report.elapsed_s)}"
        click.echo(f"{came} of {_films(report.n_settled)} asked for ({size_and_time}, {speed})")
    else:
        click.echo("nothing to ask for: no film that was chosen lacks its poster, as far as TMDB has one")
    _print_states(report.counts)
    _print_reasons(report.reasons, "the statistics list")


def _print_reasons(reasons: dict[str, int], where: str) -> None:
    for reason, n_films in list(reasons.items())[:_N_REASONS]:
        click.echo(f"failed, {_films(n_films)}: {reason}")
    if len(reasons) > _N_REASONS:
        click.echo(f"… and for {len(reasons) - _N_REASONS:,} more reasons, which {where}")


def _say_what_is_left(report: FetchReport, n_stale: int) -> None:
    if report.interrupted:
        n_left = report.n_asked - report.n_settled
        click.echo(
            f"keyart: ended with {_films(n_left)} left; what came is kept, run the same command again to go on",
            err=True,
        )
    elif report.n_failed:
        print_notes([f"{_films(report.n_failed)} failed; run the same command again to try once more"])
    if report.n_slowed:
        print_notes([f"TMDB asked for less {report.n_slowed:,} times, and got it; a lower --rate may be faster"])
    _say_stale(n_stale)


def _say_stale(n_stale: int) -> None:
    if n_stale:
        print_notes(
            [
                f"fetched more than 180 days ago: {_films(n_stale)}; that is the longest that TMDB's terms allow, and "
                "`keyart fetch --refresh-older-than 180d` fetches them again"
            ]
        )
