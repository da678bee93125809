"""Fetch posters from TMDB into a workspace.

Apart from the other steps, so that a run of days does not keep TensorFlow and FAISS in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from catalog.errors import ConfigError, FetchError, NotBuiltError
from catalog.film import Film
from catalog.io.files import write_record
from catalog.io.locks import SHORTLY_S, exclusive
from catalog.io.progress import Progress, shown, silent
from keyart.workspace.api_keys import redact
from keyart.workspace.films import list_films, open_posters
from keyart.workspace.hints import names_workspace
from keyart.workspace.layout import Home, Workspace
from keyart.workspace.settings import TMDB_API_KEY, TMDB_API_KEY_FILE, TMDB_KEY, TMDB_URL
from posters.database import State
from posters.fetch import (
    MAX_AGE,
    FetchProgress,
    FetchReport,
    Selection,
    fetch_posters,
    plain_counts,
    select_films,
)
from posters.http import HttpOptions
from posters.id_export import is_address, read_live_ids
from posters.store import PosterStore, check_registered
from posters.tmdb import DEFAULT_RATE, PosterRank, TmdbClient

_KIND, _VERSION = "keyart-fetch", 1


@dataclass(frozen=True)
class FetchOptions:
    """Which posters to fetch from TMDB, and how.

    Parameters
    ----------
    size : str, default "w342"
        TMDB's poster size; "w342" is the smallest that need not be enlarged to 224 pixels.
    language : str, default "en-US"
        The language of the posters. Of several, such as "de,en,xx", the first in which a film has posters counts; "xx"
        stands for posters without text. A film with none of them gets the poster that TMDB chooses.
    poster_rank : {"votes", "first"}, optional
        Which of the posters in that language is taken: the one with the best votes, or the first of TMDB's list. By
        default TMDB chooses if `language` is a single one, else "votes".
    n_alternates : int, default 0
        How many further posters of a film in these languages are kept, in ``posters/alternates``.
    limit : int, optional
        The most films to request: first those never tried, then those that failed, the least tried first.
    movie_ids : collection of int, optional
        Only these films.
    older_than : timedelta, optional
        Request films again that were requested longer ago than this; TMDB's terms allow nothing to be kept for more
        than six months.
    id_export : str, optional
        TMDB's daily export of movie ids, a file or an address: ids that it does not list are not requested.
    rate : float, optional
        The limit of requests per second, by default 35; None, for no limit, is for a mirror of your own.
    n_connections : int, default 20
        Connections at a time; TMDB allows 20.
    n_retries : int, default 6
        How often a failed request is sent again.

    Raises
    ------
    ValueError
        A number is out of range.
    """

    size: str = "w342"
    language: str = "en-US"
    poster_rank: PosterRank | None = None
    n_alternates: int = 0
    limit: int | None = None
    movie_ids: Collection[int] | None = None
    older_than: timedelta | None = None
    id_export: str | None = None
    rate: float | None = DEFAULT_RATE
    n_connections: int = HttpOptions.n_connections
    n_retries: int = HttpOptions.n_retries

    def __post_init__(self) -> None:
        for name, least in (("limit", 1), ("n_connections", 1), ("n_retries", 0), ("n_alternates", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} should be {least} or more, received {value}")
        if self.rate is not None and not self.rate > 0:
            raise ValueError(f"rate should be above 0, or None for no limit, received {self.rate}")

    @property
    def selection(self) -> Selection:
        return Selection(self.limit, self.movie_ids, self.older_than)


@names_workspace
def fetch(
    home: Home, options: FetchOptions | None = None, *, key: str | None = None, progress: Progress = silent
) -> FetchReport:
    """Fetch from TMDB the posters that a workspace lacks; resumable at any point.

    Films that have a poster, or of which TMDB said that there is none, are not requested again.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace, with films.
    options : FetchOptions, optional
        Which posters to fetch, and how.
    key : str, optional
        Your TMDB key: 32 hexadecimal digits, or a read access token (begins with eyJ). By default that of TMDB_API_KEY,
        or of the file that TMDB_API_KEY_FILE names.
    progress : Progress, optional
        Shows how many films are done.

    Returns
    -------
    FetchReport
        What arrived, and the state of every film's poster. Also written to ``posters/last-fetch.json``.

    Raises
    ------
    ConfigError
        There is no key, it has an unknown form, or TMDB has no posters of this size.
    NotBuiltError
        The workspace does not exist, or has no films.
    DataError
        The export of ids is invalid.
    FetchError
        TMDB refuses the key or cannot be reached, or 100 films in a row failed; what arrived is kept.
    StoreError
        The disk is full, or another process is fetching; what arrived is kept.
    """
    workspace, options = Workspace.open(home), options or FetchOptions()
    with open_client(options, key) as client, shown(progress, "fetch", "films") as show:
        return fetch_with(client, workspace, options, lambda step: show(step.n_done, step.n_asked))


def open_client(options: FetchOptions, key: str | None = None) -> TmdbClient:
    http = HttpOptions(n_connections=options.n_connections, n_retries=options.n_retries)
    return TmdbClient(
        key or read_key(),
        TMDB_URL.value() or "",
        options.language,
        poster_rank=options.poster_rank,
        n_alternates=options.n_alternates,
        rate=options.rate,
        http=http,
    )


def fetch_with(
    client: TmdbClient,
    workspace: Workspace,
    options: FetchOptions,
    on_progress: Callable[[FetchProgress], None] | None = None,
) -> FetchReport:
    """Fetch posters with a client that the caller can interrupt, and write the report beside them."""
    films, id_export = list_films(workspace), options.id_export
    check_registered(workspace.posters_dir)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {
        "began_at": began,
        "size": options.size,
        "language": client.language,
        "poster_rank": options.poster_rank,
    }
    with PosterStore.open(workspace.posters_dir, anew=True) as store:
        try:
            report = fetch_posters(
                films,
                store,
                client,
                size=options.size,
                selection=options.selection,
                # Downloaded only if needed, and by the client, which can be interrupted.
                live_tmdb_ids=(lambda ids: read_live_ids(id_export, ids, client.download)) if id_export else None,
                on_progress=on_progress,
            )
        except FetchError as error:
            # Otherwise the report of an earlier run would pass for this one's.
            counts = plain_counts(store.counts(film.movie_id for film in films))
            _write_report(workspace, facts | {"error": redact(str(error)), "counts": counts})
            raise
    _write_report(workspace, facts | report.to_dict())
    return report


def plan(workspace: Workspace, options: FetchOptions) -> list[Film]:
    """Return the films that `fetch` would request, in order; nothing is requested or changed."""
    id_export = options.id_export
    if id_export and is_address(id_export):
        raise ConfigError(
            "--dry-run sends no requests, so it does not download the export; download it yourself, and give "
            "--id-export the file's path"
        )
    films = list_films(workspace)
    check_registered(workspace.posters_dir)
    selected = _selected(films, workspace, options.selection)
    if not id_export or not selected:
        return selected
    live = read_live_ids(id_export, {film.tmdb_id for film in films if film.tmdb_id is not None}, _refuse_download)
    return [film for film in selected if film.imdb_id is not None or film.tmdb_id in live]


def _selected(films: list[Film], workspace: Workspace, selection: Selection) -> list[Film]:
    try:
        store = PosterStore.open_to_read(workspace.posters_dir)
    except NotBuiltError:
        return select_films(films, None, selection)
    with store:
        return select_films(films, store, selection)


def _refuse_download(url: str, what: str) -> bytes:
    raise AssertionError(f"{what} was to be downloaded from {url}")


@dataclass(frozen=True)
class Failure:
    """A film whose last attempt failed; `title` is with the year."""

    movie_id: int
    title: str
    reason: str
    attempts: int


@dataclass(frozen=True)
class PosterStatus:
    """The states of the posters of a workspace; `counts` adds up to `n_films`."""

    n_films: int
    counts: dict[State, int]
    n_bytes: int = 0
    # Films that were requested longer ago than TMDB's terms allow to keep the answer.
    n_stale: int = 0
    # By movie_id.
    failed: tuple[Failure, ...] = ()

    @property
    def reasons(self) -> dict[str, int]:
        """Why films failed and how many, the most frequent reason first."""
        return dict(Counter(failure.reason for failure in self.failed).most_common())

    def to_dict(self) -> dict[str, Any]:
        return {
            "n_films": self.n_films,
            "states": plain_counts(self.counts),
            "n_bytes": self.n_bytes,
            "n_stale": self.n_stale,
            "failed": [asdict(failure) for failure in self.failed],
        }


def read_poster_status(workspace: Workspace) -> PosterStatus:
    labels = {film.movie_id: film.label for film in list_films(workspace)}
    store = open_posters(workspace)
    if store is None:
        return PosterStatus(len(labels), dict.fromkeys(State, 0) | {State.MISSING: len(labels)})
    with store:
        stale = store.older_than(datetime.now(UTC) - MAX_AGE)
        return PosterStatus(
            n_films=len(labels),
            counts=store.counts(labels),
            n_bytes=store.n_bytes(labels),
            n_stale=len(stale.intersection(labels)),
            failed=tuple(
                Failure(record.movie_id, labels[record.movie_id], record.reason or "", record.attempts)
                for record in store.failed()
                if record.movie_id in labels
            ),
        )


def report_path(workspace: Workspace) -> Path:
    """Return the path of the last run's report, a JSON record."""
    return workspace.posters_dir / "last-fetch.json"


def _write_report(workspace: Workspace, content: dict[str, Any]) -> None:
    with exclusive(workspace.posters_dir, SHORTLY_S):
        write_record(report_path(workspace), _KIND, _VERSION, content)


def read_key() -> str:
    """Read the TMDB key from the environment, or from the file that it names; its form is not checked."""
    if key := TMDB_KEY.value():
        return key
    raise ConfigError(
        f"no TMDB key: set {TMDB_API_KEY.variable} to yours (free at https://www.themoviedb.org/settings/api) or "
        f"{TMDB_API_KEY_FILE.variable} to a file that holds it, or import posters that you have, see "
        "`keyart import --help`"
    )
