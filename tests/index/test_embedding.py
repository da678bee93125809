from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import DataError
from index.build import plan_for
from index.cosine import CosineIndex
from index.embedding import WhitenedEmbedding, pool_weights, why_unsuitable
from index.options import IndexOptions, Target
from index.record import IndexRecord
from index.source import FilmFeatures
from tests.contracts import Build, Index, IndexContract, films_of, ids_of, random_features
from tests.index.kinds import EMBEDDED, IDENTITY, Kind

SHAPE = (2, 3, 8)
# Half floats of few dimensions.
ATOL = 3e-4
AUTO = Target(similarity="auto")


def fit(films: FilmFeatures, shape: tuple[int, int, int] | None = SHAPE) -> WhitenedEmbedding:
    return WhitenedEmbedding.fit(films, shape, np.random.default_rng(0))


def maps_of(seed: int, n_films: int = 300) -> npt.NDArray[np.float32]:
    return random_features(seed, n_films, 48)


def embedded_in_double(embedding: WhitenedEmbedding, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Compute the embedding step by step, in loops where that is clearer."""
    parts = []
    for part in embedding.parts:
        rows = []
        for film in features.astype(np.float64):
            grid = film.reshape(embedding.map_shape)
            columns = [grid[:, [column, -1 - column]].mean((0, 1)) for column in range(-(-grid.shape[1] // 2))]
            # Of 2 × 3 places, each block is one row or both, and an outer column or the middle one.
            outer, middle = grid[:, [0, 2]].mean(axis=1), grid[:, 1]
            blocks = [part for lines in ([0], [0, 1], [1]) for part in (outer[lines].mean(0), middle[lines].mean(0))]
            pooled = {
                "blocks": np.concatenate(blocks),
                "columns": np.concatenate(columns),
                "whole": grid.mean((0, 1)),
            }
            row = np.sqrt(pooled[part.pool])
            rows.append(row / np.linalg.norm(row) - part.mean)
        projected = np.array(rows) @ part.directions * part.scales
        parts.append(projected / np.linalg.norm(projected, axis=1, keepdims=True))
    together = np.concatenate(parts, axis=1) @ embedding.rotation
    return np.asarray(together / np.linalg.norm(together, axis=1, keepdims=True))


@pytest.mark.parametrize("name", EMBEDDED)
class TestEmbeddedIndex(IndexContract):
    @pytest.fixture
    def build(self, name: str) -> Build:
        return lambda films: EMBEDDED[name].build(films)

    def test_a_film_is_nearest_to_its_own_features(self, index: Index, features: npt.NDArray[np.floating]) -> None:
        for movie_id, found in zip(ids_of(features), index.search(features, 1), strict=True):
            np.testing.assert_array_equal(found.ids, [movie_id])
            np.testing.assert_allclose(found.scores, [1], atol=ATOL)

    def test_identical_films_are_in_ascending_movie_id(self, build: Build) -> None:
        features = np.concatenate([random_features(9), np.repeat(random_features(9)[:1], 30, axis=0)])
        (found,) = build(films_of(features)).similar([10 + 3 * 70], 5)
        np.testing.assert_array_equal(found.ids, [10, *(10 + 3 * np.arange(60, 64))])

    def test_single_film_has_no_neighbors(self, build: Build) -> None:
        with pytest.raises(DataError, match="nothing tells them apart"):
            build(films_of(random_features(1)[:1]))


# The formula


def test_embeds_as_written_out() -> None:
    features = maps_of(1)
    embedding = fit(films_of(features))
    assert [part.pool for part in embedding.parts] == ["blocks", "columns", "whole"]
    np.testing.assert_allclose(embedding.units(features), embedded_in_double(embedding, features), atol=2e-5)


def test_variances_are_divided_by_a_power() -> None:
    features = maps_of(1)
    (part,) = fit(films_of(features), None).parts
    rows = np.sqrt(features.astype(np.float64))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    variances = np.linalg.eigvalsh(np.cov(rows, rowvar=False, bias=True))[::-1][: len(part.scales)]
    np.testing.assert_allclose(part.scales, (variances / variances[0]) ** -0.35, rtol=1e-3)


def test_joined_parts_are_whitened_again() -> None:
    features = maps_of(1)
    embedding = fit(films_of(features))
    maps = features.reshape(-1, *SHAPE) / np.linalg.norm(features, axis=1)[:, None, None, None]
    joined = np.concatenate([part.units(maps) for part in embedding.parts], axis=1).astype(np.float64)
    variances = np.linalg.eigvalsh(joined.T @ joined / len(joined))[::-1][: embedding.n_dimensions]
    lengths = np.linalg.norm(embedding.rotation, axis=0)
    np.testing.assert_allclose(lengths, (variances / variances[0]) ** -0.1, rtol=1e-3)


@pytest.mark.parametrize("pool", ["whole", "columns", "rows", "blocks"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (2, 2), (3, 5), (7, 7), (8, 6)], ids=str)
def test_pools_are_means_that_a_mirror_leaves_as_they_are(pool: str, shape: tuple[int, int]) -> None:
    weights = pool_weights(pool, *shape)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert (weights >= 0).all()
    assert (weights.sum(axis=0) > 0).all(), "a place is in no pool"
    np.testing.assert_allclose(weights.reshape(-1, *shape)[:, :, ::-1].reshape(weights.shape), weights)


def test_blocks_of_seven_places_overlap() -> None:
    corner, top = pool_weights("blocks", 7, 7).reshape(-1, 7, 7)[:2]
    np.testing.assert_allclose(corner[:3], np.tile([1, 1, 1, 0, 1, 1, 1], (3, 1)) / 18)
    np.testing.assert_allclose(top[:3], np.tile([0, 0, 1, 1, 1, 0, 0], (3, 1)) / 9)
    assert not corner[3:].any()
    assert not top[3:].any()


def test_many_columns_are_fitted_as_few_are() -> None:
    # 40 films of 48 numbers are fitted by the products of films, 300 by those of columns.
    features = maps_of(1, 40)
    wide, tall = (fit(films_of(rows), None) for rows in (features, np.repeat(features, 3, axis=0)))
    n = wide.parts[0].directions.shape[1]
    np.testing.assert_allclose(wide.parts[0].scales, tall.parts[0].scales[:n], rtol=1e-3)
    alike = np.abs((wide.parts[0].directions * tall.parts[0].directions[:, :n]).sum(axis=0))
    np.testing.assert_allclose(alike, 1, atol=1e-3)


def test_a_mirrored_map_is_embedded_as_the_map() -> None:
    features = maps_of(1)
    embedding = fit(films_of(features))
    mirrored = features.reshape(-1, *SHAPE)[:, :, ::-1].reshape(len(features), -1)
    np.testing.assert_allclose(embedding.units(mirrored), embedding.units(features), atol=1e-4)


def test_turning_a_map_upside_down_changes_blocks_only() -> None:
    features = maps_of(1)
    embedding = fit(films_of(features))
    mirrored = features.reshape(-1, *SHAPE)[:, ::-1].reshape(len(features), -1)
    for part in embedding.parts:
        units = [part.units(rows.reshape(-1, *SHAPE)) for rows in (features, mirrored)]
        assert np.allclose(*units, atol=1e-4) == (part.pool != "blocks")


def test_the_same_film_embeds_the_same_in_any_block() -> None:
    features = maps_of(1)
    embedding = fit(films_of(features))
    whole = embedding.embed(films_of(features)).arrays[0]
    single = embedding.embed(films_of(features[17:18])).arrays[0]
    np.testing.assert_array_equal(whole[17], single[0])


def test_features_of_any_size_embed_the_same() -> None:
    features = maps_of(1)
    embedding = fit(films_of(features))
    np.testing.assert_allclose(embedding.units(features * 1e12), embedding.units(features), atol=1e-5)


def test_saved_then_opened_is_the_same(tmp_path: Path) -> None:
    features = maps_of(1)
    embedding = fit(films_of(features))
    embedding.save(tmp_path / "embedding.npz")
    opened = WhitenedEmbedding.open(tmp_path / "embedding.npz")
    assert opened.sha256 == embedding.sha256 != fit(films_of(maps_of(2))).sha256
    np.testing.assert_array_equal(opened.units(features), embedding.units(features))


# The index


@pytest.mark.parametrize("kind", EMBEDDED.values(), ids=EMBEDDED)
def test_scores_are_cosines_of_embeddings(kind: Kind) -> None:
    features, queries = maps_of(1), maps_of(2, 20)
    index = kind.build(films_of(features), map_shape=SHAPE)
    assert index.embedding is not None
    cosines = embedded_in_double(index.embedding, queries) @ embedded_in_double(index.embedding, features).T
    for row, found in zip(cosines, index.search(queries, 10), strict=True):
        np.testing.assert_allclose(found.scores, row[(found.ids - 10) // 3], atol=ATOL)
    firsts = np.array([found.ids[0] for found in index.search(queries, 1)])
    assert np.mean(firsts == ids_of(features)[cosines.argmax(axis=1)]) >= (0.7 if kind.rank else 1)


@pytest.mark.parametrize("kind", EMBEDDED.values(), ids=EMBEDDED)
def test_added_films_pass_through_the_same_embedding(kind: Kind, tmp_path: Path) -> None:
    films = films_of(maps_of(1))
    old, new = films.take(np.arange(0, 300, 2)), films.take(np.arange(1, 300, 2))
    index = kind.build(old, map_shape=SHAPE)
    index.save(tmp_path)
    (embedding_file,) = tmp_path.glob("*-embedding.npz")
    with CosineIndex.open(tmp_path) as opened:
        opened.add(new)
        opened.remove(old.movie_ids[:10])
        opened.save(tmp_path)
        before = opened.search(films.read(np.arange(40)), 5)
    assert list(tmp_path.glob("*-embedding.npz")) == [embedding_file]
    with CosineIndex.open(tmp_path) as again:
        assert again.record.embedding == index.record.embedding
        assert len(again) == 290
        for one, other in zip(again.search(films.read(np.arange(40)), 5), before, strict=True):
            np.testing.assert_array_equal(one.ids, other.ids)
            np.testing.assert_array_equal(one.scores, other.scores)
        found = again.search(new.read(np.arange(20)), 1)
        assert np.mean([one.ids[0] == movie_id for one, movie_id in zip(found, new.movie_ids[:20], strict=True)]) > 0.9


def test_no_features_are_needed_once_films_are_embedded(tmp_path: Path) -> None:
    films = films_of(maps_of(1))
    EMBEDDED["shortlist"].build(films, map_shape=SHAPE).save(tmp_path)
    with CosineIndex.open(tmp_path) as index:
        assert len(index.similar([10], 5)[0]) == 5


def test_films_of_another_sort_ask_for_a_new_embedding() -> None:
    index = EMBEDDED["exact"].build(films_of(random_features(1, 300, 600)), map_shape=(2, 100, 3))
    index.add(FilmFeatures.of(2000 + np.arange(60), random_features(3, 60, 600)))
    assert not index.needs_refit
    rng = np.random.default_rng(0)
    index.add(FilmFeatures.of(3000 + np.arange(100), rng.random((100, 600), dtype=np.float32) ** 8))
    assert index.record.growth.drift > 1.15
    assert index.needs_refit


def test_the_record_says_what_is_compared(tmp_path: Path) -> None:
    EMBEDDED["exact"].build(films_of(maps_of(1)), map_shape=SHAPE).save(tmp_path)
    record = IndexRecord.read(tmp_path)
    assert record.similarity == "whitened"
    assert record.embedding is not None
    assert set(record.embedding) == {"parts", "n_dimensions", "n_fitted", "sha256"}


@pytest.mark.parametrize("what", ["embedding", "embedded"])
def test_a_damaged_file_is_detected(what: str, tmp_path: Path) -> None:
    EMBEDDED["shortlist"].build(films_of(maps_of(1)), map_shape=SHAPE).save(tmp_path)
    (path,) = tmp_path.glob(f"*-{what}.np?")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged.*keyart build"):
        CosineIndex.open(tmp_path)


# Which similarity


def test_few_films_are_compared_as_they_are() -> None:
    assert "255 films are too few" in (why_unsuitable(films_of(maps_of(1, 255))) or "")
    assert why_unsuitable(films_of(maps_of(1, 256))) is None


def test_posters_that_are_nearly_all_alike_are_compared_as_they_are() -> None:
    noise = np.random.default_rng(0).random((300, 48), dtype=np.float32)
    plan = plan_for(films_of(1 + 0.1 * noise), AUTO)
    assert plan.similarity == "cosine"
    assert "nearly all alike" in plan.similarity_because


def test_what_was_requested_is_built() -> None:
    films = films_of(maps_of(1, 32))
    assert plan_for(films, Target(similarity="whitened")).similarity == "whitened"
    assert plan_for(films_of(maps_of(1)), AUTO).similarity == "whitened"
    assert plan_for(films_of(maps_of(1)), Target()).similarity == "whitened"
    assert plan_for(films_of(maps_of(1)), Target(), center=True).similarity == "cosine"
    assert plan_for(films_of(maps_of(1)), AUTO, center=True).similarity == "cosine"


def test_more_dimensions_than_films_are_possible() -> None:
    films = films_of(random_features(1, 12, 512))
    index = EMBEDDED["exact"].build(films, map_shape=(8, 8, 8))
    assert index.embedding is not None
    assert index.embedding.n_dimensions <= 12
    assert [found.ids[0] for found in index.search(films.read(np.arange(12)), 1)] == films.movie_ids.tolist()


@pytest.mark.parametrize(("n_films", "said"), [(1, "1 film is"), (3, "3 films are"), (31, "31 films are")])
def test_different_posters_of_few_films_stay_different(n_films: int, said: str) -> None:
    films = films_of(random_features(2, n_films, 512))
    options = IndexOptions(similarity="whitened")
    index = CosineIndex.build(films, {**IDENTITY, "n_features": 512}, options, map_shape=(8, 8, 8))
    assert index.similarity == "cosine"
    assert index.record.build.similarity_reason.startswith(f"{said} too few for an embedding")
    assert not index.duplicates()


def test_copies_of_one_poster_cannot_be_whitened() -> None:
    films = films_of(np.repeat(maps_of(1, 1), 300, axis=0))
    with pytest.raises(DataError, match="nothing tells them apart"):
        fit(films)
    assert plan_for(films, AUTO).similarity == "cosine"


def test_copies_of_some_films_stay_copies() -> None:
    features = maps_of(1)
    features[100:200] = features[:100]
    index = EMBEDDED["exact"].build(films_of(features), map_shape=SHAPE)
    (found,) = index.similar([10], 1)
    np.testing.assert_array_equal(found.ids, [10 + 300])
    assert found.scores[0] == pytest.approx(1, abs=ATOL)


@pytest.mark.parametrize("options", [{"similarity": "whitend"}, {"similarity": "whitened", "center": True}])
def test_options_that_do_not_go_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="whitened"):
        IndexOptions(**options)  # type: ignore[arg-type]
