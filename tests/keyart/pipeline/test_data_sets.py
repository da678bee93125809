"""Data sets in the layouts that people download, each with invented rows."""

from __future__ import annotations

import gzip
import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from catalog.errors import ConfigError, DataError
from catalog.film import Film
from catalog.io import archives
from keyart.pipeline.movielens import LoadReport, load
from keyart.workspace.contents import open_ratings
from keyart.workspace.films import list_films
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import Run

MOVIES = 'movieId,title,genres\n3,Lamp Café (1995),Drama\n5,"Harbour, The (2001)",Comedy|Drama\n'
LINKS = "movieId,imdbId,tmdbId\n3,0000013,103\n5,15,105\n"
KAGGLE_MOVIE = '"movieId","title","genres"\n3,"Lamp Café (1995)","Drama"\n5,"""Harbour"", The (2001)","Comedy|Drama"\n'
KAGGLE_RATING = '"userId","movieId","rating","timestamp"\n1,3,3.5,"2005-04-02 23:53:47"\n2,5,4,"2005-04-02 23:31:16"\n'
METADATA = """adult,genres,id,imdb_id,original_title,overview,release_date,title
False,"[{'id': 18, 'name': 'Drama'}]",103,tt0000013,Lampe,"Two
lines, and a ""quote"".",1995-10-30,Lamp Café
False,"[{'id': 35, 'name': 'Comedy'}, {'id': 18, 'name': 'Drama'}]",105,tt0000015,The Harbour,x,2001-01-01,The Harbour
False,[],105,tt0000015,The Harbour,x,2001-01-01,The Harbour
 Written by somebody,0.065736,/a.jpg
False,[],199,tt0000099,Unlinked,x,2001-01-01,Unlinked
"""
RATING_LINES = ["1,3,3.5,1112486027", "2,5,4,1112484676"]
RATINGS = "\n".join(["userId,movieId,rating,timestamp", *RATING_LINES]) + "\n"
DAT = "\n".join(RATING_LINES).replace(",", "::") + "\n"
MOVIES_DAT = "3::Lamp Café (1995)::Drama\n5::Harbour, The (2001)::Comedy|Drama\n"
GENRES_100K = "0|" * 5 + "{}|0|0|{}|" + "|".join("0" * 10)
U_ITEM = (
    f"3|Lamp Café (1995)|30-Oct-1995||http://x|{GENRES_100K.format(0, 1)}\n"
    f"5|Harbour, The (2001)|01-Jan-2001||http://x|{GENRES_100K.format(1, 1)}\n"
)
LAYOUTS: dict[str, dict[str, bytes]] = {
    "ml-latest": {"movies.csv": MOVIES.encode(), "links.csv": LINKS.encode(), "ratings.csv": RATINGS.encode()},
    "kaggle": {
        "movie.csv": KAGGLE_MOVIE.encode(),
        "link.csv": LINKS.encode(),
        "rating.csv": KAGGLE_RATING.encode(),
        "tag.csv": b'"userId","movieId","tag","timestamp"\n1,3,"dim ""light""","2009-04-24 18:19:40"\n',
        "genome_scores.csv": b"movieId,tagId,relevance\n",
    },
    "ml-1m": {
        "movies.dat": MOVIES_DAT.encode("latin-1"),
        "ratings.dat": DAT.encode(),
        "users.dat": b"1::F::1::10::4\n",
    },
    "ml-10m": {
        "movies.dat": MOVIES_DAT.encode(),
        "ratings.dat": DAT.encode(),
        "tags.dat": b"15::3::a::b::1215184630\n",
    },
    "ml-100k": {"u.item": U_ITEM.encode("latin-1"), "u.data": "\n".join(RATING_LINES).replace(",", "\t").encode()},
    "the-movies-dataset": {
        "movies_metadata.csv": METADATA.encode(),
        "links_small.csv": LINKS.encode(),
        "ratings_small.csv": RATINGS.encode(),
    },
}
LINKED = ("ml-latest", "kaggle", "the-movies-dataset")


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def films(home: Path) -> list[Film]:
    return list_films(Workspace.open(home))


def check(home: Path, report: LoadReport, name: str) -> None:
    first, second = films(home)
    assert (first.movie_id, first.label, first.genres) == (3, "Lamp Café (1995)", ("Drama",))
    assert (second.movie_id, second.year, second.genres) == (5, 2001, ("Comedy", "Drama"))
    ids = ("0000013", 103, "0000015", 105) if name in LINKED else (None,) * 4
    assert (first.imdb_id, first.tmdb_id, second.imdb_id, second.tmdb_id) == ids
    ratings = open_ratings(Workspace.open(home))
    assert ratings.user_ids.tolist() == [1, 2]
    assert ratings.values.tolist() == [3.5, 4]
    assert ratings.timestamps.tolist() == [1112486027, 1112484676]
    assert (report.n_films, report.n_ratings) == (2, 2)


@pytest.mark.parametrize("name", LAYOUTS)
def test_loads_a_data_set_as_it_is(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / name, LAYOUTS[name])
    check(tmp_path / "home", load(tmp_path / "home", folder), name)


@pytest.mark.parametrize("name", LAYOUTS)
def test_loads_a_folder_within_a_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path / "outer" / name, LAYOUTS[name])
    check(tmp_path / "home", load(tmp_path / "home", tmp_path / "outer"), name)


@pytest.mark.parametrize("name", LAYOUTS)
def test_loads_compressed_files(tmp_path: Path, name: str) -> None:
    # One stays as it is.
    files = {
        path if number == 0 else f"{path}.gz": content if number == 0 else gzip.compress(content)
        for number, (path, content) in enumerate(LAYOUTS[name].items())
    }
    folder = write(tmp_path / name, files)
    check(tmp_path / "home", load(tmp_path / "home", folder), name)


@pytest.mark.parametrize("name", LAYOUTS)
def test_loads_a_zip_archive(tmp_path: Path, name: str) -> None:
    write(tmp_path / "x" / name, LAYOUTS[name])
    write(tmp_path / "x" / "__MACOSX" / name, {"movies.csv": b"\0"})
    archive = Path(shutil.make_archive(str(tmp_path / name), "zip", tmp_path / "x"))
    check(tmp_path / "home", load(tmp_path / "home", archive), name)


def test_what_is_passed_over_is_said(tmp_path: Path) -> None:
    report = load(tmp_path / "home", write(tmp_path / "x", LAYOUTS["the-movies-dataset"]))
    assert report.notes == (
        "1 row of movies_metadata.csv without an id or a title, passed over (line 6)",
        "1 row of movies_metadata.csv for a film listed before, passed over",
        "1 film of movies_metadata.csv that the links have no movie_id for, passed over",
    )
    assert films(tmp_path / "home")[0].alternative_titles == ("Lampe",)


def test_quotes_are_read_as_pandas_reads_them(tmp_path: Path) -> None:
    assert load(tmp_path / "home", write(tmp_path / "x", LAYOUTS["kaggle"])).n_tags == 1
    assert films(tmp_path / "home")[1].title == 'The "Harbour"'


@pytest.mark.parametrize(
    ("layout", "file", "content", "message"),
    [
        (
            "ml-1m",
            "ratings.dat",
            DAT.encode() + b"1::4::9::5\n",
            "ratings.dat, line 3, column rating: expected a rating",
        ),
        ("ml-1m", "ratings.dat", b"1::4\n", "ratings.dat, line 1: expected 4 cells separated by ::"),
        ("ml-1m", "movies.dat", b"1::Lamp\n", "movies.dat, line 1: expected 3 cells separated by ::"),
        (
            "kaggle",
            "rating.csv",
            b"userId,movieId,rating,timestamp\n1,3,4,May\n",
            "line 2, column timestamp: expected sec",
        ),
        ("the-movies-dataset", "movies_metadata.csv", b"id,title\n", "line 1: expected the columns id, imdb_id"),
        ("the-movies-dataset", "links_small.csv", b"movieId,imdbId,tmdbId\n9,9,9\n", "lists no film that the links"),
    ],
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_mangled_row_names_file_line_and_column(
    tmp_path: Path, layout: str, file: str, content: bytes, message: str, is_packed: bool
) -> None:
    source = write(tmp_path / "set", LAYOUTS[layout] | {file: content})
    if is_packed:
        source = Path(shutil.make_archive(str(source), "zip", source))
    with pytest.raises(DataError) as caught:
        load(tmp_path / "home", source)
    assert str(caught.value).startswith(str(source))
    assert message in str(caught.value)


def test_an_unknown_data_set_is_told_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data set that is known; expected movies.csv .* found netflix.txt"):
        load(tmp_path / "home", write(tmp_path / "x", {"netflix.txt": b"1:\n"}))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("netflix.txt", "1:\n")
        archive.writestr("probe.txt", "1:\n")
    with pytest.raises(DataError, match=r"x.zip holds none of movies.csv.*; it holds netflix.txt, probe.txt"):
        load(tmp_path / "home", tmp_path / "x.zip")


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_ALWAYS_ALLOWED", 1 << 20)
    bomb = MOVIES.encode() + bytes(8 << 20)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("movies.csv", bomb)
    with pytest.raises(DataError, match=r"x.zip unpacks to more than 1 MiB from .* a decompression bomb"):
        load(tmp_path / "home", tmp_path / "x.zip")
    folder = write(tmp_path / "x", {"movies.csv.gz": gzip.compress(bomb)})
    with pytest.raises(DataError, match=r"movies.csv.gz unpacks to more than 1 MiB"):
        load(tmp_path / "home", folder)


def test_an_archive_of_two_data_sets_beside_each_other_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for folder in ("ml-old", "ml-new"):
            archive.writestr(f"{folder}/movies.csv", MOVIES)
    with pytest.raises(DataError, match=r"two\.zip holds several data sets, ml-new, ml-old; unpack it and name one"):
        load(tmp_path / "workspace", tmp_path / "two.zip")
    # A copy in a folder of the data set is another edition of it, and left alone.
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        for folder in ("ml", "ml/older"):
            archive.writestr(f"{folder}/movies.csv", MOVIES)
    load(tmp_path / "workspace", tmp_path / "one.zip")


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"", b"no archive"])
def test_a_damaged_archive_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.zip cannot be unpacked: .*; download it again"):
        load(tmp_path / "home", tmp_path / "x.zip")
    folder = write(tmp_path / "x", {"movies.csv.gz": gzip.compress(MOVIES.encode())[:30]})
    with pytest.raises(DataError, match="unpack"):
        load(tmp_path / "home", folder)


def test_a_table_of_ratings_names_its_columns(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(
        "uid,film,rating,score,when,name\n1,3,x,3.5,2005-04-02 23:53:47,Lamp (1995)\n2,3,x,4,,Lamp (1995)\n"
    )
    columns = "user=uid,item=film,rating=score,time=when,title=name"
    outcome = run("load", path, "--columns", columns, "--home", tmp_path / "home")
    assert outcome.code == 0, outcome.err
    assert [film.label for film in films(tmp_path / "home")] == ["Lamp (1995)"]
    ratings = open_ratings(Workspace.open(tmp_path / "home"))
    assert (ratings.values.tolist(), ratings.timestamps.tolist()) == ([3.5, 4], [1112486027, 0])


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_tables_of_spreadsheets_are_read(tmp_path: Path, delimiter: str) -> None:
    for name, text in (("films.csv", 'movie_id,title\n3,"Lamp; Café"\n'), ("ratings.csv", RATINGS)):
        (tmp_path / name).write_text(text.replace(",", delimiter), encoding="utf-8-sig")
    load(tmp_path / "home", tmp_path / "films.csv", tmp_path / "ratings.csv")
    assert films(tmp_path / "home")[0].title == "Lamp; Café"
    assert open_ratings(Workspace.open(tmp_path / "home")).values.tolist() == [3.5]


def test_tables_of_films_and_ratings_name_their_columns(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text("film,name,imdb\n3,Lamp (1995),tt13\n")
    (tmp_path / "ratings.csv.gz").write_bytes(gzip.compress(b"uid,film,score\n1,3,3.5\n"))
    columns = {"user": "uid", "item": "film", "rating": "score", "title": "name", "imdb": "imdb"}
    report = load(tmp_path / "home", tmp_path / "films.csv", tmp_path / "ratings.csv.gz", columns=columns)
    assert (report.n_films, report.n_ratings) == (1, 1)
    assert films(tmp_path / "home")[0].imdb_id == "0000013"


def test_films_without_titles_are_named_by_number(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("u,i,r\n1,3,3.5\n")
    report = load(tmp_path / "home", tmp_path / "mine.csv", columns={"user": "u", "item": "i", "rating": "r"})
    assert "mine.csv has no titles: films are named by their numbers" in report.notes
    assert [film.title for film in films(tmp_path / "home")] == ["Film 3"]


def test_unknown_columns_are_refused(tmp_path: Path, run: Run) -> None:
    (tmp_path / "mine.csv").write_text("u,i,r\n1,3,3.5\n")
    with pytest.raises(ConfigError, match=r"columns are named by user, item, rating, time, title.* received viewer"):
        load(tmp_path / "home", tmp_path / "mine.csv", columns={"viewer": "u"})
    outcome = run("load", tmp_path / "mine.csv", "--columns", "user", "--home", tmp_path / "home")
    assert (outcome.code, "expected names such as user=uid" in outcome.err) == (2, True)


OWN = "user_id,movie_id,rating,title\n1,3,3.5,Lamp (1995)\n2,3,4,Lamp (1995)\n"
COLUMNS = {"user": "user_id", "item": "movie_id", "rating": "rating"}


def loaded(home: Path, source: Path, *args: Path, **columns: str) -> tuple[LoadReport, list[float]]:
    report = load(home, source, *args, columns=columns)
    return report, open_ratings(Workspace.open(home)).values.tolist()


@pytest.mark.parametrize("name", ["mine.csv", "mine.tsv", "mine.txt", "mine.csv.gz", "mine.zip"])
@pytest.mark.parametrize("columns", [{}, COLUMNS])
def test_a_table_of_ratings_is_read_whatever_its_file_is(tmp_path: Path, name: str, columns: dict[str, str]) -> None:
    text = OWN.replace(",", "\t") if name.endswith(".tsv") else OWN
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    if name.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("plays/anything.csv", text)
    assert loaded(tmp_path / "home", tmp_path / name, **columns)[1] == [3.5, 4]
    assert [film.label for film in films(tmp_path / "home")] == ["Lamp (1995)"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine.tsv", "userId\tmovieId\trating\n1\t3\t3.5\n"),
        ("mine.txt", "userId;movieId;rating\n1;3;3,5\n"),
        ("mine.csv", 'user_id,movie_id,rating\n1,3,"3,5"\n'),
        ("u.data", "1\t3\t3.5\t5\n"),
    ],
)
def test_ratings_beside_films_are_read_whatever_their_file_is(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "films.csv").write_text("movie_id,title\n3,Lamp\n")
    (tmp_path / name).write_text(text)
    assert loaded(tmp_path / "home", tmp_path / "films.csv", tmp_path / name)[1] == [3.5]


def test_parquet_needs_no_times(tmp_path: Path) -> None:
    pd.DataFrame({"uid": [1], "movie_id": [3], "rating": [9.0]}).to_parquet(tmp_path / "mine.parquet")
    (tmp_path / "films.csv").write_text("movie_id,title\n3,Lamp\n")
    assert loaded(tmp_path / "home", tmp_path / "films.csv", tmp_path / "mine.parquet", user="uid")[1] == [4.5]
    with pytest.raises(DataError, match=r"mine.parquet: expected the columns uid, .*when; when missing, received uid"):
        loaded(tmp_path / "home", tmp_path / "films.csv", tmp_path / "mine.parquet", user="uid", time="when")


def test_ten_points_are_halved_and_said(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("user_id,movie_id,rating\n1,3,10\n1,4,0.5\n2,3,7\n")
    report, stars = loaded(tmp_path / "home", tmp_path / "mine.csv")
    assert stars == [5, 0.5, 3.5]
    assert "ratings go beyond 5, so they count as ten points, of which two are a star" in report.notes
    (tmp_path / "mine.csv").write_text("user_id,movie_id,rating\n1,3,10\n1,4,11\n")
    with pytest.raises(DataError, match=r"line 3, column rating: expected a rating from 0.5 to 10.0, received '11'"):
        load(tmp_path / "home", tmp_path / "mine.csv")


@pytest.mark.parametrize("column", ["user", "item", "rating", "time", "title", "year"])
def test_a_column_that_is_named_has_to_be_there(tmp_path: Path, column: str) -> None:
    (tmp_path / "mine.csv").write_text(OWN)
    with pytest.raises(DataError, match=r"mine.csv, line 1: expected the columns .*absent.*; absent missing, received"):
        load(tmp_path / "home", tmp_path / "mine.csv", columns=COLUMNS | {column: "absent"})
    assert not (tmp_path / "home").exists()


def test_columns_are_those_of_a_table_of_ones_own(tmp_path: Path) -> None:
    folder = write(tmp_path / "x", LAYOUTS["ml-latest"])
    with pytest.raises(ConfigError, match="is a data set, whose columns are known"):
        load(tmp_path / "home", folder, columns=COLUMNS)
    (tmp_path / "mine.csv").write_text(OWN)
    assert loaded(tmp_path / "home", folder, tmp_path / "mine.csv", **COLUMNS)[1] == [3.5, 4]


@pytest.mark.parametrize("name", ["movies.csv", "ratings.csv"])
def test_one_file_of_a_data_set_is_not_taken_for_the_whole(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "my set", LAYOUTS["ml-latest"])
    with pytest.raises(DataError, match=r"is one file of a data set, beside links.csv, .*`keyart load '.*my set' "):
        load(tmp_path / "home", folder / name)


def test_notes_name_the_archive(tmp_path: Path) -> None:
    write(tmp_path / "x", LAYOUTS["ml-1m"])
    archive = Path(shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "x"))
    assert f"no links.csv in {archive}" in load(tmp_path / "home", archive).notes


def test_an_open_quotation_mark_is_reported_where_it_opens(tmp_path: Path) -> None:
    text = MOVIES + '7,"Broken,Drama\n' + "8,Fine (1990),Drama\n" * 5
    with pytest.raises(DataError, match=r"movies.csv, line 4: expected CSV"):
        load(tmp_path / "home", write(tmp_path / "x", {"movies.csv": text.encode()}))


def test_loads_a_folder_of_compressed_files_within_a_folder(tmp_path: Path) -> None:
    files = {f"{name}.gz": gzip.compress(content) for name, content in LAYOUTS["ml-latest"].items()}
    write(tmp_path / "outer" / "inner", files)
    check(tmp_path / "home", load(tmp_path / "home", tmp_path / "outer"), "ml-latest")
