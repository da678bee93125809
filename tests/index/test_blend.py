"""Several indexes as one, against the mean of dense cosines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from catalog.errors import DataError, UnknownFilmError
from catalog.scored_ids import ScoredIds
from index.blend import BlendedIndex
from index.neighbors import write_neighbors
from tests.contracts import films_of, ids_of, random_features
from tests.index.kinds import KINDS, dense_cosines

N_FILMS, K = 150, 10
ONE, OTHER = random_features(21, N_FILMS, 48), random_features(22, N_FILMS, 32)
IDS = ids_of(ONE)
# The second encoder lacks some films.
SHARED = np.arange(N_FILMS) % 7 != 3
PAIRS = (("exact", "exact, centered"), ("exact", "short basis"), ("whole basis", "inverted lists"))


def blended(kinds: tuple[str, str]) -> BlendedIndex:
    one, other = (KINDS[name] for name in kinds)
    parts = {"one": one.build(films_of(ONE)), "other": other.build(films_of(OTHER).take(np.flatnonzero(SHARED)))}
    return BlendedIndex(parts)


def mean_cosines(
    kinds: tuple[str, str], one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Compute the similarities of all films with queries, of shape (n_films, n_queries); -inf for films not shared."""
    first, second = (KINDS[name] for name in kinds)
    # A mean that is subtracted is that of the films of the index.
    own = np.full((N_FILMS, len(other)), -np.inf)
    own[SHARED] = dense_cosines(OTHER[SHARED], other, center=second.center).T
    return np.asarray((dense_cosines(ONE, one, center=first.center).T + own) / 2)


def check(kinds: tuple[str, str], found: list[ScoredIds], expected: npt.NDArray[np.float64]) -> None:
    recall = []
    for column, nearest in enumerate(found):
        rows = np.searchsorted(IDS, nearest.ids)
        np.testing.assert_allclose(nearest.scores, expected[rows, column], atol=2e-5)
        assert (np.diff(nearest.scores) <= 0).all()
        true = np.argsort(-expected[:, column], kind="stable")[:K]
        recall.append(len(np.intersect1d(rows, true)) / K)
    assert np.mean(recall) >= min(KINDS[name].recall for name in kinds)


@pytest.mark.parametrize("kinds", PAIRS)
def test_search_is_by_the_mean_of_cosines(kinds: tuple[str, str]) -> None:
    one, other = random_features(31, 20, 48), random_features(32, 20, 32)
    found = blended(kinds).search(np.concatenate([one, other], axis=1), K)
    check(kinds, found, mean_cosines(kinds, one, other))


@pytest.mark.parametrize("kinds", PAIRS)
def test_films_are_compared_by_the_mean_of_cosines(kinds: tuple[str, str]) -> None:
    index, rows = blended(kinds), np.flatnonzero(SHARED)[:20]
    expected = mean_cosines(kinds, ONE[rows], OTHER[rows])
    expected[rows, np.arange(len(rows))] = -np.inf
    check(kinds, index.similar(IDS[rows].tolist(), K), expected)


def test_only_films_that_all_have_are_there() -> None:
    index = blended(PAIRS[0])
    assert index.movie_ids.tolist() == IDS[SHARED].tolist()
    assert len(index) == SHARED.sum()
    assert [int(movie_id) in index for movie_id in IDS] == SHARED.tolist()
    with pytest.raises(UnknownFilmError):
        index.similar([int(IDS[~SHARED][0])], 3)


def test_mixes_are_combined_by_each_encoder_alone() -> None:
    index, like, unlike = blended(PAIRS[0]), IDS[SHARED][[0, 1]].tolist(), IDS[SHARED][[2]].tolist()
    scan = index.comparison().scan_mix(like, unlike, 0.5)
    parts = [one.comparison().scan_mix(like, unlike, 0.5) for one in index.parts.values()]
    means = np.mean([one.similarities[np.isin(one.movie_ids, scan.movie_ids)] for one in parts], axis=0)
    np.testing.assert_allclose(scan.similarities, means, atol=1e-6)
    assert not set(scan.movie_ids.tolist()) & {*like, *unlike}


def test_cosines_take_films_and_features() -> None:
    comparison, film = blended(PAIRS[0]).comparison(), int(IDS[SHARED][5])
    row = np.flatnonzero(film == IDS)[0]
    features = np.concatenate([ONE[row], OTHER[row]])
    cosines = comparison.cosines([film, int(IDS[~SHARED][0])], [film, features])
    np.testing.assert_allclose(cosines, [[1, 1], [np.nan, np.nan]], atol=1e-5)
    with pytest.raises(DataError, match="expected features of 80 columns, received 48"):
        comparison.scan_features(ONE[row])


def test_neighbors_are_written_and_resumed(tmp_path: Path) -> None:
    index = blended(PAIRS[0])
    assert write_neighbors(index, 3, tmp_path / "n.parquet") == 3 * len(index)
    table = pq.read_table(tmp_path / "n.parquet").to_pydict()
    (nearest,) = index.similar([table["movie_id"][0]], 3)
    assert table["neighbor_id"][:3] == nearest.ids.tolist()
    (merged,) = index.similar([table["movie_id"][0]], 3, duplicate_similarity=0.5)
    groups = index.artwork_groups(merged.ids, 0.5)
    assert groups.tolist() == [0, 1, 2]
