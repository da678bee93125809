"""Maximal marginal relevance."""

import numpy as np

from keyart.similarity.diversity import diversify

# The first two are nearly the same; the third is unlike both; nothing is known of the fourth.
RELEVANCES = np.array([0.9, 0.88, 0.6, 0.1])
SIMILARITIES = np.array([[1, 0.95, 0.2, np.nan], [0.95, 1, 0.1, np.nan], [0.2, 0.1, 1, np.nan], [np.nan] * 4])


def test_no_variety_keeps_the_order() -> None:
    assert diversify(RELEVANCES, SIMILARITIES, 4, 0.0)[0] == [0, 1, 2, 3]


def test_a_near_copy_gives_way() -> None:
    chosen, to_earlier = diversify(RELEVANCES, SIMILARITIES, 3, 0.5)
    # 0.5 · 0.6 - 0.5 · 0.2 = 0.2 is more than 0.5 · 0.88 - 0.5 · 0.95 < 0.
    assert chosen[:2] == [0, 2]
    assert np.isnan(to_earlier[0])
    assert to_earlier[1] == 0.2


def test_each_choice_is_the_one_of_greatest_marginal_relevance() -> None:
    rng = np.random.default_rng(0)
    units = rng.normal(size=(40, 5))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    relevances, similarities = np.sort(rng.random(40))[::-1], units @ units.T
    chosen, to_earlier = diversify(relevances, similarities, 12, 0.4)
    assert len(set(chosen)) == 12
    for n in range(1, 12):
        marginal = {
            one: 0.6 * relevances[one] - 0.4 * max(0, *(similarities[one, earlier] for earlier in chosen[:n]))
            for one in range(40)
            if one not in chosen[:n]
        }
        assert chosen[n] == max(marginal, key=lambda one: marginal[one])
        assert to_earlier[n] == max(similarities[chosen[n], chosen[:n]])


def test_being_unlike_the_films_above_earns_nothing() -> None:
    # The last is the opposite of the first: its cosine of -0.9 would carry it past the second.
    similarities = np.array([[1, 0.0, -0.9], [0.0, 1, 0.0], [-0.9, 0.0, 1]])
    chosen, to_earlier = diversify(np.array([0.9, 0.6, 0.3]), similarities, 3, 0.5)
    assert chosen == [0, 1, 2]
    assert to_earlier[2] == 0.0


def test_variety_alone_begins_with_the_most_relevant() -> None:
    assert diversify(RELEVANCES, SIMILARITIES, 2, 1.0)[0] == [0, 2]


def test_nothing_to_choose_from_and_nothing_known() -> None:
    assert diversify(np.empty(0), np.empty((0, 0)), 5, 0.3)[0] == []
    assert diversify(RELEVANCES, np.full((4, 4), np.nan), 9, 0.9)[0] == [0, 1, 2, 3]
