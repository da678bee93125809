"""A workspace written by keyart 0.1 opens, gives the recorded results, and is not changed by reading."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import keyart
from catalog.errors import ConfigError
from catalog.films import Catalog
from cf.registry import MODELS
from index.neighbors import write_neighbors
from keyart.atlas.record import Atlas
from keyart.cold_start.new_film import NewFilm
from keyart.engine import Engine
from keyart.pipeline.additions import add
from keyart.pipeline.status import read_status
from keyart.recommend.history import history_of
from keyart.recommend.models import open_model
from keyart.recommend.recommendations import UserRecommender
from keyart.recommend.users import Users
from keyart.results import SimilarFilms
from keyart.workspace.contents import open_ratings
from keyart.workspace.index import open_index
from keyart.workspace.layout import Workspace
from posters.store import PosterStore
from tests.keyart.conftest import Run

pytestmark = pytest.mark.heavy

DATA = Path(__file__).parents[1] / "data"
ANSWERS = json.loads((DATA / "workspace-0.1.json").read_text("utf-8"))
# Version 0.1 predicted new films by another model.
for recorded in (ANSWERS, ANSWERS["shortlist"]):
    del recorded["picture"]["expected"], recorded["picture"]["audience"]
# It took posters of the same artwork, as film 23 has, for a part of the scale of ratings.
RESCALED = ("Film 5 auto", "5 1.0", "5 0.0", "5 0.4")
ALL = 1000
ADDED = 1_000_000_001

Answer: TypeAlias = Any
"""A JSON value; ids of films and users are keys."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The unpacked workspace and its network, which the workspace names by a relative path."""
    shutil.unpack_archive(DATA / "workspace-0.1.zip", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def workspace(folder: Path) -> Workspace:
    return Workspace.open(folder / "keyart-data")


def differences(now: Answer, then: Answer, at: str = "") -> list[str]:
    """List differing values; numbers may differ as much as between processors."""
    match then:
        case dict() if isinstance(now, dict) and now.keys() == then.keys():
            return [each for key in then for each in differences(now[key], then[key], f"{at}/{key}")]
        case list() if isinstance(now, list) and len(now) == len(then):
            pairs = enumerate(zip(now, then, strict=True))
            return [each for number, pair in pairs for each in differences(*pair, f"{at}/{number}")]
        case float() if isinstance(now, float) and abs(now - then) < 2e-4:
            return []
        case _:
            return [] if now == then else [f"{at}: {now!r}, recorded was {then!r}"]


def states(folder: Path) -> dict[str, tuple[str, int]]:
    """Content and time of change of every file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in files
    }


def scores(pairs: Iterable[tuple[int, float]]) -> dict[str, float]:
    """Map ids to scores, which must be in descending order."""
    listed = list(pairs)
    assert listed == sorted(listed, key=lambda pair: -pair[1])
    return {str(number): round(float(score), 5) for number, score in listed}


def hits(found: SimilarFilms) -> dict[str, list[float | None]]:
    """Map each film to its number of ratings, its score and the parts of the score."""
    scores((hit.movie_id, hit.score) for hit in found)
    return {
        str(hit.movie_id): [hit.n_ratings, *map(rounded, (hit.score, hit.visual, hit.cf, hit.alpha))] for hit in found
    }


def rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 5)


def use_shortlist(workspace: Workspace) -> None:
    """Replace the exact index by a shortlist of the same films without centering."""
    shutil.rmtree(workspace.index_dir)
    shutil.copytree(workspace.home.parent / "index-shortlist", workspace.index_dir)


# Results recorded with 0.1, under the names of these functions.


def films(workspace: Workspace) -> Answer:
    with Catalog.open(workspace.catalog_path) as catalog:
        facts = ("title", "year", "imdb_id", "tmdb_id", "n_ratings")
        return {
            "films": {
                str(film.movie_id): [
                    *(getattr(film, name) for name in facts),
                    rounded(film.mean_rating),
                    list(film.genres),
                    list(film.alternative_titles),
                ]
                for film in catalog
            },
            "added": [film.movie_id for film in catalog.added()],
            "tags": [[tag.movie_id, tag.tag, tag.n_users] for tag in catalog.tags()],
            "found": {text: catalog.find(text).movie_id for text in ("cafe zurich", "Coffee", "the harbour", "7")},
        }


def ratings(workspace: Workspace) -> Answer:
    read, users = open_ratings(workspace), Users.open(workspace)
    user = users.find(30)
    assert user
    return {
        "n": len(read),
        "stars": float(read.values.sum()),
        "timestamps": [int(read.timestamps.min()), int(read.timestamps.max())],
        "user": [user.n_ratings, user.mean_rating],
        "best": [[film.movie_id, stars] for film, stars in users.best_rated(30, 5)],
    }


def posters(workspace: Workspace) -> Answer:
    with PosterStore.open_to_read(workspace.posters_dir) as store:
        facts = ("state", "reason", "source", "poster_path", "size", "language", "sha256", "width", "height")
        for poster in store.posters():
            assert hashlib.sha256(poster.path.read_bytes()).hexdigest() == poster.sha256
        return {
            str(record.movie_id): [getattr(record, name) for name in (*facts, "fetched_at", "attempts")]
            for record in store.records()
        }


def similar(workspace: Workspace) -> Answer:
    engine = Engine.open(workspace.home)
    queries: list[tuple[str | int, Any]] = [
        ("Film 5", "auto"),
        (5, 1.0),
        (5, 0.0),
        (5, 0.4),
        (38, "auto"),
        (41, "auto"),
    ]
    return unscaled({f"{film} {alpha}": hits(engine.similar(film, ALL, alpha, content=0)) for film, alpha in queries})


def unscaled(found: Answer) -> Answer:
    """Leave out what depends on the scale of ratings, where that has changed."""
    n_ratings, visual, alpha = 0, 2, 4
    kept = {
        query: {film: [hit[n_ratings], hit[visual], hit[alpha]] for film, hit in found[query].items()}
        for query in RESCALED
    }
    return found | kept


def neighbors(workspace: Workspace) -> Answer:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "neighbors.parquet"
        write_neighbors(open_index(workspace), ALL, path)
        table = pd.read_parquet(path)
    few = table[table["movie_id"] <= 5]
    return {
        str(movie_id): scores(zip(rows["neighbor_id"].tolist(), rows["similarity"].tolist(), strict=True))
        for movie_id, rows in few.groupby("movie_id")
    }


def same_artwork(workspace: Workspace) -> Answer:
    found = Engine.open(workspace.home).similar(5, ALL, merge_duplicates=True, content=0)
    return {str(hit.movie_id): list(hit.same_artwork) for hit in found if hit.same_artwork}


def explanations(workspace: Workspace) -> Answer:
    engine = Engine.open(workspace.home)
    explained = {f"{first} {second}": engine.explain(first, second) for first, second in ((5, 8), (5, 6), (5, ADDED))}
    return {
        pair: [one.centered, round(one.similarity, 5), one.grid.round(5).tolist()] for pair, one in explained.items()
    }


def picture(workspace: Workspace) -> Answer:
    engine = Engine.open(workspace.home)
    path = workspace.home.parent / "new.jpg"
    new = NewFilm(path, "New", 1985, ("Comedy",))
    (answer,) = engine.cold_start([new], ALL)
    assert answer.expected
    assert answer.audience
    return {
        "similar": hits(engine.similar(keyart.Image(path), ALL)),
        "look_alikes": hits(answer.look_alikes),
    }


def atlas(workspace: Workspace) -> Answer:
    opened = Atlas.open(workspace.atlas_dir)
    films_of_map = zip(opened.movie_ids.tolist(), opened.positions, opened.labels, opened.is_placed, strict=True)
    return {
        "method": [opened.method, opened.seed],
        "films": {
            str(movie_id): [*position.astype(float).round(5).tolist(), int(label), bool(is_placed)]
            for movie_id, position, label, is_placed in films_of_map
        },
        "clusters": [[one.name, one.n_films, list(one.typical)] for one in opened.clusters],
        "sheets": [
            [sheet.name, list(sheet.movie_ids), size(workspace.atlas_dir / sheet.name)] for sheet in opened.sheets
        ],
    }


def size(path: Path) -> list[int]:
    with Image.open(path) as image:
        image.load()
        return list(image.size)


def info(workspace: Workspace) -> Answer:
    found = read_status(workspace)
    flags = ("n_films", "n_added", "n_ratings", "n_rated", "n_features", "n_skipped", "n_indexed", "n_mapped")
    more = ("n_similar", "n_linked", "posters", "source", "backbone", "index", "index_is_current")
    names = (*flags, *more, "similarities_are_current")
    assert found.damaged == ()
    return {name: getattr(found, name) for name in names}


def model(workspace: Workspace, name: str) -> Answer:
    """Recommendations with and without new films and for a new user, predictions, and similar films."""
    opened = UserRecommender.open(workspace, name)
    known = UserRecommender.open(workspace, name, with_new=False)
    recommender, notes = open_model(workspace, name)
    assert notes == ()
    answers = {
        "user 30": known.for_user(30, ALL),
        "user 55 and new films": opened.for_user(55, ALL, fresh=0.1),
    }
    found = {
        query: [one.model, {str(film.movie_id): [not film.new and rounded(film.score), film.new] for film in one.films}]
        for query, one in answers.items()
    }
    # Some models do not support new users.
    with suppress(ConfigError):
        (new,) = recommender.recommend_new(history_of([5, 8, 12], [5.0, 4.5, 1.0]), ALL)
        pairs = zip(new.ids.tolist(), new.scores.tolist(), strict=True)
        found["somebody new"] = [
            recommender.name,
            {str(movie_id): [rounded(score), False] for movie_id, score in pairs},
        ]
    (alike,) = recommender.similar_items([5], ALL)
    return {
        **found,
        "predicted": [
            rounded(value) for value in recommender.predict([30, 30, 55], [5, 6, 7]).astype(float) if np.isfinite(value)
        ],
        "alike": scores(zip(alike.ids.tolist(), alike.scores.tolist(), strict=True)),
    }


def recorded_model(workspace: Workspace, name: str) -> Answer:
    """Bring what was recorded to the scale of the ratings, which version 0.1 let stars leave; without new films."""
    recommender, _ = open_model(workspace, name)

    def stars(score: float) -> float:
        return float(recommender.on_scale(np.array([score], np.float32))[0])

    recorded = dict(ANSWERS["models"][name])
    for query in {"user 30", "user 55 and new films", "somebody new"} & set(recorded):
        model_name, films = recorded[query]
        recorded[query] = [model_name, {key: [not new and stars(score), new] for key, (score, new) in films.items()}]
    recorded["predicted"] = [stars(score) for score in recorded["predicted"]]
    return recorded


RECORDED: dict[str, Callable[[Workspace], Answer]] = {
    function.__name__: function
    for function in (films, ratings, posters, similar, neighbors, same_artwork, explanations, picture, atlas, info)
}
OF_INDEX = ("similar", "neighbors", "explanations", "picture", "info")


@pytest.mark.parametrize("name", RECORDED)
def test_results_are_as_recorded(workspace: Workspace, name: str) -> None:
    recorded = unscaled(ANSWERS[name]) if name == "similar" else ANSWERS[name]
    assert not differences(RECORDED[name](workspace), recorded)


@pytest.mark.parametrize("name", OF_INDEX)
def test_results_of_a_shortlist_are_as_recorded(workspace: Workspace, name: str) -> None:
    use_shortlist(workspace)
    recorded = unscaled(ANSWERS["shortlist"][name]) if name == "similar" else ANSWERS["shortlist"][name]
    assert not differences(RECORDED[name](workspace), recorded)


@pytest.mark.parametrize("name", ANSWERS["models"])
def test_recommendations_are_as_recorded(workspace: Workspace, name: str) -> None:
    assert not differences(model(workspace, name), recorded_model(workspace, name))


def test_the_old_workspace_has_all_recommenders_of_its_time(workspace: Workspace) -> None:
    assert {path.name for path in (workspace.home / "cf").iterdir()} == {*ANSWERS["models"], "cold-start"}
    assert set(ANSWERS["models"]) <= set(MODELS)


def test_reading_changes_nothing(folder: Path, workspace: Workspace) -> None:
    # The model of the cold start, which earlier versions fitted without a prior, is fitted anew on first use.
    RECORDED["picture"](workspace)
    before = states(folder)
    for answer in RECORDED.values():
        answer(workspace)
    model(workspace, "ease")
    assert states(folder) == before


def test_reading_a_shortlist_changes_nothing(folder: Path, workspace: Workspace) -> None:
    use_shortlist(workspace)
    RECORDED["picture"](workspace)
    before = states(folder)
    for name in OF_INDEX:
        RECORDED[name](workspace)
    assert states(folder) == before


def test_commands_read_the_workspace(run: Run, workspace: Workspace) -> None:
    home = "--home", workspace.home
    found = json.loads(run("similar", "38", "-k", "1000", "--content", "0", "--json", *home).out)["results"]
    recorded = ANSWERS["similar"]["38 auto"]
    assert not differences(
        {str(hit["movie_id"]): hit["score"] for hit in found}, {key: hit[1] for key, hit in recorded.items()}
    )
    outcome = run("info", *home)
    assert (outcome.code, outcome.err) == (0, "")
    assert "damaged" not in outcome.out
    assert "out of date" not in outcome.out


def test_nothing_is_recomputed(run: Run, workspace: Workspace) -> None:
    before = states(workspace.index_dir)
    home = "--home", workspace.home
    assert "features of 0 posters computed" in run("extract", "--encoder", "tiny.keras", *home).out
    for command in ("build", "atlas"):
        assert "up to date)" in run(command, *home).out
    assert states(workspace.index_dir) == before
    assert not differences(atlas(workspace), ANSWERS["atlas"])


@pytest.mark.parametrize("kind", ["exact", "shortlist"])
def test_new_films_can_be_added(workspace: Workspace, kind: str) -> None:
    if kind == "shortlist":
        use_shortlist(workspace)
    report = add(workspace, [NewFilm(workspace.home.parent / "new.jpg", "New", 1985, ("Comedy",))])
    assert [film.movie_id for film in report.added] == [ADDED + 1]
    assert (report.n_indexed, report.notes) == (ANSWERS["info"]["n_indexed"] + 1, ())
    # Features are stored as half floats, but the recorded image was compared in single precision.
    recorded = (ANSWERS if kind == "exact" else ANSWERS["shortlist"])["picture"]["similar"]
    similar_to_it = Engine.open(workspace.home).similar(ADDED + 1, ALL, content=0)
    assert {str(hit.movie_id): hit.visual for hit in similar_to_it} == pytest.approx(
        {movie_id: visual for movie_id, (_, _, visual, *_) in recorded.items()}, abs=5e-3
    )
