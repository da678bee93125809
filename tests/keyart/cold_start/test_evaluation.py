"""``keyart evaluate cold-start``: its errors, and splits of one's own."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest

from cf.ratings import Ratings
from keyart.workspace.contents import open_ratings
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import Run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody"], "no model of the cold start is called 'nobody'"),
        (["--json", "--csv"], "--json and --csv both write to standard output"),
        (["--csv", "--few-shot"], "--csv holds the ranking alone"),
        (["--plot", "curve.svg"], "--plot draws the curve of --few-shot"),
        (["--few-shot", "--plot", "curve.txt"], "curve.txt: expected a name ending in .png, .svg, .pdf"),
        ([], "no workspace at"),
    ],
)
def test_invalid_options_fail_with_one_line(tmp_path: Path, run: Run, words: list[str], message: str) -> None:
    outcome = run("evaluate", "cold-start", *words, "--home", tmp_path / "nowhere")
    assert outcome.code == 1
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_catalog_without_posters_is_an_error(movielens: Path, tmp_path: Path, run: Run) -> None:
    run("load", movielens, "--home", tmp_path / "home")
    outcome = run("evaluate", "cold-start", "--home", tmp_path / "home")
    assert outcome.code == 1
    assert "no film with ratings has features of one; run `keyart fetch" in outcome.err


def test_catalog_without_ratings_is_an_error(movielens: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "films").mkdir()
    for name in ("movies.csv", "links.csv"):
        (tmp_path / "films" / name).write_bytes((movielens / name).read_bytes())
    run("load", tmp_path / "films", "--home", tmp_path / "home")
    outcome = run("evaluate", "cold-start", "--home", tmp_path / "home")
    assert outcome.code == 1
    assert "there are none; load them with `keyart load DIR" in outcome.err


# Splits of one's own

HIDDEN = [2, 7, 11, 20]


def test_hides_the_films_of_a_file(tastes_home: Path, tmp_path: Path, run: Run) -> None:
    split = tmp_path / "hidden.csv"
    split.write_text("movieId,title\n2,A\n7,B\n11,C\n20,D\n")
    words = (
        "evaluate",
        "cold-start",
        "genres-years",
        "--test-items",
        split,
        "-k",
        "2",
        "-k",
        "3",
        "--candidates",
        "cold",
    )
    measured = json.loads(run(*words, "--json", "--home", tastes_home).out)
    assert measured["on"] is None
    assert [(draw["n_cold"], draw["n_leaks"]) for draw in measured["draws"]] == [(4, 0)]
    (card,) = measured["cards"]
    assert [of_k["k"] for of_k in card["at"]] == [2, 3]
    # Half of the users rate dramas and few comedies, the others the opposite.
    assert card["auc"]["low"] > 0.7
    assert card["at"][0]["recall"]["value"] < card["at"][1]["recall"]["value"] <= 1
    table = run(*words, "--home", tastes_home).out
    assert f"4 given films were hidden, and ranked for {n_ranked(open_ratings(Workspace.open(tastes_home)))} u" in table
    assert "Intervals cover users only." in table
    assert "Recall@2" in table
    row = next(csv.DictReader(io.StringIO(run(*words, "--csv", "--home", tastes_home).out)))
    assert float(row["recall_3"]) == card["at"][1]["recall"]["value"]


def n_ranked(ratings: Ratings) -> int:
    """Count the users who rated some, but not all, of the four hidden films."""
    _, counts = np.unique(ratings.of_films(HIDDEN).user_ids, return_counts=True)
    return int((counts < len(HIDDEN)).sum())


def test_learns_from_the_ratings_of_a_published_split(tastes_home: Path, tmp_path: Path, run: Run) -> None:
    ratings = open_ratings(Workspace.open(tastes_home))
    hidden, known_users = np.isin(ratings.movie_ids, HIDDEN), ratings.user_ids <= 30
    paths = tmp_path / "train.csv.gz", tmp_path / "test.csv.gz"
    # The split leaves out users that the workspace has.
    for path, rows in zip(paths, (~hidden, hidden), strict=True):
        part = ratings.where(rows & known_users)
        cells = zip(part.user_ids.tolist(), part.movie_ids.tolist(), part.values.tolist(), strict=True)
        lines = ["userId,movieId,rating", *(f"{user},{film},{stars}" for user, film, stars in cells)]
        path.write_bytes(gzip.compress("\n".join(lines).encode()))
    words = ("evaluate", "cold-start", "genres-years", "--candidates", "cold", "--home", tastes_home)
    outcome = run(*words, "--ratings", paths[0], "--test-items", paths[1])
    assert f"4 given films were hidden, and ranked for {n_ranked(ratings.where(known_users))} users." in outcome.out
    assert n_ranked(ratings.where(known_users)) < n_ranked(ratings)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ratings", "r.csv"], "--ratings is for a split of your own; add --test-items FILE"),
        (["-k", "15"], "-k is for a split of your own; add --test-items FILE"),
        (["--test-items", "t.csv", "--seeds", "2", "--few-shot"], "leave out --seeds, --few-shot"),
        (["--test-items", "t.csv", "--on", "test", "--means"], "leave out --on, --means"),
    ],
)
def test_options_of_draws_and_of_splits_exclude_each_other(
    tastes_home: Path, run: Run, words: list[str], message: str
) -> None:
    outcome = run("evaluate", "cold-start", *words, "--home", tastes_home)
    assert outcome.code == 1
    assert message in outcome.err


def test_films_of_a_split_have_to_be_in_the_catalog(tastes_home: Path, tmp_path: Path, run: Run) -> None:
    split = tmp_path / "test.csv"
    split.write_text("userId,movieId,rating\n1,2,4\n1,777,4\n2,7,3\n")
    outcome = run("evaluate", "cold-start", "random", "--test-items", split, "--home", tastes_home)
    assert outcome.code == 1
    assert "1 film of the split is not in the catalog, the first of them 777" in outcome.err
