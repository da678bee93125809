"""Measure the time of recommendations: the first, which opens the model, and later ones.

Run it as ``python benchmarks/recommend.py --home WORKSPACE --models ease item-cosine``. Users are drawn at random, and
so are ten films with stars for new users. All requests run in one thread of this process, without HTTP.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

if TYPE_CHECKING:
    from keyart.workspace.layout import Workspace

_K = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["ease"])
    parser.add_argument("--answers", type=int, default=300)
    chosen = parser.parse_args()
    from keyart.workspace.layout import Workspace

    print(
        "| model | first answer (s) | a user, p50 (ms) | p99 | ten ratings, p50 (ms) | p99 |\n|---|---|---|---|---|---|"
    )
    for name in chosen.models:
        print(_row(Workspace.open(chosen.home), name, chosen.answers))


def _row(workspace: Workspace, name: str, n: int) -> str:
    from keyart.recommend.history import history_of
    from keyart.recommend.recommendations import UserRecommender
    from keyart.workspace.contents import open_ratings

    rng = np.random.default_rng(0)
    ratings = open_ratings(workspace).matrix()
    users = rng.choice(ratings.user_ids, n).tolist()
    started = time.perf_counter()
    opened = UserRecommender.open(workspace, name)
    opened.for_user(users[0], _K)
    first_s = time.perf_counter() - started
    histories = [
        history_of(rng.choice(ratings.movie_ids, 10, replace=False), rng.integers(1, 11, 10) / 2) for _ in users
    ]
    of_user = _times_ms(lambda number: opened.for_user(users[number], _K), n)
    of_ratings = _times_ms(lambda number: opened.for_ratings(histories[number], _K), n)
    times = " | ".join(f"{value:.1f}" for one in (of_user, of_ratings) for value in np.percentile(one, [50, 99]))
    return f"| {name} | {first_s:.2f} | {times} |"


def _times_ms(request: Callable[[int], object], n: int) -> list[float]:
    times = []
    for number in range(n):
        started = time.perf_counter()
        request(number)
        times.append(1000 * (time.perf_counter() - started))
    return times


if __name__ == "__main__":
    main()
