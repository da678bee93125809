"""The files that readers of the documentation have: a MovieLens folder, posters, tables, and workspaces of these."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from zipfile import ZipFile

from catalog.io.files import write_bytes
from features.options import ExtractOptions
from keyart.cli.demo.catalog import films as demo_films
from keyart.cli.demo.catalog import ratings as demo_ratings
from keyart.pipeline.features import extract
from keyart.pipeline.index import build
from keyart.pipeline.movielens import load
from keyart.pipeline.posters import import_posters
from keyart.workspace.layout import Workspace
from posters.importing import By
from tests.keyart.conftest import save_tiny_network
from tests.posters.pictures import draw_poster
from tests.posters.tmdb_server import TmdbServer
from tests.word_pair import save_pair

# The films that the documentation names, with MovieLens', IMDb's and TMDB's ids.
NAMED_FILMS = (
    (1, "Toy Story (1995)", "Animation|Children|Comedy", "0114709", 862),
    (6, "Heat (1995)", "Action|Crime|Thriller", "0113277", 949),
    (47, "Seven (a.k.a. Se7en) (1995)", "Mystery|Thriller", "0114369", 807),
    (50, "Usual Suspects, The (1995)", "Crime|Mystery|Thriller", "0114814", 629),
    (260, "Star Wars: Episode IV - A New Hope (1977)", "Action|Adventure|Sci-Fi", "0076759", 11),
    (296, "Pulp Fiction (1994)", "Comedy|Crime|Drama|Thriller", "0110912", 680),
    (318, "Shawshank Redemption, The (1994)", "Crime|Drama", "0111161", 278),
    (733, "Rock, The (1996)", "Action|Adventure|Thriller", "0117500", 9802),
    (1214, "Alien (1979)", "Horror|Sci-Fi", "0078748", 348),
    (1258, "Shining, The (1980)", "Horror", "0081505", 694),
    (1617, "L.A. Confidential (1997)", "Crime|Film-Noir|Mystery|Thriller", "0119488", 2118),
    (1997, "Exorcist, The (1973)", "Horror|Mystery", "0070047", 9552),
    (2278, "Ronin (1998)", "Action|Crime|Thriller", "0122690", 8195),
    (2571, "Matrix, The (1999)", "Action|Sci-Fi|Thriller", "0133093", 603),
)
_GENRES = ("Drama", "Comedy", "Crime", "Horror", "Thriller", "Romance|Drama")
# Enough for lists of a hundred films and clusters of them.
FILMS = NAMED_FILMS + tuple(
    (10_000 + n, f"Invented Film {n} ({1930 + n})", _GENRES[n % len(_GENRES)], f"{9_000_000 + n}", 900_000 + n)
    for n in range(90)
)
_N_USERS = 60
# Two films whose posters are not there.
_WITHOUT_POSTER = {10_000, 10_001}
TINY, PAIR = "tiny.keras", "pair"


def write_files(folder: Path) -> None:
    """Write all that a reader has before the first command, and a network small enough for tests."""
    _write_movielens(folder / "ml-latest-small")
    for movie_id, _, _, imdb_id, _ in FILMS:
        if movie_id not in _WITHOUT_POSTER:
            for name in (imdb_id, movie_id):
                write_bytes(folder / "posters" / f"{name}.jpg", draw_poster(movie_id))
            write_bytes(folder / "movies" / f"Film {{imdb-tt{imdb_id}}}" / "poster.jpg", draw_poster(movie_id))
    _write_table(folder / "posters.csv", "movie_id path", ((film[0], f"posters/{film[3]}.jpg") for film in FILMS[3:]))
    _write_pictures(folder)
    _write_alternates(folder / "alternate")
    _write_lists(folder)
    save_tiny_network(folder / TINY)
    save_pair(folder / PAIR)


def _write_movielens(folder: Path) -> None:
    rng = Random(0)
    _write_table(folder / "movies.csv", "movieId title genres", (film[:3] for film in FILMS))
    _write_table(folder / "links.csv", "movieId imdbId tmdbId", ((film[0], *film[3:]) for film in FILMS))
    _write_table(folder / "ratings.csv", "userId movieId rating timestamp", _draw_ratings(rng))
    tags = ((user, film[0], "atmospheric", 1) for user in (1, 2, 3) for film in FILMS[:6])
    _write_table(folder / "tags.csv", "userId movieId tag timestamp", tags)


def _draw_ratings(rng: Random) -> Iterable[tuple[int, int, float, int]]:
    """Draw ratings of two tastes; the first films are rated by most users, the last ones by nobody."""
    rated = FILMS[:-4]
    for user in range(1, _N_USERS + 1):
        for place, film in enumerate(rated):
            liked = place % 2 == user % 2
            if rng.random() < (0.9 if place < len(NAMED_FILMS) and film[0] != 6 else 0.5 if liked else 0.2):
                stars = rng.choice((4, 4.5, 5) if liked else (1, 2, 3))
                yield user, film[0], stars, 1_000_000_000 + rng.randrange(10**8)


def _write_pictures(folder: Path) -> None:
    for name, seed in (("poster", 1), ("some-poster", 2), ("heat", 3), ("new/Cold Psalm (2019)", 4)):
        write_bytes(folder / f"{name}.jpg", draw_poster(seed))
    write_bytes(folder / "ran.png", draw_poster(5, "PNG"))
    for number in range(4):
        write_bytes(folder / "bucket" / "posters" / f"{number}.jpg", draw_poster(number))
        write_bytes(folder / "photos" / f"{number // 2}" / f"{number}.jpg", draw_poster(number))


def _write_alternates(folder: Path) -> None:
    """Write other posters of some films."""
    for movie_id, *_ in NAMED_FILMS[:5]:
        write_bytes(folder / f"{movie_id}.jpg", draw_poster(50_000 + movie_id))
    _write_table(folder / "pairs.csv", "movie_id path", ((film[0], f"{film[0]}.jpg") for film in NAMED_FILMS[:5]))


def _write_lists(folder: Path) -> None:
    _write_table(folder / "films.csv", "movie_id title genres imdb_id tmdb_id", FILMS)
    content = (("tt0113277", "Michael Mann", "Al Pacino|Robert De Niro", "heist|cat and mouse"),)
    _write_table(folder / "content.csv", "imdb_id director cast keywords", content)
    _write_table(folder / "mine.csv", "movieId rating", [(film[0], 4.5) for film in NAMED_FILMS[:3]])
    ratings = list(_draw_ratings(Random(0)))
    _write_table(folder / "newcomers.csv", "userId movieId rating timestamp", ratings[:20])
    rated = [("2026-01-02", film[1].partition(" (")[0], film[1][-5:-1], "https://boxd.it/a", 4) for film in NAMED_FILMS]
    _write_table(folder / "ratings.csv", "Date Name Year LetterboxdURI Rating", rated)
    _write_table(folder / "plays.csv", "uid film score name", [(*row[:3], f"Play {row[1]}") for row in ratings[:99]])
    with ZipFile(folder / "ml-1m.zip", "w") as archive:
        archive.writestr("ml-1m/movies.dat", "".join("::".join(map(str, film[:3])) + "\n" for film in FILMS))
        archive.writestr("ml-1m/ratings.dat", "".join("::".join(map(str, row)) + "\n" for row in ratings))
    ids = "\n".join(str(film[0]) for film in FILMS[:40])
    for name in ("ours.txt", "favorites.txt"):
        write_bytes(folder / name, f"# a comment\n{ids}\n".encode())
    for name, part in (("u1.base", ratings[1::2]), ("u1.test", ratings[::2])):
        write_bytes(folder / name, "".join("\t".join(map(str, row)) + "\n" for row in part).encode())
    # A published split: every fifth film is hidden.
    for name, is_hidden in (("train", False), ("test", True)):
        part = [row for row in ratings if (row[1] % 5 == 0) == is_hidden]
        _write_table(folder / f"{name}.csv.gz", "userId movieId rating timestamp", part)
    export = "".join(json.dumps({"adult": False, "id": film[4], "video": False}) + "\n" for film in FILMS)
    write_bytes(folder / "movie_ids_11_22_2026.json.gz", gzip.compress(export.encode()))


def load_films(folder: Path) -> None:
    """Make the workspace `keyart-data` of films and ratings, without posters."""
    load(folder / "keyart-data", folder / "ml-latest-small")


def fill_workspace(folder: Path) -> None:
    """Import posters, extract features and build an index in `keyart-data`, and write a list of new films."""
    rows = [("poster.jpg", "The Cold Psalm", 2019, "Drama|Horror"), ("heat.jpg", "Warmer", 2021, "Crime")]
    _write_table(folder / "films.csv", "path title year genres", rows)
    _fill(folder / "keyart-data", folder / "posters", "imdb", folder / TINY)


def build_demo(folder: Path) -> None:
    """Make the folder `keyart-demo` as `keyart demo` does, but with posters and a network that take no time."""
    movielens, films, rated = folder / "keyart-demo" / "movielens", demo_films(), demo_ratings()
    rows = [(film.movie_id, film.title, "|".join(film.genres)) for film in films]
    _write_table(movielens / "movies.csv", "movieId title genres", rows)
    columns = (rated.user_ids, rated.movie_ids, rated.stars, rated.timestamps)
    _write_table(movielens / "ratings.csv", "userId movieId rating timestamp", zip(*columns, strict=True))
    for film in films:
        if film.has_poster:
            write_bytes(movielens / "posters" / f"{film.movie_id}.jpg", draw_poster(film.movie_id))
    load(folder / "keyart-demo" / "workspace", movielens)
    _fill(folder / "keyart-demo" / "workspace", movielens / "posters", "movie", folder / TINY)


def _fill(home: Path, posters: Path, by: By, network: Path) -> None:
    workspace = Workspace.open(home)
    import_posters(workspace, posters, by)
    extract(workspace, ExtractOptions(str(network)))
    build(workspace)


def add_to(server: TmdbServer) -> None:
    """Add the films to the server of TMDB, with the posters that a reader has too."""
    for movie_id, _, _, imdb_id, tmdb_id in FILMS:
        poster = None if movie_id in _WITHOUT_POSTER else draw_poster(movie_id)
        server.add_film(tmdb_id, poster, imdb_id=imdb_id)
        if poster:
            for vote_average in (5.0, 4.0):
                server.add_poster(tmdb_id, "de", vote_average, 10)


def _write_table(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header.split())
        writer.writerows(rows)
