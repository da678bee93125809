import pytest

from catalog.text import clean, first_line, is_clean, plural, visible


@pytest.mark.parametrize(
    ("n", "words", "text"),
    [
        (1, ("film",), "1 film"),
        (0, ("film",), "0 films"),
        (2345, ("film",), "2,345 films"),
        (1, ("film has", "films have"), "1 film has"),
        (2, ("film has", "films have"), "2 films have"),
    ],
)
def test_plural(n: int, words: tuple[str, ...], text: str) -> None:
    assert plural(n, *words) == text


def test_errors_of_other_libraries_are_cut_to_a_line() -> None:
    assert first_line(ValueError("\n  no such\t layer\nTraceback")) == "no such layer"
    assert first_line(ValueError()) == ""
    long = first_line(ValueError("x" * 400))
    assert long == "x" * 298 + " …"


ESCAPES = {
    "\x1b]0;owned\x07Heat": r"\x1b]0;owned\x07Heat",
    "\x9b31mHeat": r"\x9b31mHeat",
    "He\u202eta": r"He\u202eta",
    "He\u200bat\ufeff": r"He\u200bat\ufeff",
    "Heat\r\nkeyart: all is well": r"Heat\r\nkeyart: all is well",
    "He\u2028at": r"He\u2028at",
    "H\U000e0041eat": r"H\U000e0041eat",
    "Heat\ud800": r"Heat\ud800",
}


@pytest.mark.parametrize(("text", "shown"), ESCAPES.items(), ids=ascii)
def test_what_a_terminal_would_obey_is_shown_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert not is_clean(text)
    assert is_clean(clean(text))
    assert clean(clean(text)) == clean(text)


def test_lines_may_stay() -> None:
    assert visible("a\tb\n\x1b[2J", lines=True) == "a\tb\n\\x1b[2J"


@pytest.mark.parametrize("text", ["Café Zürich", "千と千尋", "می\u200cخواهم", "👩\u200d🚀", "Ça c'est ça – l'été…", ""])
def test_letters_of_all_scripts_stay(text: str) -> None:
    assert (visible(text), clean(text), is_clean(text)) == (text, text, True)


def test_clean_titles_are_one_line() -> None:
    assert clean(" He\u202eat\r\n\tAgain\x00 ") == "Heat Again"
