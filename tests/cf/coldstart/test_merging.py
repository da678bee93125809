from __future__ import annotations

import numpy as np

from cf.coldstart.merging import place

KNOWN = np.array([0.1, 0.9, 0.5, 0.3])


def test_a_new_film_comes_where_its_content_puts_it_among_known_ones() -> None:
    placed = place(KNOWN, np.array([1.0, 2.0, 3.0, 4.0]), np.array([5.0, 3.5, 2.5, 0.0]))
    np.testing.assert_allclose(placed, [0.9, 0.5, 0.3, 0.1])


def test_where_content_tells_nothing_a_new_film_stands_in_the_middle() -> None:
    np.testing.assert_allclose(place(KNOWN, np.zeros(4), np.zeros(1)), [0.3])


def test_scales_do_not_matter() -> None:
    content, new = np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.5, 0.5])
    np.testing.assert_array_equal(place(KNOWN, content, new), place(KNOWN, content * 7 - 3, new * 7 - 3))


def test_a_sample_will_do() -> None:
    rng = np.random.default_rng(0)
    known, content = rng.random(10_000), rng.random(10_000)
    whole, part = place(known, content, np.array([0.2, 0.9])), place(known, content[::10], np.array([0.2, 0.9]))
    np.testing.assert_allclose(whole, part, atol=0.05)


def test_the_more_new_films_are_liked_the_higher_they_stand() -> None:
    placed = place(KNOWN, np.arange(4.0), np.linspace(-1, 5, 30))
    assert (np.diff(placed) >= 0).all()


def test_where_there_is_nothing_to_compare_to_nothing_is_told() -> None:
    assert np.isnan(place(np.zeros(0), np.zeros(0), np.ones(2))).all()
