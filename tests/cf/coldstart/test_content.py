from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cf.coldstart.content import Encoding, FilmContent, Standardization


def films(genres: Sequence[Sequence[str]], years: Sequence[int | None]) -> FilmContent:
    return FilmContent(genres, years, np.zeros((len(years), 0), np.float32))


def test_encoding_reflects_genre_and_year_proximity() -> None:
    encoding = Encoding.fit(films([["Comedy"], ["Drama", "War"]], [1950, 2000]))
    rows = encoding(films([["Comedy"], ["Comedy"], ["War"], [], ["Comedy"]], [1960, 1962, 1990, None, None]))["facts"]
    products = rows @ rows.T
    assert products[0, 0] == pytest.approx(3)
    assert products[0, 1] > products[0, 4] > products[0, 2]
    assert np.isnan(rows[3]).all()


def test_year_out_of_range_encodes_as_the_nearest_known_year() -> None:
    encoding = Encoding.fit(films([["Comedy"]] * 2, [1950, 2000]))
    one, other = encoding(films([["Comedy"]] * 2, [2000, 2030]))["years"]
    np.testing.assert_array_equal(one, other)


def test_unknown_genre_is_ignored() -> None:
    rows = Encoding.fit(films([["Comedy"]], [1950]))(films([["Western"], ["Western", "Comedy"]], [None, None]))
    assert np.isnan(rows["genres"][0]).all()
    np.testing.assert_array_equal(rows["genres"][1], [1])


def test_selects_rows_by_index_or_mask() -> None:
    terms = [["cast: jo"], [], ["cast: mia"]]
    content = FilmContent([["A"], ["B"], []], [1, None, 3], np.eye(3, dtype=np.float32), terms=terms)
    taken = content.rows([2, 0])
    assert (list(taken.genres), list(taken.years)) == ([[], ["A"]], [3, 1])
    assert list(taken.terms) == [["cast: mia"], ["cast: jo"]]
    np.testing.assert_array_equal(taken.posters, np.eye(3)[[2, 0]])
    assert len(content.rows(np.array([True, False, True]))) == 2


def test_rejects_content_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="2 genres, 1 years"):
        FilmContent([["A"], ["B"]], [1], np.zeros((2, 1), np.float32))
    with pytest.raises(ValueError, match="terms of 2 films or of none, received 1"):
        FilmContent([["A"], ["B"]], [1, 2], np.zeros((2, 1), np.float32), terms=[["cast: jo"]])


@pytest.mark.parametrize("by_column", [False, True])
def test_standardized_rows_have_mean_0_and_mean_length_1(by_column: bool) -> None:
    rows = np.random.default_rng(1).normal(3, [1, 5, 0], (50, 3)).astype(np.float32)
    rows[7, 1] = np.nan
    standardized = Standardization.fit(rows, by_column=by_column)(rows)
    assert not standardized[7].any()
    known = np.delete(standardized, 7, axis=0)
    np.testing.assert_allclose(known.mean(axis=0), 0, atol=1e-6)
    assert np.square(known).sum(axis=1).mean() == pytest.approx(1, rel=1e-5)
    assert (known[:, 0].std() == pytest.approx(known[:, 1].std(), rel=1e-5)) == by_column
