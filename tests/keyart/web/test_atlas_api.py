"""The atlas over HTTP."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from PIL import Image

from catalog.io.files import write_bytes
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.atlas.record import Atlas
from keyart.pipeline.index import build
from keyart.pipeline.posters import import_posters
from keyart.web.services.atlas import AtlasService
from keyart.workspace.layout import Workspace
from tests.keyart.groups import GENRES, N_FILMS, add_posters, color_of, group, list_films, make_groups
from tests.keyart.web.conftest import eventually, serving
from tests.posters.pictures import draw_poster
from tests.records import without_small_sheets

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = make_groups(tmp_path_factory.mktemp("groups") / "workspace")
    build(workspace)
    make_atlas(workspace, AtlasOptions(n_clusters=3))
    return workspace


@pytest.fixture(scope="module")
def url(mapped: Workspace) -> Iterator[str]:
    with serving(mapped.home) as address:
        yield address


def test_the_map_is_that_of_the_record(url: str, mapped: Workspace) -> None:
    found, atlas = requests.get(f"{url}/api/atlas", timeout=60).json(), Atlas.open(mapped.atlas_dir)
    assert found["movie_ids"] == list(range(1, N_FILMS + 1))
    columns = ("x", "y", "cluster", "year", "title", "genres")
    assert {len(found[name]) for name in columns} == {N_FILMS}
    assert found["x"] == pytest.approx(atlas.positions[:, 0].tolist(), abs=1e-5)
    assert found["cluster"] == atlas.labels.tolist()
    assert (found["title"][4], found["year"][4]) == ("Film 5", 1955)
    for movie_id, genres in zip(found["movie_ids"], found["genres"], strict=True):
        assert [found["genre_names"][genre] for genre in genres] == [GENRES[group(movie_id)]]
    assert [cluster["n_films"] for cluster in found["clusters"]] == [20, 20, 20]
    assert {cluster["name"] for cluster in found["clusters"]} == {"Horror · creepy", "Comedy", "Western"}
    assert all(cluster["named"] for cluster in found["clusters"])


def test_a_cluster_whose_name_is_a_number_is_not_named(mapped: Workspace, tmp_path: Path) -> None:
    workspace = Workspace(shutil.copytree(mapped.home, tmp_path / "workspace"))
    clusters = [
        replace(cluster, name=f"cluster {n}") for n, cluster in enumerate(Atlas.open(workspace.atlas_dir).clusters, 1)
    ]
    replace(Atlas.open(workspace.atlas_dir), clusters=(*clusters[:2], replace(clusters[2], name="cluster 1"))).save(
        workspace.atlas_dir
    )
    service = AtlasService(workspace, lambda _name, _succeeded: None)
    # The third is called so by a tag of its films.
    assert [cluster["named"] for cluster in json.loads(service.map().body)["clusters"]] == [False, False, True]
    service.close()


def test_a_sheet_shows_the_films_that_it_names(url: str) -> None:
    found = requests.get(f"{url}/api/atlas", timeout=60).json()
    (sheet,) = found["sheets"]
    answer = requests.get(url + sheet["url"], timeout=60)
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]
    with Image.open(io.BytesIO(answer.content)) as opened:
        picture = opened.convert("RGB")
    width, height = found["cell_width"], found["cell_height"]
    for cell, movie_id in enumerate(sheet["movie_ids"]):
        row, column = divmod(cell, found["n_columns"])
        middle = (column * width + width // 2, row * height + height // 2)
        assert picture.getpixel(middle) == pytest.approx(color_of(movie_id), abs=12)


def test_a_small_sheet_shows_the_same_films_in_smaller_cells(url: str) -> None:
    found = requests.get(f"{url}/api/atlas", timeout=60).json()
    (sheet,) = found["sheets"]
    full, small = (requests.get(url + sheet["url"], params={"size": size}, timeout=60) for size in ("full", "small"))
    assert len(small.content) < len(full.content) / 2
    assert "immutable" in small.headers["cache-control"]
    with Image.open(io.BytesIO(small.content)) as opened:
        picture = opened.convert("RGB")
    width, height = found["cell_width"] // found["small"], found["cell_height"] // found["small"]
    for cell, movie_id in enumerate(sheet["movie_ids"]):
        row, column = divmod(cell, found["n_columns"])
        middle = (column * width + width // 2, row * height + height // 2)
        assert picture.getpixel(middle) == pytest.approx(color_of(movie_id), abs=24)
    assert requests.get(url + sheet["url"], params={"size": "huge"}, timeout=60).status_code == 422


def test_small_sheets_are_files_of_the_atlas(mapped: Workspace) -> None:
    service = AtlasService(mapped, lambda _name, _succeeded: None)
    (sheet,) = Atlas.open(mapped.atlas_dir).sheets
    assert service.small_sheet(sheet.name) == mapped.atlas_dir / sheet.small_name
    assert service.small_sheet(sheet.small_name) is None
    service.close()


def test_small_sheets_of_an_atlas_of_an_earlier_version_are_drawn(mapped: Workspace, tmp_path: Path) -> None:
    workspace = Workspace(shutil.copytree(mapped.home, tmp_path / "workspace"))
    (sheet,) = Atlas.open(workspace.atlas_dir).sheets
    small = (workspace.atlas_dir / sheet.small_name).read_bytes()
    without_small_sheets(workspace.atlas_dir)
    with serving(workspace.home) as url:
        answer = requests.get(f"{url}/atlas/sheets/{sheet.name}", params={"size": "small"}, timeout=60)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "image/webp", small)


def test_sheets_are_below_the_prefix(mapped: Workspace) -> None:
    service = AtlasService(mapped, lambda _name, _succeeded: None, "/films")
    (sheet,) = json.loads(service.map().body)["sheets"]
    service.close()
    assert sheet["url"].startswith("/films/atlas/sheets/sheet-")


def test_a_map_that_is_older_than_its_posters_says_so(url: str, mapped: Workspace, tmp_path: Path) -> None:
    assert requests.get(f"{url}/api/atlas", timeout=60).json()["notes"] == []
    workspace = Workspace(shutil.copytree(mapped.home, tmp_path / "workspace"))
    write_bytes(tmp_path / "new" / "3.jpg", draw_poster(3))
    import_posters(workspace, tmp_path / "new", "movie")
    service = AtlasService(workspace, lambda _name, _succeeded: None)
    (note,) = json.loads(service.map().body)["notes"]
    service.close()
    assert note.startswith("the map is out of date, as posters or features have changed; run `keyart atlas --home")


def test_a_cached_map_is_not_sent_again(url: str) -> None:
    etag = requests.get(f"{url}/api/atlas", timeout=60).headers["etag"]
    again = requests.get(f"{url}/api/atlas", headers={"If-None-Match": etag}, timeout=60)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag


@pytest.mark.parametrize(
    "name", ["sheet-0.webp", "atlas.json", "..%2Fcatalog.sqlite", "%2e%2e/catalog.sqlite", "a" * 81, "%00"]
)
def test_nothing_but_its_sheets_is_given(url: str, name: str) -> None:
    answer = requests.get(f"{url}/atlas/sheets/{name}", timeout=60)
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_without_an_atlas_the_error_names_the_command(mapped: Workspace, tmp_path: Path) -> None:
    home = Path(shutil.copytree(mapped.home, tmp_path / "workspace"))
    shutil.rmtree(home / "atlas")
    with serving(home) as url:
        for path in ("api/atlas", "atlas/sheets/sheet-0.webp"):
            answer = requests.get(f"{url}/{path}", timeout=60)
            assert answer.status_code == 409
            assert answer.json()["detail"] == f"no atlas here yet; run `keyart atlas --home {home}`"
        # Who makes one meanwhile need not start the server again.
        make_atlas(Workspace.open(home), AtlasOptions())
        assert requests.get(f"{url}/api/atlas", timeout=60).status_code == 200


def test_an_atlas_that_changes_is_read_again(mapped: Workspace, tmp_path: Path) -> None:
    workspace = Workspace.open(Path(shutil.copytree(mapped.home, tmp_path / "workspace")))
    with serving(workspace.home) as url:
        before = requests.get(f"{url}/api/atlas", timeout=60)
        list_films(workspace, range(1, N_FILMS + 2))
        add_posters(workspace, [N_FILMS + 1])
        make_atlas(workspace, AtlasOptions())
        known = {"If-None-Match": before.headers["etag"]}
        films = list(range(1, N_FILMS + 2))
        # For a moment the server may have seen the new titles, and not yet the new atlas.
        after = eventually(
            lambda: requests.get(f"{url}/api/atlas", headers=known, timeout=60),
            lambda answer: answer.status_code == 200 and answer.json()["movie_ids"] == films,
        )
        old, new = before.json()["sheets"][0]["url"], after.json()["sheets"][0]["url"]
        assert requests.get(url + old, timeout=60).status_code == 404
        assert requests.get(url + new, timeout=60).status_code == 200


def test_error_of_a_damaged_atlas_reveals_no_paths(mapped: Workspace, tmp_path: Path) -> None:
    home = Path(shutil.copytree(mapped.home, tmp_path / "workspace"))
    (home / "atlas" / "atlas.json").write_text("{}")
    with serving(home) as url:
        answer = requests.get(f"{url}/api/atlas", timeout=60)
    assert answer.status_code == 500
    assert str(tmp_path) not in json.dumps(answer.json())


def test_openapi_describes_the_map(url: str) -> None:
    description = requests.get(f"{url}/openapi.json", timeout=60).json()
    answer = description["paths"]["/api/atlas"]["get"]["responses"]["200"]["content"]["application/json"]
    assert answer["schema"]["$ref"].endswith("/AtlasMap")
    assert "examples" in description["components"]["schemas"]["AtlasMap"]["properties"]["title"]
