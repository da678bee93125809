"""What every answer holds, whether asked for in Python, on the command line or over HTTP."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import keyart
from keyart.pipeline.movielens import load
from keyart.pipeline.recommenders import fit
from tests.keyart.conftest import Run

# Film 5 has no tmdb_id.
IDS = {n: (f"000001{n}", None if n == 5 else 100 + n) for n in range(1, 7)}


def ids_of(film: dict[str, Any]) -> tuple[Any, Any]:
    return film["imdb_id"], film["tmdb_id"]


def test_hits_have_the_ids_of_imdb_and_tmdb(home: Path, poster_folder: Path) -> None:
    with keyart.open(home) as engine:
        similar = engine.similar(1)
        (prediction,) = engine.cold_start([keyart.NewFilm(poster_folder / "5.jpg")])
        explained = engine.explain(1, 5).to_dict()["films"]
    for found in (*similar.to_dict()["results"], *prediction.to_dict()["look_alikes"], *explained):
        assert ids_of(found) == IDS[found["movie_id"]]
    assert ids_of(similar.to_dict()["query"]) == IDS[1]
    assert {type(hit.tmdb_id) for hit in similar} == {int, type(None)}
    assert similar.to_frame()["tmdb_id"].dtype == "Int64"


def test_recommended_films_have_the_ids(home: Path, run: Run) -> None:
    fit(home, "baseline")
    with keyart.open(home) as engine:
        recommended = engine.recommend(1, model="baseline")
    assert recommended.films
    for film in recommended.to_dict()["results"]:
        assert ids_of(film) == IDS[film["movie_id"]]
    assert recommended.to_frame()["tmdb_id"].dtype == "Int64"
    words = ("recommend", 1, "--model", "baseline", "--csv", "--home", home)
    for row in csv.DictReader(io.StringIO(run(*words).out)):
        assert row["imdb_id"] == IDS[int(row["movie_id"])][0]


def test_commands_print_the_ids(home: Path, run: Run, tmp_path: Path) -> None:
    for row in csv.DictReader(io.StringIO(run("similar", 1, "--csv", "--home", home).out)):
        imdb_id, tmdb_id = IDS[int(row["movie_id"])]
        assert ids_of(row) == (imdb_id, str(tmdb_id or ""))
    rows = json.loads(run("explore", "best", "--json", "--home", home).out)["results"]
    assert [ids_of(row) for row in rows] == [IDS[row["movie_id"]] for row in rows] != []
    run("neighbors", "-k", 2, "--out", tmp_path / "n.parquet", "--home", home)
    table = pd.read_parquet(tmp_path / "n.parquet")
    for prefix in ("movie", "neighbor"):
        of = "" if prefix == "movie" else "neighbor_"
        assert [IDS[n][0] for n in table[f"{prefix}_id"]] == table[f"{of}imdb_id"].tolist()
        pairs = zip(table[f"{prefix}_id"], table[f"{of}tmdb_id"], strict=True)
        assert all(pd.isna(tmdb_id) if n == 5 else tmdb_id == IDS[n][1] for n, tmdb_id in pairs)


def test_the_http_api_gives_the_ids(home: Path, poster_folder: Path) -> None:
    pytest.importorskip("fastapi")
    import requests

    from tests.keyart.web.conftest import serving

    fit(home, "baseline")
    poster = (poster_folder / "5.jpg").read_bytes()
    with serving(home) as address:
        similar = requests.get(f"{address}/api/films/1/similar", timeout=60).json()
        films = [
            similar["query"],
            *similar["results"],
            *requests.get(f"{address}/api/films", {"query": "twin"}, timeout=60).json(),
            requests.get(f"{address}/api/films/5", timeout=60).json(),
            *requests.get(f"{address}/api/users/1/recommendations", {"fresh": 0}, timeout=60).json()["results"],
            *requests.post(f"{address}/api/cold-start", poster, timeout=60).json()["look_alikes"],
        ]
        table = requests.get(f"{address}/api/films/1/similar.csv", timeout=60).text
    for film in [*films, *csv.DictReader(io.StringIO(table))]:
        assert film["imdb_id"] == IDS[int(film["movie_id"])][0]
    assert {ids_of(film) for film in films} >= {IDS[2], IDS[5]}


def test_notes_stand_in_every_answer(home: Path, poster_folder: Path, run: Run) -> None:
    fit(home, "als", {"n_factors": 2})

    def printed(*words: str | int | Path) -> tuple[list[str], str]:
        outcome = run(*words, "--json", "--home", home)
        return json.loads(outcome.out)["notes"], outcome.err

    # Nobody has rated film 6, film 4 has no poster.
    for words in (["similar", 6], ["similar", 4], ["recommend", 99, "--model", "als"]):
        notes, err = printed(*words)
        assert notes
        assert all(f"note: {note}" in err for note in notes)
    assert printed("explain", 1, 2)[0] == []
    assert printed("info")[0] == []
    assert printed("cold-start", poster_folder / "1.jpg")[0] == []
    assert printed("evaluate", "models", "als", "most-rated")[0][0].startswith("most-rated: predicts no stars")
    assert printed("explore", "best", "--min-ratings", 50)[0] == ["no film has so many ratings; lower --min-ratings"]
    with keyart.open(home) as engine:
        for result in (engine.similar(6), engine.recommend(99, model="als")):
            assert result.to_dict()["notes"] == list(result.notes) != []


def test_explorations_of_an_outdated_model_say_so_in_json(
    home: Path, movielens: Path, run: Run, tmp_path: Path
) -> None:
    fit(home, "als", {"n_factors": 2})
    folder = Path(shutil.copytree(movielens, tmp_path / "movielens"))
    with (folder / "ratings.csv").open("a") as stream:
        stream.write("2,5,4.0,1\n")
    load(home, folder)
    (note,) = json.loads(run("explore", "biases", "--json", "--home", home).out)["notes"]
    assert note == f"the ratings have changed since als was fitted; run `keyart fit als --home {home}` again"


def test_tuning_is_reset_with_one_json_object(home: Path, run: Run) -> None:
    assert json.loads(run("tune", "--reset", "--json", "--home", home).out) == {
        "was_tuned": False,
        "notes": ["nothing was tuned"],
    }


def test_an_empty_answer_says_which_condition_left_how_many(home: Path, poster_folder: Path, run: Run) -> None:
    note = "nothing found: 0 of 6 films match the filter (by years 0, by genres 4)"
    words = ("--years", 1700, "--genre", "drama", "--home", home)
    assert f"note: {note}" in run("similar", 1, *words).err
    assert f"note: {note}" in run("similar", "--image", poster_folder / "2.jpg", *words).err
    assert json.loads(run("similar", 1, "--json", *words).out)["notes"] == [note]
    with keyart.open(home) as engine:
        # Film 4 has no poster, film 6 no ratings.
        (found,) = engine.similar(6, filter=keyart.Filter(movie_ids=[4]), content=0).notes[1:]
        assert found == "nothing found: 1 of 6 films match the filter (by list of movie_ids 1); none can be compared"


def test_what_cannot_be_compared_is_refused(home: Path, run: Run) -> None:
    looks = "No Poster (1993) is not in the index of posters, so it cannot be compared by looks alone"
    ratings = "Café Zürich (1995) has no ratings to be compared by ratings alone"
    with keyart.open(home) as engine:
        for movie_id, alpha, message in ((4, 1.0, looks), (6, 0.0, ratings)):
            with pytest.raises(keyart.ConfigError, match=re.escape(message)):
                engine.similar(movie_id, alpha=alpha)
            outcome = run("similar", movie_id, "--alpha", alpha, "--home", home)
            assert (outcome.code, outcome.out) == (1, "")
            assert message in outcome.err
        # A share is only a wish.
        assert "compared by ratings alone" in engine.similar(4, alpha=0.9).notes[0]
        assert "compared by looks alone" in engine.similar(6, alpha=0.1).notes[0]


def test_an_image_is_compared_by_looks_alone(home: Path, poster_folder: Path) -> None:
    with keyart.open(home) as engine:
        assert engine.similar(poster_folder / "2.jpg", alpha=0.3).notes == (
            "an image has no ratings: compared by looks alone",
        )
        assert engine.similar(poster_folder / "2.jpg").notes == ()
        for query in (poster_folder / "2.jpg", engine.embed([poster_folder / "2.jpg"])[0]):
            with pytest.raises(keyart.ConfigError, match="images are compared by looks, which alpha 0 leaves out"):
                engine.similar(query, alpha=0)


def test_a_sheet_says_how_many_films_it_shows(home: Path, run: Run, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("keyart.render.contact_sheet.MAX_HITS", 3)
    outcome = run("similar", 1, "-k", 4, "--sheet", tmp_path / "sheet.png", "--home", home)
    note = "the contact sheet shows the first 3 of 4 films"
    assert f"note: {note}\n" in outcome.err
    outcome = run("similar", 1, "-k", 4, "--json", "--sheet", tmp_path / "sheet.png", "--home", home)
    assert note in json.loads(outcome.out)["notes"]
    outcome = run("similar", 1, "-k", 3, "--sheet", tmp_path / "sheet.png", "--home", home)
    assert "the first" not in outcome.err


def test_fewer_films_than_asked_for_are_noted(home: Path, poster_folder: Path, run: Run) -> None:
    fit(home, "ease")
    for words in (("similar", 1), ("recommend", 1), ("cold-start", poster_folder / "2.jpg")):
        outcome = run(*words, "-k", 500, "--json", "--home", home)
        notes = [note for note in json.loads(outcome.out)["notes"] if note.startswith("-k asks for 500 films; ")]
        assert len(notes) == 1
        assert f"note: {notes[0]}\n" in outcome.err
        # The default asks for no number of films in particular.
        assert "-k asks" not in run(*words, "--home", home).err
        assert "-k asks" not in run(*words, "-k", 1, "--home", home).err


def test_the_http_api_explains_empty_and_impossible_answers(home: Path) -> None:
    pytest.importorskip("fastapi")
    import requests

    from tests.keyart.web.conftest import serving

    with serving(home) as address:
        empty = requests.get(f"{address}/api/films/1/similar", {"last_year": 1700}, timeout=60).json()
        refused = requests.get(f"{address}/api/films/4/similar", {"alpha": 1}, timeout=60)
    assert empty["notes"] == ["nothing found: 0 of 6 films match the filter (by years 0)"]
    assert refused.status_code == 400
    assert "cannot be compared by looks alone" in refused.json()["detail"]
