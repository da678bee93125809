"""Advice works: in every state of a workspace, the commands that a message proposes lead to the answer."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from catalog.io.files import write_bytes
from keyart.cli import keyart as cli
from tests.keyart.conftest import Outcome, Run
from tests.posters.pictures import draw_poster

pytestmark = pytest.mark.heavy

_COMMAND = re.compile(r"`keyart ([^`]*)`")
# From one question to its answer, no more rounds of advice than this.
_MOST_ROUNDS = 2

Steps = tuple[str, ...]
IMPORT_TWO, IMPORT, EXTRACT, BUILD = (
    "import {two} --by movie",
    "import {movie} --by movie",
    "extract --encoder {encoder}",
    "build",
)
STATES: dict[str, tuple[str, Steps]] = {
    "loaded, IMDb ids": ("imdb", ()),
    "loaded, TMDB ids": ("tmdb", ()),
    "loaded, no ids": ("plain", ()),
    "loaded, no ratings": ("unrated", ()),
    "posters": ("plain", (IMPORT,)),
    "posters, no ratings": ("unrated", (IMPORT,)),
    "features": ("plain", (IMPORT, EXTRACT)),
    "built": ("plain", (IMPORT, EXTRACT, BUILD)),
    "built without posters": ("imdb", (BUILD,)),
    "built without ratings": ("unrated", (IMPORT, EXTRACT, BUILD)),
    "posters since": ("plain", (IMPORT_TWO, EXTRACT, BUILD, IMPORT)),
    "features since": ("plain", (IMPORT_TWO, EXTRACT, BUILD, IMPORT, "extract")),
}
# Film 4 of the state "posters since" has no index, 6 no ratings.
QUESTIONS = (
    "similar 1",
    "similar 4",
    "similar 6",
    "similar 4 --alpha 1",
    "similar --image {poster}",
    "similar 1 4",
    "similar 1 --diverse 0.3",
    "similar 1 --region 0,0,2,2",
    "explain 1 3",
    "explain 1 4",
    "duplicates",
    "neighbors --out {out}",
    "cold-start {poster}",
    "evaluate look-alikes",
    "recommend 2",
    "recommend 2 --model most-rated",
    "fit most-rated",
    "build",
)


@pytest.fixture(scope="session")
def places(
    movielens: Path, poster_folder: Path, backbone_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Folders of films by the ids that they have, and of posters by the ids that name them."""
    folder = tmp_path_factory.mktemp("advice")
    links = movielens.joinpath("links.csv").read_text().splitlines()
    rows = [line.split(",") for line in links[1:]]
    for name in ("imdb", "tmdb", "plain", "unrated"):
        shutil.copytree(movielens, folder / f"films-{name}")
    without_imdb = [links[0], *(f"{movie_id},,{tmdb_id}" for movie_id, _, tmdb_id in rows)]
    write_bytes(folder / "films-tmdb" / "links.csv", "\n".join(without_imdb).encode())
    for name in ("plain", "unrated"):
        (folder / f"films-{name}" / "links.csv").unlink()
    (folder / "films-unrated" / "ratings.csv").unlink()
    for movie_id, imdb_id, tmdb_id in rows:
        poster = draw_poster(int(movie_id), size=(120, 180))
        for kind, name in (("movie", movie_id), ("imdb", f"tt{imdb_id}"), ("tmdb", tmdb_id)):
            if name:
                write_bytes(folder / kind / f"{name}.jpg", poster)
        if movie_id in "12":
            write_bytes(folder / "two" / f"{movie_id}.jpg", poster)
    names = {name: str(folder / name) for name in ("movie", "imdb", "tmdb", "two")}
    return names | {
        "films": str(folder / "films"),
        "encoder": str(backbone_path),
        "poster": str(poster_folder / "1.jpg"),
    }


@pytest.fixture(scope="module")
def made() -> dict[tuple[str, Steps], Path]:
    """Workspaces that were made so far, by films and steps."""
    return {}


class Walk:
    """Makes workspaces by films and steps, and asks questions of copies of them."""

    def __init__(self, run: Run, places: dict[str, str], made: dict[tuple[str, Steps], Path], folder: Path) -> None:
        self.run = run
        self.places = places
        self.made = made
        self.folder = folder

    def home(self, films: str, steps: Steps) -> Path:
        if (films, steps) not in self.made:
            before = self.home(films, steps[:-1]) if steps else None
            home = self.folder / f"workspace-{len(self.made)}"
            if before:
                shutil.copytree(before, home)
            step = steps[-1] if steps else f"load {self.places['films']}-{films}"
            outcome = self.typed(step, home)
            assert outcome.code == 0, f"`keyart {step}` failed: {outcome.err}"
            self.made[films, steps] = home
        return self.made[films, steps]

    def ask(self, question: str, films: str, steps: Steps) -> Outcome:
        home = self.home(films, steps)
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(home, copy)
        return self.typed(question, copy)

    def typed(self, words: str, home: Path) -> Outcome:
        return self.run(*shlex.split(words.format(**self.places, out=self.folder / "out.parquet")), "--home", home)


@pytest.fixture
def walk(
    run: Run, places: dict[str, str], made: dict[tuple[str, Steps], Path], tmp_path_factory: pytest.TempPathFactory
) -> Walk:
    return Walk(run, places, made, tmp_path_factory.mktemp("walk"))


def proposed(message: str) -> list[str]:
    """List the commands that a message proposes, one of each choice: what can be done without TMDB."""
    commands: list[str] = []
    end = 0
    for match in _COMMAND.finditer(message):
        command = match[1].split(" --home ")[0]
        is_other_choice = commands and re.search(r"\bor( with)?$", message[end : match.start()].strip())
        end = match.end()
        if is_other_choice and not commands[-1].startswith("fetch"):
            continue
        if is_other_choice:
            commands.pop()
        commands.append(command)
    return commands


def as_typed(command: str, steps: Steps) -> str:
    """Fill in what a person fills in: the folder, and the network where none was chosen."""
    if match := re.fullmatch(r"import FOLDER --by (\w+)", command):
        return f"import {{{match[1]}}} --by {match[1]}"
    if command == "extract" and EXTRACT not in steps:
        return EXTRACT
    return "load {films}-imdb" if command == "load DIR" else command


def check_exists(command: str) -> None:
    """Check that a proposed command exists, and each of its options."""
    found: click.Command = cli
    words = shlex.split(command)
    while isinstance(found, click.Group):
        context = click.Context(found)
        found = found.get_command(context, words.pop(0)) or pytest.fail(f"`keyart {command}` does not exist")
    options = {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("-")} <= options, command


def failures(walk: Walk, question: str, films: str, steps: Steps) -> Iterator[str]:
    """Follow the advice until the question is answered."""
    for _ in range(_MOST_ROUNDS + 1):
        outcome = walk.ask(question, films, steps)
        for command in proposed(outcome.err):
            check_exists(command)
        if outcome.code == 0:
            return
        advice = proposed(outcome.err.splitlines()[-1].split("; fitted here")[0])
        if not advice:
            break
        steps = (*steps, *(as_typed(command, (*steps, *advice[:n])) for n, command in enumerate(advice)))
    yield f"{question}: {outcome.err.strip()} (after {', '.join(steps) or 'load'})"


@pytest.mark.parametrize("state", STATES)
def test_advice_leads_to_the_answer_in_every_state(walk: Walk, state: str) -> None:
    films, steps = STATES[state]
    assert not [failure for question in QUESTIONS for failure in failures(walk, question, films, steps)]


@pytest.mark.parametrize("films", ["imdb", "tmdb", "plain", "unrated"])
def test_the_next_steps_of_info_lead_to_look_alikes(walk: Walk, films: str) -> None:
    steps: Steps = ()
    for _ in range(3):
        line = walk.ask("info", films, steps).out.splitlines()[-1]
        assert line.startswith("next ")
        (command, *_) = proposed(line)
        check_exists(command)
        steps = (*steps, as_typed(command, steps))
    assert steps[1:] == (EXTRACT, BUILD)
    assert steps[0].startswith("import")
    assert "`keyart similar TITLE" in walk.ask("info", films, steps).out
    assert walk.ask("similar 1", films, steps).code == 0


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        ("loaded, TMDB ids", "run `keyart fetch` or `keyart import FOLDER --by tmdb`, then `keyart extract`"),
        ("loaded, no ids", "run `keyart import FOLDER --by movie`, then `keyart extract`"),
        ("posters", "run `keyart extract`"),
        ("posters since", "run `keyart extract`"),
        ("built", "received 5; run `keyart import FOLDER --by movie`, then `keyart extract`"),
    ],
)
def test_the_cold_start_asks_for_what_is_missing_alone(walk: Walk, state: str, steps: str) -> None:
    message = walk.ask("evaluate cold-start", *STATES[state]).err
    assert re.sub(r" --home [^`]*", "", message).strip().endswith(steps)


@pytest.mark.parametrize("lost", [("posters",), ("features",), ("posters", "features")])
def test_explain_names_what_was_lost(walk: Walk, lost: tuple[str, ...]) -> None:
    home = Path(shutil.copytree(walk.home(*STATES["built"]), walk.folder / "lossy"))
    for name in lost:
        shutil.rmtree(home / name)
    message = walk.typed("explain 1 2", home).err
    # With the posters back, their features are there again, or are named in turn.
    assert proposed(message) == (["import FOLDER --by movie"] if "posters" in lost else ["extract"])
