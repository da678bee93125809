"""Parse MovieLens' titles, and normalize titles to keys for lookup.

MovieLens writes ``"City of Lost Children, The (Cité des enfants perdus, La) (1995)"``; a reader expects "The City
of Lost Children", 1995, also known as "La Cité des enfants perdus". Accents, case, punctuation and the position of
the article are ignored when a film is looked up.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from catalog.text import clean, plural

_ARTICLES = (
    "the a an la le les l' el los las il lo gli i der die das un une uno una ein eine "
    "de het den det en ett et o os as um uma"
).split()
KEY_ARTICLES = frozenset(article.rstrip("'") for article in _ARTICLES)
"""Articles of several languages, as keys have them: without apostrophes."""

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
_PART_WORDS = frozenset(("part", "pt", "episode", "ep", "chapter", "vol", "volume"))
_ROMAN = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx".split()
_ENGLISH = "one two three four five six seven eight nine ten".split()
_ROMAN_NUMBERS = {word: str(number) for number, word in enumerate(_ROMAN, 1)}
_NUMBERS = _ROMAN_NUMBERS | {word: str(number) for number, word in enumerate(_ENGLISH, 1)}


@dataclass(frozen=True)
class ParsedTitle:
    """The parts of a MovieLens title; titles are written article first."""

    title: str
    alternatives: tuple[str, ...]
    year: int | None


def parse_title(text: str) -> ParsedTitle:
    """Split a MovieLens title into title, alternative titles and year, without control and invisible characters.

    >>> parse_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
    ParsedTitle(title='The City of Lost Children', alternatives=('La Cité des enfants perdus',), year=1995)
    """
    # Some file systems decompose letters with accents.
    rest = unicodedata.normalize("NFC", clean(text)).strip()
    year = None
    if match := _YEAR_AT_END.search(rest):
        year, rest = int(match["year"]), rest[: match.start()].rstrip()
    alternatives: list[str] = []
    # "Birdman: Or (The Unexpected Virtue of Ignorance)" goes on inside its parentheses.
    while (match := _PARENTHESES_AT_END.search(rest)) and not rest[: match.start()].lower().endswith(" or"):
        alternatives.insert(0, article_first(_ALSO_KNOWN_AS.sub("", match["inside"].strip())))
        rest = rest[: match.start()].rstrip()
    return ParsedTitle(article_first(rest), tuple(name for name in alternatives if name), year)


def notes_on_titles(n_cleaned: int) -> tuple[str, ...]:
    """Return a note where titles were not taken as they are; see `catalog.text.clean`."""
    titles = plural(n_cleaned, "title")
    return (f"{titles} with control or invisible characters, which were left out",) if n_cleaned else ()


def article_first(title: str) -> str:
    """Move an article from the end of a title to its beginning: "Matrix, The", "Avventura, L'"."""
    match = _ARTICLE_AT_END.match(title)
    if not match:
        return title
    gap = "" if match["article"].endswith("'") else " "
    return f"{match['article']}{gap}{match['rest']}"


def split_bare_year(text: str) -> tuple[str, int] | None:
    """Split a text such as ``"heat 1995"`` into a title and a year; None without a year after a title."""
    match = _BARE_YEAR_AT_END.search(text)
    return (text[: match.start()], int(match["year"])) if match else None


def title_key(title: str) -> str:
    """Normalize a title without year: lower-case words without accents or punctuation, article first.

    A title of punctuation only is its own key.
    """
    words = _words(title)
    # "The Den" begins with its article: "den", a Danish article, is a word here.
    if len(words) > 1 and words[-1] in KEY_ARTICLES and words[0] not in KEY_ARTICLES:
        words = [words[-1], *words[:-1]]
    return " ".join(words) or title.strip()


def bare_key(key: str) -> str:
    """Drop the leading article of a `title_key`, so that "matrix" finds "the matrix"."""
    first, _, rest = key.partition(" ")
    return rest if rest and first in KEY_ARTICLES else key


def series_key(key: str) -> str:
    """Write the number of a part of a series as digits, in a `title_key`.

    >>> series_key("the godfather part ii"), series_key("star wars episode iv a new hope")
    ('the godfather 2', 'star wars 4 a new hope')
    """
    words: list[str] = []
    for word in key.split():
        if words and words[-1] in _PART_WORDS and (word in _NUMBERS or word.isdigit()):
            words[-1] = _NUMBERS.get(word, word)
        # "I" and a numeral at the beginning are words: "I, Robot", "V for Vendetta".
        else:
            words.append(_ROMAN_NUMBERS.get(word, word) if words and word != "i" else word)
    return " ".join(words)


def _words(title: str) -> list[str]:
    decomposed = unicodedata.normalize("NFKD", title).casefold()
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    plain = plain.translate(_UNDECOMPOSED).replace("&", " and ")
    # "l'avventura" keeps its article apart; any other apostrophe is dropped: "schindler's" is "schindlers".
    plain = re.sub(r"(?:^|(?<=\s))l['’]", "l ", plain)
    return _NOT_WORD.sub(" ", _APOSTROPHES.sub("", plain)).split()
