"""How films that nobody has rated come into a list, and how they are ranked."""

import numpy as np

from catalog.scored_ids import ScoredIds
from keyart.recommend.new_films import Entry, merge

KNOWN = ScoredIds(np.arange(1, 9, dtype=np.int32), np.linspace(0.8, 0.1, 8).astype(np.float32))


def new(*scores: float) -> list[Entry]:
    return [Entry(100 + place, score, new=True) for place, score in enumerate(scores)]


def movie_ids(entries: list[Entry]) -> list[int]:
    return [entry.movie_id for entry in entries]


def test_a_new_film_takes_the_place_that_it_earns() -> None:
    assert movie_ids(merge(KNOWN, new(0.75, 0.05), 5, 0.0)) == [1, 100, 2, 3, 4]


def test_of_equal_scores_the_known_film_stands_first() -> None:
    assert movie_ids(merge(KNOWN, new(float(KNOWN.scores[1])), 3, 0.0)) == [1, 2, 100]


def test_a_share_of_new_films_is_spread_through_the_list() -> None:
    assert movie_ids(merge(KNOWN, new(0.0, 0.0, 0.0), 6, 0.33)) == [1, 2, 100, 3, 4, 101]


def test_who_earns_more_than_the_share_keeps_it() -> None:
    assert movie_ids(merge(KNOWN, new(0.9, 0.85), 4, 0.25)) == [100, 101, 1, 2]


def test_a_share_is_reached_and_takes_no_earned_place_away() -> None:
    assert movie_ids(merge(KNOWN, new(0.9, 0.0, 0.0), 6, 0.34)) == [100, 1, 2, 101, 3, 102]
    assert sum(entry.new for entry in merge(KNOWN, new(0.0, 0.0, 0.0), 8, 0.13)) == 2


def test_fewer_new_films_than_asked_for_are_all_there_are() -> None:
    assert movie_ids(merge(KNOWN, new(0.0), 4, 1.0)) == [1, 2, 3, 100]
    assert movie_ids(merge(KNOWN, [], 4, 0.5)) == [1, 2, 3, 4]


def test_only_the_first_k_of_either_kind_are_looked_at() -> None:
    many = ScoredIds(np.arange(1, 5001, dtype=np.int32), np.linspace(1, 0, 5000).astype(np.float32))
    assert movie_ids(merge(many, new(*np.linspace(0.9999, 0.5, 500)), 4, 0.5)) == [1, 100, 2, 101]
