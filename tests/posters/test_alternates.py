"""Further posters of a film, kept beside its own."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from catalog.film import Film
from posters.database import DATABASE_NAME, Alternate, PosterDatabase, State
from posters.fetch import FetchReport, Selection, fetch_posters
from posters.http import HttpOptions
from posters.store import PosterStore
from posters.tmdb import TmdbClient
from tests.posters.tmdb_server import V3_KEY, Fault, TmdbServer

FILMS = [Film(6, "Six", tmdb_id=1), Film(7, "Seven", tmdb_id=2)]


def fetch(server: TmdbServer, store: PosterStore, n_alternates: int) -> FetchReport:
    # Whatever the clock says, films are older than this.
    selection = Selection(older_than=timedelta(seconds=-5))
    http = HttpOptions(n_retries=0, backoff_s=0)
    with TmdbClient(V3_KEY, server.base_url, "de,xx", n_alternates=n_alternates, rate=None, http=http) as client:
        return fetch_posters(FILMS, store, client, selection=selection)


def rows(posters_dir: Path) -> list[Alternate]:
    with closing(PosterDatabase.open_to_read(posters_dir / DATABASE_NAME)) as database:
        return database.alternates()


def kept(posters_dir: Path) -> list[tuple[int, str, str | None, int | None]]:
    return [(row.movie_id, row.poster_path, row.language, row.vote_count) for row in rows(posters_dir)]


def files(posters_dir: Path) -> set[str]:
    return {path.name for path in (posters_dir / "alternates").iterdir()}


@pytest.fixture
def paths(server: TmdbServer) -> list[str]:
    """The posters of film 6, the best first; film 7 has one."""
    server.add_film(1)
    server.add_film(2)
    server.add_poster(2, "de", 5.0, 1)
    textless, best, second = (server.add_poster(1, *votes) for votes in ((None, 9.0, 7), ("de", 6.0, 4), ("de", 5, 2)))
    server.add_poster(1, "en", 9.9, 99)
    return [best, second, textless]


def test_alternates_are_kept_in_order_of_preference(
    server: TmdbServer, store: PosterStore, paths: list[str], tmp_path: Path
) -> None:
    report = fetch(server, store, 5)
    assert (report.n_ok, report.n_alternates) == (2, 2)
    assert store.record(6).poster_path == paths[0]  # type: ignore[union-attr]
    assert kept(tmp_path / "posters") == [(6, paths[1], "de", 2), (6, paths[2], "xx", 7)]
    for row in rows(tmp_path / "posters"):
        path = tmp_path / "posters" / "alternates" / row.file_name
        assert path.read_bytes() == server._library.images[row.poster_path]
    # The posters themselves are those that everything else compares.
    assert [poster.movie_id for poster in store.posters()] == [6, 7]
    assert len(rows(tmp_path / "posters")) == 2


def test_no_more_than_asked_for_are_downloaded(
    server: TmdbServer, store: PosterStore, paths: list[str], tmp_path: Path
) -> None:
    fetch(server, store, 1)
    assert kept(tmp_path / "posters") == [(6, paths[1], "de", 2)]
    assert len(server.paths("/t/p")) == 3
    # No films share a file with what was there before.
    fetch(server, store, 0)
    assert kept(tmp_path / "posters") == []


@pytest.mark.parametrize("fault", [Fault.OVERLOADED, Fault.CUT_IMAGE, Fault.HTML])
def test_an_alternate_that_fails_is_left_out(
    server: TmdbServer, store: PosterStore, paths: list[str], tmp_path: Path, fault: Fault
) -> None:
    server.inject(f"/t/p/w342{paths[1]}", fault)
    report = fetch(server, store, 5)
    assert (report.outcomes[State.OK], report.n_alternates) == (2, 1)
    assert kept(tmp_path / "posters") == [(6, paths[2], "xx", 7)]


def test_files_without_a_row_are_removed(
    server: TmdbServer, store: PosterStore, paths: list[str], tmp_path: Path
) -> None:
    fetch(server, store, 5)
    folder = tmp_path / "posters"
    before = files(folder)
    # As a killed process leaves it.
    (folder / "alternates" / "6-00000000.jpg").write_bytes(b"x")
    (folder / "alternates" / "notes.txt").write_bytes(b"x")
    with store.writer_lock():
        pass
    assert files(folder) == before | {"notes.txt"}
    # TMDB no longer knows the film, so nothing of it may stay.
    server.forget(1)
    fetch(server, store, 5)
    with store.writer_lock():
        pass
    assert files(folder) == {"notes.txt"}
