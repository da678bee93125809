"""Files that another process replaces during a read are read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import catalog.io.arrays
import features.store
from cf.models.neighbors import ItemCosine
from cf.ratings import Ratings
from features.store import FeatureStore
from keyart.cold_start.content import open_looks
from keyart.engine import Engine
from keyart.pipeline.movielens import load
from keyart.workspace.contents import open_ratings
from keyart.workspace.index import current_film_features
from keyart.workspace.layout import Workspace

BeforeCall = Callable[[Any, str, Callable[[], object]], None]


@pytest.fixture
def before_call(monkeypatch: pytest.MonkeyPatch) -> BeforeCall:
    """Make a change once, as another process might, right before the first call of a function."""

    def arrange(owner: Any, name: str, change: Callable[[], object]) -> None:
        function = getattr(owner, name)
        pending = [change]

        def called(*arguments: Any, **options: Any) -> Any:
            if pending:
                pending.pop()()
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, called)

    return arrange


def join_shards(home: Path) -> None:
    """Add the rows of the first shard as another one, and join both, which removes them."""
    store = FeatureStore.open(home / "features")
    table = pd.read_parquet(home / "features" / "features-00000.parquet")
    store.append(table, np.load(home / "features" / "features-00000.npy"))
    store.tidy(lambda *_: True)
    assert not (home / "features" / "features-00000.json").exists()


def test_rows_are_read_while_shards_are_joined(home: Path, before_call: BeforeCall) -> None:
    store = FeatureStore.open(home / "features")
    before = store.rows()
    before_call(features.store, "length_of", lambda: join_shards(home))
    rows = store.rows()
    assert rows.movie_ids.tolist() == before.movie_ids.tolist()
    assert set(rows.shards.tolist()).isdisjoint(before.shards.tolist())


def test_features_are_read_while_shards_are_joined(home: Path, before_call: BeforeCall) -> None:
    _, before = current_film_features(Workspace.open(home))
    before_call(FeatureStore, "arrays", lambda: join_shards(home))
    _, after = current_film_features(Workspace.open(home))
    assert before is not None
    assert after is not None
    for number in range(len(before)):
        np.testing.assert_array_equal(after.row(number), before.row(number))


def test_films_are_explained_while_shards_are_joined(home: Path, before_call: BeforeCall) -> None:
    with Engine.open(home) as engine:
        before = engine.explain(1, 3)
        before_call(FeatureStore, "blocks", lambda: join_shards(home))
        np.testing.assert_array_equal(engine.explain(1, 3).grid, before.grid)


def test_looks_are_computed_while_shards_are_joined(home: Path, before_call: BeforeCall) -> None:
    before_call(FeatureStore, "blocks", lambda: join_shards(home))
    looks = open_looks(Workspace.open(home))
    assert looks.movie_ids.tolist() == [1, 2, 3, 5, 6]
    assert np.isfinite(looks.rows).all()


def test_ratings_are_opened_during_a_load(home: Path, movielens: Path, before_call: BeforeCall) -> None:
    before = open_ratings(Workspace.open(home))
    before_call(Ratings, "open", lambda: load(home, movielens))
    np.testing.assert_array_equal(open_ratings(Workspace.open(home)).values, before.values)


def test_model_is_opened_during_a_fit(home: Path, before_call: BeforeCall) -> None:
    folder = Workspace.open(home).model_dir(ItemCosine.name)
    model = ItemCosine.open(folder)
    before_call(catalog.io.arrays, "xxh3_file", lambda: model.save(folder))
    (before,), (after,) = (opened.similar_items([1], 3) for opened in (model, ItemCosine.open(folder)))
    np.testing.assert_array_equal(after.ids, before.ids)
