"""Removing films: the opposite of adding them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from catalog.errors import AmbiguousFilmError, ConfigError, StoreError, UnknownFilmError
from catalog.film import Film
from catalog.films import Catalog
from catalog.ids import FIRST_ADDED_ID, MAX_ID
from catalog.io.locks import exclusive
from features.store import FeatureStore
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.atlas.record import Atlas
from keyart.cold_start.content import open_looks
from keyart.cold_start.new_film import NewFilm
from keyart.engine import Engine
from keyart.pipeline import removals
from keyart.pipeline.additions import add
from keyart.pipeline.features import extract_missing
from keyart.pipeline.index import build
from keyart.pipeline.integrity import check
from keyart.pipeline.movielens import load
from keyart.pipeline.removals import remove
from keyart.pipeline.status import read_status
from keyart.workspace.contents import open_ratings
from keyart.workspace.encoders import list_encoders
from keyart.workspace.layout import Workspace
from tests.damage import flip_bit
from tests.keyart.conftest import Run
from tests.keyart.pipeline.test_alternates import put_alternates
from tests.posters.pictures import draw_poster

pytestmark = pytest.mark.heavy


@pytest.fixture
def new(tmp_path: Path) -> NewFilm:
    path = tmp_path / "new.jpg"
    path.write_bytes(draw_poster(2, size=(124, 186)))
    return NewFilm(path, "Brand New", 2029, ["Drama"], ["Nagelneu"], tmdb_id=77)


def contents_of(home: Path) -> list[object]:
    """List what a workspace holds of each film, and what it answers."""
    workspace = Workspace.open(home)
    with Catalog.open(workspace.catalog_path) as catalog:
        found: list[object] = [list(catalog), catalog.added(), catalog.tags(), catalog.removed()]
    found.append(sorted(path.name for path in workspace.posters_dir.rglob("*") if path.suffix == ".jpg"))
    for view in list_encoders(workspace):
        store = FeatureStore.open(view.features_dir)
        rows = store.rows(check=True)
        found += [rows.movie_ids.tolist(), rows.poster_sha256s, [block.tobytes() for block in store.blocks(rows)]]
        looks = open_looks(view)
        found += [looks.movie_ids.tolist(), looks.rows.tobytes()]
        with Engine.open(home, view.encoder or "tiny") as engine:
            found += [[(hit.movie_id, hit.score) for hit in engine.similar(film)] for film in rows.movie_ids.tolist()]
    found.append(read_status(workspace).to_dict())
    return found


def test_what_add_made_is_unmade(home_of_two: Path, new: NewFilm) -> None:
    before = contents_of(home_of_two)
    add(home_of_two, [new])
    assert contents_of(home_of_two) != before
    report = remove(home_of_two, ["Brand New (2029)"])
    assert [film.label for film in report.removed] == ["Brand New (2029)"]
    assert (report.n_indexed, report.notes) == (5, ())
    assert json.loads(json.dumps(report.to_dict()))["removed"][0]["movie_id"] == FIRST_ADDED_ID
    assert contents_of(home_of_two) == before


def test_a_removed_film_is_unknown(home: Path, new: NewFilm, run: Run) -> None:
    add(home, [new])
    outcome = run("remove", str(FIRST_ADDED_ID), "--home", home)
    expected = f"removed: Brand New (2029)  [{FIRST_ADDED_ID}]\n5 films indexed by looks\n"
    assert (outcome.code, outcome.out, outcome.err) == (0, expected, "")
    again = run("remove", str(FIRST_ADDED_ID), "--home", home)
    assert (again.code, again.out) == (1, "")
    assert f"no film is titled '{FIRST_ADDED_ID}', and none has that movie_id" in again.err
    assert not list((home / "posters").glob(f"{FIRST_ADDED_ID}*"))


def test_all_films_or_none_are_removed(home: Path, run: Run) -> None:
    before = contents_of(home)
    outcome = run("remove", "1", "tmdb:106", "No such film", "--home", home)
    assert (outcome.code, contents_of(home) == before) == (1, True)
    assert run("remove", "--home", home).code == 2
    for error, films in ((ConfigError, []), (ConfigError, "1"), (AmbiguousFilmError, ["Twin"]), (TypeError, [1.5])):
        with pytest.raises(error):
            remove(home, films)  # type: ignore[arg-type]
    assert contents_of(home) == before


def test_films_that_were_loaded_are_removed_until_they_are_loaded_again(home: Path, movielens: Path) -> None:
    before = contents_of(home)
    report = remove(home, [2, "tt0000013"])
    assert report.notes[0].startswith("Twin (1991), Twin (1992): loaded, not added, so that the next `keyart load")
    assert report.notes[0].endswith("brings them back")
    assert "80 ratings are left out from now on; run `keyart build" in report.notes[1]
    assert {2, 3}.isdisjoint(open_ratings(Workspace.open(home)).movie_ids.tolist())
    build(home)
    with Engine.open(home) as engine:
        assert {hit.movie_id for hit in engine.similar(1)} == {4, 5, 6}
        with pytest.raises(UnknownFilmError):
            engine.find(2)
        assert {film.movie_id for film in engine.recommend(1, model="item-cosine").films}.isdisjoint({2, 3})
    load(home, movielens)
    with Catalog.open(home / "catalog.sqlite") as catalog:
        assert list(catalog) == before[0]
    assert len(open_ratings(Workspace.open(home))) == 161


def test_models_that_were_fitted_before_go_without_removed_films(tastes_home: Path, run: Run) -> None:
    assert run("fit", "als", "ease", "--home", tastes_home).code == 0
    words = ("recommend", "2", "--model", "ease", "-k", "5", "--json", "--home", tastes_home)
    best = json.loads(run(*words).out)["results"][0]["movie_id"]
    remove(tastes_home, [best])
    found = [one["movie_id"] for one in json.loads(run(*words).out)["results"]]
    assert (len(found), best in found) == (5, False)
    least = ("--min-ratings", "1")
    for listing in (("clusters", *least), ("map", *least), ("best", *least), ("most-rated",)):
        outcome = run("explore", *listing, "-k", "50", "--home", tastes_home)
        assert (outcome.code, f"ilm {best} " in outcome.out) == (0, False), outcome.err


def test_info_check_and_answers_agree_on_models_that_hold_a_removed_film(tastes_home: Path, run: Run) -> None:
    assert run("fit", "ease", "--home", tastes_home).code == 0
    remove(tastes_home, [2])
    words = ("recommend", "4", "--model", "ease", "--json", "--home", tastes_home)
    assert json.loads(run(*words).out)["notes"] == []
    assert read_status(Workspace.open(tastes_home)).notes == ()
    assert check(tastes_home).findings == ()


def test_the_last_films_take_the_index_with_them(home: Path) -> None:
    assert remove(home, [1, 2, 3, 5, 6]).n_indexed == 0
    assert not (home / "index" / "index.json").exists()
    assert len(FeatureStore.open(home / "features").rows()) == 0


@pytest.mark.parametrize("step", ["_drop_features", "build_index", "drop_looks", "drop_from_atlas"])
def test_the_same_call_finishes_an_interrupted_removal(
    home: Path, new: NewFilm, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = contents_of(home)
    add(home, [new])

    def interrupted(*_args: object, **_settings: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(removals, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            remove(home, ["Brand New"])
    remove(home, ["Brand New"])
    assert contents_of(home) == before


def test_what_a_killed_removal_left_of_a_film_is_removed_by_its_id(home: Path, new: NewFilm) -> None:
    before = contents_of(home)
    add(home, [new])
    Catalog.remove(home / "catalog.sqlite", [FIRST_ADDED_ID])
    assert remove(home, [FIRST_ADDED_ID]).removed == (Film(FIRST_ADDED_ID, f"film {FIRST_ADDED_ID}"),)
    assert contents_of(home) == before


def test_mends_a_workspace_with_a_film_above_the_bound(home: Path, run: Run) -> None:
    before = contents_of(home)
    Catalog.add(home / "catalog.sqlite", [Film(MAX_ID + 1, "Broken", 2020)])
    outcome = run("similar", "1", "--home", home)
    assert f"run `keyart remove {MAX_ID + 1} --home" in outcome.err
    outcome = run("remove", str(MAX_ID + 1), "--home", home)
    assert (outcome.code, outcome.out.splitlines()[0]) == (0, f"removed: Broken (2020)  [{MAX_ID + 1}]")
    assert contents_of(home) == before


def test_damaged_features_do_not_stop_a_removal(home: Path, new: NewFilm, run: Run) -> None:
    add(home, [new])
    for path in (home / "features").glob("*.npy"):
        flip_bit(path)
    report = remove(home, ["Brand New"])
    assert "what tiny made could not be brought up to date: the shard" in report.notes[0]
    assert run("extract", "--home", home).code == 0
    assert run("build", "--home", home).code == 0
    assert read_status(Workspace.open(home)).n_indexed == 5


def test_removed_films_leave_the_map_and_others_stay(tastes_home: Path) -> None:
    workspace = Workspace.open(tastes_home)
    make_atlas(workspace, AtlasOptions())
    before = Atlas.open(workspace.atlas_dir)
    report = remove(tastes_home, [7, 8])
    after = Atlas.open(workspace.atlas_dir)
    kept = [row for row, movie_id in enumerate(before.movie_ids.tolist()) if movie_id not in (7, 8)]
    assert after.movie_ids.tolist() == before.movie_ids[kept].tolist()
    assert after.positions.tolist() == before.positions[kept].tolist()
    assert {7, 8}.isdisjoint(movie_id for sheet in after.sheets for movie_id in sheet.movie_ids)
    assert sum(cluster.n_films for cluster in after.clusters) == len(after)
    assert {path.name for path in workspace.atlas_dir.glob("sheet-*")} == {
        name for sheet in after.sheets for name in sheet.files
    }
    assert (report.n_indexed, read_status(workspace).atlas_is_current) == (39, True)


def test_further_posters_of_a_film_go_with_it(home: Path, tmp_path: Path) -> None:
    folder = home / "posters" / "alternates"
    folder.mkdir()
    (folder / "2-0123abcd.jpg").write_bytes(b"a further poster")
    shutil.copy(home / "posters" / "2.jpg", home / "posters" / "2-89abcdef.jpg")
    remove(home, [2])
    assert not [path.name for path in (home / "posters").rglob("2[.-]*")]


def test_features_of_further_posters_go_with_their_film(home: Path) -> None:
    put_alternates(home, 5, 2, 77)
    put_alternates(home, 6, 78)
    extract_missing(home)
    build(home)
    remove(home, [5])
    store = FeatureStore.open(home / "features" / "alternates")
    assert [name.partition("-")[0] for name in store.rows().picture_ids.tolist()] == ["6"]
    assert not list((home / "posters" / "alternates").glob("5-*"))
    assert build(home).n_alternates == 1
    with Engine.open(home) as engine:
        assert 5 not in {hit.movie_id for hit in engine.similar(2)}


def test_exported_tables_go_without_removed_films(home: Path, run: Run, tmp_path: Path) -> None:
    remove(home, [3])
    outcome = run("similar", "1", "--csv", "--home", home)
    assert "3" not in {row["movie_id"] for row in csv.DictReader(outcome.out.splitlines())}


def test_a_part_that_cannot_be_written_keeps_the_film(home_of_two: Path) -> None:
    workspace = Workspace.open(home_of_two)
    with exclusive(workspace.with_encoder("other-one").index_dir), pytest.raises(StoreError):
        remove(home_of_two, [5])
    with Catalog.open(workspace.catalog_path) as catalog:
        assert 5 in catalog.films([5])
    report = remove(home_of_two, [5])
    assert [film.movie_id for film in report.removed] == [5]
