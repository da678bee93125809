"""Merging unrated films into a ranked list."""

import numpy as np

from catalog.scored_ids import ScoredIds
from keyart.recommend.new_films import Entry, merge

KNOWN = ScoredIds(np.arange(1, 9, dtype=np.int32), np.linspace(0.8, 0.1, 8).astype(np.float32))


def new(*scores: float) -> list[Entry]:
    return [Entry(100 + number, score, new=True) for number, score in enumerate(scores)]


def movie_ids(entries: list[Entry]) -> list[int]:
    return [entry.movie_id for entry in entries]


def test_new_film_is_ranked_by_its_score() -> None:
    assert movie_ids(merge(KNOWN, new(0.75, 0.05), 5, 0.0)) == [1, 100, 2, 3, 4]


def test_known_film_precedes_a_new_one_of_equal_score() -> None:
    assert movie_ids(merge(KNOWN, new(float(KNOWN.scores[1])), 3, 0.0)) == [1, 2, 100]


def test_a_share_of_new_films_is_spread_through_the_list() -> None:
    assert movie_ids(merge(KNOWN, new(0.0, 0.0, 0.0), 6, 0.33)) == [1, 2, 100, 3, 4, 101]


def test_new_films_may_exceed_the_share_by_score() -> None:
    assert movie_ids(merge(KNOWN, new(0.9, 0.85), 4, 0.25)) == [100, 101, 1, 2]


def test_share_is_reached_without_moving_new_films_down() -> None:
    assert movie_ids(merge(KNOWN, new(0.9, 0.0, 0.0), 6, 0.34)) == [100, 1, 2, 101, 3, 102]
    assert sum(entry.new for entry in merge(KNOWN, new(0.0, 0.0, 0.0), 8, 0.13)) == 2


def test_all_new_films_are_listed_if_fewer_than_the_share() -> None:
    assert movie_ids(merge(KNOWN, new(0.0), 4, 1.0)) == [1, 2, 3, 100]
    assert movie_ids(merge(KNOWN, [], 4, 0.5)) == [1, 2, 3, 4]


def test_only_the_top_k_of_each_kind_are_merged() -> None:
    many = ScoredIds(np.arange(1, 5001, dtype=np.int32), np.linspace(1, 0, 5000).astype(np.float32))
    assert movie_ids(merge(many, new(*np.linspace(0.9999, 0.5, 500)), 4, 0.5)) == [1, 100, 2, 101]
