"""Find films by title: exact lookup of a normalized title, and suggestions by words and spelling."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from catalog.errors import AmbiguousFilmError, UnknownFilmError
from catalog.film import Film
from catalog.film_ids import FilmId, Imdb, Movie, parse_film_id
from catalog.titles import bare_key, parse_title, series_key, split_bare_year, title_key

_N_SUGGESTIONS = 5
_N_LISTED = 20
_N_SIMILAR = 15
_MIN_INITIALS, _MAX_INITIALS = 3, 8
# The years of films, as a text that is nothing else.
_YEAR = re.compile(r"(?:18[7-9]|19\d|20\d)\d")
_UNFINISHED_YEAR = re.compile(r" \(\d{0,4}$")
_FIRST_LETTER = re.compile(r"\b\w")
# The least similarity of spelling, of 100, that is worth suggesting, to a whole title and to a part of one. A part
# weighs a little less, and only texts that are not too short are compared with parts.
_MIN_SIMILARITY, _MIN_PART_SIMILARITY, _PART_WEIGHT, _MIN_PART_LENGTH = 60, 85, 0.9, 5
# From which similarity on a word is another one, misspelled: "poter" is "potter", and "moon" is not "noon".
_MIN_WORD_SIMILARITY = 80

Rows = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]
Films = Callable[[Iterable[int]], dict[int, Film]]


class TitleSearch:
    """Searches the tables of a catalog; `Catalog.find` and `Catalog.suggest` describe the results."""

    def __init__(self, rows: Rows, films: Films) -> None:
        self._rows = rows
        self._films = films

    @cached_property
    def _titles(self) -> list[tuple[str, int]]:
        """All titles as they are compared, with their movie_ids; a catalog that is open does not change."""
        return self._rows("SELECT bare_key, movie_id FROM titles", ())

    def find(self, text: str) -> Film:
        # Python decodes invalid UTF-8 on a command line to lone surrogates, which SQLite refuses.
        text = text.encode("utf-8", "replace").decode().strip()
        if not text:
            raise UnknownFilmError("no film is named; give a title such as 'Heat (1995)' or an id")
        film_id = parse_film_id(text)
        if film_id and (result := self.of_id(film_id)):
            return _only(film_id, result)
        # Any other number may be a title.
        if film_id and not _is_number(text, film_id):
            raise UnknownFilmError(f"no film has the {film_id}")
        matches = self._matches(text) or self._short_forms(text)
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise _ambiguous(text, matches)
        raise self._unknown(text)

    def suggest(self, text: str, k: int) -> list[Film]:
        text = text.encode("utf-8", "replace").decode().strip()
        if not text:
            return []
        film_id, of_id = parse_film_id(text), self._meant_by(text)
        # Any other number may be a title, or begin one.
        if film_id and not _is_number(text, film_id):
            return of_id[:k]
        meant = self._matches(text) or (self._short_forms(text) if " " in text or "." in text else [])
        nearest = {film.movie_id: film for film in (*meant, *self._nearest(text, k)) if film not in of_id}
        # "2001" begins a title more often than it is a movie_id.
        return [*list(nearest.values())[: k - len(of_id)], *of_id]

    def named_by(self, text: str, films: Sequence[Film]) -> frozenset[int]:
        text = text.encode("utf-8", "replace").decode().strip()
        wanted = bare_key(title_key(_readings(_UNFINISHED_YEAR.sub("", text))[-1][0]))
        marks = ",".join("?" * len(films))
        titles = self._rows(
            f"SELECT bare_key, movie_id FROM titles WHERE movie_id IN ({marks})", [film.movie_id for film in films]
        )
        named = {movie_id for key, movie_id in titles if _is_named(wanted, key)}
        initials = series_key(wanted).partition(" ")[0]
        abbreviated = {film.movie_id for film in films if initials in _initials(film.title)}
        of_year = {film.movie_id for film in films if _YEAR.fullmatch(text) and film.year == int(text)}
        return frozenset(named | abbreviated | of_year | {film.movie_id for film in self._meant_by(text)})

    def titled_by_number(self, text: str) -> tuple[Film, ...]:
        text = text.strip()
        return tuple(self._matches(text)) if _is_number(text, parse_film_id(text)) else ()

    def others_meant(self, text: str) -> tuple[Film, ...]:
        result = self.find(text)
        if parse_film_id(text) or any(year for _, year in _readings(text)):
            return ()
        return tuple(film for film in self._matches(result.title) if film.movie_id != result.movie_id)

    def of_id(self, film_id: FilmId) -> list[Film]:
        """Return the films that have an id, by movie_id."""
        if isinstance(film_id, Movie):
            # SQLite has no longer integers than 64 bits; the longest id has 12 digits.
            return list(self._films([film_id.number]).values())
        column = "imdb_id" if isinstance(film_id, Imdb) else "tmdb_id"
        rows = self._rows(f"SELECT movie_id FROM films WHERE {column} = ? ORDER BY movie_id", (film_id.number,))
        return list(self._films(movie_id for (movie_id,) in rows).values())

    def _matches(self, text: str) -> list[Film]:
        for title, year in _readings(text):
            key = title_key(title)
            for column, wanted in _spellings(key):
                for alternative in (0, 1):
                    rows = self._rows(
                        "SELECT DISTINCT movie_id FROM films JOIN titles USING (movie_id) "
                        f"WHERE {column} = ? AND alternative = ? AND (? IS NULL OR year = ?) "
                        "ORDER BY movie_id",
                        (wanted, alternative, year, year),
                    )
                    if rows:
                        return list(self._films(movie_id for (movie_id,) in rows).values())
        return []

    def _short_forms(self, text: str) -> list[Film]:
        """Return the films of "rocky 2" or "godfather part two", else the only one that begins like "star wars 4"."""
        titles = [(series_key(key), movie_id) for key, movie_id in self._titles]
        for title, year in _readings(text):
            wanted = series_key(bare_key(title_key(title)))
            for short in (wanted, wanted.removesuffix(" 1")):
                if films := self._of_year((movie_id for key, movie_id in titles if key == short), year):
                    return films
            # The beginning of one word only is too little to be sure.
            if " " in wanted:
                begun = self._of_year((movie_id for key, movie_id in titles if key.startswith(f"{wanted} ")), year)
                if len(begun) == 1:
                    return begun
        return []

    def _of_year(self, movie_ids: Iterable[int], year: int | None) -> list[Film]:
        return [film for film in self._films(movie_ids).values() if year in (None, film.year)]

    def _unknown(self, text: str) -> UnknownFilmError:
        suggestions = self._nearest(text)
        hint = f"; did you mean {_listed(suggestions)}?" if suggestions else ""
        if text.isdigit():
            hint = f", and none has that movie_id{self._by_other_ids(text) or hint}"
        return UnknownFilmError(f"no film is titled {text!r}{hint}", tuple(film.label for film in suggestions))

    def _by_other_ids(self, digits: str) -> str:
        """Return a hint at the films that have a number as another id than the movie_id."""
        others = ((name, film) for name in (f"tt{digits}", f"tmdb:{digits}") for film in self._meant_by(name))
        hints = [f"{name} for {film.label}" for name, film in others]
        return f"; type {' or '.join(hints)}" if hints else ""

    def _meant_by(self, name: str) -> list[Film]:
        film_id = parse_film_id(name)
        return self.of_id(film_id) if film_id else []

    def _nearest(self, text: str, k: int = _N_SUGGESTIONS) -> list[Film]:
        """Return the films of titles that contain the words or begin like them, then those with similar spelling."""
        title, year = _readings(text)[-1]
        key = title_key(title)
        wanted = bare_key(key)
        titles = self._titles
        near = _containing(titles, wanted)
        if len(near) < k:
            near += self._abbreviated(wanted)
        movie_ids = self._abbreviated_part(wanted)
        # "die" of "die hart" is an article, and without it "hart" is another title.
        movie_ids += self._misspelled(key) if key != wanted else []
        movie_ids += [film.movie_id for film in self._best_known_first(near, wanted, year)]
        movie_ids += self._best_known_of(wanted, k)
        if len(movie_ids) < k:
            movie_ids += self._similar(titles, wanted)
        nearest = list(dict.fromkeys(movie_ids))[:k]
        films = self._films(nearest)
        return [films[movie_id] for movie_id in nearest]

    def _abbreviated(self, text: str) -> list[int]:
        """Return the movie_ids of titles, or parts of them, with these initials: "lotr", "tdk"."""
        if not (_MIN_INITIALS <= len(text) <= _MAX_INITIALS and text.isalpha()):
            return []
        titles = self._rows("SELECT title, movie_id FROM films", ())
        # The first letters as they stand spare most titles their normalization.
        return [
            movie_id
            for title, movie_id in titles
            if text in "".join(_FIRST_LETTER.findall(title)).casefold() and text in _initials(title)
        ]

    def _abbreviated_part(self, text: str) -> list[int]:
        """Return the movie_ids of a series by its initials and the number of a part: that part first ("lotr 2")."""
        initials, _, number = series_key(text).partition(" ")
        if not number.isdecimal():
            return []
        films = self._films(self._abbreviated(initials)).values()
        parts = [film for film in films if ":" in film.title and initials in _initials(film.title.partition(":")[0])]
        movie_ids = [film.movie_id for film in sorted(parts, key=lambda film: (film.year or 0, film.movie_id))]
        at = int(number) - 1
        return [movie_ids.pop(at), *movie_ids] if 0 <= at < len(movie_ids) else []

    def _best_known_of(self, text: str, k: int) -> list[int]:
        """Return the movie_ids of the best known films of a year, where a text is nothing but that: "1995"."""
        if not _YEAR.fullmatch(text):
            return []
        rows = self._rows(
            "SELECT movie_id FROM films WHERE year = ? ORDER BY n_ratings DESC, movie_id LIMIT ?", (int(text), k)
        )
        return [movie_id for (movie_id,) in rows]

    def _misspelled(self, key: str) -> list[int]:
        """Return the movie_ids of titles that are nearly or wholly spelled like a text, its article included."""
        from rapidfuzz import fuzz, process

        titles = self._rows("SELECT key, movie_id FROM titles", ())
        keys = [key for key, _ in titles]
        result = process.extract(key, keys, scorer=fuzz.ratio, limit=_N_SIMILAR, score_cutoff=_MIN_PART_SIMILARITY)
        return self._best_first((titles[row][1], score) for _, score, row in result)

    def _best_first(self, scored: Iterable[tuple[int, float]]) -> list[int]:
        """Sort movie_ids by their scores, the highest first, then the best known."""
        scores = list(scored)
        films = self._films(movie_id for movie_id, _ in scores)
        scores.sort(key=lambda one: (-one[1], -films[one[0]].n_ratings))
        return [movie_id for movie_id, _ in scores]

    def _similar(self, titles: list[tuple[str, int]], wanted: str) -> list[int]:
        """Return the movie_ids of titles with similar spelling, the most similar first, then the best known."""
        # Imported here: only a text that matches too few titles needs it.
        from rapidfuzz import fuzz, process

        keys = [key for key, _ in titles]
        whole = process.extract(wanted, keys, scorer=fuzz.ratio, limit=_N_SIMILAR, score_cutoff=_MIN_SIMILARITY)
        # A part of a longer title, such as "harry poter"; a short text is part of anything.
        longer = {row: key for row, key in enumerate(keys) if len(key) > len(wanted) >= _MIN_PART_LENGTH}
        part = process.extract(
            wanted, longer, scorer=fuzz.partial_ratio, limit=_N_SIMILAR, score_cutoff=_MIN_PART_SIMILARITY
        )
        # Its first words, whose letters may be too many or too few: "hobit".
        begun = {row: _first_words(key, wanted) for row, key in longer.items()}
        part += process.extract(wanted, begun, scorer=fuzz.ratio, limit=_N_SIMILAR, score_cutoff=_MIN_PART_SIMILARITY)
        scores = [(titles[row][1], score) for _, score, row in whole]
        scores += [(titles[row][1], _PART_WEIGHT * score) for _, score, row in part]
        return self._best_first(scores)

    def _best_known_first(self, movie_ids: list[int], wanted: str, year: int | None) -> list[Film]:
        """Sort films: those with exactly this title first, then those of this year, then by number of ratings."""
        films = self._films(movie_ids).values()
        return sorted(
            films,
            key=lambda film: (
                bare_key(title_key(film.title)) != wanted,
                film.year != year,
                -film.n_ratings,
                film.movie_id,
            ),
        )


def _is_number(text: str, film_id: FilmId | None) -> bool:
    """Return whether a text is a bare number, which is a movie_id or a title."""
    return isinstance(film_id, Movie) and text.isdigit()


def _only(film_id: FilmId, films: list[Film]) -> Film:
    if len(films) > 1:
        message = f"{len(films)} films have the {film_id}: {_listed(films)}; name one by its movie_id"
        raise AmbiguousFilmError(message, tuple(film.label for film in films))
    return films[0]


def _readings(text: str) -> list[tuple[str, int | None]]:
    """Return the ways to read a text as title and year: "Blade Runner 2049" is a title before it is a year."""
    parsed = parse_title(text)
    readings: list[tuple[str, int | None]] = [(text, None), (parsed.title, parsed.year)]
    if parsed.year is None and (split := split_bare_year(text)):
        readings.append((parse_title(split[0]).title, split[1]))
    return readings


def _is_named(wanted: str, key: str) -> bool:
    """Return whether a title begins like a text, or has all of its words, the last of which may be incomplete."""
    if not wanted:
        return False
    if key.replace(" ", "").startswith(wanted.replace(" ", "")):
        return True
    *words, last = series_key(wanted).split()
    of_title = series_key(key).split()
    return (any(word.startswith(last) for word in of_title) or _has_word(of_title, last)) and all(
        _has_word(of_title, word) for word in words
    )


def _has_word(words: list[str], wanted: str) -> bool:
    """Return whether one of some words is a wanted one, or is nearly spelled so."""
    from rapidfuzz import fuzz

    return any(fuzz.ratio(wanted, word) >= _MIN_WORD_SIMILARITY for word in words)


def _first_words(key: str, like: str) -> str:
    """Return as many words of the beginning of a key as another has."""
    return " ".join(key.split()[: len(like.split())])


def _initials(title: str) -> set[str]:
    """Return the initials of a title and of its parts before and after a colon or dash, with and without article."""
    keys = [title_key(part) for part in (title, *re.split(r":|\s[-–]\s", title))]
    return {"".join(word[0] for word in words.split()) for key in keys for words in (key, bare_key(key)) if words}


def _containing(titles: list[tuple[str, int]], wanted: str) -> list[int]:
    """Return the movie_ids of titles that contain all words of a text, or begin like it."""
    words, closed = wanted.split(), wanted.replace(" ", "")
    # Most titles lack the first word, begin with another letter, and need no second comparison.
    return [
        movie_id
        for key, movie_id in titles
        if words
        and (
            (words[0] in key and all(f" {word} " in f" {key} " for word in words))
            or (key[:1] == closed[0] and key.replace(" ", "").startswith(closed))
        )
    ]


def _spellings(key: str) -> list[tuple[str, str]]:
    """Return the columns and values to look a key up by: with its article or without, then without spaces."""
    bare = bare_key(key)
    # "la confidential" is "L.A. Confidential", "walle" is "WALL·E".
    closed, closed_bare = key.replace(" ", ""), bare.replace(" ", "")
    together = [("replace(key, ' ', '')", closed), ("replace(bare_key, ' ', '')", closed_bare)]
    return [("key", key), ("bare_key", bare), *together]


def _ambiguous(text: str, films: list[Film]) -> AmbiguousFilmError:
    years = {film.year for film in films}
    by_year = (
        f"by title and year, as in {films[0].label!r}, or " if None not in years and len(years) == len(films) else ""
    )
    message = f"{len(films)} films are titled {text!r}: {_listed(films)}; name one {by_year}by its movie_id"
    return AmbiguousFilmError(message, tuple(film.label for film in films))


def _listed(films: list[Film]) -> str:
    names = [f"{film.label} [{film.movie_id}]" for film in films[:_N_LISTED]]
    if len(films) > _N_LISTED:
        names.append(f"and {len(films) - _N_LISTED} more")
    return ", ".join(names)
