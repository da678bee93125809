"""Directors, cast and keywords of films: loaded, added, kept and removed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import keyart
from catalog.errors import DataError, NotBuiltError
from catalog.film import FilmTerm
from catalog.films import Catalog
from catalog.io.files import write_bytes
from keyart.pipeline.additions import add
from keyart.pipeline.content import load_content
from keyart.pipeline.movielens import load
from keyart.pipeline.removals import remove
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster

CONTENT = """imdb_id,director,cast,keywords
tt0000011,Ana Berg,Jo Lind|Mia Holm,heist
tt0000016,Ana Berg,,rain|night
tt9999999,Nobody,,
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_bytes(tmp_path / "content.csv", CONTENT.encode())
    return tmp_path / "content.csv"


def terms(home: Path) -> list[FilmTerm]:
    with Catalog.open(Workspace.open(home).catalog_path) as catalog:
        assert catalog.inconsistency() is None
        return catalog.terms()


def test_loads_content_and_lists_what_matches_no_film(home: Path, table: Path) -> None:
    report = load_content(home, table)
    assert report.to_dict() == {
        "n_films": 2,
        "n_terms": {"director": 2, "cast": 2, "keyword": 3},
        "unmatched": ["line 4: IMDb id tt9999999"],
    }
    assert FilmTerm(1, "cast", "Mia Holm") in terms(home)
    assert len(terms(home)) == 7


def test_films_are_compared_by_it(home: Path, table: Path) -> None:
    with keyart.open(home) as engine:
        before = engine.similar(1, content=1)
    load_content(home, table)
    with keyart.open(home) as engine:
        after = engine.similar(1, content=1)
    (earlier,), (later,) = ([hit for hit in found if hit.movie_id == 6] for found in (before, after))
    assert later.content_rank <= earlier.content_rank
    assert "directed by Ana Berg" in next(hit.in_common for hit in after if hit.movie_id == 6)


def test_a_second_table_replaces_the_content_of_its_films_alone(home: Path, table: Path) -> None:
    load_content(home, table)
    write_bytes(table, b"movie_id,cast\n1,Jo Lind\n")
    load_content(home, table)
    assert [term for term in terms(home) if term.movie_id == 1] == [FilmTerm(1, "cast", "Jo Lind")]
    assert [term.movie_id for term in terms(home)].count(6) == 3


def test_a_later_load_of_films_keeps_it_and_remove_takes_it_away(home: Path, movielens: Path, table: Path) -> None:
    load_content(home, table)
    kept = terms(home)
    load(home, movielens)
    assert terms(home) == kept
    remove(home, [1])
    assert {term.movie_id for term in terms(home)} == {6}


def test_added_films_have_directors_cast_and_keywords(home: Path, run: Run, tmp_path: Path) -> None:
    write_bytes(tmp_path / "new.jpg", draw_poster(9))
    words = ("--title", "New One (1999)", "--director", "Ana Berg", "--cast", "Jo Lind", "--cast", "Mia Holm")
    done = run("add", tmp_path / "new.jpg", *words, "--keyword", "heist", "--home", home)
    assert done.code == 0
    (movie_id,) = {term.movie_id for term in terms(home)}
    assert [(term.kind, term.term) for term in terms(home)] == [
        ("cast", "Jo Lind"),
        ("cast", "Mia Holm"),
        ("director", "Ana Berg"),
        ("keyword", "heist"),
    ]
    assert movie_id > 1_000_000_000


def test_a_table_of_new_films_may_have_its_columns(home: Path, run: Run, tmp_path: Path) -> None:
    write_bytes(tmp_path / "new.jpg", draw_poster(9))
    write_bytes(tmp_path / "new.csv", b"path,title,director,cast,keywords\nnew.jpg,New One (1999),Ana,Jo|Mia,heist\n")
    assert run("add", tmp_path / "new.csv", "--home", home).code == 0
    assert [term.term for term in terms(home)] == ["Jo", "Mia", "Ana", "heist"]


def test_films_added_in_python_have_people_and_words(home: Path) -> None:
    add(home, [keyart.NewFilm(draw_poster(9), "New One", 1999, directors=["Ana"], cast=["Jo"], keywords=["heist"])])
    assert len(terms(home)) == 3
    with pytest.raises(TypeError, match="directors should be a sequence"):
        keyart.NewFilm(draw_poster(9), directors="Ana")


def test_the_command_loads_people_and_words_alone_or_with_films(
    run: Run, movielens: Path, table: Path, tmp_path: Path
) -> None:
    done = run("load", movielens, "--content", table, "--home", tmp_path / "new")
    assert "content of 2 films loaded: 2 directors, 2 actors and 3 keywords" in done.out
    assert "1 row matches no film:\n  line 4: IMDb id tt9999999" in done.err
    assert run("load", "--content", table, "--home", tmp_path / "new").code == 0
    missing = run("load", "--home", tmp_path / "new")
    assert (missing.code, "Missing argument" in missing.err) == (2, True)


def test_rows_that_match_no_film_are_listed_as_far_as_anybody_reads(run: Run, home: Path, table: Path) -> None:
    write_bytes(table, "\n".join(["movie_id,cast", "1,Jo", *(f"{1000 + n},Mia" for n in range(30))]).encode())
    done = run("load", "--content", table, "--home", home)
    assert done.err.startswith("30 rows match no film:\n  line 3: movie_id 1000\n")
    assert done.err.endswith("  line 22: movie_id 1019\n  … and 10 more\n")


def test_a_film_of_several_rows_has_the_terms_of_all_in_one_spelling(home: Path, table: Path) -> None:
    write_bytes(table, b"movie_id,cast\n1,Jo Lind\n1,JO LIND|Mia Holm\n")
    assert load_content(home, table).n_terms["cast"] == 2
    assert {term.term.casefold() for term in terms(home)} == {"jo lind", "mia holm"}


def test_a_table_of_no_film_of_the_workspace_is_refused(home: Path, table: Path) -> None:
    write_bytes(table, b"movie_id,cast\n99,Jo\n")
    with pytest.raises(DataError, match="names no film of this workspace"):
        load_content(home, table)
    with pytest.raises(NotBuiltError):
        load_content(home.parent / "nothing", table)


def test_a_catalog_of_an_earlier_version_has_none_and_takes_some(home: Path, table: Path) -> None:
    path = Workspace.open(home).catalog_path
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE terms")
    path.with_name(f"{path.name}.json").unlink(missing_ok=True)
    assert terms(home) == []
    load_content(home, table)
    assert len(terms(home)) == 7
