"""Titles: from MovieLens' spelling to a reader's, and from what a person types to a key that can be looked up.

MovieLens writes ``"City of Lost Children, The (Cité des enfants perdus, La) (1995)"``; a reader expects "The City
of Lost Children", 1995, also known as "La Cité des enfants perdus". Accents, case, punctuation and the article's
place carry no meaning when a film is looked up. Imports nothing of the project.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_ARTICLES = (
    "the a an la le les l' el los las il lo gli i der die das un une uno una ein eine "
    "de het den det en ett et o os as um uma"
).split()
# As they stand in a key, where no apostrophe is left.
_KEY_ARTICLES = frozenset(article.rstrip("'") for article in _ARTICLES)
_ARTICLE_AT_END = re.compile(rf"^(?P<rest>.+), (?P<article>{'|'.join(_ARTICLES)})$", re.IGNORECASE)
# "(1995)", and the oddities "(2006–2007)", "(2007-)" and "(1983))".
_YEAR_AT_END = re.compile(r"\(\s*(?P<year>\d{4})\s*(?:[-–]\s*(?:\d{4})?\s*)?\)+\s*$")
_BARE_YEAR_AT_END = re.compile(r"\s(?P<year>(?:18|19|20)\d\d)\s*$")
_PARENTHESES_AT_END = re.compile(r"\s+\((?P<inside>[^()]*(?:\([^()]*\)[^()]*)*)\)\s*$")
_ALSO_KNOWN_AS = re.compile(r"^(?:a\.?k\.?a\.?:?)\s+", re.IGNORECASE)
# Letters that Unicode does not decompose into a base letter and an accent.
_UNDECOMPOSED = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
_APOSTROPHES = re.compile(r"['’‘`´]")
_NOT_WORD = re.compile(r"[^\w]+|_")


@dataclass(frozen=True)
class ParsedTitle:
    """A MovieLens title, taken apart.

    Parameters
    ----------
    title : str
        The title as a reader expects it, article first, without year and alternatives.
    alternatives : tuple of str
        Other titles of the film, article first.
    year : int or None
        The year of release; None where the text names none.
    """

    title: str
    alternatives: tuple[str, ...]
    year: int | None


def parse_title(text: str) -> ParsedTitle:
    """Take a MovieLens title apart.

    Parameters
    ----------
    text : str
        Such as ``"Matrix, The (1999)"`` or ``"Seven (a.k.a. Se7en) (1995)"``.

    Returns
    -------
    ParsedTitle
        Title, alternatives and year.

    Examples
    --------
    >>> parse_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
    ParsedTitle(title='The City of Lost Children', alternatives=('La Cité des enfants perdus',), year=1995)
    """
    rest = text.strip()
    year = None
    if found := _YEAR_AT_END.search(rest):
        year, rest = int(found["year"]), rest[: found.start()].rstrip()
    alternatives: list[str] = []
    # "Birdman: Or (The Unexpected Virtue of Ignorance)" goes on inside its parentheses.
    while (found := _PARENTHESES_AT_END.search(rest)) and not rest[: found.start()].lower().endswith(" or"):
        alternatives.insert(0, article_first(_ALSO_KNOWN_AS.sub("", found["inside"].strip())))
        rest = rest[: found.start()].rstrip()
    return ParsedTitle(article_first(rest), tuple(name for name in alternatives if name), year)


def article_first(title: str) -> str:
    """Move an article from the end of a title to its beginning.

    Parameters
    ----------
    title : str
        Such as ``"Matrix, The"`` or ``"Avventura, L'"``.

    Returns
    -------
    str
        ``"The Matrix"``, ``"L'Avventura"``; any other title as it was.
    """
    found = _ARTICLE_AT_END.match(title)
    if not found:
        return title
    gap = "" if found["article"].endswith("'") else " "
    return f"{found['article']}{gap}{found['rest']}"


def split_bare_year(text: str) -> tuple[str, int] | None:
    """Split ``"heat 1995"`` into a title and a year.

    Parameters
    ----------
    text : str
        What a person typed.

    Returns
    -------
    tuple of (str, int) or None
        None where the text does not end in a year after something else.
    """
    found = _BARE_YEAR_AT_END.search(text)
    return (text[: found.start()], int(found["year"])) if found else None


def title_key(title: str) -> str:
    """Reduce a title to what identifies it: lower-case words without accents or punctuation, article first.

    Parameters
    ----------
    title : str
        A title in any spelling, without year.

    Returns
    -------
    str
        Words parted by single blanks; for a title made of punctuation only, that punctuation.
    """
    words = _words(title)
    # "The Den" has its article already; that "den" is one in Danish does not concern it.
    if len(words) > 1 and words[-1] in _KEY_ARTICLES and words[0] not in _KEY_ARTICLES:
        words = [words[-1], *words[:-1]]
    return " ".join(words) or title.strip()


def bare_key(key: str) -> str:
    """Drop the leading article of a `title_key`, so that "matrix" finds "the matrix".

    Parameters
    ----------
    key : str
        What `title_key` returned.

    Returns
    -------
    str
        The key without its article; unchanged if nothing else would be left.
    """
    first, _, rest = key.partition(" ")
    return rest if rest and first in _KEY_ARTICLES else key


def _words(title: str) -> list[str]:
    decomposed = unicodedata.normalize("NFKD", title).casefold()
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    plain = plain.translate(_UNDECOMPOSED).replace("&", " and ")
    # "l'avventura" keeps its article apart; any other apostrophe just closes up: "schindler's" is "schindlers".
    plain = re.sub(r"(?:^|(?<=\s))l['’]", "l ", plain)
    return _NOT_WORD.sub(" ", _APOSTROPHES.sub("", plain)).split()
