"""What learns from ratings records the ones that it learned from, also where others are loaded meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.films import Catalog
from cf.base import Recommender
from cf.coldstart.ridge import ContentRidge
from cf.models.neighbors import ItemCosine
from cf.ratings import Ratings
from keyart.cold_start.predictor import open_cold_start
from keyart.engine import Engine
from keyart.pipeline.index import build
from keyart.pipeline.recommenders import fit, tune
from keyart.pipeline.status import read_status
from keyart.recommend.models import open_model
from keyart.recommend.recommendations import UserRecommender
from keyart.workspace.contents import open_films_and_ratings, open_ratings
from keyart.workspace.layout import Workspace
from tests.faults.small_workspace import make_workspace, write_films

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    make_workspace(folder)
    write_films(folder / "other-films", seed=1)
    return folder


@pytest.fixture
def home(sources: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sources, tmp_path / "sources")) / "workspace"


@pytest.fixture
def loaded_before(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], None]:
    """Load other ratings in another process right before the first call of a method."""
    load = [sys.executable, "-m", "keyart", "load", "--home", str(home), str(home.parent / "other-films")]

    def arrange(owner: Any, name: str) -> None:
        function, pending = getattr(owner, name), [load]

        def called(*arguments: Any, **options: Any) -> Any:
            if pending:
                subprocess.run(pending.pop(), check=True, capture_output=True)
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, called)

    return arrange


def _names(home: Path) -> list[str]:
    """Return the name of the ratings that the catalog has now, as a list."""
    with Catalog.open(Workspace.open(home).catalog_path) as catalog:
        return [catalog.fact("ratings") or ""]


def test_similarities_of_earlier_ratings_are_out_of_date(home: Path, loaded_before: Callable[..., None]) -> None:
    (before,) = _names(home)
    loaded_before(ItemCosine, "fit")
    build(home)
    workspace = Workspace.open(home)
    assert ItemCosine.open(workspace.model_dir(ItemCosine.name)).source == before != _names(home)[0]
    assert not read_status(workspace).similarities_are_current
    with Engine.open(home) as engine:
        assert any("ratings loaded earlier" in note for note in engine.similar(1).notes)


def test_a_model_of_earlier_ratings_is_out_of_date(home: Path, loaded_before: Callable[..., None]) -> None:
    loaded_before(Recommender, "fit")
    fit(home, "ease")
    _, notes = open_model(Workspace.open(home), "ease")
    assert notes == ("the ratings have changed since ease was fitted; run `keyart fit ease` again",)


def test_a_model_tuned_on_earlier_ratings_is_noted_as_out_of_date(
    home: Path, loaded_before: Callable[..., None]
) -> None:
    loaded_before(Recommender, "fit")
    tune(home, "ease", n_films=5)
    _, notes = open_model(Workspace.open(home), "ease")
    assert notes


def test_a_cold_start_of_earlier_ratings_is_fitted_again(home: Path, loaded_before: Callable[..., None]) -> None:
    workspace = Workspace.open(home)
    loaded_before(ContentRidge, "fit")
    first, second = open_cold_start(workspace), open_cold_start(workspace)
    assert first is not None
    assert second is not None
    assert first.source != second.source
    assert len(second.movie_ids_) == len(open_ratings(workspace).matrix().movie_ids)


def test_recommendations_are_by_films_and_ratings_of_one_load(home: Path, loaded_before: Callable[..., None]) -> None:
    fit(home, "ease")
    loaded_before(Ratings, "matrix")
    recommender = UserRecommender.open(Workspace.open(home), "ease")
    assert not recommender.for_user(1, 3).notes
    assert not recommender.is_current()


def test_films_and_ratings_are_of_one_load(home: Path, loaded_before: Callable[..., None]) -> None:
    loaded_before(Ratings, "open")
    films, ratings = open_films_and_ratings(Workspace.open(home))
    assert [ratings.source] == _names(home)
    assert sum(film.n_ratings for film in films.values()) == len(ratings)
