"""Readers beside writers, and two writers: no false damage, no wrong answer, no stale answer without its note."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import combinations_with_replacement
from pathlib import Path
from random import Random
from typing import Any

import pytest

from catalog.errors import DataError, StoreError, UnknownFilmError
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.atlas.record import Atlas
from keyart.cold_start.new_film import NewFilm
from keyart.engine import Engine
from keyart.pipeline.additions import add
from keyart.pipeline.features import extract_missing
from keyart.pipeline.index import build
from keyart.pipeline.integrity import check
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.pipeline.recommenders import fit
from keyart.pipeline.removals import remove
from keyart.pipeline.status import read_status
from keyart.recommend import analysis
from keyart.recommend.recommendations import recommend
from keyart.workspace.layout import Workspace
from tests.faults.conftest import RecordCases
from tests.faults.interleaving import Choose, Interleaving, at_random, once_at
from tests.faults.small_workspace import make_workspace, write_films, write_posters

pytestmark = pytest.mark.heavy

Answer = tuple[Any, tuple[str, ...]]
"""What a reader answers, and its notes."""
Read = Callable[[Path], Answer]
Write = Callable[[Path], object]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace that lacks features of some posters, and what can be brought into it."""
    folder = tmp_path_factory.mktemp("sources")
    home = make_workspace(folder)
    fit(home, "ease")
    make_atlas(Workspace.open(home), AtlasOptions())
    write_films(folder / "other-films", seed=1, n_films=11)
    import_posters(home, write_posters(folder / "other-posters", seed=1, n_films=3), "movie")
    write_posters(folder / "more-posters", seed=2, n_films=5)
    return folder


def _similar(home: Path) -> Answer:
    with Engine.open(home) as engine:
        found = engine.similar(7, k=5)
    return [(hit.movie_id, round(hit.score, 4)) for hit in found.hits], found.notes


def _info(home: Path) -> Answer:
    status = read_status(Workspace.open(home))
    assert status.damaged == ()
    return None, status.notes


def _recommend(home: Path) -> Answer:
    found = recommend(Workspace.open(home), "ease", 1, 5)
    return [(film.movie_id, round(film.score, 4)) for film in found.films], found.notes


def _cold_start(home: Path) -> Answer:
    with Engine.open(home) as engine:
        (found,) = engine.cold_start([NewFilm(home.parent / "posters" / "4.jpg", title="New", genres=["Drama"])], k=3)
    assert found.expected is not None
    hits = [(hit.movie_id, round(hit.score, 4)) for hit in found.look_alikes.hits]
    return (hits, round(found.expected.mean, 3)), found.notes


def _explore(home: Path) -> Answer:
    return [(one.movie_id, one.n_ratings) for one in analysis.best_rated(Workspace.open(home), 5, 1, 5.0)], ()


def _map(home: Path) -> Answer:
    atlas = Atlas.open(Workspace.open(home).atlas_dir)
    return atlas.movie_ids.tolist(), ()


READERS: dict[str, Read] = {
    "similar": _similar,
    "info": _info,
    "recommend": _recommend,
    "cold start": _cold_start,
    "explore": _explore,
    "map": _map,
}


def _repair(home: Path) -> None:
    """Check and mend, unless another process writes: a cold start does, which stores what it learned."""
    try:
        check(home, repair=True)
    except StoreError as error:
        if "is writing into" not in str(error):
            raise


WRITERS: dict[str, Write] = {
    "load": lambda home: load(home, home.parent / "other-films"),
    "import": lambda home: import_posters(home, home.parent / "more-posters", "movie"),
    "extract": extract_missing,
    "build": build,
    "add": lambda home: add(home, [NewFilm(home.parent / "more-posters" / "1.jpg", title="New (2020)")]),
    "remove": lambda home: remove(home, [6]),
    "fit": lambda home: fit(home, "ease", {"regularization": 50.0}),
    "atlas": lambda home: make_atlas(Workspace.open(home), AtlasOptions(rebuild=True)),
    "repair": _repair,
}


# What an answer says where a part that it is made from is older than another.
STALE = ("out of date", "have changed since", "loaded earlier", "left out, as features are gone")
# Of all operations, so many are between two schedules; of those at random, there are so many for each pair.
STRIDE, N_AT_RANDOM, N_OF_TWO_WRITERS = 5, 8, 6
_BESIDE = "readers beside writers"


@pytest.fixture(autouse=True)
def _unflushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the disk: nothing is lost here, and flushing would take most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class Beside:
    """A reader and a writer of copies of a workspace."""

    def __init__(self, read: Read, write: Write, sources: Path, folder: Path) -> None:
        self._read, self._write, self._sources, self._folder = read, write, sources, folder
        # What the reader answers at operations of the writer, and after the last.
        self._answers: dict[int, Any] = {}
        self._n_operations = 0
        self.n_cases = 0

    def read_within(self, operation: int) -> bool:
        """Read, all at once, before the n-th operation of the writer; False where it makes fewer."""
        answer, n_operations = self._run(once_at(operation), is_reader_first=False)
        self._answers[operation] = answer[0]
        self._n_operations = max(self._n_operations, n_operations)
        return n_operations > operation

    def write_within(self, operation: int) -> bool:
        """Write, all at once, before the n-th operation of the reader; False where it makes fewer."""
        answer, n_operations = self._run(once_at(operation), is_reader_first=True)
        self._check(answer)
        return n_operations > operation

    def take_turns(self, rng: Random) -> None:
        """Read and write, and change between them at random."""
        answer, _ = self._run(at_random(rng, rng.choice((0.02, 0.1, 0.5))), is_reader_first=False)
        self._check(answer)

    def _run(self, choose: Choose, *, is_reader_first: bool) -> tuple[Answer, int]:
        self.n_cases += 1
        home = _copy(self._sources, self._folder / "copy")
        works = [lambda: self._write(home), lambda: self._read(home)]
        if is_reader_first:
            works.reverse()
        interleaving = Interleaving(home, works, choose)
        results = interleaving.run()
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results[0 if is_reader_first else 1], interleaving.n_operations[0]

    def _check(self, answer: Answer) -> None:
        found, notes = answer
        if any(words in note for words in STALE for note in notes) or found in self._answers.values():
            return
        # What holds for a moment only may be between two of them.
        for operation in set(range(self._n_operations + 1)) - self._answers.keys():
            self.read_within(operation)
        assert found in self._answers.values(), answer


@pytest.mark.parametrize(("reader", "writer"), [("similar", "build"), ("recommend", "load"), ("info", "extract")])
def test_some_answers_beside_a_writer(reader: str, writer: str, sources: Path, tmp_path: Path) -> None:
    beside = Beside(READERS[reader], WRITERS[writer], sources, tmp_path)
    assert any(not beside.read_within(n) for n in range(0, 1000, 12))
    assert any(not beside.write_within(n) for n in range(0, 1000, 12))


@pytest.mark.faults
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", WRITERS)
def test_no_answer_beside_a_writer_is_wrong(
    reader: str, writer: str, sources: Path, tmp_path: Path, record_cases: RecordCases
) -> None:
    beside = Beside(READERS[reader], WRITERS[writer], sources, tmp_path)
    assert any(not beside.read_within(n) for n in range(0, 1000, STRIDE))
    assert any(not beside.write_within(n) for n in range(0, 1000, STRIDE))
    rng = Random(f"{reader} {writer}")
    for _ in range(N_AT_RANDOM):
        beside.take_turns(rng)
    record_cases(_BESIDE, beside.n_cases)


@pytest.mark.faults
@pytest.mark.parametrize("reader", READERS)
def test_no_answer_during_many_loads_is_damaged(
    reader: str, sources: Path, tmp_path: Path, record_cases: RecordCases
) -> None:
    def write(home: Path) -> None:
        for name in ("other-films", "films") * 3:
            load(home, home.parent / name)

    beside, rng = Beside(READERS[reader], write, sources, tmp_path), Random(reader)
    assert any(not beside.read_within(n) for n in range(0, 1000, 4 * STRIDE))
    for _ in range(N_AT_RANDOM):
        beside.take_turns(rng)
    record_cases(_BESIDE, beside.n_cases)


@pytest.mark.faults
@pytest.mark.parametrize(("first", "second"), [*combinations_with_replacement(WRITERS, 2)])
def test_two_writers_leave_what_one_after_the_other_does(
    first: str, second: str, sources: Path, tmp_path: Path, record_cases: RecordCases
) -> None:
    writes, rng = (WRITERS[first], WRITERS[second]), Random(f"{first} {second}")
    for _ in range(N_OF_TWO_WRITERS):
        home = _copy(sources, tmp_path / "copy")
        works = [partial(write, home) for write in writes]
        results = Interleaving(home, works, at_random(rng, rng.choice((0.02, 0.1, 0.5)))).run()
        for result in results:
            if isinstance(result, BaseException) and "is writing into" not in str(result):
                raise result
        assert read_status(Workspace.open(home)).damaged == ()
        for one in (*writes, extract_missing, build):
            _repeated(one, home)
        status = read_status(Workspace.open(home))
        assert status.damaged == ()
        assert status.index_is_current
        assert status.similarities_are_current
        assert status.n_indexed == status.n_features == status.n_posters
        assert not list(home.rglob("*.partial"))
    record_cases("two writers", N_OF_TWO_WRITERS)


def _repeated(write: Write, home: Path) -> None:
    """Run a command again, which may find that all is done: a film was added, or is gone with all that is of it."""
    with suppress(DataError, UnknownFilmError):
        write(home)


def _copy(sources: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(sources, to)) / "workspace"
