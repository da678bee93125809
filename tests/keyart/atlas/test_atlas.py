"""The atlas: layout of similar posters, stable positions, names of clusters, and sprite sheets."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catalog.errors import ConfigError, DataError, NotBuiltError
from catalog.io.files import xxh3_file
from keyart import pipeline
from keyart.atlas.build import AtlasOptions, AtlasReport, make_atlas
from keyart.atlas.labels import name_clusters
from keyart.atlas.layout import Method, apart, default_n_clusters, lay_out, nearest_centroid, place
from keyart.atlas.record import Atlas
from keyart.atlas.sprites import CELL_HEIGHT, CELL_WIDTH, N_COLUMNS, SHEET_FILMS, SMALL, Sheet, along_the_map, assign
from keyart.pipeline.status import read_status
from keyart.workspace.layout import Workspace
from posters.store import PosterStore
from tests.damage import flip_bit
from tests.keyart.conftest import Run
from tests.keyart.groups import GENRES, N_FILMS, add_posters, color_of, group, list_films, make_groups
from tests.records import rewrite_record, without_small_sheets

pytestmark = pytest.mark.heavy

THREE = AtlasOptions(n_clusters=3)


@pytest.fixture(scope="module")
def _mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = make_groups(tmp_path_factory.mktemp("groups") / "workspace")
    make_atlas(workspace, THREE)
    return workspace.home


@pytest.fixture
def mapped(_mapped: Path, tmp_path: Path) -> Workspace:
    """A workspace of sixty films in three groups, with an atlas; a copy for each test."""
    return Workspace.open(Path(shutil.copytree(_mapped, tmp_path / "workspace")))


def groups_of(atlas: Atlas) -> np.ndarray:
    return np.array([group(movie_id) for movie_id in atlas.movie_ids.tolist()])


def position_of(atlas: Atlas, movie_id: int) -> np.ndarray:
    position: np.ndarray = atlas.positions[np.searchsorted(atlas.movie_ids, movie_id)]
    return position


def drawn_colors(workspace: Workspace, atlas: Atlas) -> dict[int, tuple[int, ...]]:
    """Return the color at the center of every cell of every sheet."""
    seen = {}
    for sheet in atlas.sheets:
        with Image.open(workspace.atlas_dir / sheet.name) as picture:
            for number, movie_id in enumerate(sheet.movie_ids):
                row, column = divmod(number, N_COLUMNS)
                middle = (column * CELL_WIDTH + CELL_WIDTH // 2, row * CELL_HEIGHT + CELL_HEIGHT // 2)
                seen[movie_id] = picture.convert("RGB").getpixel(middle)
    return seen


def files_of_sheets(atlas: Atlas) -> set[str]:
    return {name for sheet in atlas.sheets for name in sheet.files}


# The map


def test_similar_posters_are_close_together(mapped: Workspace) -> None:
    atlas = Atlas.open(mapped.atlas_dir)
    distances = np.linalg.norm(atlas.positions[:, None] - atlas.positions[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    groups = groups_of(atlas)
    assert (groups[distances.argmin(axis=1)] == groups).mean() > 0.95
    assert np.abs(atlas.positions).max() == pytest.approx(1, abs=0.01)


def test_seed_determines_the_map(mapped: Workspace) -> None:
    first = Atlas.open(mapped.atlas_dir)
    again = make_atlas(mapped, AtlasOptions(rebuild=True, n_clusters=3)).atlas
    np.testing.assert_array_equal(again.positions, first.positions)
    np.testing.assert_array_equal(again.labels, first.labels)
    other = make_atlas(mapped, AtlasOptions(seed=5)).atlas
    assert not np.array_equal(other.positions, first.positions)
    assert make_atlas(mapped, AtlasOptions()).atlas.seed == 5


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8])
def test_lays_out_few_films(n: int) -> None:
    rows = np.random.default_rng(0).standard_normal((n, 4)).astype(np.float32)
    positions = lay_out(rows / np.linalg.norm(rows, axis=1, keepdims=True), Method.TSNE, 0)
    assert len(np.unique(positions, axis=0)) == n
    assert np.isfinite(positions).all()


def test_identical_films_get_different_positions() -> None:
    positions = lay_out(np.full((12, 4), 0.5, np.float32), Method.TSNE, 0)
    assert len(np.unique(positions, axis=0)) == 12


def test_new_film_is_placed_near_most_of_its_neighbors() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal([-0.8, 0], 0.02, (7, 2)), rng.normal([0.8, 0], 0.02, (3, 2))
    rows = np.ones((10, 3), np.float32) / np.sqrt(3, dtype=np.float32)
    (placed,) = place(rows[:1], rows, np.concatenate([left, right]).astype(np.float32))
    assert np.linalg.norm(placed - [-0.8, 0]) < 0.1


def test_apart_separates_overlapping_films() -> None:
    moved = apart(np.zeros((50, 2), np.float32), taken=np.zeros((1, 2), np.float32), gap=0.01)
    all_positions = np.concatenate([moved, np.zeros((1, 2))])
    distances = np.linalg.norm(all_positions[:, None] - all_positions[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert distances.min() >= 0.0099
    assert np.abs(moved).max() < 0.2


def test_apart_does_not_move_isolated_films() -> None:
    positions = np.array([[0, 0], [0.5, 0.5]], np.float32)
    np.testing.assert_array_equal(apart(positions), positions)


def test_the_number_of_clusters_grows_with_the_films() -> None:
    assert [default_n_clusters(n) for n in (1, 60, 2_000, 60_000)] == [2, 4, 22, 30]


def test_a_film_belongs_to_the_nearest_centroid() -> None:
    rng = np.random.default_rng(0)
    rows, centroids = rng.random((30, 5), np.float32), rng.random((4, 5), np.float32)
    distances = np.linalg.norm(rows[:, None] - centroids[None], axis=2)
    np.testing.assert_array_equal(nearest_centroid(rows, centroids), distances.argmin(axis=1))


def test_missing_umap_error_names_the_package(mapped: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ConfigError, match="pip install umap-learn"):
        make_atlas(mapped, AtlasOptions(method=Method.UMAP))
    assert Atlas.open(mapped.atlas_dir).method == "tsne"


def test_missing_scikit_learn_error_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConfigError, match="pip install scikit-learn"):
        make_atlas(make_groups(tmp_path / "workspace"), AtlasOptions())


# Updates


def test_update_without_changes_draws_nothing(mapped: Workspace) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in mapped.atlas_dir.glob("sheet-*")}
    report = make_atlas(mapped, AtlasOptions())
    assert (report.how, report.n_drawn, report.notes) == ("up to date", 0, ())
    assert {path.name: path.stat().st_mtime_ns for path in mapped.atlas_dir.glob("sheet-*")} == before


def test_new_films_are_placed_near_similar_ones_and_others_stay(mapped: Workspace) -> None:
    before = Atlas.open(mapped.atlas_dir)
    list_films(mapped, range(1, N_FILMS + 4))
    add_posters(mapped, range(N_FILMS + 1, N_FILMS + 4))
    report = make_atlas(mapped, AtlasOptions())
    atlas = report.atlas
    assert report.how == "3 placed, 0 dropped, 60 where they were"
    is_old = np.isin(atlas.movie_ids, before.movie_ids)
    np.testing.assert_array_equal(atlas.positions[is_old], before.positions)
    np.testing.assert_array_equal(atlas.labels[is_old], before.labels)
    assert atlas.is_placed.tolist() == [False] * N_FILMS + [True] * 3
    for movie_id in atlas.movie_ids[~is_old].tolist():
        distances = np.linalg.norm(before.positions - position_of(atlas, movie_id), axis=1)
        assert group(int(before.movie_ids[distances.argmin()])) == group(movie_id)
        assert distances.min() > 0


def test_removed_films_are_dropped(mapped: Workspace) -> None:
    before = Atlas.open(mapped.atlas_dir)
    list_films(mapped, [number for number in range(1, N_FILMS + 1) if number not in (7, 8)])
    report = make_atlas(mapped, AtlasOptions())
    assert report.how == "0 placed, 2 dropped, 58 where they were"
    np.testing.assert_array_equal(position_of(report.atlas, 9), position_of(before, 9))
    assert not {7, 8} & {movie_id for sheet in report.atlas.sheets for movie_id in sheet.movie_ids}


def test_film_with_another_poster_is_placed_again(mapped: Workspace) -> None:
    before = Atlas.open(mapped.atlas_dir)
    add_posters(mapped, [1], looking_like=2)
    report = make_atlas(mapped, AtlasOptions())
    assert report.how == "1 placed, 0 dropped, 59 where they were"
    distances = np.linalg.norm(report.atlas.positions - position_of(report.atlas, 1), axis=1)
    alike = [group(int(movie_id)) for movie_id in report.atlas.movie_ids[np.argsort(distances)[1:6]]]
    assert alike.count(group(2)) >= 4
    assert not np.array_equal(position_of(report.atlas, 1), position_of(before, 1))
    assert drawn_colors(mapped, report.atlas)[1] == pytest.approx(color_of(2), abs=12)


def test_many_new_films_give_a_note(mapped: Workspace) -> None:
    list_films(mapped, range(1, N_FILMS + 31))
    add_posters(mapped, range(N_FILMS + 1, N_FILMS + 31))
    (note,) = make_atlas(mapped, AtlasOptions()).notes
    assert "33%" in note
    assert "--rebuild" in note
    assert make_atlas(mapped, AtlasOptions(rebuild=True)).notes == ()


def test_new_clusters_keep_positions(mapped: Workspace) -> None:
    before = Atlas.open(mapped.atlas_dir)
    atlas = make_atlas(mapped, AtlasOptions(n_clusters=6)).atlas
    np.testing.assert_array_equal(atlas.positions, before.positions)
    assert len(atlas.clusters) == 6


@pytest.mark.parametrize("damage", ["", "{}", '{"kind": "keyart-atlas", "version": 99}'])
def test_unreadable_record_is_an_error_and_is_replaced(mapped: Workspace, damage: str) -> None:
    (mapped.atlas_dir / "atlas.json").write_text(damage)
    with pytest.raises(DataError, match="`keyart atlas` makes it anew"):
        Atlas.open(mapped.atlas_dir)
    assert make_atlas(mapped, THREE).how == "computed anew"
    assert len(Atlas.open(mapped.atlas_dir)) == N_FILMS


def test_damaged_arrays_are_detected(mapped: Workspace) -> None:
    (path,) = mapped.atlas_dir.glob("atlas-*.npz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        Atlas.open(mapped.atlas_dir)


def test_missing_atlas_or_features_error_names_the_command(mapped: Workspace, tmp_path: Path) -> None:
    shutil.rmtree(mapped.atlas_dir)
    with pytest.raises(NotBuiltError, match="run `keyart atlas`"):
        Atlas.open(mapped.atlas_dir)
    shutil.rmtree(mapped.features_dir)
    with pytest.raises(NotBuiltError, match="run `keyart extract`"):
        make_atlas(mapped, AtlasOptions())


def test_interruption_keeps_the_old_atlas(mapped: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = Atlas.open(mapped.atlas_dir)
    list_films(mapped, range(1, N_FILMS + 2))
    add_posters(mapped, [N_FILMS + 1])
    # The sheets are drawn by then, the record is not written yet.
    monkeypatch.setattr(Atlas, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_atlas(mapped, AtlasOptions())
    monkeypatch.undo()
    reopened = Atlas.open(mapped.atlas_dir)
    assert (len(reopened), reopened.sheets) == (len(before), before.sheets)
    assert all((mapped.atlas_dir / sheet.name).is_file() for sheet in reopened.sheets)
    report = make_atlas(mapped, AtlasOptions())
    assert {path.name for path in mapped.atlas_dir.glob("sheet-*")} == files_of_sheets(report.atlas)


# Clusters and their names


def test_clusters_match_groups_and_are_named_by_distinctive_words(mapped: Workspace) -> None:
    atlas = Atlas.open(mapped.atlas_dir)
    assert {cluster.n_films for cluster in atlas.clusters} == {20}
    assert {cluster.name for cluster in atlas.clusters} == {"Horror · creepy", "Comedy", "Western"}
    for label, cluster in enumerate(atlas.clusters):
        assert {GENRES[group(movie_id)] for movie_id in cluster.typical} == {cluster.name.split(" · ")[0]}
        assert set(cluster.typical) <= set(atlas.movie_ids[atlas.labels == label].tolist())


def test_status_counts_mapped_films(mapped: Workspace) -> None:
    assert read_status(mapped).n_mapped == N_FILMS


def test_info_says_when_the_atlas_is_of_earlier_posters(mapped: Workspace, run: Run) -> None:
    assert read_status(mapped).notes == ()
    add_posters(mapped, [3], looking_like=40)
    assert f"60 films, out of date: run `keyart atlas --home {mapped.home}`" in run("info", "--home", mapped.home).out
    assert "the atlas is out of date: run `keyart atlas`" in read_status(mapped).to_dict()["notes"]
    make_atlas(mapped, THREE)
    assert read_status(mapped).atlas_is_current


def test_an_atlas_of_an_earlier_version_is_compared_by_its_films(mapped: Workspace) -> None:
    path = mapped.atlas_dir / "atlas.json"
    rewrite_record(path, lambda record: {name: value for name, value in record.items() if name != "fingerprint"})
    assert read_status(mapped).atlas_is_current
    add_posters(mapped, [3], looking_like=40)
    assert not read_status(mapped).atlas_is_current


def test_words_of_all_films_name_no_cluster() -> None:
    words = [("Drama",)] * 20
    assert name_clusters([0] * 10 + [1] * 10, words, 2) == ["cluster 1", "cluster 2"]


def test_words_of_two_films_name_no_cluster() -> None:
    words = [("Drama", "rare")] * 2 + [("Drama",)] * 98
    assert name_clusters([0] * 10 + [1] * 90, words, 2) == ["cluster 1", "cluster 2"]


def test_words_that_chance_explains_name_no_cluster() -> None:
    words = [("Comedy",)] * 6 + [()] * 4 + [("War", "Comedy")] * 2 + [("War",)] * 8 + [("Comedy",)] * 3 + [()] * 7
    names = name_clusters([0] * 10 + [1] * 10 + [2] * 10, words, 3)
    assert names == ["cluster 1", "War", "cluster 3"]


def test_posters_that_share_no_words_get_no_words() -> None:
    rng = np.random.default_rng(0)
    frequencies = 1 / np.arange(2, 202)
    for _ in range(20):
        words = [[f"word {word}" for word in np.flatnonzero(rng.random(200) < frequencies)] for _ in range(600)]
        names = name_clusters(rng.integers(12, size=600).tolist(), words, 12)
        assert names == [f"cluster {number}" for number in range(1, 13)]


def test_clusters_of_the_same_words_are_numbered() -> None:
    words = [("War",)] * 60 + [("Comedy",)] * 60
    names = name_clusters([0] * 20 + [1] * 20 + [2] * 20 + [3] * 60, words, 4)
    assert names == ["War", "War (2)", "War (3)", "Comedy"]


def test_cluster_names_differ_by_more_than_word_order() -> None:
    words = [("Comedy", "Romance")] * 10 + [("Comedy", "Romance")] * 9 + [("Comedy",)] + [("Drama",)] * 40
    names = name_clusters([0] * 10 + [1] * 10 + [2] * 40, words, 3)
    assert len({frozenset(name.split(" · ")) for name in names}) == 3


def test_cluster_names_are_unique() -> None:
    words = [("War", "Drama")] * 20 + [("Comedy",)] * 20
    names = name_clusters([0] * 10 + [1] * 10 + [2] * 20, words, 3)
    assert len(set(names)) == 3
    assert names[2] == "Comedy"


# Sheets


def test_every_cell_shows_the_poster_of_its_film(mapped: Workspace) -> None:
    colors = drawn_colors(mapped, Atlas.open(mapped.atlas_dir))
    assert sorted(colors) == list(range(1, N_FILMS + 1))
    for movie_id, color in colors.items():
        assert color == pytest.approx(color_of(movie_id), abs=12)


def test_only_changed_sheets_get_another_name() -> None:
    hashes = {movie_id: f"{movie_id:064}" for movie_id in range(3 * SHEET_FILMS)}
    first = assign((), set(), range(2 * SHEET_FILMS + 10), hashes)
    assert [len(sheet.movie_ids) for sheet in first] == [SHEET_FILMS, SHEET_FILMS, 10]
    stay = set(range(2 * SHEET_FILMS + 10)) - {SHEET_FILMS}
    new = [2 * SHEET_FILMS + 10, 2 * SHEET_FILMS + 11]
    second = assign(first, stay, new, hashes)
    assert second[0] == first[0]
    # The first new film takes the cell that became free.
    assert second[1].movie_ids[-1] == new[0]
    assert second[2].movie_ids[-1] == new[1]
    assert {second[1].name, second[2].name}.isdisjoint({sheet.name for sheet in first})


def test_a_sheet_without_films_is_dropped() -> None:
    assert assign([Sheet("sheet-x.webp", (1,))], set(), [], {}) == []


def test_neighbors_share_a_sheet() -> None:
    x, y = np.meshgrid(np.linspace(-1, 1, 32), np.linspace(-1, 1, 32))
    positions = np.stack([x.ravel(), y.ravel()], axis=1)
    first = positions[along_the_map(positions)[:256]]
    # A quarter of the films fills a quarter of the map, not a stripe along it.
    assert np.ptp(first, axis=0).max() < 1.1


def test_small_sheets_are_stored_with_their_checksums(mapped: Workspace) -> None:
    (sheet,) = Atlas.open(mapped.atlas_dir).sheets
    names = {sheet.name, sheet.small_name}
    assert {path.name for path in mapped.atlas_dir.glob("sheet-*")} == names
    assert sheet.files == {name: xxh3_file(mapped.atlas_dir / name) for name in names}
    with Image.open(sheet.path(mapped.atlas_dir, sheet.small_name)) as small:
        assert small.size == (N_COLUMNS * CELL_WIDTH // SMALL, 2 * CELL_HEIGHT // SMALL)


def test_a_damaged_small_sheet_is_found_and_drawn_anew(mapped: Workspace) -> None:
    (sheet,) = Atlas.open(mapped.atlas_dir).sheets
    path = mapped.atlas_dir / sheet.small_name
    right = path.read_bytes()
    flip_bit(path)
    assert [finding.path for finding in pipeline.check(mapped).findings] == [f"atlas/{path.name}"]
    assert any("damaged" in note for note in read_status(mapped).notes)
    make_atlas(mapped, AtlasOptions())
    assert path.read_bytes() == right
    assert pipeline.check(mapped).is_whole


def test_an_atlas_of_an_earlier_version_gets_small_sheets(mapped: Workspace) -> None:
    without_small_sheets(mapped.atlas_dir)
    before = Atlas.open(mapped.atlas_dir)
    assert files_of_sheets(before) == {sheet.name for sheet in before.sheets}
    assert pipeline.check(mapped).is_whole
    written = {name: (mapped.atlas_dir / name).stat().st_mtime_ns for name in files_of_sheets(before)}
    after = make_atlas(mapped, AtlasOptions()).atlas
    assert files_of_sheets(after) == {name for sheet in after.sheets for name in (sheet.name, sheet.small_name)}
    # Those in full size are not drawn again.
    assert {name: (mapped.atlas_dir / name).stat().st_mtime_ns for name in written} == written


def test_files_of_an_earlier_map_are_removed(mapped: Workspace) -> None:
    list_films(mapped, [number for number in range(1, N_FILMS + 1) if number not in (7, 8)])
    atlas = make_atlas(mapped, AtlasOptions()).atlas
    assert {path.name for path in mapped.atlas_dir.glob("sheet-*")} == files_of_sheets(atlas)


def test_unreadable_poster_leaves_a_gray_cell(mapped: Workspace) -> None:
    with PosterStore.open_to_read(mapped.posters_dir) as store:
        poster = store.poster(5)
    assert poster
    poster.path.write_bytes(bytes(poster.n_bytes))
    for path in mapped.atlas_dir.glob("sheet-*"):
        path.unlink()
    report = make_atlas(mapped, AtlasOptions())
    colors = drawn_colors(mapped, report.atlas)
    assert np.ptp(colors[5]) < 20
    assert colors[6] == pytest.approx(color_of(6), abs=12)


# The command


def test_command_prints_clusters_and_the_next_step(run: Run, mapped: Workspace) -> None:
    outcome = run("atlas", "--home", mapped.home, "--rebuild", "--clusters", "3")
    assert outcome.code == 0
    assert re.search(r"Horror · creepy +20\n", outcome.out)
    assert "60 films on the map (computed anew)" in outcome.out
    assert "keyart serve" in outcome.err
    assert "up to date" in run("atlas", "--home", mapped.home).out


def test_command_without_features_fails_with_one_line(run: Run, mapped: Workspace) -> None:
    shutil.rmtree(mapped.features_dir)
    outcome = run("atlas", "--home", mapped.home)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "keyart extract" in outcome.err


def test_record_lists_movie_ids_of_sheets(mapped: Workspace) -> None:
    record = json.loads((mapped.atlas_dir / "atlas.json").read_text())
    assert (record["kind"], record["version"]) == ("keyart-atlas", 1)
    assert sorted(movie_id for sheet in record["sheets"] for movie_id in sheet["movie_ids"]) == list(range(1, 61))


def test_report_matches_the_saved_atlas(mapped: Workspace) -> None:
    report: AtlasReport = make_atlas(mapped, AtlasOptions())
    assert report.atlas.clusters == Atlas.open(mapped.atlas_dir).clusters


def test_a_sheet_that_an_interrupted_run_left_gets_a_checksum(mapped: Workspace) -> None:
    record = mapped.atlas_dir / "atlas.json"
    before = Atlas.open(mapped.atlas_dir).sheets
    assert all(sheet.xxh3 for sheet in before)
    record.unlink()
    # Its file is there, with other content.
    (mapped.atlas_dir / before[0].name).write_bytes(b"half")
    make_atlas(mapped, AtlasOptions())
    assert Atlas.open(mapped.atlas_dir).sheets == before
