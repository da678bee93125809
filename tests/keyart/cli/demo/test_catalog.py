"""Films, posters and ratings of the demonstration, and the folder that they are written to."""

import csv
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catalog.titles import parse_title
from keyart.cli.demo.canvas import HEIGHT, MARGIN, WIDTH, Box, Canvas
from keyart.cli.demo.catalog import LOOKUPS, draw_poster, films, ratings, write_demo
from keyart.cli.demo.lettering import Face, break_title, set_block, set_justified
from keyart.cli.demo.styles import STYLES
from tests.installation import Demonstration

pytestmark = pytest.mark.heavy

_FACE = Face(weight=0.03, tracking=0.05)


@dataclass(frozen=True)
class Drawn:
    """Posters of two seeds by movie_id, and where each canvas has its type."""

    posters: tuple[dict[int, Image.Image], dict[int, Image.Image]]
    type_boxes: tuple[list[Sequence[Box]], list[Sequence[Box]]]


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """All posters, which take six seconds a seed."""
    type_boxes: tuple[list[Sequence[Box]], list[Sequence[Box]]] = ([], [])
    finished = Canvas.finished

    def draw(seed: int) -> dict[int, Image.Image]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                Canvas, "finished", lambda canvas: type_boxes[seed].append(canvas.type_boxes) or finished(canvas)
            )
            return {film.movie_id: draw_poster(film, seed) for film in films()}

    return Drawn((draw(0), draw(1)), type_boxes)


@pytest.fixture(scope="module")
def posters(drawn: Drawn) -> dict[int, Image.Image]:
    return drawn.posters[0]


@pytest.fixture
def demo_dir(demonstration: Demonstration) -> Path:
    return demonstration.folder / "movielens"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


# Films


def test_there_are_sixty_films_in_eight_styles() -> None:
    assert [film.movie_id for film in films()] == list(range(1, 61))
    assert len({film.title for film in films()}) == 60
    assert {film.style for film in films()} == set(STYLES)
    assert len(STYLES) == 8


def test_styles_and_audiences_are_crossed() -> None:
    audiences, styles = defaultdict(set), defaultdict(set)
    for film in films():
        audiences[film.style].add(film.audience)
        styles[film.audience].add(film.style)
    assert 4 <= len(styles) <= 6
    assert min(map(len, audiences.values())) >= 3
    assert min(map(len, styles.values())) >= 3


def test_every_title_contains_the_year() -> None:
    assert all(parse_title(film.title).year == film.year for film in films())


def test_one_title_is_shared_by_two_films() -> None:
    n_films = Counter(parse_title(film.title).title for film in films())
    assert [title for title, n in n_films.items() if n > 1] == ["Midnight Ledger"]


def test_lookups_match_their_reasons() -> None:
    by_label = {f"{parse_title(film.title).title} ({film.year})": film for film in films()}
    rated, cold, without_poster = (by_label[lookup.title] for lookup in LOOKUPS)
    assert rated.n_ratings == max(film.n_ratings for film in films())
    assert cold.n_ratings == 0
    assert not without_poster.has_poster
    assert without_poster.n_ratings > 0


# Ratings


def test_ratings_are_half_stars_of_some_three_hundred_users() -> None:
    rated = ratings()
    assert set(np.unique(rated.stars)) <= set(np.arange(0.5, 5.5, 0.5))
    assert 280 <= len(np.unique(rated.user_ids)) <= 300
    pairs = np.stack([rated.user_ids, rated.movie_ids], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs)


def test_every_film_has_its_number_of_ratings() -> None:
    n_ratings = Counter(ratings().movie_ids.tolist())
    assert all(n_ratings[film.movie_id] == film.n_ratings for film in films())
    assert sum(film.n_ratings == 0 for film in films()) == 4
    assert max(film.n_ratings for film in films()) <= 200


def test_popularity_has_a_long_tail() -> None:
    n_ratings = [film.n_ratings for film in films()]
    assert np.median(n_ratings) < np.mean(n_ratings)


def test_users_agree_within_an_audience_and_not_within_a_style() -> None:
    rated, listed = ratings(), [film for film in films() if film.n_ratings]
    centered = np.zeros((int(rated.user_ids.max()) + 1, 61))
    centered[rated.user_ids, rated.movie_ids] = rated.stars - rated.stars.mean()
    centered /= np.maximum(np.linalg.norm(centered, axis=0), 1e-9)
    similarity = centered.T @ centered
    alike: dict[str, list[float]] = {"audience": [], "style": [], "neither": []}
    for a, b in combinations(listed, 2):
        same_audience, same_style = a.audience == b.audience, a.style == b.style
        if not (same_audience and same_style):
            kind = "audience" if same_audience else "style" if same_style else "neither"
            alike[kind].append(float(similarity[a.movie_id, b.movie_id]))
    by_audience, by_style, by_neither = (float(np.mean(alike[kind])) for kind in ("audience", "style", "neither"))
    assert by_audience > by_style + 0.2
    assert abs(by_style - by_neither) < 0.05


def test_another_seed_simulates_other_users() -> None:
    assert np.array_equal(ratings(3).stars, ratings(3).stars)
    assert not np.array_equal(ratings(3).stars, ratings(4).stars)


# Posters


def test_posters_are_rgb_of_one_size(posters: dict[int, Image.Image]) -> None:
    assert {(poster.mode, poster.size) for poster in posters.values()} == {("RGB", (342, 513))}


@pytest.mark.parametrize("style", STYLES)
def test_a_seed_draws_identical_posters(style: str, drawn: Drawn) -> None:
    film = next(film for film in films() if film.style == style)
    first, second = (posters[film.movie_id].tobytes() for posters in drawn.posters)
    assert draw_poster(film).tobytes() == first
    assert second != first


def test_no_two_posters_are_nearly_the_same(posters: dict[int, Image.Image]) -> None:
    small = {n: np.asarray(poster.resize((38, 57)), dtype=float) for n, poster in posters.items()}
    nearest = min(float(np.abs(small[a] - small[b]).mean()) for a, b in combinations(small, 2))
    assert nearest > 8


@pytest.mark.parametrize("seed", [0, 1])
def test_all_type_keeps_its_margin(seed: int, drawn: Drawn) -> None:
    assert len(drawn.type_boxes[seed]) == len(films())
    for boxes in drawn.type_boxes[seed]:
        assert len(boxes) >= 2
        for left, top, right, bottom in boxes:
            assert min(left, top, WIDTH - right, HEIGHT - bottom) >= MARGIN - 0.5


def test_type_too_near_the_edge_is_an_error() -> None:
    type_ = set_block(["Wide"], _FACE, 200, 60)
    with pytest.raises(ValueError, match="to the edge"):
        Canvas("#ffffff").letter(type_, 200, 100, "#000000")


# Lettering


@pytest.mark.parametrize("lines", [["I"], ["A much longer line", "and another"], ["ÉÑÜ", "àê"]])
def test_type_fits_its_size_and_is_cropped_to_its_ink(lines: list[str]) -> None:
    for type_ in (set_block(lines, _FACE, 100, 40), set_justified(lines, _FACE, 100, 40)):
        assert type_.width <= 200
        assert type_.height <= 80
        left, top, right, bottom = type_.getbbox() or (0, 0, 0, 0)
        assert right - left >= type_.width - 4
        assert bottom - top >= type_.height - 4


def test_accents_are_drawn() -> None:
    plain, accented = (set_block([text], _FACE, 1000, 100) for text in ("ELOI", "ÉLOI"))
    # The accent needs height above the capitals, so the letters are smaller.
    assert accented.width < plain.width


def test_a_title_breaks_into_even_lines() -> None:
    assert break_title("Captain Noodle and the Sea of Socks", 3) == ["Captain Noodle", "and the Sea", "of Socks"]
    assert break_title("Love", 3) == ["Love"]


# The folder


def test_the_folder_is_in_movielens_format(demo_dir: Path) -> None:
    movies, links, rated = (_rows(demo_dir / name) for name in ("movies.csv", "links.csv", "ratings.csv"))
    assert list(movies[0]) == ["movieId", "title", "genres"]
    assert list(links[0]) == ["movieId", "imdbId", "tmdbId"]
    assert list(rated[0]) == ["userId", "movieId", "rating", "timestamp"]
    assert [row["title"] for row in movies] == [film.title for film in films()]
    # TMDB is never queried for a film that does not exist.
    assert {(row["imdbId"], row["tmdbId"]) for row in links} == {("", "")}
    assert len(rated) == sum(film.n_ratings for film in films())


def test_the_folder_has_every_poster_but_one(demo_dir: Path) -> None:
    names = {path.name for path in (demo_dir / "posters").iterdir()}
    assert names == {f"{film.movie_id}.jpg" for film in films() if film.has_poster}
    assert len(names) == 59


def test_writing_twice_gives_the_same_bytes(
    demo_dir: Path, posters: dict[int, Image.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The demonstration's posters were drawn by another process. This one's are drawn already, so reuse them.
    monkeypatch.setattr("keyart.cli.demo.catalog.draw_poster", lambda film, seed: posters[film.movie_id])
    write_demo(tmp_path)
    for path in sorted(demo_dir.rglob("*.*")):
        assert (tmp_path / path.relative_to(demo_dir)).read_bytes() == path.read_bytes(), path.name


def test_importing_the_package_loads_neither_numpy_nor_pillow() -> None:
    program = "import sys, keyart.cli.demo; sys.exit('numpy' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
