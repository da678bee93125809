"""Saves that are killed at each change on the disk, and at random moments; `test_files` starts it.

Each save is a child that ends by ``kill -9``. Children are forked, so FAISS and BLAS get one thread each, by the
environment: threads would not survive the fork.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from catalog.io.locks import exclusive
from index import manifest
from index.cosine import CosineIndex
from tests.contracts import films_of, random_features
from tests.features.killed import in_child, kill_at
from tests.index.kinds import KINDS, Kind

ALL = films_of(random_features(41, 160, 48))
OLD = ALL.take(np.arange(0, 160, 2))
NEW = ALL.take(np.arange(1, 160, 2))

Answers = list[tuple[list[int], bytes]]


def answers(folder: Path) -> Answers:
    """Return all that an index returns, to the bit."""
    found = CosineIndex.open(folder, ALL).search(ALL.arrays[0][::7], 10)
    return [(one.ids.tolist(), one.scores.tobytes()) for one in found]


def build(kind: Kind, folder: Path) -> None:
    with exclusive(folder):
        kind.build(ALL).save(folder)


def change(folder: Path) -> None:
    with exclusive(folder):
        index = CosineIndex.open(folder, ALL)
        index.add(NEW)
        index.remove(OLD.movie_ids[:20])
        index.save(folder)


def killed_after(work: Callable[[], None], delay_s: float) -> int:
    """Do something in a process of its own, which is killed so much later; tell its exit code."""
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    select.select([os.pidfd_open(child)], [], [], delay_s)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def hold_to_one_generation(folder: Path, work: Callable[[Path], None], old: Answers, new: Answers) -> str:
    """Find a folder as it was or as it should be, never a mixture; do the work again and find nothing left over."""
    received = answers(folder)
    assert received in (old, new), folder
    assert in_child(partial(work, folder)) == 0
    assert answers(folder) == new, folder
    named = {facts["name"] for facts in manifest.read(folder)["files"].values()}
    # What a killed process leaves of its lock is no concern of an index.
    left = {path.name for path in folder.iterdir() if not path.name.startswith("writer.pid")}
    assert left == named | {"index.json"}, folder
    return "old" if received == old else "new"


def killed(root: Path, step: int, name: str, work: Callable[[Path], None]) -> None:
    before, whole = root / "before", root / name / "whole"
    old = answers(before)
    shutil.copytree(before, whole)
    began = time.monotonic()
    assert in_child(partial(work, whole)) == 0
    took_s = time.monotonic() - began
    new = answers(whole)
    assert old != new
    outcomes = []
    for n_changes in count(step=step):
        folder = Path(shutil.copytree(before, root / name / str(n_changes)))

        def at_change(n_changes: int = n_changes, folder: Path = folder) -> None:
            kill_at(n_changes)
            work(folder)

        if in_child(at_change) == 0:
            break
        outcomes.append(hold_to_one_generation(folder, work, old, new))
    print(name, "changes", outcomes.count("old"), outcomes.count("new"))
    rng = np.random.default_rng(0)
    outcomes = []
    n_moments = 24 // step
    for n in range(n_moments):
        folder = Path(shutil.copytree(before, root / name / f"random-{n}"))
        if killed_after(partial(work, folder), rng.uniform(0, 1.2 * took_s)) == -signal.SIGKILL:
            outcomes.append(hold_to_one_generation(folder, work, old, new))
    print(name, "moments", len(outcomes), n_moments)


def main() -> None:
    root, kind, step = Path(sys.argv[1]), KINDS[sys.argv[2]], int(sys.argv[3])
    kind.build(OLD).save(root / "before")
    killed(root, step, "build", partial(build, kind))
    killed(root, step, "change", change)


if __name__ == "__main__":
    main()
