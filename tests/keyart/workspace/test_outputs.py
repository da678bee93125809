"""What commands may not overwrite: their inputs, and what a workspace keeps."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from catalog.errors import ConfigError
from keyart.pipeline.movielens import load
from keyart.workspace.layout import Workspace
from keyart.workspace.outputs import check_output, check_replaceable
from tests.keyart.conftest import Run


@pytest.fixture
def workspace(tmp_path: Path, movielens: Path) -> Workspace:
    shutil.copytree(movielens, tmp_path / "loaded")
    load(tmp_path / "home", tmp_path / "loaded")
    return Workspace.open(tmp_path / "home")


def test_inputs_are_not_replaced_by_any_name(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.new("RGB", (9, 9)).save(image)
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "soft.png").symlink_to(image)
    os.link(image, tmp_path / "hard.png")
    for path in (image, tmp_path / "soft.png", tmp_path / "hard.png", tmp_path / "folder" / "a.png"):
        with pytest.raises(ConfigError, match=r"\.png is read by this command; name another file"):
            check_output(path, (".png",), [None, image])
    check_output(tmp_path / "b.png", (".png",), [image])


def test_what_a_workspace_keeps_is_not_replaced(workspace: Workspace) -> None:
    (ratings,) = workspace.home.glob("ratings-*.parquet")
    (workspace.home / "posters").mkdir()
    (workspace.home.parent / "link").symlink_to(workspace.home)
    for path in (ratings, workspace.posters_dir / "6.jpg", workspace.home.parent / "link" / "index" / "n.parquet"):
        with pytest.raises(ConfigError, match="belongs to the workspace"):
            check_replaceable(path)
    # A workspace may be the folder that its user works in.
    for name in ("sheet.png", "ratings-mine.parquet", "sheets/6.jpg"):
        check_replaceable(workspace.home / name)


def test_commands_refuse_to_replace_their_inputs(workspace: Workspace, run: Run, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (ratings,) = workspace.home.glob("ratings-*.parquet")
    Image.new("RGB", (60, 90)).save(tmp_path / "a.png")
    for words, reason in (
        (["explore", "ratings", "--out", tmp_path / "loaded" / "ratings.csv"], "is read by this command"),
        (["explore", "ratings", "--out", ratings], "belongs to the workspace"),
        (["similar", "--image", tmp_path / "a.png", "--sheet", tmp_path / "a.png"], "is read by this command"),
        (["similar", "1", "--sheet", workspace.posters_dir / "1.jpg"], "there is no folder"),
        (["neighbors", "--out", ratings], "belongs to the workspace"),
    ):
        outcome = run(*words, "--home", workspace.home)
        assert (outcome.code, outcome.out) == (1, "")
        assert reason in outcome.err
    assert {path: path.read_bytes() for path in before} == before


def test_a_table_and_its_ratings_are_not_replaced(tmp_path: Path, run: Run) -> None:
    films, ratings, home = tmp_path / "films.csv", tmp_path / "mine.csv", tmp_path / "home"
    films.write_text("movie_id,title\n1,Ran (1985)\n")
    ratings.write_text("user_id,movie_id,rating\n1,1,4\n2,1,5\n")
    load(home, films, ratings)
    for path in (films, ratings):
        before = path.read_bytes()
        assert "is read by this command" in run("explore", "ratings", "--out", path, "--home", home).err
        assert path.read_bytes() == before
    assert run("explore", "ratings", "--out", tmp_path / "new.csv", "--home", home).code == 0


def test_ratings_of_other_names_survive_a_load(workspace: Workspace, tmp_path: Path) -> None:
    own = workspace.home / "ratings-mine.parquet"
    own.write_text("mine")
    load(workspace, tmp_path / "loaded")
    assert own.read_text() == "mine"
    assert len(list(workspace.home.glob("ratings-*.parquet"))) == 2


def test_a_database_of_another_program_is_no_workspace(tmp_path: Path, movielens: Path) -> None:
    import sqlite3

    (tmp_path / "home").mkdir()
    path = tmp_path / "home" / "catalog.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE books (title TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="neither empty nor a keyart workspace"):
        load(tmp_path / "home", movielens)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["catalog.sqlite"]
