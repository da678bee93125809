"""One region of posters compared with the same region of others, by every kind of index."""

import numpy as np
import pytest

from catalog.errors import ConfigError, DataError, UnknownFilmError
from index.comparison import RegionComparison
from index.cosine import CosineIndex
from index.region import Region
from index.source import FilmFeatures
from tests.contracts import films_of
from tests.index.kinds import EMBEDDED, KINDS, Kind

SHAPE = (4, 3, 8)
REGION = Region(1, 0, 2, 3)
ALL = {**KINDS, **{f"whitened, {name}": kind for name, kind in EMBEDDED.items()}}


def random_maps(seed: int, n_films: int = 300) -> np.ndarray:
    """Maps that are never below 0, as those of networks."""
    rng = np.random.default_rng(seed)
    return rng.gamma(1.0, 1.0, (n_films, *SHAPE)) * rng.gamma(2.0, 1.0, SHAPE)


def built(kind: Kind, maps: np.ndarray) -> tuple[CosineIndex, FilmFeatures]:
    films = films_of(maps.reshape(len(maps), -1).astype(kind.dtype))
    return kind.build(films, map_shape=SHAPE), films


def regions_of(kind: Kind, maps: np.ndarray, region: Region = REGION) -> tuple[RegionComparison, FilmFeatures]:
    index, films = built(kind, maps)
    return index.region_comparison(region, films, SHAPE), films


def masked(maps: np.ndarray) -> np.ndarray:
    others = maps.copy()
    others[:, 0:3, 1:3] = 0
    return maps - others


@pytest.mark.parametrize("kind", ALL.values(), ids=ALL)
def test_the_region_of_all_cells_is_the_whole_poster(kind: Kind) -> None:
    index, films = built(kind, random_maps(1))
    movie_id, other = (int(films.movie_ids[row]) for row in (7, 90))
    all_cells, whole = index.region_comparison(Region(0, 0, 3, 4), films, SHAPE), index.comparison()
    for one, expected in (
        (all_cells.scan(movie_id), whole.scan(movie_id)),
        (all_cells.scan_features(films.row(7)), whole.scan_features(films.row(7))),
        (all_cells.scan_mix([movie_id], [other], 0.5), whole.scan_mix([movie_id], [other], 0.5)),
    ):
        expected.settle(expected.movie_ids)
        assert one.is_exact.all()
        np.testing.assert_array_equal(one.movie_ids, expected.movie_ids)
        np.testing.assert_allclose(one.similarities, expected.similarities, atol=2e-3)
    ids = films.movie_ids[:20]
    np.testing.assert_allclose(all_cells.cosines(ids, ids), whole.cosines(ids, ids), atol=2e-3)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_features_of_the_region_are_compared_by_their_cosine(kind: Kind) -> None:
    maps = random_maps(2).astype(kind.dtype)
    regions, films = regions_of(kind, maps)
    cells = maps[:, 0:3, 1:3].reshape(len(maps), -1).astype(np.float64)
    if kind.center:
        cells = cells - cells.mean(axis=0)
    cells /= np.linalg.norm(cells, axis=1, keepdims=True)

    scan = regions.scan(int(films.movie_ids[5]))
    np.testing.assert_array_equal(scan.movie_ids, np.delete(films.movie_ids, 5))
    np.testing.assert_allclose(scan.similarities, np.delete(cells @ cells[5], 5), atol=1e-5)
    np.testing.assert_allclose(regions.scan_features(films.row(5)).similarities, cells @ cells[5], atol=1e-5)
    np.testing.assert_allclose(regions.cosines(films.movie_ids[:9], films.movie_ids), cells[:9] @ cells.T, atol=1e-5)


@pytest.mark.parametrize("kind", EMBEDDED.values(), ids=EMBEDDED)
def test_the_embedding_sees_zeros_in_all_other_cells(kind: Kind) -> None:
    maps = random_maps(3)
    index, films = built(kind, maps)
    assert index.embedding is not None
    units = index.embedding.units(masked(maps).reshape(len(maps), -1).astype(np.float32))
    scan = index.region_comparison(REGION, films, SHAPE).scan(int(films.movie_ids[5]))
    np.testing.assert_allclose(scan.similarities, np.delete(units @ units[5], 5), atol=1e-5)


@pytest.mark.parametrize("kind", ALL.values(), ids=ALL)
def test_what_is_outside_of_the_region_does_not_count(kind: Kind) -> None:
    maps = random_maps(4)
    regions, films = regions_of(kind, maps)
    # A film that is another one in the region, and the same elsewhere, is found by the region of the other.
    changed = random_maps(5, 1)[0]
    changed[0:3, 1:3] = maps[60, 0:3, 1:3]
    scan = regions.scan_features(changed.ravel().astype(kind.dtype))
    assert scan.movie_ids[scan.similarities.argmax()] == films.movie_ids[60]
    assert scan.similarities.max() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", ["exact", "short basis", "exact, centered"])
def test_films_that_have_the_same_region_are_equally_similar(name: str) -> None:
    maps = random_maps(6)
    maps[17] = maps[130] = maps[255]
    regions, films = regions_of(KINDS[name], maps)
    scan = regions.scan(int(films.movie_ids[3]))
    same = scan.similarities[np.isin(scan.movie_ids, films.movie_ids[[17, 130, 255]])]
    assert len(set(same.tolist())) == 1


@pytest.mark.parametrize("kind", [KINDS["exact"], EMBEDDED["exact"]], ids=["cosine", "whitened"])
def test_a_region_of_zeros_is_like_no_other_and_cannot_be_asked_about(kind: Kind) -> None:
    maps = random_maps(7)
    maps[40, 0:3, 1:3] = 0
    regions, films = regions_of(kind, maps)
    scan = regions.scan(int(films.movie_ids[3]))
    assert scan.similarities[scan.movie_ids == films.movie_ids[40]] == 0
    for ask in (
        lambda: regions.scan(int(films.movie_ids[40])),
        lambda: regions.scan_features(films.row(40)),
    ):
        with pytest.raises(ConfigError, match="all features are zero in the region 1,0,2,3"):
            ask()


@pytest.mark.parametrize("kind", [KINDS["exact"], EMBEDDED["exact"]], ids=["cosine", "whitened"])
def test_films_whose_features_are_gone_are_left_out(kind: Kind) -> None:
    maps = random_maps(8)
    index, films = built(kind, maps)
    there = films.take(np.delete(np.arange(300), [20, 21]))
    regions = index.region_comparison(REGION, there, SHAPE)
    gone, asked = int(films.movie_ids[20]), int(films.movie_ids[3])
    assert gone not in regions
    assert asked in regions
    assert len(regions.scan(asked).movie_ids) == 297
    assert np.isnan(regions.cosines([gone], [asked])).all()
    with pytest.raises(UnknownFilmError, match=f"no features of movie_id {gone} in this index of 298 films"):
        regions.scan(gone)
    other_posters = FilmFeatures(
        films.movie_ids, films.arrays, films.array_numbers, films.row_numbers, ["f" * 64] * 300
    )
    assert asked not in index.region_comparison(REGION, other_posters, SHAPE)


@pytest.mark.parametrize("region", [(3, 0, 1, 1), (0, 4, 1, 1), (2, 0, 2, 1), (0, 1, 1, 4)])
def test_refuses_a_region_beyond_the_grid(region: tuple[int, int, int, int]) -> None:
    index, films = built(KINDS["exact"], random_maps(9, 5))
    with pytest.raises(ConfigError, match="beyond the grid of 3 columns and 4 rows: x \\+ width is at most 3"):
        index.region_comparison(Region(*region), films, SHAPE)


def test_refuses_features_of_another_width() -> None:
    index, films = built(KINDS["exact"], random_maps(9, 5))
    narrow = FilmFeatures.of(films.movie_ids, np.ones((5, 12), np.float32))
    with pytest.raises(DataError, match="expected features of 96 columns, received 12"):
        index.region_comparison(REGION, narrow, SHAPE)


def test_regions_are_written_as_four_numbers() -> None:
    assert Region.parse("0, 1,7,3") == (0, 1, 7, 3)
    assert str(Region(0, 1, 7, 3)) == "0,1,7,3"


@pytest.mark.parametrize(
    "text", ["", "0,0,7", "0,0,7,3,1", "a,0,7,3", "0,0,7.5,3", "-1,0,7,3", "0 0 7 3", "²,0,1,1", f"{'1' * 32},0,1,1"]
)
def test_refuses_other_texts(text: str) -> None:
    with pytest.raises(ValueError, match="expected x,y,width,height in cells of the grid, as in 0,0,7,3"):
        Region.parse(text)


@pytest.mark.parametrize("text", ["0,0,0,3", "0,0,7,0"])
def test_refuses_regions_without_cells(text: str) -> None:
    with pytest.raises(ValueError, match="at least 1 wide and high"):
        Region.parse(text)


@pytest.mark.parametrize("kind", ALL.values(), ids=ALL)
def test_later_questions_by_a_region_are_answered_as_the_first(kind: Kind) -> None:
    maps = random_maps(8)
    index, films = built(kind, maps)
    regions = index.region_comparison(REGION, films, SHAPE)
    regions.scan(int(films.movie_ids[3]))
    later = regions.scan(int(films.movie_ids[5]))
    first = index.region_comparison(REGION, films, SHAPE).scan(int(films.movie_ids[5]))
    np.testing.assert_array_equal(later.movie_ids, first.movie_ids)
    np.testing.assert_array_equal(later.similarities, first.similarities)


@pytest.mark.parametrize("kind", EMBEDDED.values(), ids=EMBEDDED)
@pytest.mark.parametrize("region", [Region(0, 0, 3, 1), Region(1, 2, 1, 1), Region(0, 0, 1, 4), Region(0, 0, 3, 4)])
def test_only_pools_of_the_region_are_computed(kind: Kind, region: Region) -> None:
    maps = random_maps(9).astype(np.float32)
    index, _ = built(kind, maps)
    assert index.embedding is not None
    outside = ~region.mask(SHAPE)
    others = maps.copy()
    others[:, outside] = 0
    units = index.embedding.of_cells(~outside).units(region.cut(maps).reshape(len(maps), -1, SHAPE[2]))
    np.testing.assert_allclose(units, index.embedding.units(others.reshape(len(maps), -1)), atol=1e-5)
