from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import DamageError, DataError, StoreError
from catalog.io.files import xxh3_file
from cf.ratings import Ratings, read_movielens, read_ratings
from tests.contracts import random_stars, ratings_of
from tests.damage import flipped

FolderOf = Callable[[Mapping[str, str | bytes]], Path]
HEADER = "userId,movieId,rating,timestamp\n"
LINES = HEADER + "1,6,4.0,964982224\n1,47,5.0,964983815\n2,6,0.5,1445714994\n"
ROWS = [(1, 6, 4.0, 964982224), (1, 47, 5.0, 964983815), (2, 6, 0.5, 1445714994)]


@pytest.fixture
def read(folder_of: FolderOf) -> Callable[[str | bytes], Ratings]:
    """Read a folder with this ratings.csv."""
    return lambda content: read_movielens(folder_of({"ratings.csv": content}))


Read = Callable[[str | bytes], Ratings]


def _rows(ratings: Ratings) -> list[tuple[int, int, float, int]]:
    columns = (ratings.user_ids, ratings.movie_ids, ratings.values, ratings.timestamps)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _types(ratings: Ratings) -> list[str]:
    return [str(column.dtype) for column in (ratings.user_ids, ratings.movie_ids, ratings.values, ratings.timestamps)]


# Reading


def test_ratings_csv_is_read(read: Read) -> None:
    assert _rows(read(LINES)) == ROWS


def test_u_data_is_read(folder_of: FolderOf) -> None:
    content = LINES.removeprefix(HEADER).replace(",", "\t")
    assert _rows(read_movielens(folder_of({"u.data": content}))) == ROWS


@pytest.mark.parametrize(
    "respell",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(",", " , "),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.removesuffix("\n"),
        lambda text: text.replace(",6,", ",6.0,"),
        lambda text: text.replace("4.0", "4"),
        lambda text: "".join(f"x,{line}\n" for line in text.splitlines()),
        lambda text: "".join(",".join(reversed(line.split(","))) + "\n" for line in text.splitlines()),
        lambda text: text.replace("1,47", '"1","47"'),
    ],
    ids="byte-order-mark CRLF blanks blank-lines no-last-line-end floats whole-stars more-columns order quotes".split(),
)
def test_reads_variants_of_csv(read: Read, respell: Callable[[str], str]) -> None:
    ratings = read(respell(LINES))
    assert _rows(ratings) == ROWS
    assert _types(ratings) == ["int32", "int32", "float32", "int64"]


def test_columns_are_known_in_either_spelling(read: Read) -> None:
    snake = read('"user_id","movie_id",rating,timestamp\n1,6,4.0,7\n2,6,3.5,8\n')
    assert _rows(snake) == [(1, 6, 4.0, 7), (2, 6, 3.5, 8)]
    assert read("movie_id,rating,user_id\n6,4.0,1\n").user_ids.tolist() == [1]


def test_a_timestamp_may_be_blank_or_zero(read: Read) -> None:
    assert read(HEADER + "1,6,4.0,\n1,7,4.0,0\n1,8,4.0,5\n").timestamps.tolist() == [0, 0, 5]


def test_the_latest_of_several_ratings_counts(read: Read) -> None:
    ratings = read(LINES + "1,6,2.0,964982300\n2,6,5.0,9\n")
    assert _rows(ratings) == [(1, 6, 2.0, 964982300), *ROWS[1:]]
    assert ratings.n_replaced == 2


@pytest.mark.parametrize("time", ["", "0"])
def test_the_last_line_counts_where_there_are_no_times(read: Read, time: str) -> None:
    ratings = read(f"{HEADER}1,6,5.0,{time}\n1,7,1,\n1,6,2.0,{time}\n")
    assert (ratings.movie_ids.tolist(), ratings.values.tolist()) == ([6, 7], [2, 1])
    timeless = read("userId,movieId,rating\n1,6,5.0\n1,6,2.0\n1,6,3\n")
    assert (timeless.values.tolist(), timeless.n_replaced) == ([3], 2)


def test_a_rating_with_a_time_counts_before_one_without(read: Read) -> None:
    assert read(f"{HEADER}1,6,5.0,7\n1,6,2.0,\n").values.tolist() == [5]


RATED = st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([0.5, 3.0, 5.0]), st.integers(1, 4))


@pytest.mark.heavy
@settings(max_examples=60, deadline=None)
@given(rows=st.lists(RATED, min_size=1, max_size=12), data=st.data())
def test_the_order_of_rows_does_not_matter(
    rows: list[tuple[int, int, float, int]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    shuffled = data.draw(st.permutations(rows))
    latest = {
        (user, film): max((time, stars) for u, f, stars, time in rows if (u, f) == (user, film))
        for user, film, *_ in rows
    }
    expected = [(*pair, stars, time) for pair, (time, stars) in sorted(latest.items())]
    for order in (rows, shuffled):
        frame = pd.DataFrame(order, columns=["userId", "movieId", "rating", "timestamp"])
        frame.to_csv(folder / "order.csv", index=False)
        frame.to_parquet(folder / "order.parquet", index=False)
        frame.to_csv(folder / "order.data", index=False, header=False, sep="\t")
        for ending in ("csv", "parquet", "data"):
            ratings = read_ratings(folder / f"order.{ending}")
            assert _rows(ratings) == expected
            assert ratings.n_replaced == len(rows) - len(expected)


def test_header_alone_gives_no_ratings(read: Read) -> None:
    assert len(read(HEADER)) == 0


def test_a_folder_without_ratings_has_none(folder_of: FolderOf) -> None:
    ratings = read_movielens(folder_of({}))
    assert len(ratings) == 0
    assert _types(ratings) == ["int32", "int32", "float32", "int64"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: expected the columns userId, movieId, rating, timestamp; .* received an empty file"),
        (
            "userId,movieId,stars,timestamp\n1,6,4,5\n",
            "line 1: expected the columns .*; rating missing, received userId",
        ),
        (LINES + "3,6,4.0\n", r"line 5: expected 4 columns \(userId, .*\), received 3"),
        (LINES + "3,6,4.0,5,6\n", "line 5: expected 4 columns .*, received 5"),
        (LINES + "x,6,4.0,5\n", "line 5, column userId: expected a user's number, above 0, received 'x'"),
        (LINES + "0,6,4.0,5\n", "line 5, column userId: .* received '0'"),
        (LINES + "5000000000,6,4.0,5\n", "line 5, column userId: .* received '5000000000'"),
        (LINES + "3,six,4.0,5\n", "line 5, column movieId: expected a film's number, .* received 'six'"),
        (LINES + "3,-6,4.0,5\n", "line 5, column movieId: .* received '-6'"),
        (LINES + "3,,4.0,5\n", "line 5, column movieId: .* received ''"),
        (LINES + "3,6,good,5\n", r"line 5, column rating: expected a rating from 0\.5 to 5\.0, received 'good'"),
        (LINES + "3,6,,5\n", "line 5, column rating: .* received ''"),
        (LINES + "3,6,nan,5\n", "line 5, column rating: .* received 'nan'"),
        (LINES + "3,6,0.0,5\n", r"line 5, column rating: .* received '0\.0'"),
        (LINES + "3,6,5.5,5\n", r"line 5, column rating: .* received '5\.5'"),
        (LINES + "3,6,4.0,now\n", "line 5, column timestamp: expected seconds since 1970, or nothing, received 'now'"),
        (LINES + "3,6,4.0,1445714994000\n", "line 5, column timestamp: .* received '1445714994000'"),
        (LINES + "3,6,4.0,-5\n", "line 5, column timestamp: .* received '-5'"),
        (LINES.encode("utf-16"), "line 1: expected text in UTF-8"),
        (LINES.encode() + b"3,6,4.\0,5\n", "line 5: expected text, not a binary file"),
    ],
    ids=lambda value: value[-20:] if isinstance(value, str) else "bytes",
)
def test_malformed_csv_error_names_line_and_column(read: Read, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"ratings\.csv, {message}"):
        read(content)


def test_imdb_ids_in_place_of_movie_ids_are_refused(read: Read) -> None:
    with pytest.raises(DataError, match=r"line 3, column movieId: .*, not an IMDb id, received '0113277'"):
        read(f"{HEADER}1,6,5.0,7\n1,0113277,4,7\n2,6,1,7\n")
    # Of a user it is a number like any other.
    assert read(f"{HEADER}0000042,6,5.0,7\n").user_ids.tolist() == [42]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\t6\t4", r"line 2: expected 4 cells separated by tabs \(userId, .*\), received 3"),
        ("1,6,4,5", "line 2: expected 4 cells separated by tabs .*, received 1"),
        ("1\t6\t9\t5", "line 2, column rating: expected a rating"),
        ("1\tx\t4\t5", "line 2, column movieId: expected a film's number"),
    ],
)
def test_malformed_u_data_error_names_line_and_column(folder_of: FolderOf, line: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"u\.data, {message}"):
        read_movielens(folder_of({"u.data": f"196\t242\t3\t881250949\n{line}\n"}))


@pytest.mark.parametrize(
    ("name", "n_ratings", "n_users", "n_films", "lowest"),
    [("ml-latest-small", 100_836, 610, 9_724, 0.5), ("ml-100k", 100_000, 943, 1_682, 1.0)],
)
def test_real_files_are_read(
    shared: Path, name: str, n_ratings: int, n_users: int, n_films: int, lowest: float
) -> None:
    ratings = read_movielens(shared / "data" / name)
    assert len(ratings) == n_ratings
    assert ratings.matrix().values.shape == (n_users, n_films)
    assert (ratings.values.min(), ratings.values.max()) == (lowest, 5.0)


# The table


def test_film_statistics_count_and_average_ratings() -> None:
    movie_ids, n_ratings, means = ratings_of([[5, 0, 1], [2, 0, 1], [2, 3, 0]], movie_ids=[7, 9, 20]).film_statistics()
    assert (movie_ids.tolist(), n_ratings.tolist(), means.tolist()) == ([7, 9, 20], [3, 1, 2], [3.0, 3.0, 1.0])


def test_film_statistics_of_no_ratings_are_empty() -> None:
    assert [len(column) for column in Ratings.empty().film_statistics()] == [0, 0, 0]


def test_matrix_does_not_depend_on_rating_order() -> None:
    stars = random_stars(seed=1, n_users=6, n_films=5, density=0.7)
    ratings = ratings_of(stars)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(ratings))
    shuffled = ratings.where(order)
    matrix = shuffled.matrix()
    np.testing.assert_array_equal(matrix.values.toarray(), stars)
    assert matrix.user_ids.tolist() == [101, 102, 103, 104, 105, 106]
    assert matrix.movie_ids.tolist() == [11, 12, 13, 14, 15]


def test_of_films_keeps_the_order_of_ratings() -> None:
    ratings = ratings_of([[5, 4, 3], [2, 0, 1]])
    assert _rows(ratings.of_films([13, 11, 99])) == [row for row in _rows(ratings) if row[1] != 12]


# The file


def test_save_and_open_round_trip(tmp_path: Path, read: Read) -> None:
    ratings = read(LINES)
    ratings.save(tmp_path / "r.parquet")
    opened = Ratings.open(tmp_path / "r.parquet")
    assert _rows(opened) == ROWS
    assert _types(opened) == _types(ratings)


def test_empty_ratings_can_be_saved(tmp_path: Path) -> None:
    Ratings.empty().save(tmp_path / "r.parquet")
    assert len(Ratings.open(tmp_path / "r.parquet")) == 0


def test_a_full_disk_keeps_the_old_file(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    path = tmp_path / "r.parquet"
    ratings_of([[5]]).save(path)
    with pytest.raises(StoreError, match=r"cannot write .*r\.parquet: .*; free some space"), full_disk(1000):
        ratings_of(random_stars(1, n_users=200, n_films=50)).save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["r.parquet"]
    assert len(Ratings.open(path)) == 1


@pytest.mark.parametrize("content", [b"", b"once upon a time", None], ids=["empty", "text", "missing"])
def test_another_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "r.parquet").write_bytes(content)
    with pytest.raises(
        DataError, match=r"r\.parquet is not a readable file of ratings .*; run `keyart load DIR` again"
    ):
        Ratings.open(tmp_path / "r.parquet")


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    ratings_of(random_stars(1)).save(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="is not a readable file of ratings"):
        Ratings.open(path)


# Single files


def test_csv_may_omit_timestamps(folder_of: FolderOf) -> None:
    lines = "userId,movieId,rating\n1,6,4.0\n2,6,0.5\n"
    found = read_ratings(folder_of({"r.csv": lines}) / "r.csv")
    assert [column.tolist() for column in _columns(found)] == [[1, 2], [6, 6], [4.0, 0.5], [0, 0]]
    with pytest.raises(DataError, match=r"line 3, column rating: .* received '9'"):
        read_ratings(folder_of({"r.csv": lines.replace("0.5", "9")}) / "r.csv")


def test_the_2016_edition_is_read(shared: Path) -> None:
    assert len(read_movielens(shared / "data/ml-small-2016")) == 100_004


def test_read_ratings_reads_saved_parquet(tmp_path: Path) -> None:
    ratings = ratings_of(random_stars(1))
    ratings.save(tmp_path / "ratings.parquet")
    found = read_ratings(tmp_path / "ratings.parquet")
    for one, other in zip(_columns(found), _columns(ratings), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def test_parquet_accepts_movielens_columns_and_the_last_duplicate_counts(tmp_path: Path) -> None:
    table = pd.DataFrame({"userId": [1, 1], "movieId": [2, 2], "rating": [3, 4.5], "timestamp": [5, 6]})
    table.to_parquet(tmp_path / "r.parquet")
    assert [column.tolist() for column in _columns(read_ratings(tmp_path / "r.parquet"))] == [[1], [2], [4.5], [6]]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("rating", 7.0, "row 2, column rating: expected a rating from 0.5 to 5.0, received 7.0"),
        ("rating", None, "row 2, column rating: expected a rating from 0.5 to 5.0, received"),
        ("rating", "good", "row 2, column rating: .* received 'good'"),
        ("userId", 0, "row 2, column userId: expected a user's number, above 0, received 0"),
        ("movieId", 2.5, "row 2, column movieId: expected a film's number, above 0, received 2.5"),
        ("timestamp", -1, "row 2, column timestamp: expected seconds since 1970, received -1"),
    ],
)
def test_invalid_parquet_value_error_names_row_and_column(
    tmp_path: Path, column: str, value: object, message: str
) -> None:
    columns: dict[str, list[object]] = {"userId": [1, 1], "movieId": [2, 3], "rating": [3, 4], "timestamp": [5, 6]}
    columns[column][1] = value
    if isinstance(value, str):
        columns[column][0] = "3"
    pd.DataFrame(columns).to_parquet(tmp_path / "r.parquet")
    with pytest.raises(DataError, match=message):
        read_ratings(tmp_path / "r.parquet")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("is_complete", [True, False])
def test_errors_spell_columns_as_the_file_does(ending: str, is_complete: bool, tmp_path: Path) -> None:
    table = pd.DataFrame({"User_ID": [1, 0], "movie_id": [2, 3], "rating": [3.0, 4.0], "timestamp": [5, 6]})
    path = tmp_path / f"r.{ending}"
    if not is_complete:
        table = table.drop(columns="rating")
    getattr(table, f"to_{ending}")(path, index=False)
    with pytest.raises(DataError) as raised:
        read_ratings(path)
    if is_complete:
        assert "column User_ID: expected a user's number, above 0, received " in str(raised.value)
    else:
        assert "columns User_ID, movie_id, rating" in str(raised.value)
        assert str(raised.value).endswith("rating missing, received User_ID, movie_id, timestamp")


def test_rejects_incomplete_or_unreadable_parquet(tmp_path: Path) -> None:
    pd.DataFrame({"userId": [1], "rating": [3]}).to_parquet(tmp_path / "r.parquet")
    with pytest.raises(DataError, match="movieId missing, received userId, rating"):
        read_ratings(tmp_path / "r.parquet")
    (tmp_path / "r.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_ratings(tmp_path / "r.parquet")


def _columns(ratings: Ratings) -> tuple[Any, ...]:
    return ratings.user_ids, ratings.movie_ids, ratings.values, ratings.timestamps


def test_flipped_bits_of_stored_ratings_are_damage(tmp_path: Path) -> None:
    path, random = tmp_path / "r.parquet", Random(0)
    ratings_of(random_stars(1)).save(path)
    whole, xxh3 = path.read_bytes(), xxh3_file(path)
    for _ in range(100):
        path.write_bytes(flipped(whole, random))
        with pytest.raises(
            DamageError, match=r"r\.parquet is not a readable file of ratings .*; run `keyart load DIR`"
        ):
            Ratings.open(path, xxh3)
        # Without a checksum, as of an earlier version: any error is one of ours.
        with suppress(DamageError):
            Ratings.open(path)


def test_flipped_bits_of_a_parquet_file_to_load_are_data_errors(tmp_path: Path) -> None:
    path, random = tmp_path / "r.parquet", Random(1)
    pd.DataFrame({"userId": [1, 2], "movieId": [3, 4], "rating": [4.0, 5.0], "timestamp": [1, 2]}).to_parquet(path)
    whole = path.read_bytes()
    for _ in range(300):
        path.write_bytes(flipped(whole, random))
        with suppress(DataError):
            read_ratings(path)
