"""Queries of several films, and the cosines between films."""

import numpy as np
import pytest

from catalog.errors import QueryError, UnknownFilmError
from index.cosine import CosineIndex
from tests.contracts import films_of, random_features
from tests.index.kinds import EMBEDDED, KINDS, Kind

ALL = {**KINDS, **{f"whitened, {name}": kind for name, kind in EMBEDDED.items()}}

LIKE, UNLIKE, WEIGHT = [3, 40, 41], [7, 90], 0.4


def units_of(index: CosineIndex, features: np.ndarray) -> np.ndarray:
    if index.embedding is not None:
        return index.embedding.units(features.astype(np.float32)).astype(np.float64)
    less = features.astype(np.float64) - (0 if index.mean is None else index.mean)
    return less / np.linalg.norm(less, axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ALL.values(), ids=ALL)
def test_films_are_combined_as_rocchio_does(kind: Kind) -> None:
    features = random_features(1, 300, 96).astype(kind.dtype)
    index = kind.build(films_of(features))
    rows = {int(movie_id): row for row, movie_id in enumerate(films_of(features).movie_ids)}
    like, unlike = ([list(rows)[position] for position in named] for named in (LIKE, UNLIKE))
    units = units_of(index, features)
    query = units[[rows[one] for one in like]].mean(0) - WEIGHT * units[[rows[one] for one in unlike]].mean(0)
    expected = units @ (query / np.linalg.norm(query))

    scan = index.comparison().scan_mix(like, unlike, WEIGHT)
    scan.settle(scan.movie_ids)
    assert set(scan.movie_ids.tolist()) == set(rows) - {*like, *unlike}
    np.testing.assert_allclose(scan.similarities, expected[[rows[one] for one in scan.movie_ids.tolist()]], atol=2e-3)


@pytest.mark.parametrize("kind", ALL.values(), ids=ALL)
def test_features_are_combined_as_the_films_they_are_of(kind: Kind) -> None:
    films = films_of(random_features(1, 300, 96).astype(kind.dtype))
    comparison = kind.build(films).comparison()
    one, two, three = (int(films.movie_ids[row]) for row in (3, 40, 7))
    expected = comparison.scan_mix([one, two], [three], WEIGHT)
    scan = comparison.scan_mix([films.row(3), two], [films.row(7)], WEIGHT)
    for each in (expected, scan):
        each.settle(each.movie_ids)
    assert set(scan.movie_ids.tolist()) == {*expected.movie_ids.tolist(), one, three}
    kept = np.isin(scan.movie_ids, expected.movie_ids)
    np.testing.assert_allclose(scan.similarities[kept], expected.similarities, atol=2e-3)
    items = [two, films.row(3), 9999999, films.row(7), one]
    ids = films.movie_ids[:5]
    cosines, of_films = comparison.cosines(ids, items), comparison.cosines(ids, [two, one, 9999999, three, one])
    np.testing.assert_allclose(cosines, of_films, atol=2e-3)
    assert np.isnan(cosines[:, 2]).all()


@pytest.mark.parametrize("kind", ALL.values(), ids=ALL)
def test_one_film_alone_is_scanned_as_ever(kind: Kind) -> None:
    index = kind.build(films_of(random_features(2, 200, 64).astype(kind.dtype)))
    movie_id = int(index.movie_ids[17])
    mixed, plain = index.comparison().scan_mix([movie_id], [], WEIGHT), index.comparison().scan(movie_id)
    for scan in (mixed, plain):
        scan.settle(scan.movie_ids)
    assert mixed.movie_ids.tolist() == plain.movie_ids.tolist()
    np.testing.assert_allclose(mixed.similarities, plain.similarities, atol=2e-3)


def test_refuses_films_that_cancel_each_other_out_and_unknown_ones() -> None:
    features = random_features(3, 20, 16)
    features[5] = features[4]
    index = KINDS["exact"].build(films_of(features))
    first, second = index.movie_ids[4:6].tolist()
    with pytest.raises(QueryError, match="cancel each other out"):
        index.comparison().scan_mix([first], [second], 1.0)
    with pytest.raises(UnknownFilmError, match="9999999"):
        index.comparison().scan_mix([first], [9999999], 0.5)


@pytest.mark.parametrize("kind", ALL.values(), ids=ALL)
def test_cosines_between_more_films_than_a_block(kind: Kind) -> None:
    features = random_features(4, 600, 32).astype(kind.dtype)
    index = kind.build(films_of(features))
    units = units_of(index, features)
    cosines = index.comparison().cosines([*index.movie_ids.tolist(), 9999999], index.movie_ids[:300])
    assert cosines.shape == (601, 300)
    np.testing.assert_allclose(cosines[:600], units @ units[:300].T, atol=2e-3)
    assert np.isnan(cosines[600]).all()


def test_spreads_are_the_deviations_of_cosines_with_other_films() -> None:
    films = films_of(random_features(4, 60, 32))
    comparison = Kind().build(films).comparison()
    first, other = films.movie_ids[0].item(), random_features(5, 1, 32)[0]
    expected = [comparison.cosines(films.movie_ids[1:], [item]).std() for item in (first, other)]
    np.testing.assert_allclose(comparison.spreads([first, other]), expected, rtol=1e-5)


def test_a_scaled_row_counts_by_its_scale() -> None:
    films = films_of(random_features(6, 80, 32))
    comparison = Kind().build(films).comparison()
    first, second = films.movie_ids[:2].tolist()
    units = comparison.cosines(films.movie_ids[2:], [first, second]).astype(np.float64)
    scan = comparison.scan_mix([first, second], [], 0.5, np.array([1.0, 3.0]))
    query = units @ [1.0, 3.0]
    assert np.corrcoef(query, scan.similarities)[0, 1] == pytest.approx(1)
