import pytest

from catalog.errors import ConfigError
from catalog.film import Film
from catalog.genres import match_genres, notes_on_genres, split_genres

KNOWN = ("Comedy", "Drama", "Film-Noir")


def test_genres_are_split_as_movielens_writes_them() -> None:
    assert split_genres(" Comedy|Drama | Comedy|") == ("Comedy", "Drama")
    assert split_genres("(no genres listed)") == split_genres("") == ()


def test_case_is_ignored() -> None:
    assert match_genres(["drama", "FILM-NOIR"], KNOWN) == ("Drama", "Film-Noir")


def test_the_nearest_genre_is_suggested_if_any_is_near() -> None:
    with pytest.raises(
        ConfigError, match=r"no film is of the genre 'comdy' \(did you mean Comedy\?\); there are Comedy"
    ):
        match_genres(["Drama", "comdy"], KNOWN)
    with pytest.raises(ConfigError, match="no film is of the genre 'Xyz'; there are Comedy, Drama, Film-Noir"):
        match_genres(["Xyz"], KNOWN)


def test_genres_that_are_separated_otherwise_are_noted() -> None:
    films = [
        Film(1, "A", genres=("Crime, Thriller",)),
        Film(2, "B", genres=("War;Drama",)),
        Film(3, "C", genres=("War",)),
    ]
    assert list(notes_on_genres(films)) == [
        "2 genres with a comma or a semicolon, such as 'Crime, Thriller', taken as one; genres are separated by |"
    ]
    assert not list(notes_on_genres(films[2:]))
