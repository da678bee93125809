"""The commands that write into a workspace, on a catalog of a dozen films."""

from __future__ import annotations

import csv
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from catalog.io.files import write_bytes
from keyart.cli import main
from tests.damage import flip_bit
from tests.faults.preload import pause
from tests.features.numpy_network import save_network
from tests.posters.pictures import draw_poster

N_FILMS, N_USERS = 12, 20
# Has no poster at first.
LATE_FILM = N_FILMS
_KEY = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Inputs:
    """What a user has before the first command."""

    folder: Path
    tmdb_url: str = ""

    @property
    def movielens(self) -> Path:
        return self.folder / "movielens"

    @property
    def later_movielens(self) -> Path:
        return self.folder / "later-movielens"

    @property
    def posters(self) -> Path:
        return self.folder / "posters"

    @property
    def later_posters(self) -> Path:
        return self.folder / "later-posters"

    @property
    def network(self) -> Path:
        return self.folder / "network.keras"

    @property
    def other_network(self) -> Path:
        return self.folder / "other.keras"

    @property
    def new_poster(self) -> Path:
        return self.folder / "new.jpg"

    def write(self) -> None:
        """Write all files."""
        _write_movielens(self.movielens, N_FILMS, seed=0)
        _write_movielens(self.later_movielens, N_FILMS + 1, seed=1)
        for film in range(1, N_FILMS):
            write_bytes(self.posters / f"{film}.jpg", draw_poster(film))
        for film in (2, 3, LATE_FILM):
            write_bytes(self.later_posters / f"{film}.jpg", draw_poster(100 + film))
        save_network(self.network)
        save_network(self.other_network, scale=2.0)
        write_bytes(self.new_poster, draw_poster(500))


def _write_movielens(folder: Path, n_films: int, seed: int) -> None:
    rng = Random(seed)
    numbers = range(1, n_films + 1)
    films = [(film, f"Film {film} ({1980 + film})", "Drama" if film % 2 else "Comedy") for film in numbers]
    links = [(film, f"{film:07}", 100 + film) for film in numbers]
    rated = [
        (user, film, rng.choice((1.0, 2.5, 4.0, 5.0)), 10**9 + rng.randrange(10**6))
        for user in range(1, N_USERS + 1)
        for film in numbers[:-1]
        if rng.random() < 0.7
    ]
    _write_table(folder / "movies.csv", ("movieId", "title", "genres"), films)
    _write_table(folder / "links.csv", ("movieId", "imdbId", "tmdbId"), links)
    _write_table(folder / "ratings.csv", ("userId", "movieId", "rating", "timestamp"), rated)


def _write_table(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


PLACES = ("movielens", "later_movielens", "posters", "later_posters", "network", "other_network", "new_poster")
"""What command lines name in braces, beside {case}, the folder of the case."""

Run = Callable[[Inputs, Path], object]
"""Does the work in the current process; raises SystemExit with the exit code."""


@dataclass(frozen=True)
class Command:
    """A command, and the commands before it that bring a workspace to where it begins."""

    name: str
    run: Run
    before: tuple[str, ...] = ()
    # What it removes before there is anything in its place, as a beginning of names of parts.
    removes_first: str = ""
    # What it does beside, perhaps not until it ends, as a pattern of names of parts and files.
    may_omit: str = ""
    # What it makes as far as it can, says so, and completes when it is run again: a pattern of names of parts.
    may_be_partial: str = ""


def keyart(*words: str) -> Run:
    """Return what runs a command line."""

    def run(inputs: Inputs, case: Path) -> object:
        places = {name: getattr(inputs, name) for name in PLACES}
        os.environ.update(TMDB_API_KEY=_KEY, KEYART_TMDB_URL=inputs.tmdb_url)
        return main([*(word.format(case=case, **places) for word in words), "--home", str(case / "ws")])

    return run


def add_by_server(inputs: Inputs, case: Path) -> object:
    """Serve a workspace, add a film by HTTP, and end the server; only what it does for that counts."""
    pause(pauses=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    failures: list[str] = []
    request = (f"http://127.0.0.1:{port}", inputs.new_poster, failures)
    client = threading.Thread(target=_post_film, args=request, daemon=True)
    client.start()
    try:
        main(["serve", "--port", str(port), "--home", str(case / "ws")])
    except SystemExit as left:
        client.join(5)
        raise SystemExit(1 if failures and not left.code else left.code) from None
    return None


def _post_film(url: str, poster: Path, failures: list[str]) -> None:
    """Add a film as soon as the server answers, then end this process as Ctrl-C does."""
    while not _answers(f"{url}/healthz"):
        time.sleep(0.02)
    pause(pauses=False)
    query = urlencode({"title": "Newcomer", "year": 2020})
    request = Request(f"{url}/api/films?{query}", poster.read_bytes(), {"Content-Type": "image/jpeg"}, method="POST")
    try:
        urlopen(request, timeout=60).close()
    except HTTPError as error:
        failures.append(error.read().decode())
    except OSError as error:
        failures.append(str(error))
    print("answer:", failures, flush=True)
    os.kill(os.getpid(), signal.SIGINT)


def _answers(url: str) -> bool:
    try:
        urlopen(url, timeout=60).close()
    except HTTPError:
        return True
    except OSError:
        return False
    return True


_EXTRACT = keyart("extract", "--encoder", "{network}")
_REBUILD = keyart("extract", "--encoder", "{network}", "--resize", "nearest", "--rebuild")
_ADD = keyart("add", "{new_poster}", "--title", "Newcomer", "--year", "2020")
_BUILT = ("load", "import", "extract", "build")


def spoil(_: Inputs, case: Path) -> None:
    """Damage a poster, lose records, and leave what killed processes may leave."""
    home = case / "ws"
    flip_bit(home / "posters" / "5.jpg")
    for name in ("index/index.json", "features/features-00000.json"):
        (home / name).unlink()
    for name in ("ratings-0123456789abcdef.parquet", "features/features-00007.npy", "cf/item-cosine/.x.partial"):
        (home / name).write_bytes(b"left")


PREPARATIONS = {"spoil": Command("spoil", spoil)}
"""What happens to a workspace before a command, and is no command."""

# What is left of an index is removed, or built anew where it could not be removed at once.
CHECK = Command("check", keyart("check", "--repair"), (*_BUILT, "spoil"), may_omit="index|similar")

COMMANDS = {
    command.name: command
    for command in (
        Command("load", keyart("load", "{movielens}")),
        Command("load again", keyart("load", "{later_movielens}"), _BUILT),
        Command("import", keyart("import", "{posters}", "--by", "movie"), ("load",)),
        Command("import again", keyart("import", "{later_posters}", "--by", "movie"), _BUILT),
        Command("fetch", keyart("fetch"), ("load",)),
        Command("extract", _EXTRACT, ("load", "import")),
        Command("extract again", _EXTRACT, (*_BUILT, "import again")),
        Command("extract other", keyart("extract", "--encoder", "{other_network}", "--as", "other"), _BUILT),
        Command("extract rebuild", _REBUILD, _BUILT, removes_first="network: "),
        Command("build", keyart("build"), ("load", "import", "extract")),
        Command("build again", keyart("build"), (*_BUILT, "import again", "extract again")),
        Command("build shortlist", keyart("build", "--index", "shortlist"), _BUILT),
        Command("add", _ADD, _BUILT),
        Command("remove", keyart("remove", "3"), _BUILT),
        Command("remove added", keyart("remove", "Newcomer"), (*_BUILT, "add")),
        Command("serve", add_by_server, _BUILT, may_omit="cold.start|looks"),
        Command("fit", keyart("fit", "ease", "als"), _BUILT),
        Command("fit again", keyart("fit", "ease"), (*_BUILT, "fit", "load again")),
        Command("tune", keyart("tune"), _BUILT),
        Command("atlas", keyart("atlas"), _BUILT, may_be_partial="atlas"),
        Command(
            "atlas again",
            keyart("atlas"),
            (*_BUILT, "atlas", "import again", "extract again"),
            may_be_partial="atlas",
        ),
        Command("neighbors", keyart("neighbors", "-k", "5", "--out", "{case}/neighbors.parquet"), _BUILT),
        Command("cold-start", keyart("cold-start", "{new_poster}", "--json"), _BUILT, may_omit="cold.start|looks"),
        Command("remove encoder", keyart("encoders", "remove", "other"), (*_BUILT, "extract other")),
        CHECK,
    )
}
