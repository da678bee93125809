"""A server answers all requests while other processes change its workspace in every way."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("fastapi")

import requests

from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.pipeline.recommenders import fit
from keyart.workspace.layout import Workspace
from tests.faults.small_workspace import make_workspace, write_films, write_posters
from tests.keyart.web.conftest import serving

pytestmark = pytest.mark.faults

N_WRITES = 150
# Runs in another process, as commands do.
WRITES = """
import sys
from pathlib import Path
from random import Random
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.pipeline.features import extract_missing
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.pipeline.recommenders import fit
from keyart.workspace.layout import Workspace

folder, rng = Path(sys.argv[1]), Random(0)
home = folder / "workspace"
writes = [
    *(lambda name=name: load(home, folder / name) for name in ("films", "other-films")),
    *(lambda name=name: import_posters(home, folder / name, "movie") for name in ("posters", "other-posters")),
    lambda: extract_missing(home),
    lambda: build(home),
    lambda: fit(home, "ease"),
    lambda: make_atlas(Workspace.open(home), AtlasOptions(rebuild=True)),
]
for _ in range(int(sys.argv[2])):
    rng.choice(writes)()
"""
PATHS = (
    *("api/films/7/similar", "api/films/7", "api/films?q=film", "api/similar.csv?like=7", "api/genres", "api/encoders"),
    *("api/users/1", "api/users/1/recommendations", "api/users/random", "api/films/to-rate", "api/models"),
    *("api/atlas", "api/films/7/sheet.jpg", "api/films/7/why/8.jpg", "posters/7", "readyz"),
)


def test_no_request_fails_while_its_workspace_changes(tmp_path: Path) -> None:
    home = make_workspace(tmp_path)
    fit(home, "ease")
    make_atlas(Workspace.open(home), AtlasOptions())
    write_films(tmp_path / "other-films", seed=1, n_films=11)
    write_posters(tmp_path / "other-posters", seed=1, n_films=6)
    poster = (tmp_path / "posters" / "4.jpg").read_bytes()
    statuses: Counter[tuple[str, int, str]] = Counter()
    is_over = threading.Event()

    def send(seed: int, url: str) -> None:
        rng = Random(seed)
        with requests.Session() as client:
            while not is_over.wait(0.02):
                path = rng.choice((*PATHS, ""))
                answer = client.get(f"{url}/{path}") if path else client.post(f"{url}/api/cold-start", data=poster)
                statuses[path, answer.status_code, answer.text[:200] if answer.status_code >= 500 else ""] += 1

    with serving(home) as url:
        threads = [threading.Thread(target=send, args=(seed, url)) for seed in range(2)]
        for thread in threads:
            thread.start()
        done = subprocess.run([sys.executable, "-c", WRITES, str(tmp_path), str(N_WRITES)], capture_output=True)
        is_over.set()
        for thread in threads:
            thread.join()
    assert done.returncode == 0, done.stderr
    assert [key for key in statuses if key[1] >= 500] == []
    assert sum(statuses.values()) > N_WRITES
