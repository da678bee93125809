from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from catalog.errors import DataError
from catalog.film import Film, FilmTag
from catalog.movielens import read_films

FolderOf = Callable[[Mapping[str, str | bytes]], Path]
MOVIES = "movieId,title,genres\n1,Toy Story (1995),Animation|Comedy\n6,Heat (1995),Crime\n"
LINKS = "movieId,imdbId,tmdbId\n1,0114709,862\n6,0113277,949\n"
TOY_STORY = Film(1, "Toy Story", 1995, "0114709", 862, ("Animation", "Comedy"))
HEAT = Film(6, "Heat", 1995, "0113277", 949, ("Crime",))


@pytest.fixture
def read(folder_of: FolderOf) -> Callable[..., tuple[Film, ...]]:
    """Read the films of a folder that holds these two files."""

    def read_folder(movies: str | bytes = MOVIES, links: str | bytes = LINKS) -> tuple[Film, ...]:
        return read_films(folder_of({"movies.csv": movies, "links.csv": links})).films

    return read_folder


ReadFilms = Callable[..., tuple[Film, ...]]


def _links(*rows: str) -> str:
    return "\n".join(["movieId,imdbId,tmdbId", *rows])


def test_films_and_links_are_joined(read: ReadFilms) -> None:
    assert read() == (TOY_STORY, HEAT)


def test_films_are_sorted_by_id(read: ReadFilms) -> None:
    assert read("movieId,title,genres\n6,Heat (1995),Crime\n1,Toy Story (1995),Animation|Comedy\n") == (TOY_STORY, HEAT)


@pytest.mark.parametrize(
    "respell",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(",", " , ").replace("\n", "  \n"),
        lambda text: text.replace("\n", "\n\n") + " , , \n",
        lambda text: text.removesuffix("\n"),
        lambda text: "".join(f"x,{line}\n" for line in text.splitlines()),
    ],
    ids=["byte-order mark", "CRLF", "blanks", "blank lines", "no last line end", "one more column"],
)
def test_variants_of_csv_are_read_alike(read: ReadFilms, respell: Callable[[str], str]) -> None:
    assert read(respell(MOVIES), respell(LINKS)) == (TOY_STORY, HEAT)


def test_a_quoted_title_may_contain_commas_and_quotes(read: ReadFilms) -> None:
    (film,) = read('movieId,title,genres\n1,"Good, ""the"" Bad, The (1966)",Western\n')
    assert film.title == 'The Good, "the" Bad'


def test_titles_are_split(read: ReadFilms) -> None:
    (film,) = read('movieId,title,genres\n1,"Postman, The (Postino, Il) (1994)",Drama\n')
    assert (film.title, film.alternative_titles, film.year) == ("The Postman", ("Il Postino",), 1994)


def test_no_genres_listed_is_no_genre(read: ReadFilms) -> None:
    assert read("movieId,title,genres\n1,Paterson,(no genres listed)\n")[0].genres == ()


@pytest.mark.parametrize(
    ("imdb_id", "expected"),
    [
        ("0113277", "0113277"),
        ("113277", "0113277"),
        ("tt0113277", "0113277"),
        ("TT0113277", "0113277"),
        ("113277.0", "0113277"),
        ("12345678", "12345678"),
        ("tt12345678", "12345678"),
        ("417", "0000417"),
        ("", None),
    ],
)
def test_an_imdb_id_is_padded_to_seven_digits_without_tt(read: ReadFilms, imdb_id: str, expected: str | None) -> None:
    assert read(links=_links(f"1,{imdb_id},862"))[0].imdb_id == expected


@pytest.mark.parametrize(("tmdb_id", "expected"), [("862", 862), ("862.0", 862), (" 862 ", 862), ("", None)])
def test_a_tmdb_id_may_be_blank_or_a_float(read: ReadFilms, tmdb_id: str, expected: int | None) -> None:
    assert read(links=_links(f"1,0114709,{tmdb_id}"))[0].tmdb_id == expected


def test_two_films_may_share_a_tmdb_id(read: ReadFilms) -> None:
    assert [film.tmdb_id for film in read(links=_links("1,0114709,862", "6,0113277,862"))] == [862, 862]


def test_a_film_without_a_link_has_no_ids(read: ReadFilms) -> None:
    assert (read(links=_links("1,0114709,862"))[1].imdb_id, read(links=_links("1,0114709,862"))[1].tmdb_id) == (
        None,
        None,
    )


def test_notes_count_blank_tmdb_ids_and_links_without_a_film(folder_of: FolderOf) -> None:
    files = read_films(folder_of({"movies.csv": MOVIES, "links.csv": _links("1,0114709,", "6,0113277,949", "7,1,1")}))
    assert files.notes == (
        "1 film has no tmdbId; posters are looked for by IMDb id",
        "1 row of links.csv for no film of movies.csv; passed over",
    )


def test_missing_links_are_noted(folder_of: FolderOf) -> None:
    files = read_films(folder_of({"movies.csv": MOVIES}))
    assert [film.movie_id for film in files.films] == [1, 6]
    assert "no links.csv" in files.notes[0]


@pytest.mark.parametrize(
    ("movies", "message"),
    [
        ("", "line 1: expected the columns movieId, title, genres; .* missing, received an empty file"),
        ("movieId,genres\n1,Drama\n", "line 1: expected the columns .*; title missing, received movieId, genres"),
        (MOVIES + "7,Sabrina (1995)\n", r"line 4: expected 3 columns \(movieId, title, genres\), received 2"),
        (MOVIES + "7,Good, Bad (1966),Western\n", "line 4: expected 3 columns .*, received 4"),
        (MOVIES + "seven,Sabrina,Drama\n", "line 4, column movieId: expected a film's number, .* received 'seven'"),
        (MOVIES + "-7,Sabrina,Drama\n", "line 4, column movieId: .* received '-7'"),
        (MOVIES + "0,Sabrina,Drama\n", "line 4, column movieId: .* received '0'"),
        (MOVIES + "7.5,Sabrina,Drama\n", r"line 4, column movieId: .* received '7\.5'"),
        (MOVIES + "٧,Sabrina,Drama\n", "line 4, column movieId: .* received '٧'"),
        (MOVIES + "4294967296,Sabrina,Drama\n", "line 4, column movieId: .* received '4294967296'"),
        (MOVIES + ",Sabrina,Drama\n", "line 4, column movieId: .* received ''"),
        (MOVIES + "7,,Drama\n", "line 4, column title: expected a title, received ''"),
        (MOVIES + "7,(1995),Drama\n", r"line 4, column title: expected a title, received '\(1995\)'"),
        (
            MOVIES + "6,Sabrina (1995),Drama\n",
            r"line 4, column movieId: expected every film once \(6 is 'Heat \(1995\)' already\), received '6'",
        ),
        ("movieId,title,genres\n", "lists no film; expected at least one row below the header"),
        (MOVIES + '7,"Sabrina (1995),Drama\n', "line 4: expected CSV, received something else"),
        (MOVIES.encode() + b"7,Sabrina\0 (1995),Drama\n", "line 4: expected text, not a binary file"),
        (MOVIES.encode() + "7,Amélie (2001),Drama\n".encode("latin-1"), "line 4: expected text in UTF-8; save the"),
        (MOVIES.encode("utf-16"), "line 1: expected text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "line 1: expected text"),
    ],
    ids=lambda value: value[-30:] if isinstance(value, str) else "bytes",
)
def test_errors_in_movies_csv_name_line_and_column(read: ReadFilms, movies: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"movies\.csv(, | ){message}"):
        read(movies)


@pytest.mark.parametrize(
    ("links", "message"),
    [
        (
            "movieId,imdb,tmdbId\n1,0114709,862\n",
            "line 1: expected the columns movieId, imdbId, tmdbId; imdbId missing",
        ),
        (_links("1,0114709"), r"line 2: expected 3 columns \(movieId, imdbId, tmdbId\), received 2"),
        (_links("1,nm0114709,862"), "line 2, column imdbId: expected an IMDb id such as .* received 'nm0114709'"),
        (_links("1,0114709,a"), "line 2, column tmdbId: expected a TMDB number or nothing, received 'a'"),
        (_links("1,0114709,862.5"), r"line 2, column tmdbId: .* received '862\.5'"),
        (_links("one,0114709,862"), "line 2, column movieId: .* received 'one'"),
        (_links("1,1,1", "6,2,2", "1,3,3"), "line 4, column movieId: expected every film once, received '1'"),
        (_links("1," + "9" * 5000 + ",862"), "line 2, column imdbId: expected an IMDb id"),
        (_links("1,0114709," + "9" * 5000), "line 2, column tmdbId: expected a TMDB number"),
    ],
    ids=["columns", "cells", "imdbId", "tmdbId", "fraction", "movieId", "twice", "endless imdbId", "endless tmdbId"],
)
def test_errors_in_links_csv_name_line_and_column(read: ReadFilms, links: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"links\.csv, {message}"):
        read(links=links)


def test_the_line_of_an_error_counts_line_breaks_inside_quotes(read: ReadFilms) -> None:
    with pytest.raises(DataError, match=r"movies\.csv, line 4, column movieId"):
        read('movieId,title,genres\n1,"Toy\nStory (1995)",Animation\nx,Heat (1995),Crime\n')


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist; name the unpacked MovieLens folder"):
        read_films(tmp_path / "nowhere")


def test_a_file_instead_of_a_folder_is_refused(folder_of: FolderOf) -> None:
    with pytest.raises(DataError, match=r"movies\.csv is not a folder"):
        read_films(folder_of({"movies.csv": MOVIES}) / "movies.csv")


@pytest.mark.parametrize(
    ("files", "found"), [({}, "nothing"), ({"readme.txt": "", "links.csv": LINKS}, "links.csv, readme")]
)
def test_a_folder_without_movielens_files_is_refused_with_its_contents(
    folder_of: FolderOf, files: Mapping[str, str], found: str
) -> None:
    with pytest.raises(
        DataError, match=rf"holds no data set that is known; expected movies.csv .*; found {re.escape(found)}"
    ):
        read_films(folder_of(files))


def _u_item(*films: tuple[int, str, str, tuple[int, ...]], header: bool = False) -> str:
    """Write films in the format of ml-100k: 5 cells and 19 genre flags, the first for "unknown"."""
    lines = ["|".join(["movieId", "title", "release", "x", "y", *("0" * 19)])] if header else []
    for movie_id, title, date, genres in films:
        flags = ["1" if genre in genres else "0" for genre in range(19)]
        lines.append("|".join([str(movie_id), title, date, "", "http://us.imdb.com/M/x", *flags]))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("header", [False, True], ids=["without header", "with header"])
def test_u_item_is_read(folder_of: FolderOf, header: bool) -> None:
    content = _u_item((1, "Toy Story (1995)", "01-Jan-1995", (3, 5)), (2, "GoldenEye (1995)", "", (1,)), header=header)
    files = read_films(folder_of({"u.item": content}))
    assert files.films == (
        Film(1, "Toy Story", 1995, genres=("Animation", "Comedy")),
        Film(2, "GoldenEye", 1995, genres=("Action",)),
    )
    assert files.numbering == "movielens-100k"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_u_item_may_be_latin_1_or_utf_8(folder_of: FolderOf, encoding: str) -> None:
    content = _u_item((1, "Misérables, Les (1995)", "01-Jan-1995", (8,))).encode(encoding)
    assert read_films(folder_of({"u.item": content})).films[0].title == "Les Misérables"


def test_the_unknown_film_of_u_item_has_neither_year_nor_genre(folder_of: FolderOf) -> None:
    assert read_films(folder_of({"u.item": _u_item((267, "unknown", "", (0,)))})).films == (Film(267, "unknown"),)


def test_u_item_falls_back_to_the_year_of_the_release_date(folder_of: FolderOf) -> None:
    assert read_films(folder_of({"u.item": _u_item((1, "Good Morning", "4-Feb-1971", ()))})).films[0].year == 1971


def test_a_control_character_of_latin_1_ends_no_line(folder_of: FolderOf) -> None:
    content = _u_item((1, "And so on\x85 (1995)", "", ())).encode("latin-1")
    assert len(read_films(folder_of({"u.item": content})).films) == 1


def test_u_item_may_end_its_lines_with_crlf(folder_of: FolderOf) -> None:
    content = _u_item((1, "Toy Story (1995)", "", (18,)), (2, "GoldenEye (1995)", "", ())).replace("\n", "\r\n")
    assert read_films(folder_of({"u.item": content})).films[0].genres == ("Western",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_u_item((1, "Toy Story", "", ())) + "2|GoldenEye\n", r"line 2: expected 24 cells parted by \|, received 2"),
        (_u_item((1, "", "", ())), "line 1, column title: expected a title"),
        (_u_item((0, "Heat", "", ())), "line 1, column movieId: expected a film's number"),
        (_u_item((1, "Heat", "", ()), (1, "Emma", "", ())), "line 2, column movieId: expected every film once"),
        ("\n", "lists no film"),
        ("once\0upon\n", "line 1: expected text, not a binary file"),
    ],
    ids=["cells", "title", "movieId", "twice", "empty", "binary"],
)
def test_errors_in_u_item_name_the_line(folder_of: FolderOf, content: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"u\.item(, | ){message}"):
        read_films(folder_of({"u.item": content}))


# Tags


def test_tags_are_counted_by_user_ignoring_case_and_blanks(folder_of: FolderOf) -> None:
    tags = (
        "userId,movieId,tag,timestamp\n1,6,Heist,1\n2,6,heist,2\n2,6, HEIST ,3\n2,6,Los  Angeles,4\n1,1,  ,5\n1,9,x,6\n"
    )
    files = read_films(folder_of({"movies.csv": MOVIES, "links.csv": LINKS, "tags.csv": tags}))
    assert files.tags == (FilmTag(6, "heist", 2), FilmTag(6, "los angeles", 1))


def test_tags_are_optional(folder_of: FolderOf) -> None:
    assert read_films(folder_of({"movies.csv": MOVIES})).tags == ()


def test_tags_without_their_columns_are_refused(folder_of: FolderOf) -> None:
    with pytest.raises(DataError, match=r"tags\.csv, line 1: expected the columns userId, movieId, tag"):
        read_films(folder_of({"movies.csv": MOVIES, "tags.csv": "movieId,tag\n1,fun\n"}))
