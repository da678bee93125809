"""Queries on an open workspace."""

from pathlib import Path

import numpy as np
import pytest

import keyart
from catalog.errors import AmbiguousFilmError, DataError, NotBuiltError, UnknownFilmError
from catalog.films import Catalog
from cf.models.neighbors import ItemCosine
from features.options import ExtractOptions
from features.store import FeatureStore
from keyart.engine import Engine
from keyart.pipeline.additions import add
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.workspace.contents import current_features
from keyart.workspace.layout import Workspace


def ids(result) -> list[int]:
    return [hit.movie_id for hit in result]


def test_similar_films_exclude_the_query(engine: Engine) -> None:
    for film in engine.catalog:
        assert film.movie_id not in ids(engine.similar(film.movie_id, k=10))


def test_scores_of_alpha_1_are_cosines_of_stored_features(engine: Engine, home: Path) -> None:
    store, rows = current_features(Workspace.open(home))
    features = np.concatenate(list(store.blocks(rows))).astype(np.float32)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    row_of = {movie_id: row for row, movie_id in enumerate(rows.movie_ids.tolist())}
    result = engine.similar(1, k=10, alpha=1)
    assert ids(result)[0] == 3
    for hit in result:
        expected = float(unit[row_of[1]] @ unit[row_of[hit.movie_id]])
        assert hit.visual == pytest.approx(expected, abs=1e-5)
        assert hit.score == hit.visual


def test_alpha_0_ranks_first_what_the_same_users_like(engine: Engine) -> None:
    assert ids(engine.similar(1, alpha=0))[0] == 2
    assert ids(engine.similar(1, alpha=1))[0] != 2


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0, "auto"])
def test_score_is_the_blend_of_visual_and_cf(engine: Engine, alpha: float) -> None:
    blended = [
        hit for hit in engine.similar(1, alpha=alpha, content=0) if hit.visual is not None and hit.cf is not None
    ]
    assert blended
    for hit in blended:
        assert hit.score == pytest.approx(hit.alpha * hit.visual + (1 - hit.alpha) * hit.cf, abs=2e-6)


def test_auto_alpha_depends_on_the_rarer_of_two_films(engine: Engine) -> None:
    hits = engine.similar(1)
    alphas = {hit.movie_id: hit.alpha for hit in hits}
    known = {hit.movie_id for hit in hits if hit.cf is not None}
    assert {2, 5} <= known
    assert alphas[2] < alphas[5] < 1
    assert {hit.alpha for hit in engine.similar(6)} == {1.0}
    of_the_seldom_seen = {hit.movie_id: hit.alpha for hit in engine.similar(5)}
    assert of_the_seldom_seen[1] == alphas[5]


def test_auto_alpha_of_hits_without_cf_depends_on_the_query(engine: Engine) -> None:
    hits = {hit.movie_id: hit for hit in engine.similar(1)}
    assert hits[6].cf is None
    assert hits[6].n_ratings == 0
    assert hits[6].alpha == hits[2].alpha < 1


def test_known_cf_never_ranks_behind_unknown_cf(engine: Engine) -> None:
    hits = {hit.movie_id: hit for hit in engine.similar(1, alpha=0.5)}
    unknown = [hit for hit in hits.values() if hit.cf is None]
    assert unknown
    for hit in unknown:
        assert all(other.score >= hit.score for other in hits.values() if other.cf and other.visual >= hit.visual)


def test_film_without_ratings_is_compared_by_looks(engine: Engine) -> None:
    result = engine.similar("Café Zürich")
    assert {hit.alpha for hit in result} == {1.0}
    assert [hit.cf for hit in result] == [None] * len(result)
    assert "no ratings" in result.notes[0]


def test_film_without_poster_is_compared_by_ratings_with_a_note(engine: Engine) -> None:
    result = engine.similar("No Poster", content=0)
    assert ids(result) == [3]
    assert (result.hits[0].visual, result.hits[0].score) == (None, result.hits[0].cf)
    assert "has no poster" in result.notes[0]


def test_film_without_features_and_ratings_is_an_error(home: Path) -> None:
    (home / "posters" / "6.jpg").unlink()
    build(Workspace.open(home))
    with pytest.raises(UnknownFilmError, match="neither features nor ratings"):
        Engine.open(home).similar(6, content=0)


def test_returns_at_most_k_films(engine: Engine) -> None:
    assert len(engine.similar(1, k=3, alpha=1)) == 3
    assert len(engine.similar(1, k=100, alpha=1)) == 4


def test_every_hit_has_its_number_of_ratings(engine: Engine) -> None:
    assert {hit.movie_id: hit.n_ratings for hit in engine.similar(1)} == {2: 40, 3: 40, 4: 40, 5: 1, 6: 0}


def test_image_of_a_poster_finds_its_film_first(engine: Engine, poster_folder: Path) -> None:
    result = engine.similar(keyart.Image(poster_folder / "5.jpg"), k=2)
    assert ids(result)[0] == 5
    assert result.hits[0].score == pytest.approx(1, abs=1e-3)
    assert result.query.movie_id is None
    assert result.hits[0].cf is None


def test_titles_ids_and_ambiguity(engine: Engine) -> None:
    assert engine.similar("harbour").query.movie_id == 1
    assert engine.similar("6").query.title == "Café Zürich"
    assert engine.similar("twin 1992").query.movie_id == 3
    with pytest.raises(AmbiguousFilmError, match=r"Twin \(1991\) \[2\], Twin \(1992\) \[3\]"):
        engine.similar("Twin")
    with pytest.raises(UnknownFilmError, match=r"did you mean The Harbour"):
        engine.similar("harbor")


@pytest.mark.parametrize(("k", "alpha"), [(0, "auto"), (5, 1.5), (5, -0.1), (5, "half")])
def test_rejects_k_and_alpha_out_of_range(engine: Engine, k: int, alpha: float) -> None:
    with pytest.raises(ValueError, match="should be"):
        engine.similar(1, k=k, alpha=alpha)


def test_opening_a_missing_or_unbuilt_workspace_is_an_error(tmp_path: Path, home: Path) -> None:
    with pytest.raises(NotBuiltError, match="keyart load"):
        Engine.open(tmp_path / "nowhere")
    for part in ("index/index.json", "cf/item-cosine/item-cosine.json"):
        (home / part).unlink()
    with pytest.raises(NotBuiltError, match="run `keyart build"):
        Engine.open(home)


def test_index_alone_or_ratings_alone_suffice(home: Path) -> None:
    (home / "cf/item-cosine/item-cosine.json").unlink()
    assert Engine.open(home).similar(1).hits[0].cf is None
    build(Workspace.open(home))
    (home / "index" / "index.json").unlink()
    assert Engine.open(home).similar(1).hits[0].visual is None


def test_an_index_of_another_network_is_refused(home: Path, tmp_path: Path) -> None:
    import keras

    network = keras.Sequential([keras.Input((224, 224, 3)), keras.layers.AveragePooling2D(32)], name="other")
    network.save(tmp_path / "tiny.keras")
    workspace = Workspace.open(home)
    extract(workspace, ExtractOptions(str(tmp_path / "tiny.keras"), rebuild=True, preprocessing="tf"))
    with pytest.raises(DataError, match=r"features are of other \(147 columns.*built from tiny.*keyart build"):
        Engine.open(home)


def test_another_resize_is_another_identity(home: Path, backbone_path: Path) -> None:
    workspace = Workspace.open(home)
    with pytest.raises(DataError, match="never mix"):
        extract(workspace, ExtractOptions(str(backbone_path), resize="nearest"))
    extract(workspace, ExtractOptions(str(backbone_path), resize="nearest", rebuild=True))
    build(workspace)
    assert FeatureStore.open(workspace.features_dir).identity.resize == "nearest"
    assert len(Engine.open(home).similar(1, alpha=1)) == 4


def test_images_are_compared_by_the_recorded_preprocessing(
    home: Path, backbone_path: Path, poster_folder: Path
) -> None:
    workspace = Workspace.open(home)
    extract(workspace, ExtractOptions(str(backbone_path), preprocessing="rgb,127,128", rebuild=True))
    with pytest.raises(DataError, match=r"features are of tiny .* preprocessing rgb,127,128\), .* `keyart build"):
        Engine.open(home)
    build(workspace)
    with Engine.open(home) as engine:
        for movie_id in (1, 5):
            poster = poster_folder / f"{movie_id}.jpg"
            hit = engine.similar(keyart.Image(poster)).hits[0]
            film = keyart.NewFilm(poster)
            assert (hit.movie_id, hit.visual) == (movie_id, pytest.approx(1, abs=1e-3))
            assert engine.cold_start([film])[0].look_alikes.hits[0].visual == pytest.approx(1, abs=1e-3)
        added = add(workspace, [keyart.NewFilm(poster_folder / "5.jpg", "Again")])
    assert len(added.added) == 1
    assert Engine.open(home).similar(5, alpha=1).hits[0].visual == pytest.approx(1, abs=1e-3)


def test_changed_backbone_is_refused(home: Path, backbone_path: Path, poster_folder: Path) -> None:
    import keras

    engine = Engine.open(home)
    store = FeatureStore.open(home / "features")
    network = keras.saving.load_model(backbone_path)
    network.set_weights([weight + 1 for weight in network.get_weights()])
    changed_path = home / "changed.keras"
    network.save(changed_path)
    FeatureStore.create(home / "features", store.identity, {**store.origin, "backbone": str(changed_path)})
    with pytest.raises(DataError, match="is not the one"):
        engine.similar(keyart.Image(poster_folder / "1.jpg"))


def test_films_removed_from_the_catalog_are_skipped(home: Path) -> None:
    films = [film for film in Catalog.open(home / "catalog.sqlite") if film.movie_id != 3]
    facts = {"numbering": "movielens"}
    Catalog.create(home / "catalog.sqlite", films, facts)
    assert 3 not in ids(Engine.open(home).similar(1))
    assert 3 in ItemCosine.open(home / "cf/item-cosine").movie_ids_
