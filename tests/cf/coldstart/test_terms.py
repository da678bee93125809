"""Terms of films as rows of numbers."""

import numpy as np
import pytest

from cf.coldstart import terms
from cf.coldstart.terms import TermEncoding

FILMS = [["director: ana", "cast: jo"], ["cast: jo"], ["cast: mia", "cast: jo"], []]


def test_films_agree_by_what_they_share_and_rare_terms_count_more() -> None:
    rows = TermEncoding.fit(FILMS)([["director: ana"], *FILMS[:2]])
    products = rows @ rows.T
    assert products[0, 1] > products[1, 2] > products[0, 2] == 0


def test_one_term_of_two_films_does_not_make_them_the_same() -> None:
    rows = TermEncoding.fit(FILMS)([["cast: jo"], ["cast: jo"]])
    assert 0 < rows[0] @ rows[1] < 0.5


def test_unknown_terms_count_for_nothing_and_no_term_is_nan() -> None:
    encoding = TermEncoding.fit(FILMS)
    np.testing.assert_array_equal(encoding([["cast: jo", "cast: nobody"]]), encoding([["cast: jo"]]))
    assert np.isnan(encoding([[], ["cast: nobody"]])).all()
    assert TermEncoding.fit([[], []])([["cast: jo"]]).shape == (1, 0)


def test_of_too_many_terms_those_of_most_films_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms, "N_TERMS", 2)
    assert TermEncoding.fit(FILMS).terms == ("cast: jo", "cast: mia")
