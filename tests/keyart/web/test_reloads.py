"""A running server takes up what other processes change in its workspace."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import requests

from features.options import ExtractOptions
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.cold_start.new_film import NewFilm
from keyart.pipeline.additions import add
from keyart.pipeline.features import extract
from keyart.pipeline.posters import import_posters
from keyart.workspace.layout import Workspace
from tests.keyart.web.conftest import eventually, serving
from tests.posters.pictures import draw_poster
from tests.test_layers import ROOT

# Other processes load and build.
pytestmark = pytest.mark.heavy


def keyart(home: Path, *words: str | Path) -> None:
    """Run a command in a process of its own."""
    command = [sys.executable, "-c", "from keyart.cli import main; main()", *map(str, words), "--home", str(home)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    outcome = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr


@contextmanager
def under_load(url: str, paths: list[str]) -> Iterator[list[int]]:
    """Send requests from two threads; on leaving, the statuses of all answers are in the list."""
    statuses: list[int] = []
    is_over = threading.Event()

    def send() -> None:
        with requests.Session() as client:
            # Paced, so that the commands get the processor too.
            while not is_over.wait(0.2):
                statuses.extend(client.get(f"{url}/{path}", timeout=60).status_code for path in paths)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        is_over.set()
        for thread in threads:
            thread.join(60)


def reloads(url: str) -> dict[str, float]:
    """Read how often each part was reopened, or could not be."""
    lines = requests.get(f"{url}/metrics", timeout=60).text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("keyart_reloads_total{"))
    return {name.partition("{")[2]: float(value) for name, value in pairs}


def getter(url: str) -> Callable[[str], Any]:
    """Return a client that keeps answers, as browsers do: a tag that outlives what it names would mislead it."""
    kept: dict[str, requests.Response] = {}

    def get(path: str) -> Any:
        headers = {"If-None-Match": kept[path].headers["etag"]} if path in kept else {}
        answer = requests.get(f"{url}/{path}", headers=headers, timeout=60)
        if answer.status_code == 304:
            return kept[path].json()
        if "etag" in answer.headers:
            kept[path] = answer
        return answer.json()

    return get


def wait_until_ready(url: str) -> None:
    eventually(lambda: requests.get(f"{url}/readyz", timeout=60).status_code, lambda status: status == 200)


def test_films_posters_and_index_changed_by_another_process_are_reloaded(
    home: Path, backbone_path: Path, tmp_path: Path
) -> None:
    """A film is added, and the poster of another one is imported, extracted and built.

    What needs TensorFlow is done in this process, which has it already: to the server, a change of files is the same.
    """
    added, folder = tmp_path / "added.jpg", tmp_path / "posters"
    added.write_bytes(draw_poster(77))
    folder.mkdir()
    (folder / "4.jpg").write_bytes(draw_poster(44))
    with serving(home) as url:
        wait_until_ready(url)
        get = getter(url)
        assert get("api/films?query=brand") == []
        assert not get("api/films/4")["has_poster"]
        paths = ["api/films/1/similar?k=5", "api/films?query=twi", "posters/1?width=160", "api/films/1/why/2.jpg"]
        with under_load(url, paths) as statuses:
            add(home, [NewFilm(added, "Brand New", 2020, ["Drama"])])
            (film,) = eventually(lambda: get("api/films?query=brand"), bool)
            similar = f"api/films/{film['movie_id']}/similar?alpha=1"
            eventually(lambda: get(similar), lambda answer: bool(answer.get("results")))
            keyart(home, "import", folder, "--by", "movie")
            eventually(lambda: get("api/films/4"), lambda facts: bool(facts["has_poster"]))
            assert requests.get(f"{url}/posters/4", timeout=60).status_code == 200
            extract(home, ExtractOptions(str(backbone_path)))
            keyart(home, "build")
            page = eventually(
                lambda: get("api/films/1/similar?alpha=1"),
                lambda answer: 4 in [hit["movie_id"] for hit in answer["results"]],
            )
        assert film["movie_id"] in [hit["movie_id"] for hit in page["results"]]
        found = requests.post(f"{url}/api/similar", draw_poster(44), timeout=60).json()
        assert found["results"][0]["movie_id"] == 4
        assert set(statuses) == {200}
        assert 'part="engine",result="opened"}' in reloads(url)
        assert 'part="engine",result="failed"}' not in reloads(url)


def test_models_fitted_by_another_process_are_reloaded(tastes_home: Path) -> None:
    with serving(tastes_home) as url:
        wait_until_ready(url)
        get = getter(url)
        path = "api/users/2/recommendations?k=3"
        assert get(path)["model"] == "item-cosine"
        with under_load(url, [path, "api/films/22/similar?k=5"]) as statuses:
            keyart(tastes_home, "fit", "ease")
            first = eventually(lambda: get(path), lambda answer: answer["model"] == "ease")
            keyart(tastes_home, "fit", "ease", "--set", "ease.regularization=5")
            eventually(lambda: get(path), lambda answer: answer["results"] != first["results"])
        assert set(statuses) == {200}


def test_an_atlas_made_by_another_process_is_reloaded(tastes_home: Path) -> None:
    # In this process, which has scikit-learn already: to the server, a change of files is the same.
    with serving(tastes_home) as url:
        get = getter(url)
        assert get("api/atlas")["status"] == 409
        make_atlas(Workspace.open(tastes_home), AtlasOptions(n_clusters=2))
        assert len(get("api/atlas")["clusters"]) == 2
        with under_load(url, ["api/atlas"]) as statuses:
            make_atlas(Workspace.open(tastes_home), AtlasOptions(n_clusters=3))
            eventually(lambda: get("api/atlas"), lambda answer: len(answer["clusters"]) == 3)
        assert set(statuses) == {200}


def test_a_damaged_part_leaves_the_old_one_in_use(home: Path) -> None:
    with serving(home) as url:
        wait_until_ready(url)
        get = getter(url)
        before = get("api/films/1/similar?alpha=1")
        record = home / "index" / "index.json"
        content = record.read_bytes()
        record.write_bytes(b"{}")
        failed = 'part="engine",result="failed"}'
        eventually(lambda: reloads(url), lambda counts: failed in counts)
        assert get("api/films/1/similar?alpha=1") == before
        record.write_bytes(content)
        eventually(lambda: reloads(url), lambda counts: 'part="engine",result="opened"}' in counts)


def test_an_unchanged_encoder_is_not_loaded_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyart.workspace.encoder

    loaded: list[object] = []
    load = keyart.workspace.encoder.encoder_for

    def counted(*arguments: Any, **options: Any) -> Any:
        loaded.append(arguments)
        return load(*arguments, **options)

    monkeypatch.setattr(keyart.workspace.encoder, "encoder_for", counted)
    with serving(home) as url:
        wait_until_ready(url)
        n_loaded = len(loaded)
        (home / "index" / "index.json").touch()
        eventually(lambda: reloads(url), lambda counts: 'part="engine",result="opened"}' in counts)
        requests.post(f"{url}/api/similar", draw_poster(7), timeout=60).raise_for_status()
        assert len(loaded) == n_loaded == 1


def test_posters_are_shown_while_an_import_replaces_them(home: Path, tmp_path: Path) -> None:
    """The import is in the middle, and its changes are in the log of the database alone, at every request."""
    (tmp_path / "newer").mkdir()
    for film in (1, 2, 3):
        (tmp_path / "newer" / f"{film}.jpg").write_bytes(draw_poster(100 + film))
    before = {path.name for path in (home / "posters").glob("*.jpg")}
    statuses: list[int] = []
    # Each once, so that nothing was drawn before.
    widths = iter((160, 320, 640))
    with serving(home) as url:

        def look(_n_done: int) -> None:
            width = next(widths, None)
            for film in (1, 2, 3) if width else ():
                statuses.append(requests.get(f"{url}/posters/{film}", {"width": width}, timeout=60).status_code)

        import_posters(home, tmp_path / "newer", "movie", progress=lambda *_: nullcontext(look))
    assert before - {path.name for path in (home / "posters").glob("*.jpg")}, "nothing was replaced"
    assert len(statuses) >= 9
    assert set(statuses) == {200}
