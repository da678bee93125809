"""The rehearsal of a large catalog in small: that it runs, and that what it draws is as described."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.scale import copied, feature_blocks, one_copy
from cf.ratings import Ratings
from tests.test_layers import ROOT


def test_copies_are_by_other_users_and_of_other_films() -> None:
    one = one_copy(None, 2_000)
    many = copied(one, 3, 5_000)
    assert len(many) == 3 * len(one)
    assert len(np.unique(many.user_ids)) == 3 * len(np.unique(one.user_ids))
    assert len(np.unique(many.movie_ids)) > 2 * len(np.unique(one.movie_ids))
    assert many.movie_ids.max() <= 5_000
    pairs = many.user_ids.astype(np.int64) << 32 | many.movie_ids
    assert len(np.unique(pairs)) == len(pairs)


def test_every_copy_keeps_who_agrees_with_whom() -> None:
    one = one_copy(None, 2_000)
    many = copied(one, 2, 4_000)
    for copy in np.split(np.arange(len(many)), 2):
        _, n_ratings, means = many.where(copy).film_statistics()
        _, expected, expected_means = one.film_statistics()
        assert sorted(zip(n_ratings, means, strict=True)) == sorted(zip(expected, expected_means, strict=True))


def test_of_few_films_only_some_of_the_ratings_are_taken() -> None:
    one = Ratings(*(np.array(column) for column in ([1, 1, 2, 2], [5, 9, 5, 7], [3.0, 4.0, 5.0, 1.0], [0, 0, 0, 0])))
    assert len(copied(one, 1, 2)) == 3


def test_drawn_features_are_in_clusters_of_the_same_size() -> None:
    nearest = []
    for n_films in (500, 2_000):
        rows = np.concatenate(list(feature_blocks(n_films, 96))).astype(np.float32)
        assert rows.shape == (n_films, 96)
        units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        cosines = units @ units[:50].T
        # The 20 nearest of a cluster of 50 are nearer than what is drawn beside it.
        nearest.append(np.sort(cosines, axis=0)[-21:-1].mean() - cosines.mean())
    assert min(nearest) > 0.2


@pytest.mark.release
def test_runs_all_commands(backbone_path: Path, tmp_path: Path) -> None:
    drawn = ["--films", "300", "--copies", "2", "--n-ratings", "4000"]
    words = ["--work", tmp_path, *drawn, "--encoder", backbone_path]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "scale.py", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for step in ("load", "build", "fit ease", "similar", "recommend, with new films", "add", "check", "info"):
        assert f"| {step} |" in done.stdout
    # What is drawn is removed; the figures stay.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["300.json"]
