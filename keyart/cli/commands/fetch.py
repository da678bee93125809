"""``keyart fetch``."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from catalog.io.progress import bar
from catalog.text import plural
from keyart.cli.options import json_option, read_movie_ids, refused_option, workspace_options
from keyart.cli.output import echo, print_json, print_notes
from keyart.workspace.layout import Workspace
from keyart.workspace.settings import TMDB_KEY

if TYPE_CHECKING:
    from keyart.pipeline.tmdb import FetchOptions, PosterStatus
    from keyart.workspace.layout import Workspace
    from posters.database import State
    from posters.fetch import FetchProgress, FetchReport
    from posters.tmdb import TmdbClient

_EPILOG = (
    "This product uses TMDB and the TMDB APIs but is not endorsed, certified, or otherwise approved by TMDB. Its terms "
    "allow nothing to be kept longer than six months."
)
_N_REASONS = 5
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_LANGUAGES = re.compile(r"[a-z]{2,3}(,[a-z]{2,3})+")
_AGE_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def _read_age(_context: click.Context, _parameter: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    number, unit = value[:-1], _AGE_UNITS.get(value[-1:])
    if not (number.isascii() and number.isdigit() and len(number) < 6 and unit):
        raise click.BadParameter(f"expected an age such as 180d, 26w or 12h; received {value!r}")
    return timedelta(**{unit: int(number)})


def _read_rate(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    # click's ranges accept nan.
    if value and not 0.01 <= value <= 100_000:
        raise click.BadParameter(
            f"expected requests per second, 0.01 to 100,000, or 0 for no limit; received {value:g}"
        )
    return value


def _read_language(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    # TMDB accepts anything, and answers in English.
    if not (_LANGUAGE.fullmatch(value) or _LANGUAGES.fullmatch(value)):
        raise click.BadParameter(f"expected a language such as en-US or fr, or several: de,en,xx; received {value!r}")
    return value


def _read_export(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    # A blank is an unset variable in a script, not a run without the export.
    if value is not None and not value.strip():
        raise click.BadParameter("expected a file or an address; received a blank")
    return value


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
    help="Language of the posters, or several in order of preference: de,en,xx; xx for posters without text.",
)
@click.option(
    "--poster-rank",
    type=click.Choice(["votes", "first"]),
    help="Of a film's posters in that language, take the one with the best votes, or the first of TMDB's list.",
)
@click.option(
    "--all-posters",
    "n_alternates",
    type=click.IntRange(min=0, max=50),
    default=0,
    metavar="N",
    help="Keep up to N further posters of each film in these languages.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Request at most N films.")
@click.option(
    "--movie-ids",
    "movie_ids_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Only films of this list, one id a line: 6, tt0113277 or tmdb:949.",
)
@click.option(
    "--refresh-older-than",
    "older_than",
    callback=_read_age,
    metavar="AGE",
    help="Fetch again posters older than AGE, such as 180d, the longest that TMDB's terms allow.",
)
@click.option(
    "--id-export",
    callback=_read_export,
    metavar="FILE|URL",
    help="TMDB's daily export of movie ids (.json.gz): ids that it does not list are not requested.",
)
@click.option(
    "--rate",
    type=float,
    default=35,
    callback=_read_rate,
    show_default=True,
    metavar="N",
    help="Limit of requests per second; 0 for no limit (a mirror of your own).",
)
@click.option(
    "--connections",
    type=click.IntRange(min=1, max=20),
    default=20,
    show_default=True,
    metavar="N",
    help="Limit of connections at a time.",
)
@click.option(
    "--retries",
    type=click.IntRange(min=0, max=20),
    default=6,
    show_default=True,
    metavar="N",
    help="Number of retries of a failed request.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be requested; request and change nothing.")
@click.option("--report", "report_only", is_flag=True, help="Show the states of posters; change nothing.")
@json_option
@refused_option(TMDB_KEY, "--api-key", "--key", "--token")
@workspace_options
def command(home: Path, dry_run: bool, report_only: bool, as_json: bool, **choices: Any) -> int:
    """Fetch the posters that are missing from TMDB.

    The key is read from TMDB_API_KEY (32 hexadecimal digits, or a read access token, eyJ…) or from the file that
    TMDB_API_KEY_FILE names. Interrupt it at any time with Ctrl-C and run it again: it requests only what is missing
    or failed.
    """
    from keyart.pipeline.tmdb import plan, read_poster_status

    workspace = Workspace.open(home)
    if report_only:
        _print_status(read_poster_status(workspace), as_json)
        return 0
    options = _read_options(workspace, **choices)
    if dry_run:
        _print_plan(len(plan(workspace, options)), options.rate, as_json)
        return 0
    return _fetch(workspace, options, as_json)


def _read_options(
    workspace: Workspace, movie_ids_path: Path | None, rate: float, connections: int, retries: int, **others: Any
) -> FetchOptions:
    from keyart.pipeline.tmdb import FetchOptions

    movie_ids = read_movie_ids(workspace, movie_ids_path) if movie_ids_path else None
    return FetchOptions(movie_ids=movie_ids, rate=rate or None, n_connections=connections, n_retries=retries, **others)


def _fetch(workspace: Workspace, options: FetchOptions, as_json: bool) -> int:
    from keyart.pipeline.tmdb import fetch_with, open_client, read_poster_status, report_path
    from posters.database import State
    from posters.rate_limit import InterruptedFetchError

    with open_client(options) as client, _ended_by_signals(client) as signals, _bar() as on_progress:
        try:
            report = fetch_with(client, workspace, options, on_progress)
        except InterruptedFetchError:
            echo("keyart: ended before anything was requested; run the same command again", err=True)
            return _exit_code(signals)
    if as_json:
        print_json(report.to_dict())
    else:
        _print_report(report)
        echo(f"statistics in {report_path(workspace)}")
    _print_notes(report, read_poster_status(workspace).n_stale)
    if report.interrupted:
        return _exit_code(signals)
    # A script should notice if nothing arrived; films that TMDB has no poster of are no failure.
    return 1 if report.n_settled and report.outcomes[State.FAILED] == report.n_settled else 0


@contextmanager
def _ended_by_signals(client: TmdbClient) -> Iterator[list[int]]:
    """End the run properly at the first Ctrl-C or SIGTERM, and at once at the second; yield the signals received."""
    received: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            # Safe at any moment: only what is on its way is lost.
            os._exit(128 + number)
        client.interrupt()
        # Not through a stream, which the signal may have interrupted in the middle of a line.
        os.write(2, b"\nkeyart: finishing the downloads in progress (press again to end at once)\n")

    earlier = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _exit_code(signals: list[int]) -> int:
    """Return the exit code by which shells report a signal."""
    return 128 + signals[0] if signals else 1


@contextmanager
def _bar() -> Iterator[Callable[[FetchProgress], None]]:
    """Show a progress bar with the success rate on standard error, or lines where that is no terminal."""
    from tqdm import tqdm

    from catalog.io.progress import shown as shown_by

    if not sys.stderr.isatty():
        with shown_by(bar, "fetch", "films") as show_count:
            yield lambda progress: show_count(progress.n_done, progress.n_asked)
        return

    with tqdm(desc="fetch", unit=" films", disable=None, dynamic_ncols=True) as shown:

        def show(progress: FetchProgress) -> None:
            shown.total = progress.n_asked
            shown.set_postfix_str(f"{progress.n_ok / progress.n_done:.1%} successful", refresh=False)
            shown.update(progress.n_done - shown.n)

        yield show


def _print_status(status: PosterStatus, as_json: bool) -> None:
    if as_json:
        print_json(status.to_dict())
        return
    _print_states(status.counts)
    echo(f"  {'together':<10} {status.n_films:>7,} films, {status.n_bytes / 1e6:,.1f} MB of posters")
    _print_reasons(status.reasons, "--report --json lists film by film")
    _print_stale(status.n_stale)


def _print_states(counts: dict[State, int]) -> None:
    for state, n_films in counts.items():
        echo(f"  {state.value:<10} {n_films:>7,} films")


def _print_plan(n_films: int, rate: float | None, as_json: bool) -> None:
    n_requests = 2 * n_films
    # Requests go to two hosts at the same time, each at the rate.
    least_s = n_films / rate if rate else 0.0
    if as_json:
        print_json({"n_films": n_films, "n_requests": n_requests, "least_s": round(least_s, 1)})
        return
    echo(f"would request {plural(n_films, 'film')}: about {n_requests:,} requests, {_span(least_s)} at least")


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _print_report(report: FetchReport) -> None:
    if report.n_asked:
        speed = f"{report.n_ok / report.elapsed_s:,.1f} posters/s"
        size = f"{report.n_bytes / 1e6:,.1f} MB in {_span(report.elapsed_s)}"
        echo(f"{plural(report.n_ok, 'poster')} of {plural(report.n_settled, 'film')} fetched ({size}, {speed})")
        if report.n_alternates:
            echo(f"{plural(report.n_alternates, 'further poster')} kept in posters/alternates")
    else:
        echo("nothing to fetch: no selected film lacks a poster that TMDB may have")
    _print_states(report.counts)
    _print_reasons(report.reasons, "the statistics list")


def _print_reasons(reasons: dict[str, int], where: str) -> None:
    for reason, n_films in list(reasons.items())[:_N_REASONS]:
        echo(f"failed, {plural(n_films, 'film')}: {reason}")
    if len(reasons) > _N_REASONS:
        echo(f"… and for {len(reasons) - _N_REASONS:,} more reasons, which {where}")


def _print_notes(report: FetchReport, n_stale: int) -> None:
    if report.interrupted:
        n_left = report.n_asked - report.n_settled
        echo(
            f"keyart: ended with {plural(n_left, 'film')} left; what came is kept; run the same command to resume",
            err=True,
        )
    elif report.n_failed:
        print_notes([f"{plural(report.n_failed, 'film')} failed; run the same command again to retry"])
    if report.n_slowed:
        print_notes([f"rate-limited by TMDB {plural(report.n_slowed, 'time')}; keyart adapted its rate"])
    _print_stale(n_stale)


def _print_stale(n_stale: int) -> None:
    if n_stale:
        print_notes(
            [
                f"fetched more than 180 days ago: {plural(n_stale, 'film')}; that is the longest that TMDB's terms "
                "allow, and `keyart fetch --refresh-older-than 180d` fetches them again"
            ]
        )
