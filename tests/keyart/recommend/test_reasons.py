"""Why films are recommended."""

import csv
import io
import json
from pathlib import Path

import pytest

from keyart.recommend.history import history_of
from keyart.recommend.models import fit_model
from keyart.recommend.reasons import LikedFilm, Reason
from keyart.recommend.recommendations import Recommendation, UserRecommender
from keyart.workspace.contents import open_ratings
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import N_FILMS, Run

pytestmark = pytest.mark.heavy

NEW = N_FILMS + 1
# Of the two tastes, even films are dramas and odd ones comedies.
DRAMAS = {22: 4.5, 24: 5.0, 26: 4.0}
HEAT, ALIEN = LikedFilm(6, "Heat", 1995, 5.0), LikedFilm(1214, "Alien", 1979, 4.0)


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (Reason(("taste",), (HEAT,)), "By taste, because you liked Heat (1995)."),
        (Reason(("looks", "genres and year"), (HEAT, ALIEN), "they"),
         "By looks and genres and year, because they liked Heat (1995) and Alien (1979)."),
        (Reason(("everybody",)), "By the ratings of everybody."),
        (Reason((), (HEAT,)), "Because you liked Heat (1995)."),
        (Reason(()), ""),
    ],
)  # fmt: skip
def test_a_reason_is_a_sentence(reason: Reason, sentence: str) -> None:
    assert reason.sentence == sentence


@pytest.fixture(scope="session")
def fitted(_built_tastes: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    from tests.keyart.web.conftest import copied

    workspace = Workspace.open(copied(_built_tastes, tmp_path_factory))
    for name in ("ease", "als", "most-rated"):
        fit_model(workspace, name, open_ratings(workspace))
    return workspace


def recommended(workspace: Workspace, name: str, stars: dict[int, float], fresh: float | None = None) -> Recommendation:
    history = history_of(list(stars), list(stars.values()))
    return UserRecommender.open(workspace, name).for_ratings(history, 12, fresh)


@pytest.mark.parametrize("name", ["ease", "item-cosine", "als"])
def test_known_films_are_there_for_films_that_were_liked(fitted: Workspace, name: str) -> None:
    found = recommended(fitted, name, DRAMAS, fresh=0)
    first = found.films[0]
    assert first.by == ("taste",)
    assert 1 <= len(first.because) <= 2
    assert first.why == f"By taste, because you liked {' and '.join(film.label for film in first.because)}."
    for film in (liked for one in found.films for liked in one.because):
        assert film.rating == DRAMAS[film.movie_id]


def test_a_film_that_was_disliked_is_never_a_reason(fitted: Workspace) -> None:
    found = recommended(fitted, "item-cosine", DRAMAS | {28: 1.0})
    named = {film.movie_id for one in found.films for film in one.because}
    assert named
    assert named <= set(DRAMAS)


def test_each_taste_has_its_own_films_for_reasons(fitted: Workspace) -> None:
    found = recommended(fitted, "ease", DRAMAS | {21: 5.0, 23: 4.5, 25: 4.0}, fresh=0)
    for film in found.films[:6]:
        assert film.because
        assert all(liked.movie_id % 2 == film.movie_id % 2 for liked in film.because)


def test_a_new_film_is_there_for_its_genre_and_liked_films_of_it(fitted: Workspace) -> None:
    found = recommended(fitted, "ease", DRAMAS | {21: 4.0}, fresh=0.1)
    (new,) = [film for film in found.films if film.new]
    assert new.movie_id == NEW
    assert "genres and year" in new.by
    assert "taste" not in new.by
    assert {film.movie_id for film in new.because} <= set(DRAMAS)
    assert new.because


def test_a_user_is_called_they(fitted: Workspace) -> None:
    found = UserRecommender.open(fitted, "ease").for_user(2, 5)
    assert "because they liked" in found.films[0].why


def test_where_nothing_is_known_of_a_user_everybody_is_the_reason(fitted: Workspace) -> None:
    found = UserRecommender.open(fitted, "ease").for_user(4242, 12)
    assert {(film.new, film.by, film.because) for film in found.films} == {
        (False, ("everybody",), ()),
        (True, ("expected mean",), ()),
    }
    popular = recommended(fitted, "most-rated", DRAMAS, fresh=0)
    assert {(film.by, film.because) for film in popular.films} == {(("everybody",), ())}


def test_a_film_that_left_the_catalog_is_no_reason(fitted: Workspace) -> None:
    recommender = UserRecommender.open(fitted, "ease")
    recommender._films = {movie_id: film for movie_id, film in recommender._films.items() if movie_id != 24}
    found = recommender.for_ratings(history_of(list(DRAMAS), list(DRAMAS.values())), 12)
    named = {film.movie_id for one in found.films for film in one.because}
    assert named == {22, 26}


def test_the_command_explains_in_every_form(fitted: Workspace, run: Run) -> None:
    words = ("recommend", "2", "--model", "ease", "-k", "5", "--home", fitted.home)
    results = json.loads(run(*words, "--json").out)["results"]
    first = results[0]
    labels = [f"{film['title']} ({film['year']})" for film in first["because"]]
    assert first["why"] == f"By taste, because they liked {' and '.join(labels)}."
    rows = list(csv.DictReader(io.StringIO(run(*words, "--csv").out)))
    assert (rows[0]["by"], rows[0]["because"], rows[0]["why"]) == ("taste", "; ".join(labels), first["why"])
    assert first["why"] not in run(*words).out
    assert f"1  {first['title']} ({first['year']})\n   {first['why']}\n" in run(*words, "--explain").out
