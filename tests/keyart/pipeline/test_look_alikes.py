"""Measure look-alikes of a workspace, of a folder of features and of arrays, in Python and by the command."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catalog.errors import ConfigError, DataError, NotBuiltError
from catalog.film import Film
from catalog.io.files import write_bytes
from features.options import ExtractOptions
from index.source import FilmFeatures
from keyart import pipeline
from keyart.pipeline import LookAlikeOptions, evaluate_look_alikes
from keyart.similarity.evaluation import candidates
from keyart.similarity.evaluation.candidates import Candidate, fit_candidate
from keyart.similarity.evaluation.tasks import TASKS
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster
from tests.records import rewrite_record


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Other posters of films 1, 2 and 77, which is unknown."""
    for movie_id in (1, 2, 77):
        write_bytes(tmp_path / "others" / f"{movie_id}.jpg", draw_poster(100 + movie_id))
    write_bytes(tmp_path / "others" / "pairs.csv", b"movie_id\n1\n2\n77\n")
    return tmp_path / "others" / "pairs.csv"


def values(printed: str) -> dict[tuple[str, str], float]:
    measures = json.loads(printed)["measures"]
    return {
        (one["task"], one["measure"]): one["figures"][0]["value"]["value"] for one in measures if not one["distortion"]
    }


def test_measures_all_that_a_workspace_can_be_asked(tastes_home: Path, pairs: Path) -> None:
    found = evaluate_look_alikes(tastes_home, LookAlikeOptions(pairs=pairs, n_distorted=2))
    assert found.embeddings == ("cosine", "centered", "whitened")
    assert {one.task for one in found.measures} == set(TASKS)
    assert found.notes == ()
    assert [str(one) for one in found.left_out] == ["1 pair left out: no features of this film (77)"]
    frame = found.to_frame()
    assert set(frame["embedding"]) == {"cosine", "centered", "whitened"}
    assert (frame[(frame.task == "distortion") & frame.strength.isna()].n_questions > 0).all()
    assert json.loads(json.dumps(found.to_dict()))["n_films"] == 41


def test_says_what_cannot_be_measured(home: Path) -> None:
    found = evaluate_look_alikes(home, LookAlikeOptions(n_distorted=1))
    assert found.notes == (
        "alternate is not measured: it needs a CSV of pairs, which name other posters of films",
        "series is not measured: no two films of one series are among the 5 films whose titles are known",
        "whitened is not measured: 5 films are too few for an embedding, which would make different posters the same "
        "(from 32 on)",
    )
    with pytest.raises(DataError, match="series cannot be measured: no two films"):
        evaluate_look_alikes(home, LookAlikeOptions(tasks=("genre", "series")))
    with pytest.raises(ConfigError, match="alternate cannot be measured: it needs a CSV"):
        evaluate_look_alikes(home, LookAlikeOptions(tasks=("alternate",)))


def test_the_network_may_be_gone(tastes_home: Path) -> None:
    record = tastes_home / "features" / "features.json"
    rewrite_record(record, lambda content: {**content, "origin": {**content["origin"], "backbone": "nowhere.keras"}})
    found = evaluate_look_alikes(tastes_home)
    assert "distortion is not measured" in found.notes[1]
    assert "nowhere.keras" in found.notes[1]
    with pytest.raises(ConfigError, match="distortion cannot be measured"):
        evaluate_look_alikes(tastes_home, LookAlikeOptions(tasks=("distortion",)))


def test_measures_arrays_and_embeddings_of_your_own() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 8)).astype(np.float32)
    films = [Film(row + 1, f"{chr(97 + row)} {'x' * (row // 2)}", 2000) for row in range(40)]
    first = Candidate("first half", lambda rows: rows[:, :4] / np.linalg.norm(rows[:, :4], axis=1, keepdims=True))
    options = LookAlikeOptions(("cosine", first), features=(range(1, 41), features), films=films)
    found = evaluate_look_alikes(options=options)
    assert found.embeddings == ("cosine", "first half")
    assert {one.task for one in found.measures} == {"decade", "hubness"}
    assert len(found.notes) == 4


def test_a_workspace_or_features_have_to_be_named(tastes_home: Path) -> None:
    with pytest.raises(ConfigError, match="name a workspace or features"):
        evaluate_look_alikes()
    with pytest.raises(ConfigError, match="not both"):
        evaluate_look_alikes(tastes_home, LookAlikeOptions(features=([1, 2], np.eye(2))))
    with pytest.raises(ConfigError, match="of its own"):
        evaluate_look_alikes(tastes_home, LookAlikeOptions(films=[]))
    with pytest.raises(DataError, match="two films"):
        evaluate_look_alikes(options=LookAlikeOptions(features=([1], np.eye(1))))
    with pytest.raises(ConfigError, match="halves"):
        LookAlikeOptions(half="both")  # type: ignore[arg-type]


def test_a_folder_of_features_has_pictures_named_by_movie_id(
    tastes: Path, backbone_path: Path, tmp_path: Path, pairs: Path
) -> None:
    posters = tmp_path / "posters"
    for movie_id in (1, 2, 3, 20):
        write_bytes(posters / f"{movie_id}.jpg", draw_poster(movie_id))
    write_bytes(posters / "cover.jpg", draw_poster(9))
    write_bytes(posters / "more" / "3.jpg", draw_poster(10))
    pipeline.extract_images(posters, tmp_path / "features", ExtractOptions(str(backbone_path)))
    titles = tastes / "movies.csv"
    options = LookAlikeOptions(
        features=tmp_path / "features", films=titles, posters=posters, pairs=pairs, n_distorted=1
    )
    found = evaluate_look_alikes(options=options)
    assert found.n_films == 4
    assert {one.task for one in found.measures} == set(TASKS)
    assert [(one.kind, one.names) for one in found.left_out] == [
        ("film", ("cover.jpg",)),
        ("film", ("more/3.jpg",)),
        ("pair", ("77",)),
    ]
    with pytest.raises(NotBuiltError, match="no features"):
        evaluate_look_alikes(options=LookAlikeOptions(features=tmp_path))


def test_the_command_prints_a_table_and_draws(run: Run, tastes_home: Path, pairs: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot, sheet = tmp_path / "plot.png", tmp_path / "sheet.png"
    words = ("--pairs", pairs, "--distorted", "2", "--plot", plot, "--sheet", sheet, "--home", tastes_home)
    outcome = run("evaluate", "look-alikes", *words)
    assert outcome.code == 0, outcome.err
    assert "task" in outcome.out
    assert "over cosine" in outcome.out
    assert "recompressed" in outcome.out
    assert "nan" not in outcome.out
    assert "note: 1 pair left out: no features of this film (77)" in outcome.err
    with Image.open(sheet) as drawn, Image.open(plot) as plotted:
        assert drawn.width > 1000
        assert plotted.width > 500


def test_the_command_prints_json_and_csv(run: Run, tastes_home: Path) -> None:
    words = ("evaluate", "look-alikes", "cosine", "--tasks", "genre,hubness", "--home", tastes_home)
    as_json, as_csv = run(*words, "--json"), run(*words, "--csv")
    assert values(as_json.out)["genre", "agreement, × chance"] > 0
    assert json.loads(as_json.out)["measures"][-1]["figures"][0]["gain"]["value"] is None
    rows = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert [row["measure"] for row in rows] == [one["measure"] for one in json.loads(as_json.out)["measures"]]
    assert run(*words, "--json", "--csv").code == 1


def test_halves_ask_about_other_films(run: Run, tastes_home: Path) -> None:
    words = ("evaluate", "look-alikes", "cosine", "--tasks", "distortion", "--distorted", "2", "--json")
    halves = [run(*words, "--half", half, "--home", tastes_home) for half in ("choose", "report")]
    # "Film 7" and "Film 8" are parts of one series by their titles, so one half is empty.
    assert sorted(outcome.code for outcome in halves) == [0, 1]
    assert "no poster of a film with features can be read" in halves[0].err + halves[1].err


def test_real_posters_are_found_again(shared: Path, tmp_path: Path) -> None:
    """Alternates, series and distortions of some real posters, by a real network."""
    others = shared / "data" / "posters-alternate"
    with (others / "pairs.csv").open() as stream:
        rows = list(csv.DictReader(stream))[:12]
    posters = [(int(row["movie_id"]), shared / "data" / "posters" / f"{row['imdb_id']}.jpg") for row in rows]
    for movie_id, path in posters:
        write_bytes(tmp_path / "posters" / f"{movie_id}.jpg", path.read_bytes())
    network = ExtractOptions(str(shared / "weights" / "squeezenet_v1_1_imagenet.keras"), preprocessing="caffe")
    pipeline.extract_images(tmp_path / "posters", tmp_path / "features", network)
    options = LookAlikeOptions(
        features=tmp_path / "features",
        films=shared / "data" / "ml-latest-small" / "movies.csv",
        posters=tmp_path / "posters",
        pairs=others / "pairs.csv",
        n_distorted=2,
    )
    frame = evaluate_look_alikes(options=options).to_frame()
    found = frame[frame.embedding == "cosine"].set_index(["task", "measure"]).value
    assert found["distortion", "recall@1, mild"] > 0.9
    assert found["alternate", "MRR"] > 0.5


def test_embeddings_are_fitted_with_the_shape_of_maps(monkeypatch: pytest.MonkeyPatch, tastes_home: Path) -> None:
    shapes = []

    def fit(features: FilmFeatures, map_shape: tuple[int, ...] | None) -> Candidate:
        shapes.append(map_shape)
        return fit_candidate("cosine", features)

    monkeypatch.setitem(candidates.CANDIDATES, "whole", fit)  # type: ignore[arg-type]
    maps = np.random.default_rng(0).random((6, 7, 7, 8))
    for features in (maps, maps.reshape(6, -1)):
        evaluate_look_alikes(options=LookAlikeOptions(["whole"], features=(range(1, 7), features)))
    evaluate_look_alikes(tastes_home, LookAlikeOptions(["whole"], ["hubness"]))
    assert shapes == [(7, 7, 8), None, (7, 7, 8)]


def test_no_features_at_all_are_an_error_of_data() -> None:
    with pytest.raises(DataError, match="received 0"):
        evaluate_look_alikes(options=LookAlikeOptions(features=([], np.empty((0, 4)))))
    with pytest.raises(DataError, match="ascending"):
        evaluate_look_alikes(options=LookAlikeOptions(features=([2, 1], np.eye(2))))
    with pytest.raises(DataError, match="expected features of 3 films"):
        evaluate_look_alikes(options=LookAlikeOptions(features=([1, 2, 3], np.eye(2))))


def test_labels_that_no_two_films_share_cannot_be_measured() -> None:
    films = [Film(1, "One", 1951), Film(2, "Two", 1972), Film(3, "Three", 1993)]
    features = ([1, 2, 3], np.random.default_rng(1).random((3, 5)))
    with pytest.raises(DataError, match="decade cannot be measured: no two films have a decade in common"):
        evaluate_look_alikes(options=LookAlikeOptions(tasks=["decade"], features=features, films=films))
    found = evaluate_look_alikes(options=LookAlikeOptions(features=features, films=films))
    assert any("decade is not measured: no two films" in note for note in found.notes)


def test_embeddings_that_cannot_be_fitted_are_left_out() -> None:
    for features, why in ((np.ones((50, 6)), "are the same"), (np.random.default_rng(2).random((31, 6)), "too few")):
        options = LookAlikeOptions(features=(np.arange(1, len(features) + 1), features))
        found = evaluate_look_alikes(options=options)
        assert found.embeddings == ("cosine", "centered")
        assert any(note.startswith("whitened is not measured") and why in note for note in found.notes)
        with pytest.raises(DataError, match=why):
            evaluate_look_alikes(options=replace(options, embeddings=["whitened"]))


@pytest.mark.parametrize("length", [0.9, 1.01, 250.0])
def test_rows_of_another_length_are_not_compared(length: float) -> None:
    own = Candidate("own", lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True) * length)
    features = np.random.default_rng(3).random((12, 5))
    with pytest.raises(DataError, match=f"of length 1 .*received one of length {length:.3g}"):
        evaluate_look_alikes(options=LookAlikeOptions(["cosine", own], features=(range(1, 13), features)))


FEATURES = np.random.default_rng(4).random((3, 5))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"features": FEATURES}, TypeError),
        ({"features": ([1, 2, 3], FEATURES, 3)}, TypeError),
        ({"embeddings": [3]}, TypeError),
        ({"embeddings": "cosine"}, TypeError),
        ({"embeddings": []}, ConfigError),
        ({"n_distorted": 2.5}, TypeError),
        ({"seed": -1}, ValueError),
    ],
)
def test_refuses_options_of_another_kind(options: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        LookAlikeOptions(**options)


@pytest.mark.parametrize(
    ("movie_ids", "features", "error"),
    [
        ([1.5, 2.5, 3.5], FEATURES, TypeError),
        ([-3, 1, 2], FEATURES, DataError),
        ([1, 2, 3], FEATURES[:, :0], DataError),
        ([1, 2, 3], FEATURES.astype(str), TypeError),
        ([1, 2, 3], FEATURES * 1j, TypeError),
        ([1, 2, 3], FEATURES[:, :, None], DataError),
    ],
)
def test_refuses_arrays_that_are_no_features(movie_ids: list, features: np.ndarray, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"features|movie_ids"):
        evaluate_look_alikes(options=LookAlikeOptions(features=(movie_ids, features)))


def test_hubness_alone_is_not_plotted_and_has_no_halves(tmp_path: Path, run: Run) -> None:
    features = (range(1, 41), np.random.default_rng(5).random((40, 5)))
    found = evaluate_look_alikes(options=LookAlikeOptions(tasks=["hubness"], features=features, half="choose"))
    assert found.notes == ("hubness is of all films, not of a half",)
    with pytest.raises(ConfigError, match="no intervals to plot"):
        found.plot(tmp_path / "plot.png")
    outcome = run("evaluate", "look-alikes", "--tasks", "hubness", "--plot", tmp_path / "p.png", "--home", tmp_path)
    assert (outcome.code, list(tmp_path.glob("*.png"))) == (1, [])
    assert "no intervals to plot" in outcome.err


def test_a_workspace_beside_features_is_refused(tmp_path: Path, run: Run) -> None:
    words = ("evaluate", "look-alikes", "--features", tmp_path)
    for outcome in (run(*words, "--home", tmp_path), run("--home", tmp_path, *words)):
        assert outcome.code == 2
        assert "leave --home out" in outcome.err


def test_a_pair_that_is_named_twice_is_asked_about_once(tastes_home: Path, pairs: Path) -> None:
    pairs.write_text("movie_id\n1\n2\n1\n1\n")
    found = evaluate_look_alikes(tastes_home, LookAlikeOptions(["cosine"], ["alternate"], pairs))
    assert {one.n_questions for one in found.measures} == {2}
    assert [str(one) for one in found.left_out] == ["2 pairs left out: the same pair again (1, 1)"]
