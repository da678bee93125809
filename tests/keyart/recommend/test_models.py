"""The commands ``keyart fit``, ``recommend``, ``evaluate``, ``explore`` and ``export``."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from catalog.errors import NotBuiltError
from cf.registry import MODELS
from keyart.pipeline.movielens import load
from keyart.recommend.models import PREFERRED, open_model
from keyart.web.schemas.users import RecommendationQuery
from keyart.web.services.users import UserService
from keyart.workspace.contents import open_ratings
from keyart.workspace.layout import Workspace
from tests.contracts import checkerboard
from tests.keyart.conftest import Run

pytestmark = pytest.mark.heavy

N_USERS, N_FILMS = 40, 20


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which even users like even films and odd users odd ones; no model is fitted."""
    folder = tmp_path_factory.mktemp("checkerboard")
    stars = checkerboard(N_USERS, N_FILMS)
    films = [f"{film + 1},Film {film + 1} ({1960 + film}),Drama" for film in range(N_FILMS)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]))
    (folder / "links.csv").write_text(
        "\n".join(["movieId,imdbId,tmdbId", *(f"{i + 1},,{i + 1}" for i in range(N_FILMS))])
    )
    lines = [f"{user + 1},{film + 1},{stars[user, film]},{user * 60}" for user, film in np.argwhere(stars > 0)]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]))
    load(folder / "home", folder)
    return folder / "home"


@pytest.fixture
def rated_home(loaded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(loaded, tmp_path / "home"))


def test_fit_without_names_lists_all_models(run: Run) -> None:
    lines = run("fit").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(MODELS)


def test_recommends_unseen_films_of_the_users_taste(rated_home: Path, run: Run) -> None:
    outcome = run("fit", "item-cosine", "damped-mean", "--home", rated_home)
    assert "item-cosine: fitted on 533 ratings of 20 films by 40 users in" in outcome.out
    result = json.loads(run("recommend", "2", "--model", "item-cosine", "-k", "3", "--json", "--home", rated_home).out)
    assert (result["model"], result["gives_stars"]) == ("item-cosine", True)
    seen = open_ratings(Workspace.open(rated_home))
    for rank, film in enumerate(result["results"], start=1):
        assert film["rank"] == rank
        assert film["movie_id"] % 2 == 0
        assert film["movie_id"] not in seen.movie_ids[seen.user_ids == 2]
        assert film["title"] == f"Film {film['movie_id']}"
        assert film["n_ratings"] == (seen.movie_ids == film["movie_id"]).sum()


def test_genres_are_sorted_by_ratings_which_were_votes(rated_home: Path, run: Run) -> None:
    words = ("explore", "genres", "--csv", "--home", rated_home, "--by")
    new, old = run(*words, "ratings"), run(*words, "votes")
    assert (new.code, new.err) == (0, "")
    assert old.out == new.out
    assert "--by votes is now --by ratings" in old.err


def test_summaries_of_models_are_plain_words(run: Run) -> None:
    listed = run("fit").out
    assert "ease " in listed
    assert "the films with the most ratings" in listed
    assert not re.search(r"speaks|damped where|goes with|the article's", listed)


def test_table_shows_titles_predictions_and_averages(rated_home: Path, run: Run) -> None:
    run("fit", "damped-mean", "--home", rated_home)
    lines = run("recommend", "1", "--model", "damped-mean", "-k", "2", "--home", rated_home).out.splitlines()
    assert lines[0].split() == ["film", "movie_id", "score", "mean", "rating", "ratings"]
    assert len(lines) == 3
    assert lines[1].split()[:2] == ["1", "Film"]


def test_csv_lists_the_same_films_as_json(rated_home: Path, run: Run) -> None:
    run("fit", "damped-mean", "--home", rated_home)
    words = ("recommend", "1", "--model", "damped-mean", "--home", rated_home)
    rows = list(csv.DictReader(io.StringIO(run(*words, "--csv").out)))
    results = json.loads(run(*words, "--json").out)["results"]
    assert [int(row["movie_id"]) for row in rows] == [film["movie_id"] for film in results]


def test_recommends_from_a_file_of_ratings(rated_home: Path, run: Run, tmp_path: Path) -> None:
    run("fit", "item-cosine", "--home", rated_home)
    (tmp_path / "mine.csv").write_text("movieId,rating\n2,5\n4,4.5\n1,1\n999,3\n")
    words = ("recommend", "--ratings", tmp_path / "mine.csv", "--model", "item-cosine", "--home", rated_home)
    outcome = run(*words, "-k", "4", "--json")
    assert "mine.csv: MovieLens, 3 films matched, 0 ambiguous, 1 unknown" in outcome.err
    movie_ids = [film["movie_id"] for film in json.loads(outcome.out)["results"]]
    assert len(movie_ids) == 4
    assert all(movie_id % 2 == 0 and movie_id not in (2, 4) for movie_id in movie_ids)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "movieId,rating\n2,11\n",
            "mine.csv, line 2, column rating: expected a rating from 0.5 to 10, or nothing",
        ),
        ("movieId,rating\nHeat,4\n", "mine.csv, line 2, column movieId: expected a movie_id, received 'Heat'"),
        ("movieId,rating\n", "mine.csv holds no ratings"),
        ("film,stars\n1,2\n", "mine.csv, line 1: expected ratings.csv or diary.csv of Letterboxd"),
    ],
)
def test_malformed_file_of_ratings_is_an_error(
    rated_home: Path, run: Run, tmp_path: Path, content: str, message: str
) -> None:
    run("fit", "damped-mean", "--home", rated_home)
    (tmp_path / "mine.csv").write_text(content)
    words = ("recommend", "--ratings", tmp_path / "mine.csv", "--model", "damped-mean", "--home", rated_home)
    outcome = run(*words)
    assert outcome.code == 1
    assert message in outcome.err


def test_unknown_user_gets_popular_films_and_a_note(rated_home: Path, run: Run) -> None:
    run("fit", "item-cosine", "--home", rated_home)
    outcome = run("recommend", "4242", "--model", "item-cosine", "-k", "3", "--home", rated_home)
    assert "item-cosine knows no user 4242: these are the films that people like best" in outcome.err
    assert len(outcome.out.splitlines()) == 4


def test_unfitted_model_error_names_the_command(rated_home: Path, run: Run) -> None:
    outcome = run("recommend", "1", "--model", "baseline", "--home", rated_home)
    assert outcome.code == 1
    assert "baseline has not been fitted here; run `keyart fit baseline --home " in outcome.err
    run("fit", "most-rated", "item-cosine", "--home", rated_home)
    outcome = run("recommend", "1", "--model", "baseline", "--home", rated_home)
    assert outcome.err.endswith("; fitted here: item-cosine, most-rated (--model)\n")


def test_the_default_is_the_fitted_model_that_ranks_best(rated_home: Path, run: Run) -> None:
    assert set(PREFERRED) == set(MODELS)
    assert len(PREFERRED) == len(MODELS)
    words = ("recommend", "1", "--json", "--home", rated_home)
    assert "no recommender has been fitted here; run `keyart fit ease --home " in run(*words).err
    service = UserService(rated_home, lambda _movie_id: False)
    for fitted, default in (("most-rated", "most-rated"), ("als", "als"), ("baseline", "als"), ("ease", "ease")):
        run("fit", fitted, "--home", rated_home)
        assert json.loads(run(*words).out)["model"] == default
        assert service.for_user(1, RecommendationQuery()).model == default
        assert service.models()[0].name == default
    service.close()


def test_ratings_changed_since_the_fit_give_a_note(rated_home: Path, run: Run, tmp_path: Path) -> None:
    run("fit", "damped-mean", "--home", rated_home)
    assert open_model(Workspace.open(rated_home), "damped-mean")[1] == ()
    folder = tmp_path / "again"
    folder.mkdir()
    (folder / "movies.csv").write_text("movieId,title,genres\n1,Film 1 (1960),Drama\n")
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n1,,1\n")
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4,0\n")
    load(rated_home, folder)
    (note,) = open_model(Workspace.open(rated_home), "damped-mean")[1]
    assert "the ratings have changed since damped-mean was fitted" in note


def test_parameters_are_set_by_name(rated_home: Path, run: Run) -> None:
    run("fit", "damped-mean", "--set", "damped-mean.damping=7.5", "--home", rated_home)
    model, _ = open_model(Workspace.open(rated_home), "damped-mean")
    assert model.parameters == {"damping": 7.5}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["fit", "bestest"], 1, "no model is called 'bestest'"),
        (
            ["fit", "baseline", "--set", "baseline.x=1"],
            1,
            "baseline has no parameter 'x'; its parameters are user_damping",
        ),
        (["fit", "als", "--set", "als.n_factors=0"], 1, "als.n_factors: expected a whole number from 1 on, received 0"),
        (["fit", "baseline", "--set", "ease.x=1"], 1, "--set names ease, which is not among the models to fit"),
        (["fit", "baseline", "--set", "x=1"], 2, "expected MODEL.NAME=VALUE"),
        (["recommend"], 1, "name either a user"),
        (["recommend", "3", "--json", "--csv"], 1, "--json and --csv both write to standard output"),
        (["evaluate", "models", "--train", "u1.base"], 1, "--train and --test go together"),
        (["evaluate", "models", "--split", "time", "--held-out", "3"], 1, "--held-out goes with --split user"),
        (["evaluate", "models", "nobody"], 1, "no model is called 'nobody'"),
        (["evaluate", "models", "baseline", "--set", "ease.x=1"], 1, "parameters are set of ease, which is not among"),
        (["evaluate", "models", "--plot", "plot.jpeg2"], 1, "plot.jpeg2: expected a name ending in .png, .svg, .pdf"),
    ],
)
def test_invalid_options_fail_with_one_line(
    rated_home: Path, run: Run, words: list[str], code: int, message: str
) -> None:
    outcome = run(*words, "--home", rated_home)
    assert outcome.code == code
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_without_ratings_nothing_is_fitted(tmp_path: Path, run: Run) -> None:
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,Film 1 (1960),Drama\n")
    (tmp_path / "links.csv").write_text("movieId,imdbId,tmdbId\n1,,1\n")
    load(tmp_path / "home", tmp_path)
    outcome = run("fit", "baseline", "--home", tmp_path / "home")
    assert outcome.code == 1
    assert "no ratings here; load them with `keyart load DIR" in outcome.err
    with pytest.raises(NotBuiltError):
        open_model(Workspace.open(tmp_path / "home"), "baseline")


# Comparing


def test_models_are_compared_side_by_side(rated_home: Path, run: Run, tmp_path: Path) -> None:
    words = ("evaluate", "models", "baseline", "most-rated", "item-cosine", "--home", rated_home)
    outcome = run(*words, "--plot", tmp_path / "plot.png")
    lines = outcome.out.splitlines()
    assert lines[0].split()[:4] == ["model", "RMSE", "MAE", "predicted"]
    assert [line.split()[0] for line in lines[1:4]] == ["baseline", "most-rated", "item-cosine"]
    assert lines[-1].startswith("* predicts no stars")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.size[0] > 500
    cards = {card["name"]: card for card in json.loads(run(*words, "--json").out)["models"]}
    # A baseline cannot learn that even users like even films.
    assert cards["item-cosine"]["rmse"]["value"] < 1.0 < cards["baseline"]["rmse"]["value"]
    rows = list(csv.DictReader(io.StringIO(run(*words, "--csv").out)))
    for row in rows:
        assert float(row["ndcg"]) == cards[row["model"]]["ndcg"]["value"]
        assert float(row["rmse_low"]) == cards[row["model"]]["rmse"]["low"]


@pytest.mark.parametrize(
    "words", [["--split", kind] for kind in ("user", "random", "time", "folds", "cold")] + [["--held-out", "2"]]
)
def test_evaluate_accepts_every_split(rated_home: Path, run: Run, words: list[str]) -> None:
    outcome = run("evaluate", "models", "baseline", *words, "--json", "--home", rated_home)
    (card,) = json.loads(outcome.out)["models"]
    assert 0 < card["rmse"]["value"] < 3
    # In the split of cold films all test films are unknown to the model, and in the split by time all test users.
    assert (card["predicted"] > 0) is (words[-1] not in ("cold", "time"))


def test_undefined_metrics_are_null_in_json_and_not_nan_in_the_table(rated_home: Path, run: Run) -> None:
    words = ("evaluate", "models", "baseline", "--split", "cold", "--home", rated_home)
    printed = run(*words, "--json").out
    assert "NaN" not in printed
    (card,) = json.loads(printed)["models"]
    assert card["novelty"] is card["ndcg"]["value"] is None
    assert "nan" not in run(*words).out


def test_evaluates_files_without_a_workspace(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.base").write_text("1\t1\t5\t0\n1\t2\t1\t0\n2\t1\t4\t0\n2\t2\t2\t0\n")
    (tmp_path / "a.test").write_text("3\t1\t4\t0\n1\t3\t4\t0\n")
    outcome = run(
        "evaluate", "models", "baseline", "--train", tmp_path / "a.base", "--test", tmp_path / "a.test", "--json"
    )
    assert json.loads(outcome.out)["models"][0]["predicted"] == 0
    lines = [f"{user}\t{film}\t{1 + (user + film) % 5}\t0" for user in range(1, 9) for film in range(1, 9)]
    (tmp_path / "u.data").write_text("\n".join(lines))
    outcome = run("evaluate", "models", "baseline", "--ratings", tmp_path / "u.data", "--json")
    assert json.loads(outcome.out)["models"][0]["predicted"] == 1


# Exploring


@pytest.mark.parametrize(
    "words",
    [["best"], ["most-rated"], ["genres"], ["biases"], ["clusters", "--clusters", "4"], ["map"]],
    ids=itemgetter(0),
)
def test_every_topic_agrees_in_table_csv_and_json(rated_home: Path, run: Run, words: list[str]) -> None:
    run("fit", "als", "--set", "als.n_factors=4", "--home", rated_home)
    words = ["explore", *words, "-k", "3", "--home", str(rated_home)]
    rows = json.loads(run(*words, "--json").out)["results"]
    assert rows
    printed = list(csv.DictReader(io.StringIO(run(*words, "--csv").out)))
    assert [list(row.values()) for row in printed] == [
        ["" if value is None else str(value) for value in row.values()] for row in rows
    ]
    assert all(row["title"] == f"Film {row['movie_id']}" for row in rows if "movie_id" in row)
    assert all(row["year"] == 1959 + row["movie_id"] for row in rows if "movie_id" in row)
    assert len(run(*words).out.splitlines()) == len(rows) + 1


def test_map_is_drawn_or_reported_as_empty(rated_home: Path, run: Run, tmp_path: Path) -> None:
    run("fit", "als", "--set", "als.n_factors=4", "--home", rated_home)
    words = ("explore", "map", "--home", rated_home, "--sheet", tmp_path / "map.png")
    outcome = run(*words, "--min-ratings", "1000")
    assert "no film has 1000 ratings; ask for fewer with --min-ratings" in outcome.err
    assert not (tmp_path / "map.png").exists()
    assert run(*words).code == 0
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.size[0] > 500


def test_ratings_are_written_with_titles(rated_home: Path, run: Run, tmp_path: Path) -> None:
    run("explore", "ratings", "--out", tmp_path / "r.parquet", "--home", rated_home)
    run("explore", "ratings", "--out", tmp_path / "r.csv", "--home", rated_home)
    assert pd.read_csv(tmp_path / "r.csv").columns.tolist() == pd.read_parquet(tmp_path / "r.parquet").columns.tolist()
    assert (
        "r.txt: expected a name ending in"
        in run("explore", "ratings", "--out", tmp_path / "r.txt", "--home", rated_home).err
    )
    table = pd.read_parquet(tmp_path / "r.parquet")
    assert list(table) == ["user_id", "movie_id", "title", "year", "genres", "rating", "timestamp"]
    assert len(table) == len(open_ratings(Workspace.open(rated_home)))
    assert (table["title"] == [f"Film {film}" for film in table["movie_id"]]).all()
    assert (table["year"] == table["movie_id"] + 1959).all()
    assert set(table["genres"]) == {"Drama"}


def test_ratings_without_a_file_show_how_to_name_one(rated_home: Path, run: Run) -> None:
    outcome = run("explore", "ratings", "--home", rated_home)
    assert outcome.code == 1
    assert "`keyart explore ratings --out ratings.parquet --home " in outcome.err


def test_map_of_k_films_has_those_with_the_most_ratings(rated_home: Path, run: Run) -> None:
    run("fit", "als", "--set", "als.n_factors=4", "--home", rated_home)
    mapped = json.loads(run("explore", "map", "-k", "3", "--json", "--home", rated_home).out)["results"]
    ratings = open_ratings(Workspace.open(rated_home))
    n_ratings = dict(zip(*np.unique(ratings.movie_ids, return_counts=True), strict=True))
    most = sorted(n_ratings, key=lambda movie_id: (-n_ratings[movie_id], movie_id))[:3]
    assert [film["movie_id"] for film in mapped] == sorted(most)


def test_explore_notes_that_ratings_changed_since_the_fit(rated_home: Path, run: Run, tmp_path: Path) -> None:
    run("fit", "baseline", "--home", rated_home)
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,Film 1 (1960),Drama\n")
    (tmp_path / "links.csv").write_text("movieId,imdbId,tmdbId\n1,,1\n")
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4,0\n")
    load(rated_home, tmp_path)
    outcome = run("explore", "biases", "--model", "baseline", "--home", rated_home)
    assert "the ratings have changed since baseline was fitted" in outcome.err


# Exporting


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["two-tower", "--format", "tflite"], 1, "two-tower does not come as tflite"),
        (["ranking", "--format", "savedmodel"], 1, "ranking does not come as savedmodel"),
        (["ranking", "--format", "tflite"], 1, "run `keyart fit ranking"),
        (["ease", "--format", "tflite"], 2, "'ease' is not one of"),
    ],
)
def test_invalid_exports_are_refused(
    rated_home: Path, run: Run, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    outcome = run("export", *words, "--out", tmp_path / "out.tflite", "--home", rated_home)
    assert outcome.code == code
    assert message in outcome.err
    assert not (tmp_path / "out.tflite").exists()


def test_exports_replace_no_other_files(rated_home: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("mine")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "saved_model.pb").write_text("mine")
    for model, form, out, reason in (
        ("ranking", "tflite", "photo.jpg", "expected a name ending in .tflite"),
        ("ranking", "tflite", "no/such/r.tflite", "there is no folder"),
        ("two-tower", "savedmodel", "served", "exists and is not an earlier export"),
        ("two-tower", "savedmodel", "photo.jpg", "exists and is not an earlier export"),
        ("two-tower", "savedmodel", "no/such/served", "there is no folder"),
        ("two-tower", "savedmodel", rated_home / "cf" / "two-tower", "belongs to the workspace"),
    ):
        outcome = run("export", model, "--format", form, "--out", tmp_path / out, "--home", rated_home)
        assert (outcome.code, outcome.out) == (1, "")
        assert reason in outcome.err
    assert (tmp_path / "photo.jpg").read_text() == (tmp_path / "served" / "saved_model.pb").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path != rated_home) == ["photo.jpg", "served"]


def test_a_fitted_ranking_model_is_exported(rated_home: Path, run: Run, tmp_path: Path) -> None:
    run("fit", "ranking", "--set", "ranking.n_epochs=1", "--home", rated_home)
    outcome = run("export", "ranking", "--format", "tflite", "--out", tmp_path / "r.tflite", "--home", rated_home)
    assert f"ranking written to {tmp_path / 'r.tflite'} (tflite)" in outcome.out
    # The identifier of TensorFlow Lite files follows the offset of the root.
    assert (tmp_path / "r.tflite").read_bytes()[4:8] == b"TFL3"
