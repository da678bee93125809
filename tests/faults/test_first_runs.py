"""A first command that was killed or met a full disk leaves nothing that stops a later one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.errors import DataError, KeyartError, NotBuiltError
from keyart.engine import Engine
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.pipeline.status import read_status
from keyart.pipeline.tmdb import read_poster_status
from keyart.workspace.layout import Workspace
from posters.database import DATABASE_NAME, PosterDatabase
from posters.store import PosterStore, check_registered
from tests.faults.small_workspace import N_FILMS, write_films, write_posters

KILLED_BEFORE_RENAME = """
import os, signal, sys
from pathlib import Path
import keyart

replace, left = os.replace, int(sys.argv[3])

def killing(*paths):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*paths)

os.replace = killing
keyart.pipeline.load(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("n", range(2))
def test_a_first_load_that_was_killed_is_repeated(n: int, tmp_path: Path) -> None:
    home, films = tmp_path / "workspace", write_films(tmp_path / "films")
    killed = subprocess.run([sys.executable, "-c", KILLED_BEFORE_RENAME, str(home), str(films), str(n)])
    assert killed.returncode < 0
    # The lock takes its name first, and then the record of the workspace.
    assert not (home / "workspace.json").exists()
    assert list(home.iterdir())
    assert load(home, films).n_films == N_FILMS
    assert not list(home.glob(".*"))
    assert not list(home.glob("writer.pid*"))


def test_a_file_of_another_program_is_not_a_leftover(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films")
    home = tmp_path / "workspace"
    home.mkdir()
    (home / "thesis.partial").touch()
    with pytest.raises(Exception, match="neither empty nor a keyart workspace"):
        load(home, films)


def _empty_databases(folder: Path) -> list[Path]:
    """Make what a killed process leaves of a database: nothing, its header, and some tables of an earlier version."""
    paths = [folder / name for name in ("nothing", "header", "tables")]
    paths[0].touch()
    for path, statement in zip(paths[1:], ("PRAGMA journal_mode = WAL", "CREATE TABLE posters (a)"), strict=True):
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.close()
    return paths


@pytest.mark.parametrize("number", range(3))
def test_an_empty_database_of_posters_stops_nothing(number: int, tmp_path: Path) -> None:
    home, films = tmp_path / "workspace", write_films(tmp_path / "films")
    load(home, films)
    workspace = Workspace.open(home)
    workspace.posters_dir.mkdir()
    _empty_databases(tmp_path)[number].rename(workspace.posters_dir / DATABASE_NAME)
    with pytest.raises(NotBuiltError, match="is missing or empty"):
        PosterStore.open_to_read(workspace.posters_dir)
    assert read_status(workspace).damaged == ()
    assert read_poster_status(workspace).n_films == N_FILMS
    build(home)
    with Engine.open(home) as engine:
        assert engine.similar(1).hits


def test_posters_beside_an_empty_database_are_not_replaced(tmp_path: Path) -> None:
    write_posters(tmp_path)
    (tmp_path / DATABASE_NAME).touch()
    with pytest.raises(DataError, match="not registered"):
        check_registered(tmp_path)


def test_tables_are_created_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("posters.database._ADDITIONS", ("CREATE nonsense",))
        with pytest.raises(KeyartError):
            PosterDatabase.open(tmp_path / DATABASE_NAME)
    with pytest.raises(NotBuiltError, match="is missing or empty"):
        PosterDatabase.open_to_read(tmp_path / DATABASE_NAME)
    PosterDatabase.open(tmp_path / DATABASE_NAME).close()
    PosterDatabase.open_to_read(tmp_path / DATABASE_NAME).close()


KILLED_AT_STATEMENT = """
import os, signal, sqlite3, sys
from pathlib import Path
import keyart

connect = sqlite3.connect
left = int(sys.argv[3])

def killing(path, *arguments, **options):
    connection = connect(path, *arguments, **options)
    def count(statement):
        global left
        left -= 1
        if left < 0 and "posters" in str(path):
            os.kill(os.getpid(), signal.SIGKILL)
    connection.set_trace_callback(count)
    return connection

sqlite3.connect = killing
keyart.pipeline.import_posters(Path(sys.argv[1]), Path(sys.argv[2]), "movie")
"""


@pytest.mark.faults
def test_a_first_import_that_was_killed_is_repeated(tmp_path: Path) -> None:
    posters = write_posters(tmp_path / "posters")
    for n in range(20):
        home = tmp_path / f"workspace-{n}"
        load(home, write_films(tmp_path / "films"))
        arguments = [str(home), str(posters), str(n)]
        killed = subprocess.run([sys.executable, "-c", KILLED_AT_STATEMENT, *arguments], env=dict(os.environ))
        assert killed.returncode < 0
        status = read_status(Workspace.open(home))
        assert status.damaged == ()
        assert status.n_posters <= N_FILMS
        import_posters(home, posters, "movie")
        assert read_status(Workspace.open(home)).n_posters == N_FILMS
