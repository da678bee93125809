"""Posters from TMDB into a workspace: the key, the choice of films, the run and its statistics.

Apart from `keyart.pipeline.index`, so that a run of days does not carry the networks and the index in its memory.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalog.errors import ConfigError, FetchError, NotBuiltError
from catalog.film import Film
from catalog.films import Catalog
from catalog.io.files import write_record
from keyart.workspace.api_keys import redact
from keyart.workspace.layout import Workspace
from keyart.workspace.settings import TMDB_API_KEY, TMDB_API_KEY_FILE
from posters.database import State
from posters.fetch import MAX_AGE, Choice, FetchProgress, FetchReport, choose_films, fetch_posters
from posters.id_export import is_address, read_live_ids
from posters.store import PosterStore
from posters.tmdb import TmdbClient

_KIND, _VERSION = "keyart-fetch", 1


@dataclass(frozen=True)
class Failure:
    """A film whose poster did not come."""

    movie_id: int
    title: str
    reason: str
    attempts: int


@dataclass(frozen=True)
class Standing:
    """How things stand with the posters of a workspace."""

    n_films: int
    counts: dict[State, int]
    n_bytes: int = 0
    n_stale: int = 0
    failed: tuple[Failure, ...] = ()

    @property
    def reasons(self) -> dict[str, int]:
        """Why films failed, and how many of them; the most frequent reasons first."""
        return dict(Counter(failure.reason for failure in self.failed).most_common())

    def as_dict(self) -> dict[str, Any]:
        """Write it as plain values."""
        return {
            "n_films": self.n_films,
            "states": _plain(self.counts),
            "n_bytes": self.n_bytes,
            "n_stale": self.n_stale,
            "failed": [asdict(failure) for failure in self.failed],
        }


def read_key() -> str:
    """Read the TMDB key from the environment, or from the file that the environment names."""
    key = TMDB_API_KEY.value()
    if key:
        return key
    name = TMDB_API_KEY_FILE.value()
    if not name:
        raise ConfigError(
            f"no TMDB key: set {TMDB_API_KEY.variable} to yours (free at https://www.themoviedb.org/settings/api) or "
            f"{TMDB_API_KEY_FILE.variable} to a file that holds it, or import posters that you have with "
            "`keyart import FOLDER`"
        )
    return _read_key_file(Path(name).expanduser())


def take_standing(workspace: Workspace) -> Standing:
    """Count the films of a workspace by how things stand with their posters; nothing is asked or changed."""
    labels = {film.movie_id: film.label for film in _films(workspace)}
    try:
        store = PosterStore.open_to_read(workspace.posters_dir)
    except NotBuiltError:
        return Standing(len(labels), dict.fromkeys(State, 0) | {State.MISSING: len(labels)})
    with store:
        stale = store.older_than(datetime.now(UTC) - MAX_AGE)
        return Standing(
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


def plan(workspace: Workspace, choice: Choice, id_export: str | None = None) -> list[Film]:
    """List the films that a run would ask for; nothing is asked or changed."""
    if id_export and is_address(id_export):
        raise ConfigError(
            "--dry-run asks nobody, so it does not download the export; download it yourself, and give --id-export "
            "the file's path"
        )
    films = _films(workspace)
    chosen = _chosen(films, workspace, choice)
    if not id_export or not chosen:
        return chosen
    live = read_live_ids(id_export, {film.tmdb_id for film in films if film.tmdb_id is not None}, _refuse_download)
    return [film for film in chosen if film.imdb_id is not None or film.tmdb_id in live]


def _chosen(films: list[Film], workspace: Workspace, choice: Choice) -> list[Film]:
    try:
        store = PosterStore.open_to_read(workspace.posters_dir)
    except NotBuiltError:
        return choose_films(films, None, choice)
    with store:
        return choose_films(films, store, choice)


def _refuse_download(url: str, what: str) -> bytes:
    raise AssertionError(f"{what} was to be downloaded from {url}")


def fetch(
    workspace: Workspace,
    client: TmdbClient,
    *,
    size: str = "w342",
    choice: Choice | None = None,
    id_export: str | None = None,
    on_progress: Callable[[FetchProgress], None] | None = None,
) -> FetchReport:
    """Fetch the posters that are missing from TMDB, and write the run's statistics beside them."""
    films = _films(workspace)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"began_at": began, "size": size, "language": client.language}
    with PosterStore.open(workspace.posters_dir) as store:
        try:
            report = fetch_posters(
                films,
                store,
                client,
                size=size,
                choice=choice,
                # Only when it is needed, and by the client, whom a signal ends.
                live_tmdb_ids=(lambda ids: read_live_ids(id_export, ids, client.download)) if id_export else None,
                on_progress=on_progress,
            )
        except FetchError as error:
            # The record of an earlier run must not pass for this one's.
            counts = _plain(store.counts(film.movie_id for film in films))
            _write_statistics(workspace, facts | {"error": redact(str(error)), "counts": counts})
            raise
    _write_statistics(workspace, facts | statistics(report))
    return report


def unknown_ids(workspace: Workspace, movie_ids: frozenset[int]) -> frozenset[int]:
    """Tell which ids belong to no film of the catalog."""
    with Catalog.open(workspace.catalog_path) as catalog:
        return movie_ids - catalog.films(movie_ids).keys()


def _write_statistics(workspace: Workspace, content: dict[str, Any]) -> None:
    write_record(statistics_path(workspace), _KIND, _VERSION, content)


def statistics_path(workspace: Workspace) -> Path:
    """Locate the statistics of the last run."""
    return workspace.posters_dir / "last-fetch.json"


def statistics(report: FetchReport) -> dict[str, Any]:
    """Write a run's report as plain values."""
    return {
        **asdict(report),
        "counts": _plain(report.counts),
        "outcomes": _plain(report.outcomes),
        "n_ok": report.n_ok,
        "n_settled": report.n_settled,
        "success_rate": round(report.n_ok / report.n_settled, 4) if report.n_settled else None,
        "elapsed_s": round(report.elapsed_s, 3),
        "posters_per_s": round(report.n_ok / report.elapsed_s, 2),
        "requests_per_s": round(report.n_requests / report.elapsed_s, 2),
    }


def _plain(counts: dict[State, int]) -> dict[str, int]:
    return {state.value: n_films for state, n_films in counts.items()}


def _read_key_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{TMDB_API_KEY_FILE.variable} names {path}, which cannot be read as text; expected a file that holds the "
            "TMDB key and nothing else"
        ) from error
    # Windows keeps its permissions elsewhere.
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"others can read the key in {path}; type: chmod 600 {path}")
    return key


def _films(workspace: Workspace) -> list[Film]:
    with Catalog.open(workspace.catalog_path) as catalog:
        return list(catalog)
