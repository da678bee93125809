"""Contributions of grid cells to a cosine: their sum and their positions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import DataError
from index.attribution import _split, contributions, embedded_contributions
from index.embedding import WhitenedEmbedding
from index.source import FilmFeatures
from tests.contracts import films_of, random_features
from tests.index.kinds import Kind

SHAPE = (7, 7, 16)
WIDTH = 7 * 7 * 16


def rows(n: int, dtype: type[np.floating] = np.float16) -> npt.NDArray[np.floating]:
    """Draw rows like a network's features: nonnegative and mostly 0."""
    return np.maximum(np.random.default_rng(0).normal(-1, 1, (n, WIDTH)), 0).astype(dtype)


def cosine(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    first, second = first.astype(np.float64), second.astype(np.float64)
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_cells_add_up_to_the_cosine(dtype: type[np.floating]) -> None:
    first, second = rows(2, dtype)
    found = contributions(first, second, SHAPE)
    assert (found.grid.shape, found.grid.dtype) == ((7, 7), np.float64)
    assert found.grid.sum() == pytest.approx(cosine(first, second), abs=1e-14)
    assert found.similarity == pytest.approx(found.grid.sum(), abs=1e-15)
    assert (found.grid >= 0).all()


def test_centered_cells_add_up_and_may_be_negative() -> None:
    features = rows(9, np.float32)
    mean = features.mean(axis=0)
    found = contributions(features[0], features[1], SHAPE, mean)
    centered = features.astype(np.float64) - mean.astype(np.float64)
    assert found.similarity == pytest.approx(cosine(centered[0], centered[1]), abs=1e-14)
    assert found.grid.min() < 0 < found.grid.max()


@pytest.mark.parametrize("center", [False, True])
def test_cosine_equals_that_of_the_index(center: bool) -> None:
    features = rows(9)
    index = Kind(center=center).build(FilmFeatures.of(np.arange(9), features))
    mean = features.astype(np.float32).mean(axis=0) if center else None
    (found,) = index.similar([0], k=8)
    for movie_id, similarity in zip(found.ids, found.scores, strict=True):
        parts = contributions(features[0], features[movie_id], SHAPE, mean)
        assert parts.similarity == pytest.approx(similarity, abs=1e-6)


def test_the_order_is_height_width_channel() -> None:
    maps = np.zeros((2, *SHAPE), np.float32)
    maps[:, 0, 6, 3] = 2.0
    first, second = maps.reshape(2, -1)
    expected = np.zeros((7, 7))
    expected[0, 6] = 1.0
    np.testing.assert_array_equal(contributions(first, second, SHAPE).grid, expected)


def test_a_map_need_not_be_square() -> None:
    maps = np.zeros((2, 2, 3, 4), np.float32)
    maps[:, 1, 2] = 1.0
    maps[:, 0, 0] = [[1.0], [-1.0]]
    first, second = maps.reshape(2, -1)
    np.testing.assert_allclose(contributions(first, second, (2, 3, 4)).grid, [[-0.5, 0, 0], [0, 0, 0.5]], atol=1e-15)


def test_same_content_in_different_cells_contributes_nothing() -> None:
    maps = np.zeros((2, *SHAPE), np.float32)
    maps[0, 0, 0], maps[1, 6, 6] = 1.0, 1.0
    first, second = maps.reshape(2, -1)
    assert contributions(first, second, SHAPE).similarity == 0


def test_contributions_are_symmetric_and_self_similarity_is_one() -> None:
    first, second = rows(2)
    np.testing.assert_array_equal(contributions(first, second, SHAPE).grid, contributions(second, first, SHAPE).grid)
    assert contributions(first, first, SHAPE).similarity == pytest.approx(1)
    assert contributions(first, first, SHAPE).similarity <= 1


def test_the_rows_are_not_changed() -> None:
    first, second, mean = rows(3, np.float64)
    before = [row.copy() for row in (first, second, mean)]
    contributions(first, second, SHAPE, mean)
    np.testing.assert_array_equal((first, second, mean), before)


def test_a_zero_row_is_refused() -> None:
    (row,) = rows(1)
    with pytest.raises(DataError, match=f"all {WIDTH} numbers of the second row are zero"):
        contributions(row, np.zeros_like(row), SHAPE)
    with pytest.raises(DataError, match="numbers of Heat are those of the mean that is subtracted"):
        contributions(row, 2 * row, SHAPE, row, names=("Heat", "Ran"))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_refused(odd: float) -> None:
    first, second = rows(2)
    mean = first.copy()
    first[[3, 5]] = odd
    with pytest.raises(DataError, match=f"2 of the {WIDTH} numbers of the first row are not finite"):
        contributions(first, second, SHAPE)
    with pytest.raises(DataError, match="numbers of the mean are not finite"):
        contributions(second, mean, SHAPE, first)


def test_another_width_is_refused() -> None:
    first, second = rows(2)
    with pytest.raises(DataError, match=rf"expected {WIDTH} numbers \(7 × 7 × 16\) of the second row, .*\(100,\)"):
        contributions(first, second[:100], SHAPE)
    with pytest.raises(DataError, match="of the mean"):
        contributions(first, second, SHAPE, first[:100])
    with pytest.raises(DataError, match="received the shape"):
        contributions(first[None], second, SHAPE)


# Embedded rows


@pytest.mark.parametrize("shape", [(3, 2, 8), None])
def test_contributions_to_an_embedded_cosine_add_up(shape: tuple[int, int, int] | None) -> None:
    features = random_features(1, 300, 48)
    embedding = WhitenedEmbedding.fit(films_of(features), shape, np.random.default_rng(0))
    for first, second in ((0, 1), (5, 200), (7, 7)):
        units = embedding.units(features[[first, second]])
        parts = embedded_contributions(features[first], features[second], embedding)
        np.testing.assert_allclose(parts.pairs.sum(), parts.first.similarity)
        for part in parts[:2]:
            assert part.similarity == pytest.approx(float(units[0] @ units[1]), abs=1e-5)
            assert part.grid.shape == ((3, 2) if shape else (1, 1))


def test_the_order_of_two_embedded_films_does_not_matter() -> None:
    features = random_features(1, 300, 48)
    embedding = WhitenedEmbedding.fit(films_of(features), (3, 2, 8), np.random.default_rng(0))
    one, other, pairs = embedded_contributions(features[0], features[1], embedding)
    swapped = embedded_contributions(features[1], features[0], embedding)
    np.testing.assert_allclose(swapped[0].grid, other.grid)
    np.testing.assert_allclose(swapped[1].grid, one.grid)
    np.testing.assert_allclose(swapped.pairs, pairs.T)


def test_a_pool_is_split_by_the_share_of_each_cell() -> None:
    def of_cells(numbers: list[float], sizes: list[list[list[float]]], pool: str) -> list[float]:
        split: list[float] = _split(np.array(numbers), np.array(sizes), pool).sum(axis=1).tolist()
        return split

    assert of_cells([12, 5], [[[1], [2], [3]]], "columns") == pytest.approx([3, 5, 9])
    sizes: list[list[list[float]]] = [[[1, 0]], [[3, 0]]]
    assert of_cells([8, 2], sizes, "columns") == pytest.approx([3, 7])
    assert of_cells([8, 2], sizes, "whole") == pytest.approx([3, 7])
    assert of_cells([8, 2, 4, 0], sizes, "rows") == pytest.approx([10, 4])


def test_regions_that_move_are_linked() -> None:
    """What lies at the left of one poster and at the right of the other is found as one pair of cells."""
    features = random_features(1, 300, 48)
    embedding = WhitenedEmbedding.fit(films_of(features), (3, 2, 8), np.random.default_rng(0))
    cells = np.zeros((2, 3, 2, 8), np.float32)
    cells[0, 1, 0], cells[1, 1, 1] = features[0].reshape(3, 2, 8)[1, 0], features[0].reshape(3, 2, 8)[1, 0]
    pairs = embedded_contributions(*cells.reshape(2, -1), embedding).pairs
    assert np.unravel_index(np.abs(pairs).argmax(), pairs.shape) == (2, 3)
