"""Explanations of visual similarity from stored features."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from catalog.errors import ConfigError, DataError, NotBuiltError, UnknownFilmError
from features.options import ExtractOptions
from features.store import FeatureStore
from index.options import IndexOptions
from keyart.engine import Engine
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.workspace.layout import Workspace
from posters.store import PosterStore
from tests.keyart.conftest import Run
from tests.records import rewrite_record


def replace_features(home: Path, rows: dict[int, npt.NDArray[np.floating]]) -> None:
    """Replace the stored features of films and rebuild the index."""
    workspace = Workspace.open(home)
    with PosterStore.open_to_read(workspace.posters_dir) as posters:
        hashes = {poster.movie_id: poster.sha256 for poster in posters.posters()}
    table = pd.DataFrame(
        {
            "movie_id": np.array(list(rows), np.int64),
            "poster_sha256": [hashes[movie_id] for movie_id in rows],
            "width": np.int32(120),
            "height": np.int32(180),
            "source": "",
        }
    )
    FeatureStore.open(workspace.features_dir).append(table, np.stack(list(rows.values())).astype(np.float16))
    build(workspace, IndexOptions(rebuild=True))


def top_right() -> npt.NDArray[np.float32]:
    features = np.zeros((7, 7, 8), np.float32)
    features[0, 6] = range(8)
    return features.ravel()


def change_record(home: Path, **changes: object) -> None:
    rewrite_record(home / "features" / "features.json", lambda record: {**record, **changes})


@pytest.mark.parametrize("center", [False, True])
def test_contributions_add_up_to_the_similarity_of_hits(home: Path, center: bool) -> None:
    build(Workspace.open(home), IndexOptions(center=center))
    engine = Engine.open(home)
    hits = engine.similar(1, alpha=1).hits
    assert len(hits) == 4
    for hit in hits:
        found = engine.explain(1, hit.movie_id)
        assert found.grid.shape == (7, 7)
        assert found.similarity == pytest.approx(found.grid.sum(), abs=1e-14)
        assert found.similarity == pytest.approx(hit.visual, abs=2e-6)
        assert found.centered == center
        assert center or (found.grid >= 0).all()


def test_explains_films_by_title_or_id_with_their_posters(engine: Engine, home: Path) -> None:
    found = engine.explain("harbour", 3)
    assert [film.label for film in found.films] == ["The Harbour (1990)", "Twin (1992)"]
    assert [film.poster_path for film in found.films] == [home / "posters" / "1.jpg", home / "posters" / "3.jpg"]
    np.testing.assert_array_equal(found.grid, engine.explain(3, 1).grid)
    with pytest.raises(UnknownFilmError, match="did you mean"):
        engine.explain(1, "harbor")


def test_similarity_of_a_film_to_itself_is_1(engine: Engine) -> None:
    assert engine.explain(1, 1).similarity == pytest.approx(1)


def test_similarity_in_one_cell_is_attributed_to_that_cell(home: Path) -> None:
    replace_features(home, {1: top_right(), 2: top_right()})
    expected = np.zeros((7, 7))
    expected[0, 6] = 1
    np.testing.assert_allclose(Engine.open(home).explain(1, 2).grid, expected, atol=1e-15)


# Errors


def test_film_without_poster_is_an_error(engine: Engine) -> None:
    with pytest.raises(NotBuiltError, match=r"No Poster \(1993\) has no poster; run `keyart fetch --home"):
        engine.explain(1, 4)


def test_changed_poster_without_features_is_an_error(home: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    shutil.copy(home / "posters" / "5.jpg", tmp_path / "new" / "2.jpg")
    assert run("import", tmp_path / "new", "--by", "movie", "--home", home).code == 0
    with pytest.raises(NotBuiltError, match=r"the poster of Twin \(1991\) has no features yet; run `keyart extract"):
        Engine.open(home).explain(1, 2)


def test_pooled_features_have_no_regions(home: Path, backbone_path: Path) -> None:
    workspace = Workspace.open(home)
    extract(workspace, ExtractOptions(str(backbone_path), pooling="gem", rebuild=True))
    build(workspace)
    with pytest.raises(ConfigError, match=r"pooled \(gem\).* no region of it; run `keyart extract --features raw --re"):
        Engine.open(home).explain(1, 2)


def test_missing_index_is_an_error(home: Path) -> None:
    (home / "index" / "index.json").unlink()
    with pytest.raises(NotBuiltError, match="no index of posters here yet; run `keyart build --home"):
        Engine.open(home).explain(1, 2)


def test_extracting_again_records_a_missing_shape(home: Path, backbone_path: Path) -> None:
    change_record(home, map_shape=None)
    engine = Engine.open(home)
    # As what is missing, not as damage: over HTTP the advice is shown.
    expected = r"shape of the network's output is not .* `keyart extract --home .*` again"
    with pytest.raises(ConfigError, match=expected):
        engine.explain(1, 2)
    with pytest.raises(ConfigError, match=expected):
        engine.similar(1, region=(0, 0, 7, 3))
    assert extract(Workspace.open(home), ExtractOptions(str(backbone_path))).n_new == 0
    assert engine.explain(1, 2).grid.shape == (7, 7)


def test_output_that_is_not_a_map_is_an_error(home: Path) -> None:
    change_record(home, map_shape=[392])
    with pytest.raises(ConfigError, match=r"the output of tiny has the shape \(392,\); expected a map"):
        Engine.open(home).explain(1, 2)


def test_features_replaced_under_an_open_engine_do_not_mix(home: Path, backbone_path: Path) -> None:
    engine = Engine.open(home)
    extract(Workspace.open(home), ExtractOptions(str(backbone_path), resize="nearest", rebuild=True))
    with pytest.raises(DataError, match=r"run `keyart build --home .*` again"):
        engine.explain(1, 2)


def test_features_that_are_all_zero_are_an_error(home: Path) -> None:
    replace_features(home, {2: np.zeros(7 * 7 * 8)})
    with pytest.raises(DataError, match=r"all 392 numbers of the features of Twin \(1991\) are zero"):
        Engine.open(home).explain(1, 2)


@pytest.mark.parametrize("kind", ["exact", "shortlist"])
def test_damaged_features_are_an_error(home: Path, kind: Any) -> None:
    build(Workspace.open(home), IndexOptions(kind=kind, rebuild=True))
    engine = Engine.open(home)
    path = home / "features" / "features-00000.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 4
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"features-00000\.\* is damaged .*; run `keyart extract --home .*` again"):
        engine.explain(1, 2)


def test_explaining_loads_no_network(home: Path) -> None:
    program = (
        "import sys; from keyart import Engine; Engine.open(sys.argv[1]).explain(1, 3); "
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program, str(home)], check=False).returncode == 0
