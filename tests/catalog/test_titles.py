from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from catalog.titles import ParsedTitle, article_first, bare_key, parse_title, split_bare_year, title_key

# Words of four letters and more: none of them is an article.
PLAIN_WORDS = st.lists(st.text(string.ascii_lowercase, min_size=4, max_size=8), min_size=1, max_size=4)
LATIN = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x24F, categories=("L", "N", "Zs", "P")), max_size=30)


@pytest.mark.parametrize(
    ("text", "title", "year"),
    [
        ("Heat (1995)", "Heat", 1995),
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("Beautiful Mind, A (2001)", "A Beautiful Mind", 2001),
        ("American in Paris, An (1951)", "An American in Paris", 1951),
        ("Avventura, L' (1960)", "L'Avventura", 1960),
        ("Misérables, Les (1998)", "Les Misérables", 1998),
        ("Dolce Vita, La (1960)", "La Dolce Vita", 1960),
        ("Mariachi, El (1992)", "El Mariachi", 1992),
        ("Postino, Il (1994)", "Il Postino", 1994),
        ("Himmel über Berlin, Der (1987)", "Der Himmel über Berlin", 1987),
        ("Boot, Das (1981)", "Das Boot", 1981),
        ("Goofy Movie, a (1995)", "a Goofy Movie", 1995),
        ("Good, the Bad and the Ugly, The (1966)", "The Good, the Bad and the Ugly", 1966),
        ("Monsters, Inc. (2001)", "Monsters, Inc.", 2001),
        ("Black Mirror", "Black Mirror", None),
        ("Cosmos", "Cosmos", None),
        ("Blade Runner 2049 (2017)", "Blade Runner 2049", 2017),
        ("1984 (1956)", "1984", 1956),
        ("2001", "2001", None),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        ("Death Note: Desu nôto (2006–2007)", "Death Note: Desu nôto", 2006),
        ("Doctor Who (2005-2010)", "Doctor Who", 2005),
        ("Fawlty Towers (1975-)", "Fawlty Towers", 1975),
        ("Big Bang Theory, The (2007-)", "The Big Bang Theory", 2007),
        ("Diplomatic Immunity (2009– )", "Diplomatic Immunity", 2009),
        ("Return of Martin Guerre, The (1983))", "The Return of Martin Guerre", 1983),
        ("  Toy Story (1995)  ", "Toy Story", 1995),
        ("Toy Story(1995)", "Toy Story", 1995),
        (
            "Birdman: Or (The Unexpected Virtue of Ignorance) (2014)",
            "Birdman: Or (The Unexpected Virtue of Ignorance)",
            2014,
        ),
    ],
)
def test_a_title_without_alternatives_is_split(text: str, title: str, year: int | None) -> None:
    assert parse_title(text) == ParsedTitle(title, (), year)


@pytest.mark.parametrize(
    ("text", "title", "alternatives"),
    [
        ("Seven (a.k.a. Se7en) (1995)", "Seven", ("Se7en",)),
        ("Seven (aka Se7en) (1995)", "Seven", ("Se7en",)),
        ("Postman, The (Postino, Il) (1994)", "The Postman", ("Il Postino",)),
        ("Adventure, The (a.k.a. Avventura, L') (1960)", "The Adventure", ("L'Avventura",)),
        (
            "Léon: The Professional (a.k.a. The Professional) (Léon) (1994)",
            "Léon: The Professional",
            ("The Professional", "Léon"),
        ),
        ("Host, The (Gwoemul) (Monster (Korea)) (2006)", "The Host", ("Gwoemul", "Monster (Korea)")),
        ("Cosmos (Weltall)", "Cosmos", ("Weltall",)),
        ("Nothing () (1999)", "Nothing", ()),
    ],
)
def test_alternative_titles_are_split_off(text: str, title: str, alternatives: tuple[str, ...]) -> None:
    parsed = parse_title(text)
    assert (parsed.title, parsed.alternatives) == (title, alternatives)


def test_a_year_alone_leaves_no_title() -> None:
    assert parse_title("(1995)") == ParsedTitle("", (), 1995)


@given(PLAIN_WORDS, st.integers(1874, 2030), st.sampled_from(["The", "A", "An", "Le", "L'"]))
def test_titles_in_movielens_form_round_trip(words: list[str], year: int, article: str) -> None:
    gap = "" if article == "L'" else " "
    rest = " ".join(words)
    assert parse_title(f"{rest}, {article} ({year})") == ParsedTitle(f"{article}{gap}{rest}", (), year)


@given(st.text(max_size=60))
@example("((((((")
@example("(a) (b) (1999) (c))")
def test_any_text_has_a_title_without_blanks_around_it(text: str) -> None:
    parsed = parse_title(text)
    assert parsed.title == parsed.title.strip()
    assert all(parsed.alternatives)


def test_a_title_that_only_ends_like_an_article_is_unchanged() -> None:
    assert article_first("Theatre, Theirs") == "Theatre, Theirs"


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("heat 1995", ("heat", 1995)),
        ("blade runner 2049", ("blade runner", 2049)),
        ("1984", None),
        ("apollo 13", None),
        ("room 1408", None),
        ("heat1995", None),
    ],
)
def test_a_bare_year_is_split_off(text: str, split: tuple[str, int] | None) -> None:
    assert split_bare_year(text) == split


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Amélie", "AMELIE"),
        ("Les Misérables", "miserables, les"),
        ("The Matrix", "Matrix, The"),
        ("L'Avventura", "avventura, l'"),
        ("L'Avventura", "L’Avventura"),
        ("Schindler's List", "schindlers list"),
        ("Monsters, Inc.", "monsters inc"),
        ("WALL·E", "wall-e"),
        ("Fast & Furious", "fast and furious"),
        ("Smørrebrød", "smorrebrod"),
        ("Æon Flux", "aeon flux"),
        ("Straße", "strasse"),
        ("Se7en ", "  se7en"),
        ("Mission: Impossible – Fallout", "mission impossible_fallout"),
    ],
)
def test_spellings_of_a_title_share_a_key(one: str, other: str) -> None:
    assert title_key(one) == title_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Alien", "Aliens"), ("Rocky II", "Rocky III"), ("$", "!"), ("Her", "Hero")]
)
def test_different_titles_have_different_keys(one: str, other: str) -> None:
    assert title_key(one) != title_key(other)


def test_a_title_of_punctuation_is_its_own_key() -> None:
    assert title_key(" $ ") == "$"


@given(LATIN)
def test_a_key_ignores_case(text: str) -> None:
    assert title_key(text.upper()) == title_key(text.lower())


@given(LATIN)
def test_composed_and_decomposed_accents_share_a_key(text: str) -> None:
    assert title_key(unicodedata.normalize("NFD", text)) == title_key(unicodedata.normalize("NFC", text))


@given(PLAIN_WORDS, st.text(' .,:;!?-–()[]"/', min_size=1, max_size=3))
def test_a_key_ignores_punctuation_between_words(words: list[str], gap: str) -> None:
    assert title_key(gap.join(words) + gap) == " ".join(words)


@given(PLAIN_WORDS, st.sampled_from("the a an la le les el il der die das".split()))
def test_a_key_ignores_the_position_of_the_article(words: list[str], article: str) -> None:
    rest = " ".join(words)
    assert title_key(f"{rest}, {article}") == title_key(f"{article} {rest}")


@given(st.text(max_size=40))
def test_a_key_is_words_separated_by_single_blanks(text: str) -> None:
    key = title_key(text)
    assume(any(letter.isalnum() for letter in key))
    assert key == " ".join(key.split())


@pytest.mark.parametrize(
    ("key", "bare"),
    [("the matrix", "matrix"), ("l avventura", "avventura"), ("heat", "heat"), ("the", "the"), ("them", "them")],
)
def test_a_bare_key_lacks_the_article(key: str, bare: str) -> None:
    assert bare_key(key) == bare


def test_titles_are_stored_composed() -> None:
    assert parse_title("Ame\u0301lie (2001)").title == "Am\u00e9lie"
