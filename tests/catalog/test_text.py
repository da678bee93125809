import pytest

from catalog.text import plural


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
