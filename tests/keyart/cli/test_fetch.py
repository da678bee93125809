"""``keyart fetch`` as a user runs it: in processes, with signals, against a server on the loopback."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from catalog.film import Film
from catalog.films import Catalog
from catalog.io.checksums import record_checksums
from catalog.io.files import sha256_file
from keyart.workspace.layout import Workspace
from posters.database import DATABASE_NAME, State
from posters.store import PosterStore
from tests.keyart.conftest import Outcome, Run
from tests.posters.pictures import draw_poster
from tests.posters.tmdb_server import V3_KEY, V4_TOKEN, Fault, TmdbServer

pytestmark = pytest.mark.heavy

N_CONNECTIONS = 8
SCRIPT = "from keyart.cli import main; main()"
IMPATIENT = f"import posters.http; posters.http._GRACE_S = 0.1; {SCRIPT}"
"""Waits for responses on their way 0.1 s, not 5."""


@pytest.fixture
def server() -> Iterator[TmdbServer]:
    with TmdbServer() as server:
        yield server


def of_length(image: bytes, n_bytes: int) -> bytes:
    """Pad a JPEG, so that images cannot be told apart by their length."""
    assert len(image) <= n_bytes
    return image + b"\0" * (n_bytes - len(image))


class Desk:
    """A workspace of some films, and a shell to run commands in."""

    def __init__(self, home: Path, server: TmdbServer, films: list[Film], run: Run) -> None:
        self.home = home
        self.server = server
        self.films = films
        self._run = run
        workspace = Workspace.create(home)
        Catalog.create(workspace.catalog_path, films, {"numbering": "movielens", "source": "test"})
        self.posters_dir = workspace.posters_dir
        self._settings = {"TMDB_API_KEY": V3_KEY, "KEYART_TMDB_URL": server.base_url, "KEYART_HOME": str(home)}

    def type(self, *words: str | Path, environment: dict[str, str] | None = None) -> Outcome:
        """Run the command in this process, where its imports cost nothing."""
        with pytest.MonkeyPatch.context() as variables:
            for name, value in {**self._settings, **(environment or {})}.items():
                variables.setenv(name, value)
            return self._run("fetch", *words)

    def start(
        self, *words: str, environment: dict[str, str] | None = None, script: str = SCRIPT
    ) -> subprocess.Popen[str]:
        """Start the command in a process of its own, to send it signals or to see its logs."""
        return subprocess.Popen(
            [sys.executable, "-c", script, "fetch", *words],
            env={**os.environ, **self._settings, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def outcome(self) -> dict[int, tuple[object, ...]]:
        """The rows of all films, without time and number of attempts."""
        columns = "movie_id, state, reason, source, poster_path, size, language, file_name, n_bytes, sha256"
        connection = sqlite3.connect(self.posters_dir / DATABASE_NAME)
        rows = connection.execute(f"SELECT {columns} FROM posters").fetchall()
        connection.close()
        return {movie_id: tuple(rest) for movie_id, *rest in rows}

    def n_ok(self) -> int:
        if not self.posters_dir.is_dir():
            return 0
        with PosterStore.open(self.posters_dir) as store:
            return len(store.posters())

    def n_left(self, refresh: bool) -> int:
        """The number of posters that were not fetched yet, or not refreshed yet."""
        if not refresh:
            return -self.n_ok()
        with PosterStore.open(self.posters_dir) as store:
            stale = store.older_than(datetime.now(UTC) - timedelta(days=180))
            return len(stale.intersection(poster.movie_id for poster in store.posters()))

    def grow_old(self, condition: str = "TRUE") -> None:
        database = self.posters_dir / DATABASE_NAME
        connection = sqlite3.connect(database)
        connection.execute(f"UPDATE posters SET fetched_at = '2020-01-01T00:00:00+00:00' WHERE {condition}")
        connection.commit()
        connection.close()
        # What is written past keyart, in the mode that posters are written in, looks like damage.
        record_checksums(database, [database])

    def redraw(self) -> None:
        """Replace TMDB's poster of every film by another of the same length."""
        for film in self.films:
            if film.tmdb_id and film.movie_id % 5:
                self.server.add_film(film.tmdb_id, of_length(draw_poster(5000 + film.movie_id), 4000))

    def check_rows(self) -> None:
        """Compare every registered poster to its row, byte for byte."""
        if self.posters_dir.is_dir():
            with PosterStore.open_to_read(self.posters_dir) as store:
                assert len(store.posters()) == sum(record.state is State.OK for record in store.records())
                assert all(sha256_file(poster.path) == poster.sha256 for poster in store.posters())

    def wait_for_images(self, n_images: int, process: subprocess.Popen[str]) -> None:
        while len(self.server.paths("/t/p")) < n_images and process.poll() is None:
            # The server shares this process: a loop that never rests would starve it until its clients try again.
            _PAUSE.wait(0.002)


def finish(process: subprocess.Popen[str]) -> Outcome:
    out, err = process.communicate(timeout=_PATIENCE_S)
    return Outcome(process.returncode, out, err)


_PAUSE = threading.Event()
_PATIENCE_S = 300


@pytest.fixture
def desk(tmp_path: Path, server: TmdbServer, run: Run) -> Callable[..., Desk]:
    def make(n_films: int, name: str = "workspace") -> Desk:
        films = []
        for movie_id in range(1, n_films + 1):
            if movie_id % 10:
                image = None if movie_id % 10 == 5 else of_length(draw_poster(movie_id), 4000)
                server.add_film(1000 + movie_id, image)
            films.append(Film(movie_id, f"Film {movie_id}", tmdb_id=1000 + movie_id))
        return Desk(tmp_path / name, server, films, run)

    return make


def test_fetch_writes_posters_a_report_and_statistics(desk: Callable[..., Desk]) -> None:
    here = desk(20)
    before = json.loads(here.type("--report", "--json").out)
    assert (before["n_films"], before["states"]["missing"]) == (20, 20)
    assert not here.posters_dir.exists()
    run = here.type("--rate", "0")
    assert (run.code, run.err) == (0, "")
    assert "16 posters of 20 films fetched" in run.out
    assert here.type("--report").out.splitlines()[-1].startswith("  together        20 films")
    report = json.loads(here.type("--report", "--json").out)
    assert report["states"] == {"ok": 16, "no_link": 0, "no_poster": 2, "not_found": 2, "failed": 0, "missing": 0}
    assert sum(report["states"].values()) == report["n_films"]
    statistics = json.loads((here.posters_dir / "last-fetch.json").read_text())
    assert (statistics["kind"], statistics["n_asked"], statistics["n_ok"]) == ("keyart-fetch", 20, 16)
    assert (statistics["n_requests"], statistics["success_rate"]) == (1 + 20 + 16, 0.8)
    again = json.loads(here.type("--json").out)
    assert (again["n_asked"], again["counts"]["ok"]) == (0, 16)


def test_the_report_lists_failed_films_with_reasons(desk: Callable[..., Desk]) -> None:
    here = desk(9)
    for movie_id in (2, 3, 4):
        here.server.inject(f"/3/movie/{1000 + movie_id}", Fault.HTML, lasting=True)
    here.server.inject("/t/p/w342/poster1006.jpg", Fault.BLANK, lasting=True)
    for _ in range(2):
        here.type("--rate", "0")
    (here.posters_dir / "1.jpg").unlink()
    report = json.loads(here.type("--report", "--json").out)
    assert (report["states"]["failed"], report["states"]["missing"], report["n_bytes"]) == (4, 1, 3 * 4000)
    assert [(failure["movie_id"], failure["title"]) for failure in report["failed"]] == [
        (movie_id, f"Film {movie_id}") for movie_id in (2, 3, 4, 6)
    ]
    assert {failure["attempts"] for failure in report["failed"]} == {2}
    assert report["failed"][3]["reason"] == "expected a poster, received one color all over: a placeholder"
    lines = [line for line in here.type("--report").out.splitlines() if line.startswith("failed")]
    # What differs from film to film is no part of the reason, or every reason would be of one film.
    assert [line.partition(":")[0] for line in lines] == ["failed, 3 films", "failed, 1 film"]
    assert "expected TMDB's JSON for /movie, received something else" in lines[0]


def test_films_are_selected_by_limit_and_by_a_file_of_movie_ids(desk: Callable[..., Desk], tmp_path: Path) -> None:
    here = desk(30)
    plan = here.type("--dry-run", "--limit", "7")
    assert "would request 7 films: about 14 requests, 0 s at least" in plan.out
    slow = here.type("--dry-run", "--limit", "7", "--rate", "0.1")
    assert "would request 7 films: about 14 requests, 70 s at least" in slow.out
    assert here.server.requests == []
    (tmp_path / "ids.txt").write_text("# favorites\n3\n 21 # another\n\n999\n")
    run = json.loads(here.type("--movie-ids", str(tmp_path / "ids.txt"), "--size", "w185", "--json").out)
    assert (run["n_asked"], run["counts"]["ok"], run["counts"]["missing"]) == (2, 2, 28)
    # Asked for side by side, either may come first.
    assert sorted(here.server.paths("/t/p")) == ["/t/p/w185/poster1003.jpg", "/t/p/w185/poster1021.jpg"]
    (tmp_path / "long.txt").write_text("9" * 5000)
    assert "long.txt, line 1: expected a movie_id" in here.type("--movie-ids", str(tmp_path / "long.txt")).err
    (tmp_path / "bad.txt").write_text("3\nHeat\n")
    bad = here.type("--movie-ids", str(tmp_path / "bad.txt"))
    assert (bad.code, bad.err.count("\n")) == (1, 1)
    assert "bad.txt, line 2: expected a movie_id such as 6" in bad.err


def test_old_posters_are_reported_and_refreshed(desk: Callable[..., Desk]) -> None:
    here = desk(4)
    here.type("--rate", "0")
    here.grow_old("movie_id < 4")
    assert "fetched more than 180 days ago: 3 films; that is the longest" in here.type().err
    here.server.inject("/3/movie/1002", Fault.HTML)
    refreshed = json.loads(here.type("--refresh-older-than", "180d", "--json").out)
    assert (refreshed["n_asked"], refreshed["n_ok"], refreshed["outcomes"]["failed"]) == (3, 2, 1)
    # The one that failed keeps what it had, and its age.
    assert refreshed["counts"]["ok"] == 4
    assert json.loads(here.type("--report", "--json").out)["n_stale"] == 1
    assert here.type("--refresh-older-than", "soon").code == 2


def test_dead_ids_are_marked_without_a_request(desk: Callable[..., Desk], tmp_path: Path) -> None:
    here = desk(10)
    lines = [json.dumps({"id": tmdb_id, "original_title": "…"}) for tmdb_id in (1001, 1002, 1003, 5)]
    export = gzip.compress("\n".join(lines).encode())
    (tmp_path / "cut.json.gz").write_bytes(export[:-12])
    cut = here.type("--id-export", str(tmp_path / "cut.json.gz"))
    assert (cut.code, cut.err.count("\n")) == (1, 1)
    assert "cut off" in cut.err
    run = here.type("--id-export", here.server.add_file("/movie_ids.json.gz", export), "--json")
    assert json.loads(run.out)["counts"] | {"failed": 0} == {
        "ok": 3, "no_link": 0, "no_poster": 0, "not_found": 7, "failed": 0, "missing": 0,
    }  # fmt: skip
    assert len(here.server.paths("/3/movie")) == 3
    assert here.outcome()[4][2] == "tmdb_export"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_after_downloads_in_progress(desk: Callable[..., Desk], number: int, code: int) -> None:
    here = desk(2000)
    process = here.start("--rate", "0", "--connections", str(N_CONNECTIONS))
    here.wait_for_images(30, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == code
    assert "run the same command to resume" in err
    assert "Traceback" not in err
    # All that was sent has been kept, and is told.
    n_came = len(here.server.paths("/t/p"))
    assert 30 <= here.n_ok() == n_came < 1600
    assert out.startswith(f"{n_came:,} posters of ")
    assert json.loads((here.posters_dir / "last-fetch.json").read_text())["interrupted"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_the_run_at_once(desk: Callable[..., Desk], number: int, code: int) -> None:
    here = desk(5)
    # Silent until the client has gone: a run that waited would wait for its time-out.
    here.server.inject("/3/configuration", Fault.STALL, lasting=True)
    process = here.start()
    while not here.server.requests:
        _PAUSE.wait(0.002)
    process.send_signal(number)
    assert process.stderr
    while "finishing the downloads" not in process.stderr.readline():
        pass
    process.send_signal(number)
    process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == code


def test_a_failed_run_writes_statistics_with_its_error(desk: Callable[..., Desk]) -> None:
    here = desk(5)
    here.server.inject("/3/configuration", Fault.UNAUTHORIZED, lasting=True)
    assert here.type().code == 1
    left = json.loads((here.posters_dir / "last-fetch.json").read_text())
    assert "key" in left["error"]
    assert sum(left["counts"].values()) == 5


def test_unknown_movie_ids_are_reported(desk: Callable[..., Desk], tmp_path: Path) -> None:
    here = desk(5)
    (tmp_path / "ids.txt").write_text("1\n990\n991\n")
    assert (
        "2 ids belong to no film, such as the movie_id 990"
        in here.type("--movie-ids", tmp_path / "ids.txt", "--dry-run").err
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_download_of_the_id_export(desk: Callable[..., Desk], number: int, code: int) -> None:
    here = desk(5)
    here.server.inject("/ids.json.gz", Fault.DRIP)
    process = here.start("--id-export", f"{here.server.address}/ids.json.gz", script=IMPATIENT)
    while not here.server.paths("/ids"):
        _PAUSE.wait(0.002)
    process.send_signal(number)
    _, err = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == code
    assert "run the same command again" in err


def test_a_signal_ends_a_run_that_waits_for_its_first_response(desk: Callable[..., Desk]) -> None:
    here = desk(5)
    here.server.inject("/3/configuration", Fault.OVERLOADED, lasting=True)
    process = here.start()
    while not here.server.requests:
        _PAUSE.wait(0.002)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 143
    assert "run the same command again" in err


@pytest.mark.parametrize(
    ("seed", "n_kills"), [(0, 6), *(pytest.param(seed, 20, marks=pytest.mark.slow) for seed in range(6))]
)
@pytest.mark.parametrize("refresh", [False, True], ids=["new", "refreshed"])
def test_a_killed_run_loses_only_posters_in_flight(
    desk: Callable[..., Desk], seed: int, n_kills: int, refresh: bool
) -> None:
    rng = Random(seed)
    words = ["--rate", "0", "--connections", str(N_CONNECTIONS)]
    # Enough for every run to be killed in the middle: about 30 posters each.
    undisturbed, here = desk(40 * n_kills, "undisturbed"), desk(40 * n_kills)
    if refresh:
        for each in (undisturbed, here):
            assert each.type(*words).code == 0
            each.grow_old()
        here.redraw()
        words += ["--refresh-older-than", "180d"]
    assert undisturbed.type(*words).code == 0
    for _ in range(n_kills):
        n_before, n_left = len(here.server.paths("/t/p")), here.n_left(refresh)
        process = here.start(*words)
        here.wait_for_images(n_before + rng.randint(1, 20), process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        # What the dead process had sent may be on its way to the server still.
        here.server.wait_until_idle()
        here.check_rows()
        n_asked, n_new = len(set(here.server.paths("/t/p")[n_before:])), n_left - here.n_left(refresh)
        # A connection has one poster on its way at most, and one that came and is not entered.
        assert 0 <= n_asked - n_new <= 2 * N_CONNECTIONS
    assert here.type(*words).code == 0
    assert here.outcome() == undisturbed.outcome()
    for path in undisturbed.posters_dir.glob("*.jpg"):
        assert (here.posters_dir / path.name).read_bytes() == path.read_bytes()
    left = {path.name for path in here.posters_dir.iterdir()}
    assert left == {path.name for path in undisturbed.posters_dir.iterdir()}


def test_a_run_killed_while_placeholders_arrive_loses_no_poster(desk: Callable[..., Desk]) -> None:
    here = desk(100)
    assert here.type("--rate", "0").code == 0
    before = here.outcome()
    here.grow_old()
    for film in here.films:
        if film.movie_id % 5:
            here.server.add_film(film.tmdb_id, of_length(draw_poster(0), 4000))
    words = ("--rate", "0", "--connections", "1", "--refresh-older-than", "180d")
    n_before = len(here.server.paths("/t/p"))
    # Once before it can be known for what it is, and once after.
    for n_images in (5, 30):
        process = here.start(*words)
        here.wait_for_images(n_before + n_images, process)
        process.kill()
        process.communicate()
        here.check_rows()
        assert here.n_ok() == 80
    assert here.type(*words).code == 0
    assert here.outcome() == before
    here.check_rows()
    assert len(list(here.posters_dir.glob("*.jpg"))) == 80


def test_a_second_fetch_is_refused_with_the_pid_of_the_first(desk: Callable[..., Desk]) -> None:
    here = desk(200)
    first = here.start("--rate", "1")
    here.wait_for_images(1, first)
    second = here.type()
    first.kill()
    first.communicate()
    assert (second.code, second.err.count("\n")) == (1, 1)
    assert f"process {first.pid} is writing into" in second.err
    # Killed, the first one is no obstacle any more.
    assert here.type("--rate", "0").code == 0


def test_a_full_disk_ends_the_command_and_keeps_earlier_posters(
    desk: Callable[..., Desk], full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    here = desk(300)
    with full_disk(100_000):
        full = here.type("--rate", "0")
    assert (full.code, full.err.count("\n")) == (1, 1)
    assert "free some space" in full.err
    assert not list(here.posters_dir.glob(".*"))
    assert here.type("--rate", "0").code == 0
    assert here.n_ok() == 240


def test_a_full_disk_leaves_every_poster_old_or_new(
    desk: Callable[..., Desk], full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    here = desk(300)
    here.type("--rate", "0")
    here.redraw()
    here.grow_old()
    words = ("--rate", "0", "--refresh-older-than", "180d")
    with full_disk(40_000):
        full = here.type(*words)
    assert (full.code, full.err.count("\n")) == (1, 1)
    assert "free some space" in full.err
    assert here.n_ok() == 240
    here.check_rows()
    assert here.type(*words).code == 0
    here.check_rows()
    assert here.n_left(refresh=True) == 0
    assert len(list(here.posters_dir.glob("*.jpg"))) == 240


def test_a_dry_run_changes_nothing(desk: Callable[..., Desk], tmp_path: Path) -> None:
    here = desk(10)
    before = {path: path.stat().st_mtime_ns for path in here.home.rglob("*")}
    (tmp_path / "ids.json").write_text('{"id": 1001}\n{"id": 1002}\n')
    assert json.loads(here.type("--dry-run", "--json").out)["n_films"] == 10
    export = ("--id-export", str(tmp_path / "ids.json"))
    assert json.loads(here.type("--dry-run", *export, "--json").out)["n_films"] == 2
    refused = here.type("--dry-run", "--id-export", "https://example.org/ids.json.gz")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "so it does not download the export" in refused.err
    assert {path: path.stat().st_mtime_ns for path in here.home.rglob("*")} == before
    assert here.server.requests == []


def test_a_refused_key_is_reported_in_one_line(desk: Callable[..., Desk]) -> None:
    here = desk(50)
    here.server.inject("/3/movie/1020", Fault.UNAUTHORIZED)
    run = here.type("--rate", "0")
    assert (run.code, run.err.count("\n")) == (1, 1)
    assert "refuses the key (HTTP 401)" in run.err


def test_the_key_appears_in_no_output_log_file_or_command_line(desk: Callable[..., Desk]) -> None:
    here = desk(30)
    for tmdb_id, fault in enumerate((Fault.RESET, Fault.HTML, Fault.TRUNCATED, Fault.REDIRECT, Fault.STALL), 1001):
        here.server.inject(f"/3/movie/{tmdb_id}", fault)
    here.server.inject("/3/movie/1025", Fault.UNAUTHORIZED)
    process = here.start("--debug", "--rate", "20")
    here.wait_for_images(3, process)
    command_line = Path(f"/proc/{process.pid}/cmdline")
    assert not command_line.exists() or V3_KEY.encode() not in command_line.read_bytes()
    out, err = process.communicate(timeout=_PATIENCE_S)
    assert "Traceback" in err
    assert V3_KEY not in out + err
    for path in here.home.rglob("*"):
        assert path.is_dir() or V3_KEY.encode() not in path.read_bytes()


@pytest.mark.parametrize("words", [("--api-key", V3_KEY), (f"--api-key={V3_KEY}",), ("--token", V3_KEY)])
def test_a_key_on_the_command_line_is_refused(desk: Callable[..., Desk], words: tuple[str, ...]) -> None:
    run = desk(1).type(*words)
    assert (run.code, run.err.count("\n")) == (1, 1)
    assert "can be read by everyone on this machine (ps)" in run.err
    assert V3_KEY not in run.out + run.err


def test_a_key_in_the_wrong_argument_is_not_shown(desk: Callable[..., Desk]) -> None:
    here = desk(1)
    export = f"http://127.0.0.1/ids?api_key={V3_KEY}"
    for words in ((V4_TOKEN,), (f"--key-is={V3_KEY}",), ("--language", V3_KEY.upper()), ("--id-export", export)):
        run = here.type(*words)
        assert (run.code, run.err.count("\n")) == (1, 1)
        assert "looks like a TMDB key" in run.err
        assert "set TMDB_API_KEY" in run.err
        assert words[-1] not in run.out + run.err
    assert here.server.requests == []


def test_a_key_in_the_wrong_variable_is_not_shown(desk: Callable[..., Desk]) -> None:
    here = desk(1)
    at_the_end, on_the_way = f"{here.server.base_url}?api_key={V3_KEY}", f"{here.server.address}/{V3_KEY}/3"
    wrong = (
        {"KEYART_TMDB_URL": at_the_end},
        {"KEYART_TMDB_URL": on_the_way},
        {"KEYART_HOME": V3_KEY},
        {"TMDB_API_KEY": "", "TMDB_API_KEY_FILE": V4_TOKEN},
    )
    for environment in wrong:
        run = finish(here.start("--debug", environment=environment))
        assert run.code == 1
        assert "Traceback" in run.err
        assert not [key for key in (V3_KEY, V4_TOKEN) if key in run.out + run.err]
    # Each in a record of its own, where there is one.
    for path in here.posters_dir.iterdir():
        assert V3_KEY.encode() not in path.read_bytes()


PLANTED = """
import logging, os
from keyart.cli import main
from posters.tmdb import TmdbClient

def fail(*arguments):
    key = os.environ["TMDB_API_KEY"]
    logging.getLogger("somebody").warning("asks with %s", key)
    try:
        raise OSError(f"https://h/3?api_key={key}")
    except OSError as error:
        logging.getLogger("somebody").exception("failed")
        error.add_note(f"of {key}")
        raise RuntimeError(key) from error

TmdbClient.check_size = fail
main()
"""


@pytest.mark.parametrize("key", [V3_KEY, V4_TOKEN])
def test_keys_in_errors_and_logs_are_redacted(desk: Callable[..., Desk], key: str) -> None:
    here = desk(1)
    for words in ([], ["--debug"]):
        run = finish(here.start(*words, environment={"TMDB_API_KEY": key}, script=PLANTED))
        assert run.code == 1
        assert "asks with ***" in run.err
        assert ("of ***" in run.err, "RuntimeError: ***" in run.err) == (bool(words), True)
        assert key not in run.out + run.err


@pytest.mark.parametrize(
    "words",
    [
        ("--language", ""),
        ("--language", "english"),
        ("--language", "en-US\n"),
        ("--language", "de,,xx"),
        ("--language", "de,en-US"),
        ("--poster-rank", "size"),
        ("--id-export", " "),
        ("--rate", "0.001"),
        ("--rate", "-1"),
        ("--rate", "nan"),
        ("--rate", "fast"),
        ("--retries", "-1"),
        ("--limit", "0"),
        ("--connections", "21"),
    ],
)
def test_invalid_options_send_no_request(desk: Callable[..., Desk], words: tuple[str, str]) -> None:
    here = desk(1)
    run = here.type(*words)
    assert (run.code, run.err.count("\n"), here.server.requests) == (2, 1, [])
    assert words[0] in run.err


def test_posters_are_chosen_by_language_and_rank(desk: Callable[..., Desk]) -> None:
    here = desk(1)
    here.server.add_poster(1001, "de", 5.0, 9)
    first = here.server.add_poster(1001, None, 4.0, 1)
    here.server.add_poster(1001, None, 6.0, 2)
    assert here.type("--language", "fr,xx,de", "--poster-rank", "first").code == 0
    assert here.server.paths("/t/p") == [f"/t/p/w342{first}"]


def test_further_posters_are_kept(desk: Callable[..., Desk]) -> None:
    here = desk(1)
    paths = [here.server.add_poster(1001, "de", 9.0 - number) for number in range(3)]
    run = here.type("--language", "de", "--all-posters", "1")
    assert run.code == 0
    assert "1 further poster kept in posters/alternates" in run.out
    assert sorted(here.server.paths("/t/p")) == [f"/t/p/w342{path}" for path in paths[:2]]


def test_retries_can_be_turned_off(desk: Callable[..., Desk]) -> None:
    here = desk(4)
    here.server.inject("/3/movie/1002", Fault.OVERLOADED)
    run = json.loads(here.type("--retries", "0", "--json").out)
    assert (run["n_ok"], run["reasons"]) == (3, {"127.0.0.1: HTTP 503": 1})
    assert run["n_requests"] == len(here.server.requests) == 1 + 4 + 3


def test_a_run_without_success_ends_with_one_line(desk: Callable[..., Desk]) -> None:
    here = desk(300)
    for movie_id in range(101, 301):
        here.server.inject(f"/3/movie/{1000 + movie_id}", Fault.OVERLOADED, lasting=True)
    run = here.type("--rate", "0", "--retries", "0")
    assert (run.code, run.err.count("\n")) == (1, 1)
    assert "in a row failed, mostly because of this: 127.0.0.1: HTTP 503; what came is kept" in run.err
    left = json.loads((here.posters_dir / "last-fetch.json").read_text())
    assert "HTTP 503" in left["error"]
    assert (left["counts"]["ok"], sum(left["counts"].values())) == (80, 300)


def test_a_temporary_network_failure_is_waited_for(desk: Callable[..., Desk]) -> None:
    here = desk(200)
    process = here.start("--rate", "0", "--connections", str(N_CONNECTIONS))
    here.wait_for_images(50, process)
    here.server.go_away()
    here.server.come_back()
    process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 0
    assert here.n_ok() == 160


def test_a_run_in_which_everything_fails_is_an_error(desk: Callable[..., Desk]) -> None:
    here = desk(2)
    for movie_id in (1, 2):
        here.server.inject(f"/3/movie/{1000 + movie_id}", Fault.HTML)
    assert here.type().code == 1
    assert here.type().code == 0


def test_the_key_can_be_read_from_a_file(desk: Callable[..., Desk], tmp_path: Path) -> None:
    here = desk(2)
    path = tmp_path / "key"
    path.write_text(f"{V3_KEY}\n")
    environment = {"TMDB_API_KEY": "", "TMDB_API_KEY_FILE": str(path)}
    path.chmod(0o640)
    refused = here.type(environment=environment)
    assert f"others can read the TMDB key in {path}; type: chmod 600 {path}" in refused.err
    path.chmod(0o600)
    assert here.type(environment=environment).code == 0
    path.unlink()
    assert "cannot be read as text" in here.type(environment=environment).err
