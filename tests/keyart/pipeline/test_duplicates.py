"""Finding films with the same artwork in a workspace."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import keyart
from catalog.film import Film
from catalog.films import Catalog
from features.distortion import Kind, distort
from features.options import ExtractOptions
from index.options import IndexOptions
from keyart.pipeline import Duplicates, build, extract, find_duplicates
from keyart.workspace.layout import Workspace
from posters.store import Origin, PosterStore, Source
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster

N_DRAWN = 280
N_REAL = 270
# Copies of the first films, numbered from 1,001 on.
COPIES: tuple[tuple[Kind, int], ...] = (("recompressed", 1), ("recompressed", 1), ("recompressed", 1))
GROUPS = [[1, 1000, 1001], [2, 1002], [3, 1003]]
REAL: tuple[tuple[Kind, int], ...] = (("recompressed", 2), ("cropped", 2), ("recolored", 2), ("lettered", 2))


def copy_of(content: bytes, kind: Kind, strength: int) -> bytes:
    stream = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        distort(image, kind, strength, seed=1).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def files_of(workspace: Workspace) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in workspace.home.rglob("*") if path.is_file()}


def make_workspace(home: Path, pictures: dict[int, bytes], backbone: Path) -> Workspace:
    workspace = Workspace.create(home)
    films = [Film(number, f"Film {number}", year=1950 + number % 50) for number in pictures]
    Catalog.create(workspace.catalog_path, films, {"numbering": "movielens", "source": "test"})
    with PosterStore.open(workspace.posters_dir) as posters, posters.writer_lock(), posters.transaction():
        for movie_id, content in pictures.items():
            posters.put(movie_id, content, Origin(Source.IMPORT))
    extract(workspace, ExtractOptions(str(backbone), preprocessing="caffe"))
    build(workspace, IndexOptions(similarity="whitened"))
    return workspace


@pytest.fixture(scope="module")
def drawn(backbone_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    pictures = {number: draw_poster(number, size=(120, 180)) for number in range(1, N_DRAWN + 1)}
    pictures |= {1001 + n: copy_of(pictures[n + 1], *how) for n, how in enumerate(COPIES)}
    # The first film's poster again, larger.
    stream = io.BytesIO()
    with Image.open(io.BytesIO(pictures[1])) as image:
        image.resize((240, 360)).save(stream, "PNG")
    pictures[1000] = stream.getvalue()
    return make_workspace(tmp_path_factory.mktemp("drawn") / "workspace", pictures, backbone_path)


@pytest.fixture(scope="module")
def found(drawn: Workspace) -> Duplicates:
    return find_duplicates(drawn)


def test_finds_copies(found: Duplicates) -> None:
    assert [sorted(film.movie_id for film in group) for group in found] == GROUPS
    assert found.n_films == N_DRAWN + len(COPIES) + 1
    assert all(film.similarity >= found.min_similarity for group in found for film in group)


def test_keeps_the_largest_picture(found: Duplicates) -> None:
    kept = [film for group in found for film in group if film.keep]
    assert [film.group for film in kept] == [1, 2, 3]
    assert (kept[0].movie_id, kept[0].width, kept[0].height) == (1000, 240, 360)
    for group in found:
        (best,) = (film for film in group if film.keep)
        sizes = [((film.width or 0) * (film.height or 0), film.n_bytes or 0) for film in group]
        assert ((best.width or 0) * (best.height or 0), best.n_bytes) == max(sizes)
        assert all(film.poster_path and film.poster_path.stat().st_size == film.n_bytes for film in group)


def test_deletes_and_changes_nothing(drawn: Workspace, run: Run) -> None:
    before = files_of(drawn)
    assert run("duplicates", "--keep-best", "--home", drawn.home).code == 0
    assert files_of(drawn) == before


def test_bound_can_be_chosen(drawn: Workspace, run: Run) -> None:
    (everything,) = find_duplicates(drawn, -1.0).groups
    assert len(everything) == N_DRAWN + len(COPIES) + 1
    strict = find_duplicates(drawn, 0.999)
    assert strict.min_similarity == 0.999
    assert all(film.similarity >= 0.999 for group in strict for film in group)
    with pytest.raises(ValueError, match="from -1 to 1"):
        find_duplicates(drawn, 1.5)
    outcome = run("duplicates", "--min-similarity", "1.5", "--home", drawn.home)
    assert outcome.code == 2
    fewer = json.loads(run("duplicates", "--min-similarity", "0.999", "--json", "--home", drawn.home).out)
    assert len(fewer["groups"]) < len(GROUPS)


def test_command_prints_a_table(drawn: Workspace, run: Run) -> None:
    outcome = run("duplicates", "--home", drawn.home)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert len(lines) == 1 + sum(map(len, GROUPS)) + 1
    assert sum(" keep " in line for line in lines[1:-1]) == len(GROUPS)
    assert "240 × 360" in outcome.out
    assert lines[-1].startswith("7 films in 3 groups with the same artwork, of 284 films")


def test_command_prints_the_posters_to_keep(drawn: Workspace, run: Run) -> None:
    lines = run("duplicates", "--keep-best", "--home", drawn.home).out.splitlines()
    assert len(lines) == 1 + len(GROUPS) + 1
    assert "1000.png" in lines[1]


def test_command_prints_json_and_csv(drawn: Workspace, found: Duplicates, run: Run) -> None:
    printed = json.loads(run("duplicates", "--json", "--home", drawn.home).out)
    assert printed == found.to_dict()
    rows = list(csv.DictReader(run("duplicates", "--csv", "--home", drawn.home).out.splitlines()))
    assert [row["movie_id"] for row in rows] == [str(film.movie_id) for group in found for film in group]
    assert list(rows[0]) == list(found.to_frame().columns)
    kept = list(csv.DictReader(run("duplicates", "--csv", "--keep-best", "--home", drawn.home).out.splitlines()))
    assert kept == [row for row in rows if row["keep"] == "True"]
    assert run("duplicates", "--json", "--csv", "--home", drawn.home).code == 1


def test_command_draws_a_sheet(drawn: Workspace, run: Run, tmp_path: Path) -> None:
    sheet = tmp_path / "groups.png"
    outcome = run("duplicates", "--sheet", sheet, "--home", drawn.home)
    assert f"sheet: {sheet}" in outcome.err
    with Image.open(sheet) as image:
        assert image.height > 3 * 240
    poster = drawn.posters_dir / "1.jpg"
    assert run("duplicates", "--sheet", poster, "--home", drawn.home).code == 1


def test_similar_merges_what_duplicates_finds(drawn: Workspace, found: Duplicates) -> None:
    with keyart.open(drawn.home) as engine:
        hits = engine.similar(50, k=N_DRAWN + len(COPIES) + 1, merge_duplicates=True).hits
    merged = {frozenset((hit.movie_id, *hit.same_artwork)) for hit in hits if hit.same_artwork}
    groups = {frozenset(film.movie_id for film in group) for group in found}
    assert merged == groups


def test_films_that_a_later_load_removed_are_left_out(drawn: Workspace, tmp_path: Path) -> None:
    workspace = Workspace.open(Path(shutil.copytree(drawn.home, tmp_path / "copy")))
    films = [Film(number, f"Film {number}", year=1950) for number in (1, 2, 1000, 1002)]
    Catalog.create(workspace.catalog_path, films, {"numbering": "movielens", "source": "test"})
    assert [[film.movie_id for film in group] for group in find_duplicates(workspace)] == [[1, 1000], [2, 1002]]


def test_workspace_without_an_index_names_the_next_step(home: Path, tmp_path: Path, run: Run) -> None:
    Workspace.create(tmp_path / "new")
    outcome = run("duplicates", "--home", tmp_path / "new")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err


# Real posters


@pytest.mark.release
def test_finds_copies_of_real_posters(shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "data" / "posters").glob("*.jpg"))[::7][:N_REAL]
    pictures = {number: path.read_bytes() for number, path in enumerate(files, start=1)}
    copies: dict[int, int] = {}
    for number in range(1, 41):
        kind, strength = REAL[number % len(REAL)]
        copies[1000 + number] = number
        pictures[1000 + number] = copy_of(pictures[number], kind, strength)
    network = shared / "weights" / "squeezenet_v1_1_imagenet.keras"
    found = find_duplicates(make_workspace(tmp_path / "real", pictures, network))
    pairs = {tuple(sorted(film.movie_id for film in group)) for group in found}
    right = {(number, copy) for copy, number in copies.items()}
    assert len(pairs & right) / len(pairs) >= 0.99
    assert len(pairs & right) / len(right) >= 0.9


def test_whitening_is_not_advised_for_few_films(home: Path, drawn: Workspace, tmp_path: Path) -> None:
    assert not any("whitened" in note for note in find_duplicates(home).notes)
    many = Workspace.open(Path(shutil.copytree(drawn.home, tmp_path / "many")))
    build(many, IndexOptions(similarity="cosine"))
    assert any("keyart build --similarity whitened" in note for note in find_duplicates(many).notes)
