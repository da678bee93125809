"""Groups of films with the same artwork, among all films."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from index import duplicates
from index.artwork import DUPLICATE_SIMILARITIES, duplicate_similarity
from index.cosine import CosineIndex
from index.source import FilmFeatures
from tests.contracts import films_of, ids_of, random_features
from tests.index.kinds import EMBEDDED, KINDS, Kind, dense_cosines
from tests.index.test_search import artworks


def groups_of(index: CosineIndex, bound: float | None = None) -> list[list[int]]:
    return [group.ids.tolist() for group in index.duplicates(bound)]


def plain_groups(cosines: npt.NDArray[np.float64], hashes: list[str], bound: float) -> list[list[int]]:
    """Group rows around those with the most partners; rows of one file are one."""
    copies: dict[str, list[int]] = {}
    for row, sha256 in enumerate(hashes):
        copies.setdefault(sha256 or str(row), []).append(row)
    firsts = sorted(rows[0] for rows in copies.values())
    by_first = {rows[0]: rows for rows in copies.values()}
    partners = {row: [one for one in firsts if one != row and cosines[row, one] >= bound] for row in firsts}
    free, groups = set(firsts), []
    for center in sorted(firsts, key=lambda row: -len(partners[row])):
        if center in free:
            group = [center, *sorted(free & set(partners[center]), key=lambda row: -round(cosines[center, row], 6))]
            free -= set(group)
            groups.append([row for first in group for row in by_first[first]])
    return [group for group in groups if len(group) > 1]


@pytest.mark.parametrize("name", ["exact", "exact, centered", "whole basis"])
@pytest.mark.parametrize("bound", [0.97, 0.985, 0.9999])
@pytest.mark.parametrize("block_rows", [7, 256])
def test_matches_plain_computation(name: str, bound: float, block_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    index, films, cosines = artworks(name)
    monkeypatch.setattr(duplicates, "_BLOCK_ROWS", block_rows)
    expected = plain_groups(cosines, list(films.poster_sha256s), bound)
    found = groups_of(index, bound)
    assert [(group[0], set(group)) for group in found] == [
        (films.movie_ids[group[0]], set(films.movie_ids[group].tolist())) for group in expected
    ]


@pytest.mark.parametrize("name", KINDS)
def test_scores_are_cosines_with_the_first_film(name: str) -> None:
    index, films, cosines = artworks(name)
    for group in index.duplicates(0.985):
        rows = np.searchsorted(films.movie_ids, group.ids)
        assert len(group) > 1
        hashes = [films.poster_sha256s[row] for row in rows]
        expected = [cosines[rows[0], row] for row in rows]
        np.testing.assert_allclose(group.scores, expected, atol=2e-6)
        assert all(score >= 0.985 or one in hashes[:1] for score, one in zip(group.scores, hashes, strict=True))


def test_chain_of_small_steps_is_not_one_group() -> None:
    angles = np.deg2rad(np.arange(5) * 10)
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    index = Kind().build(films_of(features))
    # Neighbors have a cosine of 0.985, the next but one 0.94.
    assert [sorted(group) for group in groups_of(index, 0.97)] == [[10, 13, 16], [19, 22]]


def test_group_of_more_films_than_are_listed_is_whole() -> None:
    rng = np.random.default_rng(3)
    copies = random_features(3, 1) * rng.uniform(0.98, 1.02, (150, random_features(3, 1).shape[1]))
    features = np.concatenate([copies, random_features(4, 60)]).astype(np.float32)
    films = films_of(features)
    cosines = dense_cosines(features, features)
    assert cosines[:150, :150].min() > 0.99 > np.sort(cosines[150:].ravel())[-61]
    for name in ("exact", "whole basis"):
        (group,) = groups_of(KINDS[name].build(films), 0.99)
        assert sorted(group) == films.movie_ids[:150].tolist()


def test_films_with_the_same_file_are_one_group_whatever_their_features() -> None:
    features = random_features(5, 120)
    hashes = [f"{7:064x}" if row % 2 else "" for row in range(120)]
    (group,) = Kind().build(FilmFeatures.of(ids_of(features), features, hashes)).duplicates()
    assert group.ids.tolist() == ids_of(features)[1::2].tolist()


def test_removed_films_are_in_no_group() -> None:
    features = np.repeat(random_features(6, 20), 2, axis=0)
    index = Kind().build(films_of(features))
    assert len(groups_of(index)) == 20
    index.remove([10, 16])
    assert len(groups_of(index)) == 18


def test_catalog_without_duplicates_has_no_groups() -> None:
    for kind in (Kind(), *EMBEDDED.values()):
        assert groups_of(kind.build(films_of(random_features(8, 300, 48))), 0.9999) == []


def test_progress_counts_all_films() -> None:
    features = random_features(9, 50)
    hashes = [f"{1 + row // 2:064x}" for row in range(50)]
    done: list[int] = []
    index = Kind().build(FilmFeatures.of(ids_of(features), features, hashes))
    index.duplicates(advance=lambda n_films, doing="": done.append(n_films))
    assert sum(done) == 50


@pytest.mark.parametrize("kind", [Kind(), EMBEDDED["exact"]])
def test_default_bound_is_that_of_the_index(kind: Kind) -> None:
    index = kind.build(artworks("exact")[1])
    movie_ids, bound = index.movie_ids, index.duplicate_similarity
    assert groups_of(index) == groups_of(index, bound)
    np.testing.assert_array_equal(index.artwork_groups(movie_ids), index.artwork_groups(movie_ids, bound))


def test_bound_depends_on_what_is_compared() -> None:
    normal = np.random.default_rng(0).normal(size=(200, 512)).astype(np.float32)
    units = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    assert duplicate_similarity("cosine", units) == DUPLICATE_SIMILARITIES["cosine"]
    assert duplicate_similarity("whitened", units) == DUPLICATE_SIMILARITIES["whitened"]
    assert duplicate_similarity("whitened", units[:1]) == DUPLICATE_SIMILARITIES["whitened"]


def test_bound_is_higher_where_different_films_come_near_each_other_by_chance() -> None:
    bounds = []
    for n_dimensions in (90, 60, 10):
        normal = np.random.default_rng(0).normal(size=(200, n_dimensions)).astype(np.float32)
        units = normal / np.linalg.norm(normal, axis=1, keepdims=True)
        bounds.append(duplicate_similarity("whitened", units))
    assert DUPLICATE_SIMILARITIES["whitened"] < bounds[0] < bounds[1] < bounds[2]
    assert bounds[2] == DUPLICATE_SIMILARITIES["cosine"]


def test_bound_is_that_of_the_films_in_the_index() -> None:
    films = films_of(random_features(10, 700, 48))
    index, exact = EMBEDDED["shortlist"].build(films), EMBEDDED["exact"].build(films)
    assert index.duplicate_similarity == exact.duplicate_similarity
    assert index.duplicate_similarity > DUPLICATE_SIMILARITIES["whitened"]
