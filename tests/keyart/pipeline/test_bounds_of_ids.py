"""Ids above the bound are refused at every door of a workspace, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.errors import ConfigError
from catalog.ids import FIRST_ADDED_ID, MAX_ID
from keyart.cold_start.new_film import NewFilm
from keyart.engine import Engine
from keyart.pipeline.additions import add
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster

TOO_MUCH = MAX_ID + 1


@pytest.fixture
def poster(tmp_path: Path) -> Path:
    path = tmp_path / "new.jpg"
    path.write_bytes(draw_poster(2, size=(124, 186)))
    return path


def test_a_film_after_the_last_id_takes_a_free_one(home: Path, poster: Path, run: Run) -> None:
    assert run("add", poster, "--title", "Last", "--movie-id", str(MAX_ID), "--home", home).code == 0
    outcome = run("add", poster, "--title", "Next", "--home", home)
    assert outcome.out.startswith(f"added: Next  [{FIRST_ADDED_ID}]\n")
    assert {hit.movie_id for hit in Engine.open(home).similar("Next", k=2)} == {2, MAX_ID}


@pytest.mark.parametrize("ids", [{"movie_id": TOO_MUCH}, {"tmdb_id": TOO_MUCH}, {"tmdb_id": 0}, {"movie_id": -1}])
def test_python_refuses_ids_out_of_bounds(home: Path, poster: Path, ids: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="from 1 to 2,147,483,647"):
        add(home, [NewFilm(poster, "X", **ids)])  # type: ignore[arg-type]


def test_python_refuses_other_things_than_ids(home: Path, poster: Path) -> None:
    with pytest.raises(TypeError, match="a movie_id should be an int"):
        add(home, [NewFilm(poster, "X", movie_id="7")])  # type: ignore[arg-type]


def test_questions_with_ids_out_of_bounds_are_refused(home: Path) -> None:
    engine = Engine.open(home)
    with pytest.raises(LookupError, match=f"no film has the movie_id {2**70}"):
        engine.similar(2**70)
    with pytest.raises(ConfigError, match="expected a user_id from 1 to"):
        engine.recommend(2**40, model="item-cosine")
    with pytest.raises(ValueError, match="expected movie_ids from 1 to"):
        engine.recommend({2**40: 5.0}, model="item-cosine")


def test_commands_refuse_ids_out_of_bounds(home: Path, poster: Path, run: Run, tmp_path: Path) -> None:
    listed = tmp_path / "films.csv"
    listed.write_text(f"path,title,movie_id\n{poster.name},X,{TOO_MUCH}\n")
    ids = tmp_path / "ids.txt"
    ids.write_text(f"{TOO_MUCH}\n")
    ratings = tmp_path / "own.csv"
    ratings.write_text(f"movie_id,rating\n{TOO_MUCH},5\n")
    pictures = tmp_path / "pictures.csv"
    pictures.write_text(f"path,movie_id\n{poster.name},{TOO_MUCH}\n")
    for code, words in (
        (2, ("add", poster, "--title", "X", "--movie-id", str(TOO_MUCH))),
        (1, ("add", poster, "--title", "X", "--imdb-id", f"tt{TOO_MUCH}")),
        (1, ("add", listed)),
        (1, ("similar", "1", "--movie-ids", ids)),
        (1, ("recommend", "--ratings", ratings)),
        (2, ("recommend", str(TOO_MUCH))),
        (1, ("import", "--csv", pictures)),
    ):
        outcome = run(*words, "--home", home)
        assert (outcome.code, str(TOO_MUCH) in outcome.err, len(outcome.err.splitlines())) == (code, True, 1), words
