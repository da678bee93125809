from __future__ import annotations

import itertools
import logging
import signal
import sqlite3
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from catalog.errors import ConfigError, FetchError, StoreError
from catalog.film import Film
from posters.database import DATABASE_NAME, State
from posters.fetch import FetchProgress, Selection, fetch_posters, select_films
from posters.http import HttpOptions, UnavailableError
from posters.rate_limit import RateLimiter
from posters.store import PosterStore
from posters.tmdb import TmdbClient, TmdbFilm
from tests.posters.pictures import declare_png, draw_poster
from tests.posters.tmdb_server import V3_KEY, Fault, TmdbServer

pytestmark = pytest.mark.heavy


def film(movie_id: int, tmdb_id: int | None = None, imdb_id: str | None = None) -> Film:
    return Film(movie_id, f"Film {movie_id}", imdb_id=imdb_id, tmdb_id=tmdb_id)


def films_of(server: TmdbServer, n_films: int) -> list[Film]:
    """Add films with posters to the server; the tmdb_id is 1000 above the movie_id."""
    for movie_id in range(1, n_films + 1):
        server.add_film(1000 + movie_id)
    return [film(movie_id, 1000 + movie_id) for movie_id in range(1, n_films + 1)]


def test_fetches_every_poster_once(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    films = films_of(server, 25)
    report = fetch_posters(films, store, client)
    assert (report.n_films, report.n_asked, report.n_ok) == (25, 25, 25)
    assert report.counts[State.OK] == sum(report.counts.values()) == 25
    assert report.n_bytes == sum(poster.n_bytes for poster in store.posters())
    for poster in store.posters():
        assert poster.path.read_bytes() == server.image(1000 + poster.movie_id)
    n_requests = len(server.requests)
    assert n_requests == 1 + 2 * 25
    again = fetch_posters(films, store, client)
    assert (again.n_asked, again.counts) == (0, report.counts)
    assert len(server.requests) == n_requests


def test_settles_every_kind_of_film(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    server.add_film(11)
    server.add_film(12, imdb_id="0000012")
    server.add_film(13, imdb_id="0000013")
    server.forget(13)
    server.add_film(14, None)
    server.add_series(15, imdb_id="0000015")
    films = [
        film(1, 11),
        film(2, None, "0000012"),
        film(3, 13, "0000013"),
        film(4, 14, "0000014"),
        film(5, 15, "0000015"),
        film(6, 16),
        film(7),
        film(8, 18, "0000018"),
    ]
    report = fetch_posters(films, store, client)
    found = {record.movie_id: (record.state.value, record.source) for record in store.records()}
    assert found == {
        1: ("ok", "tmdb_movie"),
        2: ("ok", "tmdb_find"),
        3: ("ok", "tmdb_find"),
        4: ("no_poster", "tmdb_movie"),
        5: ("not_found", "tmdb_find"),
        6: ("not_found", "tmdb_movie"),
        7: ("no_link", None),
        8: ("not_found", "tmdb_find"),
    }
    assert report.counts == {"ok": 3, "no_link": 1, "no_poster": 1, "not_found": 3, "failed": 0, "missing": 0}
    assert all(record.reason for record in store.records() if record.state is not State.OK)
    assert "/3/find/tt0000014" not in server.paths()


def test_a_tmdb_id_of_another_film_falls_back_to_the_imdb_id(
    server: TmdbServer, client: TmdbClient, store: PosterStore
) -> None:
    # The tmdb_ids of films 1 to 5 belong to other films.
    for tmdb_id in range(11, 16):
        server.add_film(tmdb_id, imdb_id=f"99000{tmdb_id}")
    server.add_film(21, imdb_id="0000001")
    server.add_film(22, None, imdb_id="0000002")
    server.add_series(13, imdb_id="0000003")
    # TMDB does not know the imdb_id of film 4, because IMDb merged it, and fails to look up that of film 5.
    server.inject("/3/find/tt0000005", Fault.HTML)
    # Film 6 is consistent; the imdb_id of film 7 is unknown to TMDB, that of film 8 to the catalog.
    server.add_film(16, imdb_id="0000006")
    server.add_film(17)
    server.add_film(18, imdb_id="0000018")
    films = [film(movie_id, 10 + movie_id, f"000000{movie_id}") for movie_id in range(1, 8)]
    fetch_posters([*films, film(8, 18)], store, client)
    found = {record.movie_id: (record.state.value, record.source, record.poster_path) for record in store.records()}
    assert found == {
        1: ("ok", "tmdb_find", "/poster21.jpg"),
        2: ("no_poster", "tmdb_find", None),
        3: ("not_found", "tmdb_find", None),
        4: ("ok", "tmdb_movie", "/poster14.jpg"),
        5: ("failed", "tmdb_find", None),
        6: ("ok", "tmdb_movie", "/poster16.jpg"),
        7: ("ok", "tmdb_movie", "/poster17.jpg"),
        8: ("ok", "tmdb_movie", "/poster18.jpg"),
    }
    assert len(server.paths("/3/find")) == 5
    assert "a series" in str(next(record.reason for record in store.records() if record.movie_id == 3))


def test_films_that_share_a_tmdb_id_are_distinguished_by_imdb_id(
    server: TmdbServer, client: TmdbClient, store: PosterStore
) -> None:
    server.add_film(31, imdb_id="0000031")
    server.add_film(32, imdb_id="0000032")
    films = [film(1, 31, "0000031"), film(2, 31, "0000032"), film(3, 31, "0000033"), film(4, 31)]
    fetch_posters(films, store, client)
    assert [store.record(movie_id).poster_path for movie_id in (1, 2, 3, 4)] == [  # type: ignore[union-attr]
        "/poster31.jpg", "/poster32.jpg", "/poster31.jpg", "/poster31.jpg",
    ]  # fmt: skip
    assert sorted(server.paths("/t/p")) == ["/t/p/w342/poster31.jpg", "/t/p/w342/poster32.jpg"]


def test_films_unknown_to_tmdb_are_not_requested_again(
    server: TmdbServer, client: TmdbClient, store: PosterStore
) -> None:
    server.add_film(1, None)
    films = [film(1, 1), film(2, 2), film(3)]
    fetch_posters(films, store, client)
    n_requests = len(server.requests)
    report = fetch_posters(films, store, client)
    assert (report.n_asked, report.counts[State.NO_LINK]) == (0, 1)
    assert len(server.requests) == n_requests
    record = store.record(3)
    assert record is not None
    assert record.attempts == 0


def test_films_that_always_fail_do_not_use_up_the_limit(
    server: TmdbServer, client: TmdbClient, store: PosterStore
) -> None:
    films = [film(100), film(101), *films_of(server, 12)]
    for movie_id in range(1, 5):
        server.inject(f"/t/p/w342/poster{1000 + movie_id}.jpg", Fault.PIXEL, lasting=True)
    for _ in range(3):
        fetch_posters(films, store, client, selection=Selection(limit=4))
    assert store.counts(film.movie_id for film in films)[State.OK] == 8
    # Then failed films, those with the fewest attempts first.
    fetch_posters(films, store, client, selection=Selection(limit=2))
    assert [film.movie_id for film in select_films(films, store, Selection(limit=3))] == [3, 4, 1]


def test_a_403_for_one_film_is_not_a_refused_key(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    server.inject("/3/movie/1002", Fault.FORBIDDEN)
    report = fetch_posters(films_of(server, 4), store, client)
    assert (report.n_ok, list(report.reasons)) == (3, ["127.0.0.1: HTTP 403 for /movie"])


def test_an_unforeseen_exception_fails_one_film(
    server: TmdbServer, client: TmdbClient, store: PosterStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = client.movie

    def movie(tmdb_id: int) -> TmdbFilm | None:
        if tmdb_id == 1002:
            raise OverflowError(V3_KEY)
        return look_up(tmdb_id)

    monkeypatch.setattr(client, "movie", movie)
    report = fetch_posters(films_of(server, 4), store, client)
    assert (report.n_ok, list(report.reasons)) == (3, ["unexpected OverflowError; please report it"])


def test_the_export_is_read_only_if_needed(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    read: list[set[int]] = []

    def live(tmdb_ids: Collection[int]) -> Collection[int]:
        read.append(set(tmdb_ids))
        return tmdb_ids

    films = films_of(server, 2)
    with pytest.raises(ConfigError):
        fetch_posters(films, store, client, size="huge", live_tmdb_ids=live)
    for _ in range(2):
        fetch_posters(films, store, client, live_tmdb_ids=live)
    assert read == [{1001, 1002}]


def test_workers_wait_until_outcomes_are_registered(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    at_first: list[int] = []

    def wait(step: FetchProgress) -> None:
        # Long enough for four workers to do all they are allowed to.
        while not at_first and len(server.paths("/t/p")) < 2 * 4:
            pass
        at_first.append(len(server.paths("/t/p")))

    fetch_posters(films_of(server, 40), store, client, on_progress=wait)
    assert at_first[0] == 2 * 4
    assert all(n_asked - n_kept <= 2 * 4 for n_kept, n_asked in enumerate(at_first))


def test_a_poster_that_tmdb_no_longer_has_is_removed(
    server: TmdbServer, client: TmdbClient, store: PosterStore
) -> None:
    films = films_of(server, 3)
    fetch_posters(films, store, client)
    server.forget(1001)
    server.add_film(1002, None)
    report = fetch_posters(films, store, client, selection=Selection(older_than=timedelta(days=-1)))
    assert report.counts | {State.OK: 1, State.NOT_FOUND: 1, State.NO_POSTER: 1} == report.counts
    assert [poster.movie_id for poster in store.posters()] == [3]


def test_failed_films_are_retried_by_the_next_run(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    films = films_of(server, 3)
    server.inject("/t/p/w342/poster1002.jpg", Fault.HTML)
    assert fetch_posters(films, store, client).counts[State.FAILED] == 1
    report = fetch_posters(films, store, client)
    assert (report.n_asked, report.counts[State.OK]) == (1, 3)
    record = store.record(2)
    assert record is not None
    assert (record.attempts, record.reason) == (2, None)


def test_a_missing_file_is_fetched_again(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    films = films_of(server, 2)
    fetch_posters(films, store, client)
    store.posters()[0].path.unlink()
    assert fetch_posters(films, store, client).n_asked == 1
    assert len(store.posters()) == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.HTML, "expected an image, received text/html"),
        (Fault.HTML_AS_IMAGE, "received a web page"),
        (Fault.PIXEL, "1 x 1: a placeholder"),
        (Fault.CUT_IMAGE, "cut off or damaged"),
        (Fault.TRUNCATED, "the answer broke off, after 5 tries"),
        (Fault.RESET, "after 5 tries"),
        (Fault.TOO_MANY, "HTTP 429, after 5 tries"),
        (Fault.SERVER_ERROR, "HTTP 500, after 5 tries"),
        (Fault.REDIRECT, "HTTP 302 instead of the poster"),
    ],
)
def test_an_invalid_poster_fails_one_film_only(
    server: TmdbServer, client: TmdbClient, store: PosterStore, fault: Fault, reason: str
) -> None:
    films = films_of(server, 6)
    server.inject("/t/p/w342/poster1003.jpg", fault, lasting=True)
    report = fetch_posters(films, store, client)
    assert (report.counts[State.OK], report.counts[State.FAILED]) == (5, 1)
    record = store.record(3)
    assert record is not None
    assert record.state is State.FAILED
    assert reason in str(record.reason)
    assert record.poster_path == "/poster1003.jpg"


def test_a_decompression_bomb_is_not_decoded(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    server.add_film(1, declare_png(60_000, 60_000))
    fetch_posters([film(1, 1)], store, client)
    record = store.record(1)
    assert record is not None
    assert "decompression bomb" in str(record.reason)


def test_a_failed_lookup_fails_one_film_only(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    films = [*films_of(server, 3), film(4, None, "0000004")]
    server.inject("/3/movie/1001", Fault.HTML)
    server.inject("/3/find/tt0000004", Fault.HTML)
    assert fetch_posters(films, store, client).counts[State.FAILED] == 2


def test_transient_errors_are_retried(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    films = films_of(server, 4)
    server.inject("/3/movie/1001", Fault.TOO_MANY, Fault.SERVER_ERROR)
    server.inject("/t/p/w342/poster1002.jpg", Fault.TRUNCATED)
    server.inject("/t/p/w342/poster1003.jpg", Fault.RESET)
    assert fetch_posters(films, store, client).counts[State.OK] == 4
    assert {record.attempts for record in store.records()} == {1}


def test_a_placeholder_is_recognized(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    films = films_of(server, 12)
    for movie_id in range(13, 43):
        films.append(film(movie_id, 1000 + movie_id))
        server.add_film(1000 + movie_id, server.image(1001))
    report = fetch_posters(films, store, client)
    # Film 1, to which the poster belongs, is among the failed.
    assert (report.counts[State.OK], report.counts[State.FAILED]) == (11, 31)
    assert len(store.posters()) == 11
    again = fetch_posters(films, store, client)
    assert (again.n_asked, again.n_ok) == (31, 0)


def test_a_placeholder_replaces_no_poster(
    server: TmdbServer, client: TmdbClient, store: PosterStore, tmp_path: Path
) -> None:
    films, old = films_of(server, 40), Selection(older_than=timedelta(days=-1))
    fetch_posters(films, store, client)
    before, files = _bytes_of(store), set((tmp_path / "posters").glob("*.jpg"))
    for movie_id in range(1, 41):
        server.add_film(1000 + movie_id, draw_poster(0))
    # Interrupted before the placeholder can be recognized; the next runs request no film, then two, then all.
    with TmdbClient(V3_KEY, server.base_url, rate=None, http=HttpOptions(n_connections=1)) as brief:
        report = fetch_posters(films, store, brief, selection=old, on_progress=_after(5, brief.interrupt))
        assert report.interrupted
    assert _bytes_of(store) != before
    fetch_posters(films, store, client)
    fetch_posters(films, store, client, selection=replace(old, limit=2))
    report = fetch_posters(films, store, client, selection=old)
    assert (report.counts[State.OK], report.n_asked) == (40, 40)
    assert _bytes_of(store) == before
    assert set((tmp_path / "posters").glob("*.jpg")) == files
    # The next run recognizes it too, and accepts real posters again.
    assert fetch_posters(films, store, client, selection=old).n_ok == 0
    for movie_id in range(1, 41):
        server.add_film(1000 + movie_id, draw_poster(5000 + movie_id))
    assert fetch_posters(films, store, client, selection=old).n_ok == 40
    assert _bytes_of(store) == {movie_id: server.image(1000 + movie_id) for movie_id in before}
    assert len(set((tmp_path / "posters").glob("*.jpg"))) == 40


def _bytes_of(store: PosterStore) -> dict[int, bytes]:
    return {poster.movie_id: poster.path.read_bytes() for poster in store.posters()}


def test_films_with_one_tmdb_id_share_one_download(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    server.add_film(500)
    report = fetch_posters([film(1, 500), film(2, 7), film(3, 500)], store, client)
    assert report.counts[State.OK] == 2
    assert server.paths("/t/p") == ["/t/p/w342/poster500.jpg"]
    assert [poster.movie_id for poster in store.posters()] == [1, 3]


def test_films_that_share_a_dead_tmdb_id_are_found_by_imdb_id(
    server: TmdbServer, client: TmdbClient, store: PosterStore
) -> None:
    server.add_film(21, imdb_id="0000021")
    server.add_film(22, imdb_id="0000022")
    fetch_posters([film(1, 404, "0000021"), film(2, 404, "0000022")], store, client)
    assert [poster.path.read_bytes() for poster in store.posters()] == [server.image(21), server.image(22)]


def test_a_limit_leaves_the_rest_missing(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    films = films_of(server, 5)
    report = fetch_posters(films, store, client, selection=Selection(limit=2))
    assert (report.n_asked, report.counts[State.OK], report.counts[State.MISSING]) == (2, 2, 3)
    assert fetch_posters(films, store, client).counts[State.OK] == 5


def test_progress_is_reported_in_the_calling_thread(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    steps: list[tuple[FetchProgress, threading.Thread]] = []
    films = [*films_of(server, 5), film(9)]
    fetch_posters(films, store, client, on_progress=lambda step: steps.append((step, threading.current_thread())))
    assert [step.n_done for step, _ in steps] == [1, 2, 3, 4, 5]
    assert {(step.n_asked, thread) for step, thread in steps} == {(5, threading.main_thread())}
    assert steps[-1][0].n_ok == 5


def test_the_size_and_the_language_are_recorded(server: TmdbServer, store: PosterStore) -> None:
    films = films_of(server, 1)
    with TmdbClient(V3_KEY, server.base_url, "fr-FR") as client:
        fetch_posters(films, store, client, size="w185")
    record = store.record(1)
    assert record is not None
    assert (record.size, record.language) == ("w185", "fr-FR")
    assert server.paths("/t/p") == ["/t/p/w185/poster1001.jpg"]


def test_an_unknown_size_changes_nothing(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    with pytest.raises(ConfigError, match="received 'huge'"):
        fetch_posters([*films_of(server, 2), film(9)], store, client, size="huge")
    assert store.records() == []


def test_films_without_ids_need_no_network(closed_url: str, store: PosterStore) -> None:
    with TmdbClient(V3_KEY, closed_url) as client:
        assert fetch_posters([film(1)], store, client).counts[State.NO_LINK] == 1


def test_a_film_that_gets_an_id_is_requested(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    fetch_posters([film(1)], store, client)
    server.add_film(1001)
    assert fetch_posters([film(1, 1001)], store, client).counts[State.OK] == 1


def test_a_refused_key_stops_at_once(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    server.inject("/3/configuration", Fault.UNAUTHORIZED)
    with pytest.raises(FetchError, match="refuses the key"):
        fetch_posters(films_of(server, 30), store, client)
    assert len(server.requests) == 1
    assert store.records() == []


def test_a_key_refused_during_a_run_keeps_earlier_posters(
    server: TmdbServer, client: TmdbClient, store: PosterStore
) -> None:
    films = films_of(server, 60)
    server.inject("/3/movie/1030", Fault.UNAUTHORIZED, lasting=True)
    with pytest.raises(UnavailableError, match="refuses the key"):
        fetch_posters(films, store, client)
    n_kept = len(store.posters())
    assert 20 <= n_kept < 40
    # Every downloaded poster is stored, also those that were in flight.
    assert n_kept == len(server.paths("/t/p"))


def test_an_unreachable_network_stops_at_once(closed_url: str, store: PosterStore) -> None:
    with TmdbClient(V3_KEY, closed_url) as client, pytest.raises(UnavailableError, match=r"cannot reach 127\.0\.0\.1"):
        fetch_posters([film(1, 1)], store, client)
    assert store.records() == []


def test_a_temporary_network_failure_fails_no_film(
    server: TmdbServer, client: TmdbClient, store: PosterStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = films_of(server, 60)
    sleep, n_sleeps = RateLimiter.sleep, itertools.count()

    def wait(limiter: RateLimiter, pause_s: float) -> None:
        if next(n_sleeps) == 20:
            server.come_back()
        sleep(limiter, pause_s)

    monkeypatch.setattr(RateLimiter, "sleep", wait)
    report = fetch_posters(films, store, client, on_progress=_after(10, server.go_away))
    assert report.counts[State.OK] == 60
    assert next(n_sleeps) > 20


def test_a_lasting_network_failure_ends_the_run(server: TmdbServer, store: PosterStore) -> None:
    films = films_of(server, 60)
    with (
        TmdbClient(
            V3_KEY, server.base_url, rate=None, http=HttpOptions(n_connections=4, patience_s=0, backoff_s=0)
        ) as client,
        pytest.raises(UnavailableError, match=r"cannot reach 127\.0\.0\.1: no connection; check the network"),
    ):
        fetch_posters(films, store, client, on_progress=_after(10, server.go_away))
    counts = store.counts(film.movie_id for film in films)
    assert (counts[State.FAILED], counts[State.OK] >= 10) == (0, True)


@pytest.mark.parametrize("fault", [Fault.TOO_MANY, Fault.OVERLOADED, Fault.RESET, Fault.HTML, Fault.FORBIDDEN])
def test_many_failures_in_a_row_end_the_run(server: TmdbServer, store: PosterStore, fault: Fault) -> None:
    films = films_of(server, 300)
    for movie_id in range(31, 301):
        server.inject(f"/3/movie/{1000 + movie_id}", fault, lasting=True)
    with (
        TmdbClient(
            V3_KEY, server.base_url, rate=None, http=HttpOptions(n_connections=4, n_retries=0, backoff_s=0)
        ) as client,
        pytest.raises(
            UnavailableError, match=r"films in a row failed, mostly because of this: 127\.0\.0\.1: .*run the"
        ),
    ):
        fetch_posters(films, store, client)
    counts = store.counts(film.movie_id for film in films)
    assert counts[State.OK] == 30
    # A late success restarts the count, and requests in flight add to it; but not every film was requested.
    assert 100 <= counts[State.FAILED] < 270
    assert counts[State.MISSING] == 270 - counts[State.FAILED]


def test_many_failures_among_successes_do_not_end_the_run(
    server: TmdbServer, client: TmdbClient, store: PosterStore
) -> None:
    films = films_of(server, 150)
    for movie_id in range(1, 151):
        if movie_id % 50:
            server.inject(f"/t/p/w342/poster{1000 + movie_id}.jpg", Fault.HTML)
    report = fetch_posters(films, store, client)
    assert (report.counts[State.OK], report.counts[State.FAILED]) == (3, 147)


@pytest.mark.parametrize("n_before", [1, 7])
def test_ctrl_c_keeps_fetched_posters(
    server: TmdbServer, client: TmdbClient, store: PosterStore, n_before: int
) -> None:
    films = films_of(server, 80)

    def press_ctrl_c(step: FetchProgress) -> None:
        if step.n_done == n_before:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fetch_posters(films, store, client, on_progress=press_ctrl_c)
    n_kept = len(store.posters())
    assert n_before <= n_kept < 80
    assert n_kept == len(server.paths("/t/p"))
    with TmdbClient(V3_KEY, server.base_url, rate=None) as fresh:
        report = fetch_posters(films, store, fresh)
    assert (report.n_asked, report.counts[State.OK]) == (80 - n_kept, 80)
    assert len(server.paths("/t/p")) == 80


def test_ctrl_c_does_not_wait_for_retries(server: TmdbServer, store: PosterStore) -> None:
    films = films_of(server, 2)
    server.inject("/3/movie/1002", Fault.SERVER_ERROR, lasting=True)
    with (
        TmdbClient(V3_KEY, server.base_url, rate=None, http=HttpOptions(backoff_s=3600)) as client,
        pytest.raises(KeyboardInterrupt),
    ):
        fetch_posters(films, store, client, on_progress=_interrupt)
    assert store.states()[1] is State.OK


def _interrupt(step: FetchProgress) -> None:
    raise KeyboardInterrupt


def test_an_interruption_does_not_wait_for_a_stalled_server(
    server: TmdbServer, client: TmdbClient, store: PosterStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = films_of(server, 12)
    monkeypatch.setattr("posters.workers._PATIENCE_S", 0.0)
    server.inject("/3/movie/1006", Fault.STALL)
    report = fetch_posters(films, store, client, on_progress=_after(9, client.interrupt))
    # The stalled request is abandoned; whether the last two finished depends on timing.
    assert report.interrupted
    assert 9 <= report.n_settled <= 11
    assert report.counts[State.MISSING] == 12 - report.n_settled


def test_an_interruption_ends_the_run_with_a_report(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    films = films_of(server, 60)
    report = fetch_posters(films, store, client, on_progress=_after(5, client.interrupt))
    assert report.interrupted
    assert 5 <= report.n_ok == report.n_settled == len(server.paths("/t/p")) < 60
    assert report.counts[State.MISSING] == 60 - report.n_ok
    assert report.counts[State.FAILED] == 0


def test_old_posters_are_refreshed_and_kept_if_that_fails(
    server: TmdbServer, client: TmdbClient, store: PosterStore
) -> None:
    films = [*films_of(server, 3), film(9, 1009)]
    fetch_posters(films, store, client)
    assert select_films(films, store, Selection(older_than=timedelta(days=1))) == []
    server.inject("/t/p/w342/poster1002.jpg", Fault.BLANK)
    report = fetch_posters(films, store, client, selection=Selection(older_than=timedelta(days=-1)))
    assert (report.n_asked, report.n_ok, report.outcomes[State.FAILED], report.counts[State.OK]) == (4, 2, 1, 3)
    assert len(report.reasons) == 1
    assert store.posters()[1].path.read_bytes() == server.image(1002)


def test_requests_only_the_selected_films(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    films = films_of(server, 6)
    assert select_films(films, store, Selection(limit=2, movie_ids=(2, 4, 6, 77))) == [films[1], films[3]]


def test_dead_ids_cost_no_request(server: TmdbServer, client: TmdbClient, store: PosterStore) -> None:
    server.add_film(1, imdb_id="0000001")
    server.add_film(2)
    films = [film(1, 99, "0000001"), film(2, 2), film(3, 98)]
    fetch_posters(films, store, client, live_tmdb_ids={2})
    found = {record.movie_id: (record.state.value, record.source) for record in store.records()}
    assert found == {1: ("ok", "tmdb_find"), 2: ("ok", "tmdb_movie"), 3: ("not_found", "tmdb_export")}
    assert server.paths("/3/movie") == ["/3/movie/2"]


def test_a_full_disk_ends_the_run_and_keeps_earlier_posters(
    server: TmdbServer,
    client: TmdbClient,
    store: PosterStore,
    fill_the_disk: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    films = films_of(server, 40)
    on_progress = _after(5, fill_the_disk)
    with pytest.raises(StoreError, match="free some space"):
        fetch_posters(films, store, client, on_progress=on_progress)
    # Posters in flight when the disk filled up may have been written.
    assert 5 <= len(store.posters()) <= 5 + 2 * 4
    assert {path.suffix for path in (tmp_path / "posters").glob("*.jpg*")} == {".jpg"}
    assert not list((tmp_path / "posters").glob(".*"))
    monkeypatch.undo()
    with TmdbClient(V3_KEY, server.base_url, rate=None) as fresh:
        assert fetch_posters(films, store, fresh).counts[State.OK] == 40


def _after(n_done: int, action: Callable[[], None]) -> Callable[[FetchProgress], None]:
    def on_progress(step: FetchProgress) -> None:
        if step.n_done == n_done:
            action()

    return on_progress


def test_the_key_is_stored_nowhere(
    server: TmdbServer, client: TmdbClient, store: PosterStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    films = films_of(server, 4)
    server.inject("/3/movie/1001", Fault.RESET, lasting=True)
    server.inject("/3/movie/1002", Fault.HTML, lasting=True)
    server.inject("/3/movie/1003", Fault.TRUNCATED, lasting=True)
    assert fetch_posters(films, store, client).counts[State.FAILED] == 3
    store.close()
    assert "after 5 tries" in "\n".join(
        reason for (reason,) in _rows(tmp_path / "posters" / DATABASE_NAME, "SELECT reason FROM posters") if reason
    )
    for path in (tmp_path / "posters").iterdir():
        assert V3_KEY.encode() not in path.read_bytes()
    assert V3_KEY not in caplog.text


def _rows(path: Path, statement: str) -> list[tuple[str]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()
