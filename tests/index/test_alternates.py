"""The best of a film's posters, against a dense computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from catalog.errors import DataError
from index.alternates import number_of
from index.cosine import CosineIndex
from index.source import FilmFeatures
from tests.index.kinds import IDENTITY, KINDS, Kind

N_FILMS, N_FEATURES = 120, 40
EXACT = {name: kind for name, kind in KINDS.items() if not kind.n_lists} | {"whitened": Kind(similarity="whitened")}
# Films with as many further posters; 999 is not in the index of films.
PLACES = {3: 2, 4: 1, 50: 4, 119: 1, 999: 2}
NUMBERS = [number_of(film, place) for film, n in PLACES.items() for place in range(n)]

Matrix = npt.NDArray[np.floating]


@pytest.fixture(scope="module")
def rows() -> tuple[Matrix, Matrix]:
    rng = np.random.default_rng(0)
    return rng.random((N_FILMS, N_FEATURES), np.float32), rng.random((len(NUMBERS), N_FEATURES), np.float32)


def built(kind: Kind, rows: tuple[Matrix, Matrix]) -> tuple[CosineIndex, CosineIndex]:
    own, further = (part.astype(kind.dtype) for part in rows)
    index = kind.build(FilmFeatures.of(np.arange(N_FILMS), own))
    return index, index.build_beside(FilmFeatures.of(NUMBERS, further))


def best(units: Matrix, further_units: Matrix, film: int) -> npt.NDArray[np.floating]:
    """Return the greatest cosine of any two posters of a film and of each other one, by movie_id."""
    films = np.concatenate([np.arange(N_FILMS), np.array(NUMBERS) // 64])
    cosines = np.concatenate([units, further_units]) @ np.concatenate([units, further_units]).T
    return np.array([cosines[films == film][:, films == other].max() for other in range(N_FILMS)])


def units_of(index: CosineIndex, rows: Matrix) -> Matrix:
    return index._generation.units(rows)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("film", [3, 50, 7])
def test_a_film_is_as_similar_as_its_best_poster(name: str, film: int, rows: tuple[Matrix, Matrix]) -> None:
    index, further = built(EXACT[name], rows)
    expected = best(units_of(index, rows[0]), units_of(index, rows[1]), film)
    scan = index.comparison(further).scan(film)
    assert scan.movie_ids.tolist() == [other for other in range(N_FILMS) if other != film]
    scan.settle(scan.movie_ids)
    assert scan.is_exact.all()
    np.testing.assert_allclose(scan.similarities, np.delete(expected, film), atol=2e-3)


@pytest.mark.parametrize("name", EXACT)
def test_an_image_finds_a_film_by_a_further_poster(name: str, rows: tuple[Matrix, Matrix]) -> None:
    index, further = built(EXACT[name], rows)
    comparison = index.comparison(further)
    for number, row in zip(NUMBERS, rows[1], strict=True):
        if (film := number // 64) < N_FILMS:
            scan = comparison.scan_features(row)
            scan.settle([film])
            assert scan.similarities[scan.movie_ids == film] == pytest.approx(1, abs=2e-3)
    own = index.comparison().scan_features(rows[0][7])
    own.settle(own.movie_ids)
    scan = comparison.scan_features(rows[0][7])
    scan.settle(scan.movie_ids)
    assert (scan.similarities >= own.similarities - 1e-6).all()


def test_a_mix_leaves_its_films_out(rows: tuple[Matrix, Matrix]) -> None:
    index, further = built(KINDS["exact"], rows)
    scan = index.comparison(further).scan_mix([3, 50], [4], 0.5)
    assert set(range(N_FILMS)) - set(scan.movie_ids.tolist()) == {3, 4, 50}


@pytest.mark.parametrize("name", ["exact", "exact, centered", "short basis, centered, half floats", "whitened"])
def test_an_index_of_further_posters_is_opened_as_it_was(
    tmp_path: Path, name: str, rows: tuple[Matrix, Matrix]
) -> None:
    kind = KINDS.get(name, Kind(similarity="whitened"))
    index, further = built(kind, rows)
    further.save(tmp_path)
    own = FilmFeatures.of(NUMBERS, rows[1].astype(kind.dtype))
    opened = CosineIndex.open(tmp_path, own)
    assert opened.identity == index.identity | index.space()
    for film in (3, 7):
        before, after = (index.comparison(one).scan(film) for one in (further, opened))
        for scan in (before, after):
            scan.settle(scan.movie_ids)
        np.testing.assert_allclose(after.similarities, before.similarities, atol=1e-6)


def test_the_space_of_another_index_is_another_one(rows: tuple[Matrix, Matrix]) -> None:
    indexes = [built(kind, rows)[0] for kind in (KINDS["exact"], KINDS["exact, centered"], Kind(similarity="whitened"))]
    indexes.append(KINDS["exact, centered"].build(FilmFeatures.of(np.arange(N_FILMS - 1), rows[0][:-1])))
    spaces = [index.space() for index in indexes]
    assert all(one != other for at, one in enumerate(spaces) for other in spaces[:at])


def test_further_posters_of_another_width_are_refused(rows: tuple[Matrix, Matrix]) -> None:
    index = KINDS["exact"].build(FilmFeatures.of(np.arange(N_FILMS), rows[0]))
    assert index.identity["backbone"] == IDENTITY["backbone"]
    with pytest.raises(DataError, match="expected features of 40 columns, received 3"):
        index.build_beside(FilmFeatures.of([64], np.ones((1, 3), np.float32)))
