from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

import keyart
from catalog.errors import DataError
from catalog.film import Film
from catalog.matching import FilmMatcher
from keyart.recommend.personal_files import parse_personal_file, read_personal_file
from keyart.recommend.personal_ratings import PersonalRatings, match_ratings
from tests.keyart.conftest import Run

FILMS = [
    Film(1, "The Lamp", 1995, imdb_id="0000011", tmdb_id=101),
    Film(2, "Une lampe", 1980, imdb_id="0000012", alternative_titles=("A Lantern",)),
    Film(3, "Twins", 2001, tmdb_id=7),
    Film(4, "Twins Again", 2001, tmdb_id=7),
    Film(5, "Pair", 1990),
    Film(6, "Pair", 1990),
    Film(7, "Comma, Comma", 2010),
]


def matched(text: str, name: str = "ratings.csv") -> PersonalRatings:
    return match_ratings(parse_personal_file(text.encode(), Path(name)), FilmMatcher(FILMS))


LETTERBOXD = """Date,Name,Year,Letterboxd URI,Rating
2024-01-02,The Lamp,1995,https://boxd.it/a,4.5
2024-01-02,A Lantern,1981,https://boxd.it/b,0.5
2024-01-02,"Comma, Comma",2010,https://boxd.it/c,3
2024-01-02,Nowhere,2010,https://boxd.it/d,3
2024-01-02,Pair,1990,https://boxd.it/e,3
"""
# The later day of watching counts, wherever it stands.
DIARY = """Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date
2024-05-01,The Lamp,1995,https://boxd.it/a,4,Yes,"a, b",2024-04-30
2024-01-01,The Lamp,1995,https://boxd.it/b,2,,,2023-12-31
2024-01-01,A Lantern,1980,https://boxd.it/b,,,,2023-12-31
"""
IMDB = """Const,Your Rating,Date Rated,Title,Original Title,URL,Title Type,IMDb Rating,Runtime (mins),Year,Genres
tt0000011,9,2024-01-02,The Lamp,The Lamp,https://x,Movie,8.0,90,1995,Drama
tt0000012,1,2024-01-02,A Lamp,Une lampe,https://x,Movie,8.0,90,1980,Drama
tt0000099,10,2024-01-02,The Lamp,The Lamp,https://x,TV Series,8.0,90,1995,Drama
tt0000098,10,2024-01-02,The Lamp,The Lamp,https://x,Movie,8.0,90,1995,Drama
tt0000097,8,2024-01-02,Pair Skating,Comma Comma,https://x,TV Movie,8.0,90,2010,Drama
"""
TRAKT_CSV = """rated_at,type,title,year,trakt_rating,trakt_id,imdb_id,tmdb_id,rating
2024-01-02T10:00:00.000Z,movie,Lamp,1995,80,5,tt0000011,101,7
2024-01-02T10:00:00.000Z,movie,Twins,2001,80,5,,7,6
2024-01-02T10:00:00.000Z,show,Pair,1990,80,5,,,6
"""
TRAKT_JSON = json.dumps(
    [
        {
            "rated_at": "2024-01-02T10:00:00.000Z",
            "rating": 7,
            "type": "movie",
            "movie": {"title": "L", "year": 1995, "ids": {"trakt": 5, "slug": "l", "imdb": "tt0000011", "tmdb": 101}},
        },
        {"rated_at": "", "rating": 6, "type": "movie", "movie": {"title": "Twins", "year": 2001, "ids": {"tmdb": 7}}},
        {"rated_at": "", "rating": 6, "type": "show", "show": {"title": "Pair", "year": 1990, "ids": {}}},
    ]
)
TEN_POINTS = "русскоязычное название;оригинальное название;год;моя оценка\nЛампа;The Lamp;1995;10\nНет;Nowhere;2000;0\n"
FIVE_STARS = "title,year,rating\nThe Lamp,1995,5\nPair,1990,4\n"
MOVIELENS = "userId,movieId,rating,timestamp\n9,1,4.0,1200000000\n9,1,2.0,1100000000\n9,0000012,3.0,5\n9,99,1,1\n"
OWN = "movie_id,rating\n1,4.5\n2,\n"


SIMKL = """SIMKL_ID,Title,Type,Year,Watchlist,Watched Date,Rating,Memo,TVDB,TMDB,IMDB
1,Lamp,movie,1995,completed,2023-05-01 10:00,8,,,101,tt0000011
2,Nights,tv,2008,completed,2023-05-01 10:00,9,,,101,tt0000095
"""
TRAKT_UNTYPED = json.dumps(
    [
        {"rating": 8, "movie": {"title": "Lamp", "year": 1995, "ids": {"tmdb": 101}}},
        {"rating": 8, "show": {"title": "Pair", "year": 1990, "ids": {"tmdb": 101}}},
    ]
)
LIST = ("a list of ten points", {1: 4})


@pytest.mark.parametrize(
    ("text", "source", "stars", "counts"),
    [
        (LETTERBOXD, "Letterboxd", {1: 4.5, 2: 0.5, 7: 3}, {"ambiguous": 1, "unknown": 1}),
        (DIARY, "Letterboxd", {1: 4}, {"rated again": 1, "not rated": 1}),
        (IMDB, "IMDb", {1: 4.5, 2: 0.5, 7: 4}, {"unknown": 1, "not a film": 1}),
        (TRAKT_CSV, "Trakt", {1: 3.5, 3: 3}, {"not a film": 1}),
        (TRAKT_JSON, "Trakt", {1: 3.5, 3: 3}, {"not a film": 1}),
        (TEN_POINTS, "Kinopoisk", {1: 5}, {"not rated": 1}),
        (FIVE_STARS, "a list", {1: 5}, {"ambiguous": 1}),
        (MOVIELENS, "MovieLens", {1: 4, 2: 3}, {"rated again": 1, "unknown": 1}),
        (OWN, "MovieLens", {1: 4.5}, {"not rated": 1}),
        (TEN_POINTS.replace("10", "5"), "Kinopoisk", {1: 2.5}, {"not rated": 1}),
        ("название;год;оценка\nThe Lamp;1995;8\nОкна (сериал);2001;9\nPair;1990 – 1994;9\n", *LIST, {"not a film": 2}),
        ("movie_id,rating\n1,8\n", *LIST, {}),
        ("title,year,rating\nThe Lamp,1995,★★★★\nPair,1990,½\n", "a list", {1: 4}, {"ambiguous": 1}),
        ("imdb_id,rating\nhttps://www.imdb.com/title/tt0000011/,4\n", "a list", {1: 4}, {}),
        ('"position","const","Title type","You rated"\n"1","tt0000011","Feature Film","8"\n', "IMDb", {1: 4}, {}),
        (SIMKL, "Simkl", {1: 4}, {"not a film": 1}),
        (TRAKT_UNTYPED, "Trakt", {1: 4}, {"not a film": 1}),
        ("\ufeff" + OWN.replace(",", "\t"), "MovieLens", {1: 4.5}, {"not rated": 1}),
    ],
)
def test_reads_what_services_export(text: str, source: str, stars: dict[int, float], counts: dict[str, int]) -> None:
    found = matched(text)
    assert (found.source, found.stars()) == (source, stars)
    assert {status: n for status, n in found.counts().items() if n and status != "matched"} == counts
    assert found.counts()["matched"] == len(stars)


# TMDB's own export: 101 is also the number of a series.
TMDB = """TMDb ID,IMDb ID,Type,Name,Release Date,Season Number,Episode Number,Rating,Your Rating,Date Rated
101,tt0000011,movie,The Lamp,1995-12-15T00:00:00Z,,,7.9,9.0,2023-05-01T00:00:00Z
101,tt0000095,tv,Harbour Nights,2008-01-20T00:00:00Z,,,8.9,10.0,2023-06-01T00:00:00Z
"""


@pytest.mark.parametrize("kind", ["tv", "TV Series", "TV Mini Series", "Mini-Series", "anime series", "сериал", "Show"])
def test_no_series_is_taken_for_the_film_of_its_number(kind: str) -> None:
    found = matched(TMDB.replace(",tv,", f",{kind},"))
    assert found.stars() == {1: 4.5}
    assert found.counts()["not a film"] == 1


def test_a_number_that_an_imdb_id_contradicts_is_not_taken() -> None:
    found = matched(TMDB.replace(",tv,", ",,"))
    assert found.stars() == {1: 4.5}
    assert found.counts()["unknown"] == 1
    assert matched("movie_id,imdb_id,rating\n1,tt0000012,5\n").counts()["ambiguous"] == 1


def test_the_order_of_rows_does_not_matter() -> None:
    header, *rows = DIARY.splitlines()
    assert matched("\n".join([header, *reversed(rows)])).stars() == matched(DIARY).stars()


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2024-01-01", "2024-01-02"),
        ("31.01.2024", "01.02.2024"),
        ("2024-01-02T01:00:00Z", "2024-01-01T23:00:00-05:00"),
        ("2024-01-02T01:00:00.000Z", "2024-01-02 01:00:00.500"),
        ("999999999", "1000000000"),
        ("", "2024-01-01"),
        ("soon", "2024-01-01"),
    ],
)
@pytest.mark.parametrize("is_reversed", [False, True])
def test_the_later_rating_counts_in_any_zone(earlier: str, later: str, is_reversed: bool) -> None:
    rows = [f"1,2,{earlier}", f"1,4,{later}"]
    text = "\n".join(["movie_id,rating,timestamp", *(reversed(rows) if is_reversed else rows)])
    assert matched(text).stars() == {1: 4}


@pytest.mark.parametrize("rows", ["1,2,5\n1,4,5\n", "1,4,5\n1,2,5\n"])
def test_of_one_time_the_higher_rating_counts(rows: str) -> None:
    assert matched("movie_id,rating,timestamp\n" + rows).stars() == {1: 4}


def test_without_times_the_last_row_counts() -> None:
    assert matched("movie_id,rating\n1,5\n1,2\n").stars() == {1: 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            MOVIELENS + "10,1,4,1\n",
            "mine.csv holds the ratings of 2 users, expected those of one person",
        ),
        (
            "Date,Name,Year,Letterboxd URI\n2024-01-01,The Lamp,1995,x\n",
            "line 1: expected ratings.csv or",
        ),
        (
            "Const,Your Rating\ntt1,11\n",
            "line 2, column Your Rating: expected a rating from 1 to 10",
        ),
        ("Name,Letterboxd URI,Rating\nX,y,5\nX,y,6\n", "line 3, column Rating: expected a rating from 0.5 to 5"),
        ("movie_id,rating\nHeat,4\n", "line 2, column movie_id: expected a movie_id, received 'Heat'"),
        ("movie_id,rating\n", "mine.csv holds no ratings; expected ratings.csv"),
        ("", "mine.csv holds no ratings"),
        ("[", "mine.csv: expected JSON, received something else"),
        ('{"a": 1}', "mine.csv: expected a list of ratings, as Trakt exports it"),
        ("[" * 200_000, "mine.csv: expected JSON, received something else (it is nested too deeply"),
        ('[{"rating": 11, "movie": {}}]', "mine.csv, item 1: expected a film and a rating from 1 to 10"),
        ('[{"rating": 1, "movie": {}}, 5]', "mine.csv, item 2: expected a film"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        read_personal_file(tmp_path / "mine.csv")
    assert message in str(caught.value)


def test_an_export_is_read_as_the_archive_or_folder_that_it_is(tmp_path: Path) -> None:
    for name, text in (("ratings.csv", LETTERBOXD), ("diary.csv", DIARY), ("deleted/ratings.csv", DIARY)):
        path = tmp_path / "letterboxd" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    archive = Path(shutil.make_archive(str(tmp_path / "letterboxd"), "zip", tmp_path / "letterboxd"))
    for source in (archive, tmp_path / "letterboxd"):
        assert len(read_personal_file(source).rows) == 5


def test_a_packed_file_is_read_where_it_is_sent_too(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("deleted/ratings.csv", DIARY)
        archive.writestr("diary.csv", DIARY)
        archive.writestr("ratings.csv", LETTERBOXD)
    trakt, alone = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(trakt, "w") as archive:
        archive.writestr("history.json", "[]")
        archive.writestr("trakt/ratings_movies.json", TRAKT_JSON)
    with zipfile.ZipFile(alone, "w") as archive:
        archive.writestr("mine.csv", OWN)
    for content, n_rows in ((packed, 5), (trakt, 3), (alone, 2)):
        assert len(parse_personal_file(content.getvalue(), Path("x.zip")).rows) == n_rows
    for encoding in ("utf-8-sig", "utf-16"):
        assert len(parse_personal_file(LETTERBOXD.encode(encoding), Path("mine.csv")).rows) == 5
    file = parse_personal_file(gzip.compress(LETTERBOXD.encode()), Path("mine.csv.gz"))
    assert (file.name, len(file.rows)) == ("mine.csv.gz", 5)


def test_a_picture_is_said_to_be_no_export() -> None:
    with pytest.raises(DataError, match="is no export of ratings; expected ratings"):
        parse_personal_file(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Path("poster.png"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04", "x.zip cannot be unpacked"),
        (gzip.compress(b"x" * 500, mtime=0)[:20], "x.zip cannot be unpacked"),
        (gzip.compress(bytes((64 << 20) + 1), mtime=0), "x.zip unpacks to more than 64 MiB: a decompression bomb"),
        (
            gzip.compress(b"movie_id,rating\n1,11\n", mtime=0),
            "x.zip, line 2, column rating: expected a rating from 0.5",
        ),
        (b"Letterboxd list export v7\nDate,Name\n", "is a list of Letterboxd, which has no ratings"),
    ],
)
def test_a_packed_file_that_cannot_be_used_says_why(content: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_personal_file(content, Path("x.zip"))
    assert message in str(caught.value)


def test_the_command_reports_every_row(home: Path, run: Run, tmp_path: Path) -> None:
    run("fit", "damped-mean", "--home", home)
    path, report = tmp_path / "ratings.csv", tmp_path / "report.csv"
    path.write_text(
        "Date,Name,Year,Letterboxd URI,Rating\n,Harbour,1990,x,5\n,Seldom Seen,1994,x,4\n,Nowhere,,x,4\n,Twin,,x,\n"
    )
    words: tuple[Any, ...] = ("recommend", "--ratings", path, "--model", "damped-mean", "--home", home)
    outcome = run(*words, "--report", report, "--json")
    assert outcome.code == 0, outcome.err
    assert "Letterboxd, 2 films matched, 0 ambiguous, 1 unknown; 1 without a rating" in outcome.err
    with report.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["line"], row["status"], row["movie_ids"]) for row in rows] == [
        ("2", "matched", "1"),
        ("3", "matched", "5"),
        ("4", "unknown", ""),
        ("5", "not rated", ""),
    ]
    assert all(film["movie_id"] not in (1, 5) for film in json.loads(outcome.out)["results"])
    with keyart.open(home) as engine:
        found = engine.recommend(path, model="damped-mean")
    assert found.to_dict()["results"] == json.loads(outcome.out)["results"]
    assert found.notes[0] in outcome.err
    assert "--report goes with --ratings" in run("recommend", "1", "--report", report, "--home", home).err
