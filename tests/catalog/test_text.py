import pytest

from catalog.text import first_line, plural


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
