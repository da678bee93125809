"""Agreement of films in genres, tags, years, titles and people."""

from __future__ import annotations

import numpy as np
import pytest

from catalog.film import Film, FilmTag, FilmTerm
from keyart.similarity.content import ContentSimilarity

FILMS = [
    Film(1, "Night Train", 1990, genres=("Horror", "Drama")),
    Film(2, "The Long Rain", 1991, genres=("Horror", "Drama")),
    Film(3, "Picnic", 1990, genres=("Comedy",)),
    Film(4, "Harbour", 1960, genres=("Drama",)),
    Film(5, "Unknown", None),
    Film(6, "Night Train II: Home", 1994, genres=("Drama",)),
    Film(7, "Snow", 1990, genres=("Drama",)),
]


def scores(content: ContentSimilarity, movie_id: int) -> dict[int, float]:
    found = content.to_film(movie_id)
    return dict(zip(found.ids.tolist(), found.scores.tolist(), strict=True))


def test_every_other_film_has_an_agreement_and_the_film_itself_has_none() -> None:
    found = ContentSimilarity(FILMS).to_film(1)
    assert found.ids.tolist() == [2, 3, 4, 5, 6, 7]
    assert np.isfinite(found.scores).all()


def test_agreement_is_the_same_in_both_directions() -> None:
    content = ContentSimilarity(FILMS, [FilmTag(1, "bleak", 3), FilmTag(7, "bleak", 1)])
    for one in FILMS:
        for other, score in scores(content, one.movie_id).items():
            assert scores(content, other)[one.movie_id] == pytest.approx(score)


def test_a_rare_genre_in_common_counts_more_than_a_common_one() -> None:
    of_first = scores(ContentSimilarity(FILMS), 1)
    assert of_first[2] > of_first[7] > of_first[3]


def test_a_format_is_no_genre() -> None:
    films = [Film(1, "Sky", 2000, genres=("Drama", "IMAX")), Film(2, "Sea", 2000, genres=("Drama",)), *FILMS[2:]]
    content = ContentSimilarity(films)
    assert scores(content, 1)[7] == scores(content, 2)[7]
    assert content.in_common_with(1)(2) == ("Drama", "2000s")


def test_years_nearby_count_more() -> None:
    of_snow = scores(ContentSimilarity(FILMS), 7)
    assert of_snow[6] > of_snow[4]


def test_a_title_of_the_same_series_counts() -> None:
    of_first = scores(ContentSimilarity(FILMS), 1)
    assert of_first[6] > of_first[7]


@pytest.mark.parametrize("kind", ["director", "cast", "keyword"])
def test_people_and_keywords_count_in_any_case(kind: str) -> None:
    terms = [FilmTerm(3, kind, "Ana Berg"), FilmTerm(7, kind, "ana berg"), FilmTerm(4, kind, "Jo Lind")]
    without, found = scores(ContentSimilarity(FILMS), 7), scores(ContentSimilarity(FILMS, terms=terms), 7)
    assert found[3] - found[4] > without[3] - without[4]
    assert found[6] > found[4]


def test_what_is_not_known_is_no_evidence() -> None:
    """A film without genres and year is nearer than one that differs, and further than one that agrees."""
    of_first = scores(ContentSimilarity(FILMS), 1)
    assert of_first[2] > of_first[5] > of_first[3]


def test_one_common_tag_of_many_films_is_weak_evidence() -> None:
    films = [Film(n, f"Film{n}", 2000, genres=("Drama",)) for n in range(1, 21)]
    tags = [*(FilmTag(n, "seen", 1) for n in range(1, 19)), FilmTag(1, "heist", 1), FilmTag(20, "heist", 1)]
    of_first = scores(ContentSimilarity(films, tags), 1)
    assert of_first[20] - of_first[19] > 2 * (of_first[2] - of_first[19])


def test_more_users_of_a_tag_make_it_count_more() -> None:
    tags = [
        FilmTag(1, "bleak", 9),
        FilmTag(1, "rain", 1),
        FilmTag(4, "bleak", 1),
        FilmTag(7, "rain", 1),
    ]
    films = [*FILMS[:3], Film(4, "Harbour", 1990, genres=("Drama",)), *FILMS[4:]]
    of_first = scores(ContentSimilarity(films, tags), 1)
    assert of_first[4] > of_first[7]


def test_several_films_are_compared_by_their_mean() -> None:
    content = ContentSimilarity(FILMS)
    found = content.to_films([1, 3], without=[4])
    assert found.ids.tolist() == [2, 5, 6, 7]
    expected = [(scores(content, 1)[n] + scores(content, 3)[n]) / 2 for n in (2, 5, 6, 7)]
    np.testing.assert_allclose(found.scores, expected)


def test_names_what_films_have_in_common() -> None:
    terms = [FilmTerm(n, "director", "Ana Berg") for n in (1, 2)]
    content = ContentSimilarity(FILMS, [FilmTag(1, "bleak", 1), FilmTag(2, "bleak", 1)], terms)
    assert content.in_common_with(1)(2) == ("directed by Ana Berg", "Horror", "Drama", "tagged bleak")
    assert content.in_common_with(1)(6) == ("“night train”", "Drama", "1990s")
    assert content.in_common_with(3)(5) == ()


def test_unknown_films_have_no_agreement() -> None:
    content = ContentSimilarity(FILMS)
    assert len(content.to_film(99)) == 0
    assert len(content.to_films([99])) == 0
    assert content.in_common_with(1)(99) == ()


def test_a_catalog_of_titles_alone_can_be_compared() -> None:
    content = ContentSimilarity([Film(1, "1984"), Film(2, "2001")])
    assert content.to_film(1).scores.tolist() == [0]
