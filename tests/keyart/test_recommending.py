"""Known films and new ones in one list."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import NotBuiltError
from catalog.storage import write_bytes
from cf.base import Recommended
from keyart.pipeline import load
from keyart.recommending import RecommendedFilm, _Entry, _with_new, recommend, recommend_new
from keyart.stock import open_ratings
from keyart.workspace import Workspace
from tests.keyart.conftest import N_FILMS, Run

UNRATED = 6
KNOWN = Recommended(np.arange(1, 9, dtype=np.int32), np.linspace(0.8, 0.1, 8).astype(np.float32))


def new(*scores: float) -> list[_Entry]:
    return [_Entry(100 + place, score, new=True) for place, score in enumerate(scores)]


def movie_ids(entries: list[_Entry]) -> list[int]:
    return [entry.movie_id for entry in entries]


def film(films: tuple[RecommendedFilm, ...], movie_id: int) -> RecommendedFilm:
    return next(one for one in films if one.movie_id == movie_id)


# How lists are merged


def test_a_new_film_takes_the_place_that_it_earns() -> None:
    assert movie_ids(_with_new(KNOWN, new(0.75, 0.05), 5, 0.0)) == [1, 100, 2, 3, 4]


def test_of_equal_scores_the_known_film_stands_first() -> None:
    assert movie_ids(_with_new(KNOWN, new(float(KNOWN.scores[1])), 3, 0.0)) == [1, 2, 100]


def test_a_share_of_new_films_is_spread_through_the_list() -> None:
    assert movie_ids(_with_new(KNOWN, new(0.0, 0.0, 0.0), 6, 0.33)) == [1, 2, 100, 3, 4, 101]


def test_who_earns_more_than_the_share_keeps_it() -> None:
    assert movie_ids(_with_new(KNOWN, new(0.9, 0.85), 4, 0.25)) == [100, 101, 1, 2]


def test_a_share_is_reached_and_takes_no_earned_place_away() -> None:
    assert movie_ids(_with_new(KNOWN, new(0.9, 0.0, 0.0), 6, 0.34)) == [100, 1, 2, 101, 3, 102]
    assert sum(entry.new for entry in _with_new(KNOWN, new(0.0, 0.0, 0.0), 8, 0.13)) == 2


def test_fewer_new_films_than_asked_for_are_all_there_are() -> None:
    assert movie_ids(_with_new(KNOWN, new(0.0), 4, 1.0)) == [1, 2, 3, 100]
    assert movie_ids(_with_new(KNOWN, [], 4, 0.5)) == [1, 2, 3, 4]


# In a workspace


def test_a_film_that_nobody_rated_is_recommended_and_marked(home: Path) -> None:
    found = recommend(Workspace.open(home), "item-cosine", 2, 10, fresh=0.2)
    assert film(found.films, UNRATED).new
    assert film(found.films, UNRATED).n_ratings == 0
    assert sum(one.new for one in found.films) == sum(one.n_ratings == 0 for one in found.films)
    assert not film(found.films, 5).new
    assert [one.rank for one in found.films] == list(range(1, len(found.films) + 1))


def test_new_films_can_be_left_out(home: Path) -> None:
    found = recommend(Workspace.open(home), "item-cosine", 2, 10, fresh=0)
    assert found.films
    assert not any(one.new for one in found.films)


def test_who_is_unknown_is_shown_what_people_like_and_what_is_new_and_told_so(home: Path) -> None:
    found = recommend(Workspace.open(home), "item-cosine", 4242, 5)
    assert film(found.films, UNRATED).new
    assert any(not one.new for one in found.films)
    assert "no user 4242" in found.notes[0]


def test_who_has_rated_everything_is_not_called_unknown(home: Path) -> None:
    found = recommend(Workspace.open(home), "item-cosine", 1, 5)
    assert not any("no user" in note for note in found.notes)
    assert any("rated already" in note for note in found.notes) == (not any(not one.new for one in found.films))


def test_somebody_new_is_placed_by_what_they_rated(home: Path, tmp_path: Path) -> None:
    write_bytes(tmp_path / "mine.csv", b"movieId,rating\n1,5\n999,4\n")
    found = recommend_new(Workspace.open(home), "item-cosine", tmp_path / "mine.csv", 10, fresh=0.3)
    assert film(found.films, UNRATED).new
    assert 1 not in [one.movie_id for one in found.films]
    assert any("1 film of mine.csv" in note and "999" in note for note in found.notes)


def test_a_new_film_that_the_person_has_rated_is_not_recommended(home: Path, tmp_path: Path) -> None:
    write_bytes(tmp_path / "mine.csv", f"movieId,rating\n1,5\n{UNRATED},4\n".encode())
    found = recommend_new(Workspace.open(home), "item-cosine", tmp_path / "mine.csv", 10, fresh=0.5)
    assert UNRATED not in [one.movie_id for one in found.films]


def test_what_was_rated_since_the_model_was_fitted_is_not_recommended(
    home: Path, movielens: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "later"
    for path in movielens.iterdir():
        write_bytes(folder / path.name, path.read_bytes())
    with (folder / "ratings.csv").open("a") as stream:
        # User 2 has rated the film that was new, and user 99 came.
        stream.write(f"2,{UNRATED},5,9\n99,1,5,9\n")
    load(home, folder)
    workspace = Workspace.open(home)
    for fresh in (None, 1.0):
        found = recommend(workspace, "item-cosine", 2, 10, fresh)
        assert UNRATED not in [one.movie_id for one in found.films]
    later = recommend(workspace, "item-cosine", 99, 10)
    assert 1 not in [one.movie_id for one in later.films]
    assert not any("no user" in note for note in later.notes)


def test_without_ratings_nobody_is_recommended_anything(home: Path, movielens: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unrated"
    for name in ("movies.csv", "links.csv"):
        write_bytes(folder / name, (movielens / name).read_bytes())
    load(home, folder)
    with pytest.raises(NotBuiltError, match="no ratings here"):
        recommend(Workspace.open(home), "item-cosine", 2, 10)


def test_the_list_is_the_same_every_time(home: Path) -> None:
    one, other = (recommend(Workspace.open(home), "item-cosine", 3, 10, fresh=0.4) for _ in range(2))
    assert one == other


def test_the_command_marks_new_films(run: Run, home: Path) -> None:
    words = ("recommend", "2", "--model", "item-cosine", "--fresh", "0.3", "--home", home)
    assert "Café Zürich (1995)  (new)" in run(*words).out
    results = json.loads(run(*words, "--json").out)["results"]
    assert {one["movie_id"]: one["new"] for one in results}[UNRATED] is True
    rows = list(csv.DictReader(io.StringIO(run(*words, "--csv").out)))
    assert {row["movie_id"]: row["new"] for row in rows}[str(UNRATED)] == "True"


def test_an_added_film_is_recommended(run: Run, home: Path, poster_folder: Path, tmp_path: Path) -> None:
    write_bytes(tmp_path / "poster.jpg", (poster_folder / "2.jpg").read_bytes())
    assert run("add", tmp_path / "poster.jpg", "--title", "Added", "--year", "2001", "--home", home).code == 0
    found = run("recommend", "2", "--model", "item-cosine", "--fresh", "0.5", "--home", home)
    assert "Added (2001)  (new)" in found.out


@pytest.mark.parametrize("share", ["-0.1", "1.5", "much", "nan"])
def test_a_share_is_between_0_and_1(run: Run, home: Path, share: str) -> None:
    refused = run("recommend", "2", "--fresh", share, "--home", home)
    assert refused.code == 2
    assert "--fresh" in refused.err


# In a world of two tastes, in which film 41 is a drama that nobody has rated


@pytest.fixture
def fitted(tastes_home: Path, run: Run) -> Path:
    assert run("fit", "ease", "--home", tastes_home).code == 0
    return tastes_home


def places_of(films: tuple[RecommendedFilm, ...]) -> list[int]:
    return [place for place, one in enumerate(films) if one.new]


def test_a_new_film_comes_sooner_for_those_whose_taste_it_suits(fitted: Path) -> None:
    places: dict[int, list[int]] = {0: [], 1: []}
    for user in range(1, 11):
        films = recommend(Workspace.open(fitted), "ease", user, N_FILMS + 1).films
        places[user % 2] += places_of(films)
        scores = [one.score for one in films]
        assert scores == sorted(scores, reverse=True)
    assert len(places[0]) == len(places[1]) == 5
    assert max(places[0]) < min(places[1])


def test_who_has_rated_everything_is_shown_what_is_new(fitted: Path, tastes: Path, run: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tastes, tmp_path / "more"))
    with (folder / "ratings.csv").open("a") as stream:
        stream.writelines(f"\n500,{movie_id},4,1" for movie_id in range(1, N_FILMS + 1))
    run("load", folder, "--home", fitted)
    run("fit", "ease", "--home", fitted)
    found = recommend(Workspace.open(fitted), "ease", 500, 10)
    assert [(one.movie_id, one.new) for one in found.films] == [(N_FILMS + 1, True)]
    assert found.notes == ("every film that the model knows has been rated already",)
    assert recommend(Workspace.open(fitted), "ease", 500, 10, fresh=0).films == ()


def test_new_films_are_only_spoken_of_where_there_are_some(fitted: Path) -> None:
    liked = "ease knows no user 4242: these are the films that people like best"
    assert recommend(Workspace.open(fitted), "ease", 4242, 10).notes == (f"{liked}, and new ones",)
    assert recommend(Workspace.open(fitted), "ease", 4242, 10, fresh=0).notes == (liked,)


def test_a_file_of_films_that_nobody_knows_is_no_taste(fitted: Path, tmp_path: Path) -> None:
    write_bytes(tmp_path / "mine.csv", b"movieId,rating\n999,5\n")
    found = recommend_new(Workspace.open(fitted), "ease", tmp_path / "mine.csv", 10)
    assert found.notes == (
        "1 film of mine.csv without ratings here, passed over: 999",
        "ease can say nothing: these are the films that people like best, and new ones",
    )
    assert len(found.films) == 10


def test_a_file_of_a_users_ratings_is_answered_as_the_user(fitted: Path, tmp_path: Path) -> None:
    ratings = open_ratings(Workspace.open(fitted))
    mine = ratings.where(ratings.user_ids == 2)
    pairs = zip(mine.movie_ids.tolist(), mine.values.tolist(), strict=True)
    lines = ["movieId,rating", *(f"{movie_id},{stars}" for movie_id, stars in pairs)]
    write_bytes(tmp_path / "mine.csv", "\n".join(lines).encode())
    as_user = recommend(Workspace.open(fitted), "ease", 2, N_FILMS)
    as_new = recommend_new(Workspace.open(fitted), "ease", tmp_path / "mine.csv", N_FILMS)
    assert [one.movie_id for one in as_user.films] == [one.movie_id for one in as_new.films]
