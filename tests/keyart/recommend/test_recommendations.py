"""Recommendations of known and new films in one list."""

import csv
import io
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catalog.errors import NotBuiltError
from catalog.io.files import write_bytes
from keyart.pipeline.movielens import load
from keyart.recommend.history import history_of, liked
from keyart.recommend.personal_ratings import read_personal_ratings
from keyart.recommend.recommendations import Recommendation, RecommendedFilm, UserRecommender, recommend, recommend_new
from keyart.workspace.contents import open_ratings
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import N_FILMS, Run

pytestmark = pytest.mark.heavy

UNRATED = 6


def recommend_file(home: Path, name: str, path: Path, k: int, fresh: float | None = None) -> Recommendation:
    workspace = Workspace.open(home)
    return recommend_new(workspace, name, read_personal_ratings(workspace, path), k, fresh)


def film(films: tuple[RecommendedFilm, ...], movie_id: int) -> RecommendedFilm:
    return next(one for one in films if one.movie_id == movie_id)


# In a workspace


def test_unrated_film_is_recommended_and_marked_as_new(home: Path) -> None:
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


def test_unknown_user_gets_popular_and_new_films_with_a_note(home: Path) -> None:
    found = recommend(Workspace.open(home), "item-cosine", 4242, 5)
    assert film(found.films, UNRATED).new
    assert any(not one.new for one in found.films)
    assert "no user 4242" in found.notes[0]


def test_user_who_rated_everything_is_not_reported_as_unknown(home: Path) -> None:
    found = recommend(Workspace.open(home), "item-cosine", 1, 5)
    assert not any("no user" in note for note in found.notes)
    assert any("rated already" in note for note in found.notes) == (not any(not one.new for one in found.films))


def test_recommends_from_a_file_of_ratings(home: Path, tmp_path: Path) -> None:
    write_bytes(tmp_path / "mine.csv", b"movieId,rating\n1,5\n999,4\n")
    found = recommend_file(home, "item-cosine", tmp_path / "mine.csv", 10, fresh=0.3)
    assert film(found.films, UNRATED).new
    assert 1 not in [one.movie_id for one in found.films]
    assert "mine.csv: MovieLens, 1 film matched, 0 ambiguous, 1 unknown" in found.notes


def test_new_film_in_the_file_of_ratings_is_not_recommended(home: Path, tmp_path: Path) -> None:
    write_bytes(tmp_path / "mine.csv", f"movieId,rating\n1,5\n{UNRATED},4\n".encode())
    found = recommend_file(home, "item-cosine", tmp_path / "mine.csv", 10, fresh=0.5)
    assert UNRATED not in [one.movie_id for one in found.films]


def test_films_rated_since_the_fit_are_not_recommended(home: Path, movielens: Path, tmp_path: Path) -> None:
    folder = tmp_path / "later"
    for path in movielens.iterdir():
        write_bytes(folder / path.name, path.read_bytes())
    with (folder / "ratings.csv").open("a") as stream:
        # User 2 has rated the new film, and user 99 is new.
        stream.write(f"2,{UNRATED},5,9\n99,1,5,9\n")
    load(home, folder)
    workspace = Workspace.open(home)
    for fresh in (None, 1.0):
        found = recommend(workspace, "item-cosine", 2, 10, fresh)
        assert UNRATED not in [one.movie_id for one in found.films]
    later = recommend(workspace, "item-cosine", 99, 10)
    assert 1 not in [one.movie_id for one in later.films]
    assert not any("no user" in note for note in later.notes)


def test_recommending_without_ratings_is_an_error(home: Path, movielens: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unrated"
    for name in ("movies.csv", "links.csv"):
        write_bytes(folder / name, (movielens / name).read_bytes())
    load(home, folder)
    with pytest.raises(NotBuiltError, match="no ratings here"):
        recommend(Workspace.open(home), "item-cosine", 2, 10)


def test_recommendations_are_repeatable(home: Path) -> None:
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


# Two tastes, with film 41 as an unrated drama


@pytest.fixture
def fitted(tastes_home: Path, run: Run) -> Path:
    assert run("fit", "ease", "--home", tastes_home).code == 0
    return tastes_home


def positions_of_new_films(films: tuple[RecommendedFilm, ...]) -> list[int]:
    return [position for position, one in enumerate(films) if one.new]


def test_new_film_ranks_higher_for_users_of_its_taste(fitted: Path) -> None:
    positions: dict[int, list[int]] = {0: [], 1: []}
    for user in range(1, 11):
        films = recommend(Workspace.open(fitted), "ease", user, N_FILMS + 1).films
        positions[user % 2] += positions_of_new_films(films)
        scores = [one.score for one in films]
        assert scores == sorted(scores, reverse=True)
    assert len(positions[0]) == len(positions[1]) == 5
    assert max(positions[0]) < min(positions[1])


def test_user_who_rated_everything_gets_new_films(fitted: Path, tastes: Path, run: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tastes, tmp_path / "more"))
    with (folder / "ratings.csv").open("a") as stream:
        stream.writelines(f"\n500,{movie_id},4,1" for movie_id in range(1, N_FILMS + 1))
    run("load", folder, "--home", fitted)
    run("fit", "ease", "--home", fitted)
    found = recommend(Workspace.open(fitted), "ease", 500, 10)
    assert [(one.movie_id, one.new) for one in found.films] == [(N_FILMS + 1, True)]
    assert found.notes == ("every film that the model knows has been rated already",)
    assert recommend(Workspace.open(fitted), "ease", 500, 10, fresh=0).films == ()


def test_notes_mention_new_films_only_if_there_are_some(fitted: Path) -> None:
    liked = "ease knows no user 4242: these are the films that people like best"
    assert recommend(Workspace.open(fitted), "ease", 4242, 10).notes == (f"{liked}, and new ones",)
    assert recommend(Workspace.open(fitted), "ease", 4242, 10, fresh=0).notes == (liked,)


def test_file_of_unknown_films_gives_popular_films(fitted: Path, tmp_path: Path) -> None:
    write_bytes(tmp_path / "mine.csv", b"movieId,rating\n999,5\n")
    found = recommend_file(fitted, "ease", tmp_path / "mine.csv", 10)
    assert found.notes == (
        "mine.csv: MovieLens, 0 films matched, 0 ambiguous, 1 unknown",
        "ease cannot recommend from these ratings: these are the films that people like best, and new ones",
    )
    assert len(found.films) == 10


def test_file_of_a_users_ratings_equals_the_user(fitted: Path, tmp_path: Path) -> None:
    # A model of stars: of what a file has, models of choices take what was liked.
    ratings = open_ratings(Workspace.open(fitted))
    mine = ratings.where(ratings.user_ids == 2)
    pairs = zip(mine.movie_ids.tolist(), mine.values.tolist(), strict=True)
    lines = ["movieId,rating", *(f"{movie_id},{stars}" for movie_id, stars in pairs)]
    write_bytes(tmp_path / "mine.csv", "\n".join(lines).encode())
    as_user = recommend(Workspace.open(fitted), "item-cosine", 2, N_FILMS, fresh=0)
    as_new = recommend_file(fitted, "item-cosine", tmp_path / "mine.csv", N_FILMS, fresh=0)
    assert [one.movie_id for one in as_user.films] == [one.movie_id for one in as_new.films]


# Stars


@pytest.mark.parametrize("name", ["als", "sgd"])
def test_stars_stay_within_the_scale_in_the_order_of_raw_scores(tastes_home: Path, run: Run, name: str) -> None:
    assert run("fit", name, "--home", tastes_home).code == 0
    opened = UserRecommender.open(Workspace.open(tastes_home), name)
    # The best of stars for films that others rate 2.5: the rest should be better still.
    generous = history_of(range(2, N_FILMS // 2, 2), [4.5] * 9)
    shown = opened.for_ratings(generous, N_FILMS + 1)
    scores = [one.score for one in shown.films]
    assert scores == sorted(scores, reverse=True)
    assert scores.count(4.5) > 1
    (raw,) = opened.model.recommend_new(generous, N_FILMS + 1, raw=True)
    assert raw.scores[0] > 4.5
    assert [one.movie_id for one in shown.films if not one.new] == raw.ids.tolist()


def test_preferences_for_new_films_are_not_called_stars(tastes_home: Path, run: Run) -> None:
    assert run("fit", "als", "--home", tastes_home).code == 0
    opened = UserRecommender.open(Workspace.open(tastes_home), "als")
    everything = history_of(range(1, N_FILMS + 1), [4.0, 5.0] * (N_FILMS // 2))
    found = opened.for_ratings(everything, 5)
    assert [one.movie_id for one in found.films] == [N_FILMS + 1]
    assert not found.gives_stars


# Open recommenders


def test_open_recommender_equals_one_opened_per_request(fitted: Path) -> None:
    workspace = Workspace.open(fitted)
    opened = UserRecommender.open(workspace, "ease")
    for user in (2, 3, 4242):
        for fresh in (None, 0.0, 0.3):
            assert opened.for_user(user, 10, fresh) == recommend(workspace, "ease", user, 10, fresh)


def test_concurrent_requests_equal_sequential_ones(fitted: Path) -> None:
    opened = UserRecommender.open(Workspace.open(fitted), "ease")
    users = [*range(1, 41), 4242] * 3
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda user: opened.for_user(user, 10), users))
    assert together == [opened.for_user(user, 10) for user in users]


def test_detects_changes_of_the_workspace(fitted: Path, tastes: Path, run: Run, tmp_path: Path) -> None:
    def is_old_after(*words: str | Path) -> bool:
        opened = UserRecommender.open(Workspace.open(fitted), "ease")
        assert opened.is_current()
        opened.for_user(2, 10)
        assert opened.is_current()
        assert run(*words, "--home", fitted).code == 0
        return not opened.is_current()

    write_bytes(tmp_path / "poster.jpg", (tastes / "posters" / "7.jpg").read_bytes())
    assert is_old_after("fit", "ease")
    assert is_old_after("add", tmp_path / "poster.jpg", "--title", "Added", "--genre", "Drama")
    assert is_old_after("load", tastes)
    assert not is_old_after("fit", "most-rated")


# What was liked


def test_disliked_films_are_not_used_as_preferences(fitted: Path) -> None:
    opened = UserRecommender.open(Workspace.open(fitted), "ease")
    dramas, comedies = [22, 24, 26, 28], [21, 23, 25, 27]
    both = history_of([*dramas, *comedies], [5.0] * 4 + [0.5] * 4)
    found = opened.for_ratings(both, 10, fresh=0)
    assert not {*dramas, *comedies}.intersection(one.movie_id for one in found.films)
    assert sum(one.movie_id % 2 == 0 for one in found.films) > sum(one.movie_id % 2 for one in found.films)
    (note,) = found.notes
    assert note.startswith("ease goes by which films were liked, not by stars: 4 ratings do not count, below 3 stars")
    alone = opened.for_ratings(history_of(dramas, [5.0] * 4), 10, fresh=0)
    scores = {one.movie_id: one.score for one in alone.films}
    assert all(scores.get(one.movie_id, one.score) == one.score for one in found.films)


def test_user_who_dislikes_everything_gets_popular_other_films(fitted: Path) -> None:
    opened = UserRecommender.open(Workspace.open(fitted), "ease")
    found = opened.for_ratings(history_of([22, 24], [1.0, 1.0]), N_FILMS)
    assert found.gives_stars
    assert not {22, 24}.intersection(one.movie_id for one in found.films)
    assert any("2 ratings do not count" in note for note in found.notes)
    assert any("cannot recommend from these ratings" in note for note in found.notes)


@pytest.mark.parametrize(
    ("stars", "expected"),
    [
        ([5, 4, 3.5], [True] * 3),
        ([5, 2.5, 3], [True, False, True]),
        # Of somebody who gives few stars, what is above their mean.
        ([1, 2.5, 0.5], [False, True, False]),
        ([2, 2, 2], [False] * 3),
        ([0.5], [False]),
        ([], []),
    ],
)
def test_films_of_three_stars_or_above_the_own_mean_are_liked(stars: list[float], expected: list[bool]) -> None:
    assert liked(history_of(range(1, len(stars) + 1), stars)).tolist() == expected


@pytest.mark.parametrize("name", ["most-rated", "damped-mean", "baseline"])
def test_a_model_that_ranks_alike_for_everybody_says_so(tastes_home: Path, run: Run, name: str) -> None:
    assert run("fit", name, "--home", tastes_home).code == 0
    opened = UserRecommender.open(Workspace.open(tastes_home), name)
    one, other = (opened.for_ratings(history_of([1, film], [5, 1]), N_FILMS, fresh=0) for film in (22, 23))
    assert one.notes == (f"{name} ranks films alike for everybody: what was rated only leaves out what has been seen",)
    listed = [[film.movie_id for film in found.films if film.movie_id not in (22, 23)] for found in (one, other)]
    assert listed[0] == listed[1]


def test_a_model_that_knows_none_of_the_films_says_so(tastes_home: Path, run: Run) -> None:
    assert run("fit", "als", "--home", tastes_home).code == 0
    found = UserRecommender.open(Workspace.open(tastes_home), "als").for_ratings(history_of([999], [5]), 5, fresh=0)
    assert found.model == "damped-mean"
    assert any(note.startswith("als cannot recommend from these ratings") for note in found.notes)
