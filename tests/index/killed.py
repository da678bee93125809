"""Kill saves at each change on disk and at random moments; run by `test_manifest`.

Each save runs in a forked child, which is killed by SIGKILL. The environment limits FAISS and BLAS to one thread,
because threads do not survive a fork.
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

Results = list[tuple[list[int], bytes]]


def search_results(folder: Path) -> Results:
    """Search an index; scores are bytes, so that comparisons are exact."""
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
    """Run work in a child process, kill it after a delay and return its exit code."""
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    select.select([os.pidfd_open(child)], [], [], delay_s)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check_one_generation(folder: Path, work: Callable[[Path], None], old: Results, new: Results) -> str:
    """Check that a folder has the old or the new index, and that a repeated run leaves no other files."""
    received = search_results(folder)
    assert received in (old, new), folder
    assert in_child(partial(work, folder)) == 0
    assert search_results(folder) == new, folder
    named = {facts["name"] for facts in manifest.read(folder)["files"].values()}
    # A killed process may leave its lock file.
    remaining = {path.name for path in folder.iterdir() if not path.name.startswith("writer.pid")}
    assert remaining == named | {"index.json"}, folder
    return "old" if received == old else "new"


def killed(root: Path, step: int, name: str, work: Callable[[Path], None]) -> None:
    before, whole = root / "before", root / name / "whole"
    old = search_results(before)
    shutil.copytree(before, whole)
    began = time.monotonic()
    assert in_child(partial(work, whole)) == 0
    took_s = time.monotonic() - began
    new = search_results(whole)
    assert old != new
    outcomes = []
    for n_changes in count(step=step):
        folder = Path(shutil.copytree(before, root / name / str(n_changes)))

        def at_change(n_changes: int = n_changes, folder: Path = folder) -> None:
            kill_at(n_changes)
            work(folder)

        if in_child(at_change) == 0:
            break
        outcomes.append(check_one_generation(folder, work, old, new))
    print(name, "changes", outcomes.count("old"), outcomes.count("new"))
    rng = np.random.default_rng(0)
    outcomes = []
    n_moments = 24 // step
    for n in range(n_moments):
        folder = Path(shutil.copytree(before, root / name / f"random-{n}"))
        if killed_after(partial(work, folder), rng.uniform(0, 1.2 * took_s)) == -signal.SIGKILL:
            outcomes.append(check_one_generation(folder, work, old, new))
    print(name, "moments", len(outcomes), n_moments)


def main() -> None:
    root, kind, step = Path(sys.argv[1]), KINDS[sys.argv[2]], int(sys.argv[3])
    kind.build(OLD).save(root / "before")
    killed(root, step, "build", partial(build, kind))
    killed(root, step, "change", change)


if __name__ == "__main__":
    main()
