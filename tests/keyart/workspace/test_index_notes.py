"""Results and tables say when the index is older than the posters and features."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import keyart
from features.options import ExtractOptions
from keyart.cold_start.new_film import NewFilm
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster

OUTDATED = "the index is out of date, as posters or features have changed; run "


def import_poster(home: Path, movie_id: int, seed: int, tmp_path: Path) -> Path:
    folder = tmp_path / f"posters-{movie_id}-{seed}"
    folder.mkdir()
    path = folder / f"{movie_id}.jpg"
    path.write_bytes(draw_poster(seed, size=(120, 180)))
    import_posters(Workspace.open(home), folder, "movie")
    return path


def test_a_changed_poster_is_noted_until_it_is_extracted_and_built(
    home: Path, backbone_path: Path, tmp_path: Path
) -> None:
    with keyart.open(home) as engine:
        assert not engine.similar(1).notes
    path = import_poster(home, 2, 77, tmp_path)
    with keyart.open(home) as engine:
        note = OUTDATED + f"`keyart extract --home {home}`, then `keyart build --home {home}`"
        assert note in engine.similar(1).notes
        assert note in engine.similar(1).to_dict()["notes"]
        assert note in engine.similar(path).notes
        assert note in engine.cold_start([NewFilm(path)])[0].notes
    extract(home, ExtractOptions(str(backbone_path)))
    with keyart.open(home) as engine:
        assert OUTDATED + f"`keyart build --home {home}`" in engine.similar(1).notes
    build(home)
    with keyart.open(home) as engine:
        assert not engine.similar(1).notes


def test_features_newer_than_the_index_are_noted(home: Path, backbone_path: Path, tmp_path: Path) -> None:
    import_poster(home, 4, 44, tmp_path)
    with keyart.open(home) as engine:
        # A poster without features is no part of an index yet.
        assert not engine.similar(1).notes
    extract(home, ExtractOptions(str(backbone_path)))
    with keyart.open(home) as engine:
        assert engine.similar(1).notes == (OUTDATED + f"`keyart build --home {home}`",)


def test_neighbors_leaves_out_films_that_left_the_catalog(home: Path, tmp_path: Path, run: Run) -> None:
    films = "movieId,title,genres\n1,One (1990),Drama\n2,Two (1991),Drama\n5,Five (1994),Drama\n"
    (tmp_path / "movies.csv").write_text(films)
    load(home, tmp_path)
    outcome = run("neighbors", "--home", home, "--out", tmp_path / "near.parquet")
    assert "2 films of the index have left the catalog, and are not in the file" in outcome.err
    table = pd.read_parquet(tmp_path / "near.parquet")
    assert set(table["movie_id"]) == set(table["neighbor_id"]) == {1, 2, 5}


def test_a_replaced_poster_is_noted_where_features_are_gone(home: Path, tmp_path: Path) -> None:
    import_poster(home, 2, 80, tmp_path)
    shutil.rmtree(home / "features")
    with keyart.open(home) as engine:
        assert (
            OUTDATED + f"`keyart extract --home {home}`, then `keyart build --home {home}`" in engine.similar(1).notes
        )


@pytest.mark.parametrize("words", [("similar", "1", "--json"), ("similar", "1", "--csv")])
def test_the_command_line_notes_an_outdated_index(words: tuple[str, ...], home: Path, tmp_path: Path, run: Run) -> None:
    import_poster(home, 2, 78, tmp_path)
    outcome = run(*words, "--home", home)
    note = OUTDATED + f"`keyart extract --home {home}`, then `keyart build --home {home}`"
    assert f"note: {note}" in outcome.err
    assert "--json" not in words or note in json.loads(outcome.out)["notes"]


def test_neighbors_notes_an_outdated_index(home: Path, tmp_path: Path, run: Run) -> None:
    import_poster(home, 2, 79, tmp_path)
    assert OUTDATED in run("neighbors", "--home", home, "--out", tmp_path / "near.parquet").err
