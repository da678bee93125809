"""Building, updating and searching the index of a workspace."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import keyart
from catalog.errors import ConfigError, StoreError
from catalog.film import Film
from catalog.films import Catalog
from catalog.filters import Filter
from features.options import ExtractOptions
from features.store import FeatureStore
from index.options import IndexOptions
from index.plan import Plan
from keyart.engine import Engine
from keyart.pipeline.encoders import remove_encoder
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.pipeline.status import read_status
from keyart.workspace.contents import open_ratings
from keyart.workspace.index import open_index
from keyart.workspace.layout import Workspace
from posters.store import Origin, PosterStore, Source, State
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster

N_FILMS = 240
GENRES = ("Drama", "Comedy", "Film-Noir")
# These two have the poster of film 1.
TWINS = (201, 202)


def _add_posters(workspace: Workspace, seeds: dict[int, int]) -> None:
    with PosterStore.open(workspace.posters_dir) as posters, posters.writer_lock(), posters.transaction():
        for movie_id, seed in seeds.items():
            posters.put(movie_id, draw_poster(seed, size=(120, 180)), Origin(Source.IMPORT))


def _extract(workspace: Workspace, backbone_path: Path) -> None:
    extract(workspace, ExtractOptions(str(backbone_path)))


@pytest.fixture(scope="session")
def _many(backbone_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = Workspace.create(tmp_path_factory.mktemp("many") / "workspace")
    films = [
        Film(number, f"Film {number}", year=1950 + number % 50, genres=(GENRES[number % 3],), n_ratings=number)
        for number in range(1, N_FILMS + 1)
    ]
    Catalog.create(workspace.catalog_path, films, {"numbering": "movielens", "source": "test"})
    _add_posters(workspace, {film.movie_id: 1 if film.movie_id in TWINS else film.movie_id for film in films})
    _extract(workspace, backbone_path)
    build(workspace, IndexOptions(kind="shortlist"))
    return workspace.home


@pytest.fixture
def many(_many: Path, tmp_path: Path) -> Workspace:
    """A workspace of 240 films with posters and a shortlist index; a copy for each test."""
    return Workspace.open(Path(shutil.copytree(_many, tmp_path / "many")))


def _replace_features(workspace: Workspace, features: npt.NDArray[np.floating]) -> None:
    """Append features of all films, which count in place of the earlier ones."""
    store = FeatureStore.open(workspace.features_dir)
    rows = store.rows()
    table = pd.DataFrame({"movie_id": rows.movie_ids, "poster_sha256": rows.poster_sha256s})
    store.append(table, features.astype(np.float16))


def record_of(workspace: Workspace) -> dict[str, object]:
    record: dict[str, object] = json.loads((workspace.index_dir / "index.json").read_text())
    return record


def looks(engine: Engine, movie_id: int, **how: object) -> Iterator[tuple[int, float]]:
    for hit in engine.similar(movie_id, alpha=1, **how):  # type: ignore[arg-type]
        assert hit.visual is not None
        yield hit.movie_id, hit.visual


# Searches


def test_shortlist_agrees_with_exact_index(many: Workspace) -> None:
    short = Engine.open(many.home)
    build(many, IndexOptions(kind="exact"))
    exact = Engine.open(many.home)
    n_found = 0
    for movie_id in range(1, N_FILMS, 7):
        expected, found = dict(looks(exact, movie_id)), dict(looks(short, movie_id))
        assert len(found) == 10
        n_found += len(expected.keys() & found.keys())
        for other in expected.keys() & found.keys():
            assert found[other] == pytest.approx(expected[other], abs=2e-6)
    assert n_found >= 0.97 * 10 * len(range(1, N_FILMS, 7))


def test_filter_still_returns_k_films(many: Workspace) -> None:
    engine = Engine.open(many.home)
    wanted = Filter(years=(1970, 1979), genres=("comedy", "FILM-NOIR"), min_ratings=30)
    films = {film.movie_id for film in engine.catalog if 1970 <= (film.year or 0) <= 1979}
    films &= {film.movie_id for film in engine.catalog if film.n_ratings >= 30 and film.genres[0] != "Drama"}
    found = [movie_id for movie_id, _ in looks(engine, 3, k=200, filter=wanted)]
    assert set(found) == films - {3}
    build(many, IndexOptions(kind="exact"))
    ranked = [movie_id for movie_id, _ in looks(Engine.open(many.home), 3, k=N_FILMS)]
    assert found == [movie_id for movie_id in ranked if movie_id in films]


def test_filter_of_few_films(many: Workspace) -> None:
    engine = Engine.open(many.home)
    assert {movie_id for movie_id, _ in looks(engine, 3, filter=Filter(movie_ids={5, 9, 3, 999}))} == {5, 9}
    assert list(looks(engine, 3, filter=Filter(years=(2050, None)))) == []
    with pytest.raises(ConfigError, match="no film is of the genre 'Western'; there are Comedy, Drama, Film-Noir"):
        engine.similar(3, filter=Filter(genres=("Western",)))


def test_films_with_the_same_artwork_are_folded(many: Workspace) -> None:
    engine = Engine.open(many.home)
    plain = engine.similar(1, alpha=1, k=10)
    assert [hit.movie_id for hit in plain][:2] == list(TWINS)
    assert not any(hit.same_artwork for hit in plain)
    folded = engine.similar(1, alpha=1, k=10, merge_duplicates=True)
    assert (folded.hits[0].movie_id, folded.hits[0].same_artwork) == (TWINS[0], (TWINS[1],))
    assert len(folded) == 10
    assert [hit.movie_id for hit in folded][1:9] == [hit.movie_id for hit in plain][2:10]


def test_image_query_takes_filters(many: Workspace, tmp_path: Path) -> None:
    (tmp_path / "seen.jpg").write_bytes(draw_poster(17, size=(120, 180)))
    engine = Engine.open(many.home)
    found = engine.similar(keyart.Image(tmp_path / "seen.jpg"), k=3, filter=Filter(genres=("Film-Noir",)))
    assert found.hits[0].movie_id == 17
    assert found.hits[0].visual == pytest.approx(1, abs=1e-3)
    assert {hit.movie_id % 3 for hit in found} == {2}


# Updates


def test_build_without_changes_writes_nothing(many: Workspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in many.index_dir.iterdir() if path.suffix != ".pid"}
    assert build(many).change == "up to date"
    assert {path: path.stat().st_mtime_ns for path in many.index_dir.iterdir() if path.suffix != ".pid"} == before


def test_build_reports_a_dictionary(many: Workspace) -> None:
    report = build(str(many.home)).to_dict()
    assert json.loads(json.dumps(report)) == report
    assert (report["n_indexed"], report["change"], report["index"]["type"]) == (N_FILMS, "up to date", "shortlist")


def test_new_and_lost_posters_are_updated_without_refit(many: Workspace, backbone_path: Path) -> None:
    fitted = record_of(many)["files"]["basis"]  # type: ignore[index]
    _add_posters(many, {5: 1005})
    with PosterStore.open(many.posters_dir) as posters:
        for movie_id in (8, 9):
            posters.mark(movie_id, State.NO_POSTER, "gone")
    _extract(many, backbone_path)
    report = build(many)
    assert (report.change, report.n_indexed) == ("1 added, 2 removed", N_FILMS - 2)
    assert record_of(many)["files"]["basis"] == fitted  # type: ignore[index]
    added = dict(looks(Engine.open(many.home), 5, k=N_FILMS))
    build(many, IndexOptions(kind="exact"))
    exact = dict(looks(Engine.open(many.home), 5, k=N_FILMS))
    assert added.keys() == exact.keys()
    assert 8 not in added
    for movie_id, similarity in added.items():
        assert similarity == pytest.approx(exact[movie_id], abs=2e-6)


def test_changed_posters_are_not_found_until_the_next_build(many: Workspace, backbone_path: Path) -> None:
    _add_posters(many, {5: 1005, 6: 1006})
    _extract(many, backbone_path)
    engine = Engine.open(many.home)
    result = engine.similar(1, alpha=1, k=N_FILMS)
    assert not {5, 6} & {hit.movie_id for hit in result}
    assert any("2 films are left out, as features are gone or posters have changed" in note for note in result.notes)
    build(many)
    result = Engine.open(many.home).similar(1, alpha=1, k=N_FILMS)
    assert {5, 6} < {hit.movie_id for hit in result}
    assert not result.notes or "another poster" not in " ".join(result.notes)


def test_options_are_kept_by_later_builds(many: Workspace, backbone_path: Path) -> None:
    build(many, IndexOptions(kind="exact", center=True))
    _add_posters(many, {5: 1005})
    _extract(many, backbone_path)
    report = build(many)
    assert (report.index.kind, report.index.centered, report.change) == ("exact", True, "1 added, 0 removed")
    assert build(many, IndexOptions(rebuild=True)).index.kind == "exact"
    assert build(many, IndexOptions(kind="auto")).index.build.target.kind == "auto"


def test_another_encoder_rebuilds_the_index(many: Workspace, backbone_path: Path) -> None:
    again = ExtractOptions(str(backbone_path), resize="nearest", rebuild=True)
    extract(many, again)
    assert build(many).change == "built"


def test_mostly_new_films_rebuild_the_index(many: Workspace, backbone_path: Path) -> None:
    _add_posters(many, {movie_id: 2000 + movie_id for movie_id in range(1, 150)})
    _extract(many, backbone_path)
    assert build(many).change == "built"


def test_damaged_index_is_rebuilt(many: Workspace) -> None:
    path = next(many.index_dir.glob("*.faiss"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert build(many).change == "built"
    assert len(open_index(many)) == N_FILMS


def test_plan_is_reported_before_a_build(many: Workspace) -> None:
    plans: list[Plan] = []
    build(many, on_plan=plans.append)
    assert not plans
    build(many, IndexOptions(rebuild=True), on_plan=plans.append)
    assert [plan.kind for plan in plans] == ["shortlist"]


# Commands


def test_build_command_options(many: Workspace, run: Run) -> None:
    home = ("--home", many.home)
    assert "(shortlist, up to date, recall@10 " in run("build", *home).out
    assert "(exact, built)" in run("build", "--index", "exact", *home).out
    assert "(exact, mean removed, built)" in run("build", "--center", *home).out
    outcome = run("build", "--index", "shortlist", *home)
    assert outcome.err.startswith("index: shortlist, ")
    assert " s: as requested\n" in outcome.err
    tight = run("build", "--index", "shortlist", "--max-memory", "10KB", *home)
    assert (tight.code, tight.err.count("\n")) == (1, 1)
    assert "0 MB are too little: the smallest shortlist needs " in tight.err
    assert record_of(many)["type"] == "shortlist"
    assert run("build", "--max-memory", "lots", *home).code == 2
    assert "240 films (shortlist)" in run("info", *home).out


@pytest.mark.parametrize(
    ("typed", "years"),
    [("1960", {1960}), ("1960-1962", {1960, 1961, 1962}), ("1998-", {1998, 1999}), ("-1951", {1950, 1951})],
)
def test_years_option_formats(many: Workspace, run: Run, typed: str, years: set[int]) -> None:
    out = run("similar", "3", "--years", typed, "-k", "100", "--json", "--home", many.home).out
    assert {hit["year"] for hit in json.loads(out)["results"]} == years


@pytest.mark.parametrize("typed", ["", "-", "19", "1999-1990", "then"])
def test_malformed_years_are_refused(many: Workspace, run: Run, typed: str) -> None:
    outcome = run("similar", "3", f"--years={typed}", "--home", many.home)
    assert outcome.code == 2
    assert "--years" in outcome.err


def test_similar_command_filters(many: Workspace, run: Run, tmp_path: Path) -> None:
    listed = tmp_path / "ids.txt"
    listed.write_text("# ours\n4\n7\n10\n13\n16\n")
    words = ("--genre", "comedy", "--min-ratings", "10", "--movie-ids", listed, "--merge-duplicates", "--json")
    results = json.loads(run("similar", "3", *words, "--home", many.home).out)["results"]
    assert {hit["movie_id"] for hit in results} == {10, 13, 16}


def test_neighbors_command_writes_a_table(many: Workspace, run: Run, tmp_path: Path) -> None:
    import pandas as pd

    out = tmp_path / "neighbors.parquet"
    outcome = run("neighbors", "-k", "5", "--out", out, "--home", many.home)
    assert outcome.out == f"1,200 pairs of 240 films written to {out}\n"
    table = pd.read_parquet(out)
    ids = ["imdb_id", "tmdb_id", "neighbor_imdb_id", "neighbor_tmdb_id"]
    assert list(table.columns) == ["movie_id", "rank", "neighbor_id", "similarity", *ids]
    engine = Engine.open(many.home)
    for movie_id in (1, 77, 240):
        own = table[table["movie_id"] == movie_id]
        found = dict(looks(engine, movie_id, k=5))
        assert own["neighbor_id"].tolist() == list(found)
        np.testing.assert_allclose(own["similarity"], list(found.values()), atol=2e-6)


# Workspaces without some parts


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_catalog_without_ratings_is_compared_by_looks(
    movielens: Path, poster_folder: Path, backbone_path: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(movielens, tmp_path / "movielens"))
    (folder / "ratings.csv").unlink()
    report = load(tmp_path / "new", folder)
    assert any("by posters and content" in note for note in report.notes)
    workspace = Workspace.open(tmp_path / "new")
    import_posters(workspace, poster_folder, "movie")
    extract(workspace, ExtractOptions(str(backbone_path)))
    assert build(workspace).n_similar == 0
    assert len(open_ratings(workspace)) == 0
    assert Engine.open(tmp_path / "new").similar(1, content=0).hits[0].movie_id == 3


def test_next_build_removes_films_whose_poster_is_gone(home: Path) -> None:
    (home / "posters" / "3.jpg").unlink()
    assert not read_status(Workspace.open(home)).index_is_current
    build(Workspace.open(home))
    assert 3 not in [hit.movie_id for hit in Engine.open(home).similar(1, alpha=1)]


@pytest.mark.heavy
def test_random_weights_are_centered_by_default(home: Path) -> None:
    workspace = Workspace.open(home)
    remove_encoder(workspace, "tiny")
    extract(workspace, ExtractOptions(weights="random"))
    assert build(workspace).index.centered
    centered = Engine.open(home).similar(1, alpha=1)
    assert not build(workspace, IndexOptions(center=False)).index.centered
    raw = Engine.open(home).similar(1, alpha=1)
    assert min(hit.score for hit in raw) > 0.5 > min(hit.score for hit in centered)


@pytest.mark.parametrize("part", ["index", "cf", "features"])
def test_full_disk_while_building_loses_nothing(
    home: Path, backbone_path: Path, poster_folder: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace.open(home)
    expected = [hit.movie_id for hit in Engine.open(home).similar(1)]
    before = files_of(home / part)
    if part == "features":
        shutil.copy(poster_folder / "2.jpg", home / "4.jpg")
        (home / "more").mkdir()
        shutil.move(home / "4.jpg", home / "more" / "4.jpg")
        import_posters(workspace, home / "more", "movie")
    _fill_disk(monkeypatch, home / part)
    step = (
        partial(extract, workspace, ExtractOptions(str(backbone_path)))
        if part == "features"
        else partial(build, workspace, IndexOptions(rebuild=True))
    )
    with pytest.raises(StoreError, match=rf"cannot write .*{part}.*; free some space"):
        step()
    monkeypatch.undo()
    assert files_of(home / part) == before
    assert [hit.movie_id for hit in Engine.open(home).similar(1)] == expected


def test_index_is_removed_when_no_poster_is_left(home: Path) -> None:
    for path in (home / "posters").glob("*.jpg"):
        path.unlink()
    assert build(Workspace.open(home)).n_indexed == 0
    assert read_status(Workspace.open(home)).next_step().startswith("`keyart similar TITLE`, by ratings alone")
    assert Engine.open(home).similar(1).hits[0].visual is None


def test_hits_are_found_after_films_left_the_catalog(home: Path) -> None:
    # Of the films that look like 1, only the last is still listed.
    last = [hit.movie_id for hit in Engine.open(home).similar(1, alpha=1)][-1]
    films = [film for film in Catalog.open(home / "catalog.sqlite") if film.movie_id in (1, last)]
    Catalog.create(home / "catalog.sqlite", films, {"numbering": "movielens"})
    assert [hit.movie_id for hit in Engine.open(home).similar(1, k=1, alpha=1)] == [last]


def _fill_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make every write into a folder fail as on a full disk."""
    import errno
    import os

    from catalog.io import files

    flush = files.flush_to_disk

    def fail(path: Path) -> None:
        if path.parent == folder:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        flush(path)

    monkeypatch.setattr(files, "flush_to_disk", fail)


# Whitened


def test_a_whitened_index_answers_and_is_kept(many: Workspace) -> None:
    before = build(many).index
    assert before is not None
    assert before.similarity == "cosine"
    report = build(many, IndexOptions(similarity="whitened"))
    assert report.index is not None
    assert (report.index.similarity, report.change) == ("whitened", "built")
    assert build(many).change == "up to date"
    assert "whitened" in read_status(many).index
    with keyart.open(many.home) as engine:
        hits = engine.similar(1, k=2, alpha=1).hits
        assert {hit.movie_id for hit in hits} == set(TWINS)
        assert [hit.visual for hit in hits] == pytest.approx([1, 1], abs=1e-3)
        image = keyart.Image(hits[0].poster_path)
        assert {hit.movie_id for hit in engine.similar(image, k=3).hits} == {1, *TWINS}
        explanation = engine.explain(1, 7)
        (visual,) = [hit.visual for hit in engine.similar(1, k=N_FILMS, alpha=1).hits if hit.movie_id == 7]
    assert explanation.similarity == pytest.approx(visual, abs=1e-3)
    for grid in explanation.grids:
        assert grid.shape == (7, 7)
        assert grid.sum() == pytest.approx(explanation.similarity, abs=1e-6)
    back = build(many, IndexOptions(similarity="cosine")).index
    assert back is not None
    assert (back.similarity, back.n_films) == ("cosine", before.n_films)


def test_a_catalog_that_is_too_small_says_so(many: Workspace) -> None:
    report = build(many, IndexOptions(similarity="auto"))
    assert report.index is not None
    assert report.index.similarity == "cosine"
    assert any(f"{N_FILMS} films are too few" in note for note in report.notes)


def test_a_mean_is_not_subtracted_from_a_whitened_index(many: Workspace, run: Run) -> None:
    build(many, IndexOptions(similarity="whitened"))
    before = record_of(many)
    outcome = run("build", "--center", "--home", many.home)
    assert outcome.code == 1
    assert "keyart build --similarity cosine --center" in outcome.err
    assert record_of(many) == before
    assert build(many, IndexOptions(center=False)).change == "up to date"
    report = build(many, IndexOptions(similarity="cosine", center=True))
    assert report.index is not None
    assert report.index.centered


def test_says_that_options_were_lost_with_a_damaged_record(many: Workspace) -> None:
    build(many, IndexOptions(similarity="cosine"))
    path = many.index_dir / "index.json"
    path.write_text(path.read_text()[:200])
    assert any("options of the earlier index are lost" in note for note in build(many).notes)
    assert not any("lost" in note for note in build(many).notes)


@pytest.mark.parametrize("noise", [0, 0.1])
def test_one_film_that_cannot_be_compared_does_not_decide_for_the_others(
    many: Workspace, backbone_path: Path, noise: float
) -> None:
    # From 256 films on, only their features say that whitening would amplify noise.
    Catalog.add(many.catalog_path, [Film(number, f"Film {number}") for number in range(N_FILMS + 1, 301)])
    _add_posters(many, {movie_id: movie_id for movie_id in range(N_FILMS + 1, 301)})
    _extract(many, backbone_path)
    features = 1 + noise * np.random.default_rng(1).random((300, open_index(many).n_features))
    features[2] = np.nan
    _replace_features(many, features)
    report = build(many, IndexOptions(similarity="auto", rebuild=True))
    assert report.index is not None
    assert report.index.similarity == "cosine"
    assert any("nearly all alike" in note for note in report.notes)
    assert list(report.index.left_out) == [3]


def test_films_that_cannot_be_compared_do_not_make_a_catalog_large(many: Workspace) -> None:
    n_features = open_index(many).n_features
    features = np.random.default_rng(1).random((N_FILMS, n_features))
    features[1:] = np.nan
    _replace_features(many, features)
    for similarity in ("auto", "whitened"):
        report = build(many, IndexOptions(similarity=similarity, rebuild=True))
        assert any("1 film is too few" in note for note in report.notes)


def test_films_that_come_later_pass_through_the_embedding(many: Workspace, backbone_path: Path) -> None:
    first = build(many, IndexOptions(similarity="whitened")).index
    _add_posters(many, {5: 1})
    _extract(many, backbone_path)
    report = build(many)
    assert report.change == "1 added, 0 removed"
    assert first is not None
    assert report.index is not None
    assert report.index.embedding == first.embedding
    with keyart.open(many.home) as engine:
        assert {hit.movie_id for hit in engine.similar(5, k=3, alpha=1).hits} == {1, *TWINS}


def test_a_shortlist_ranks_films_that_ratings_lift_as_the_exact_index_does(tastes_home: Path) -> None:
    """The films that ratings name are in the order of their similarity, not of their ids."""

    def ranked() -> list[list[int]]:
        with keyart.open(tastes_home) as engine:
            return [[hit.movie_id for hit in engine.similar(film, 5)] for film in range(1, 41, 4)]

    build(tastes_home, IndexOptions(kind="exact", rebuild=True))
    right = ranked()
    build(tastes_home, IndexOptions(kind="shortlist", rebuild=True))
    assert ranked() == right
