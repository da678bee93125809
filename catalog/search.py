"""Which film a person means who types a title: as it is written, or as it is nearly written.

May import `catalog` only; reads the tables of `catalog.films`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from catalog.errors import AmbiguousFilmError, UnknownFilmError
from catalog.titles import bare_key, parse_title, split_bare_year, title_key

if TYPE_CHECKING:
    from catalog.film import Film

_N_SUGGESTIONS = 5
_N_LISTED = 20
_N_ALIKE = 15
# The least likeness of spelling, of 100, that is worth suggesting: of a whole title, and of a part of one, which is
# worth a little less and asks for a text that is not too short.
_ALIKE, _PART_ALIKE, _PART_WORTH, _LONG_ENOUGH = 60, 85, 0.9, 5

Rows = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]
Films = Callable[[Iterable[int]], "dict[int, Film]"]


class TitleSearch:
    """Finds films by what people type; `catalog.films.Catalog` says how.

    Parameters
    ----------
    rows : callable
        Runs a statement of SQL with its values.
    films : callable
        Gives films by their movie_ids, ascending.
    """

    def __init__(self, rows: Rows, films: Films) -> None:
        self._rows = rows
        self._films = films

    def find(self, text: str) -> Film:
        """Find the one film that a person means; see `Catalog.find`.

        Parameters
        ----------
        text : str
            What they typed.

        Returns
        -------
        Film
            The film.

        Raises
        ------
        AmbiguousFilmError, UnknownFilmError
            Several films answer, or none.
        """
        # A command line hands over bytes that are no UTF-8 as lone surrogates, which SQLite refuses.
        text = text.encode("utf-8", "replace").decode().strip()
        if not text:
            raise UnknownFilmError("no film is named; give a title such as 'Heat (1995)' or a movie_id")
        if text.isascii() and text.isdigit() and len(text) <= 10 and (film := self._films([int(text)])):
            return film[int(text)]
        matches = self._matches(text)
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise _ambiguous(text, matches)
        raise self._unknown(text)

    def suggest(self, text: str, k: int) -> list[Film]:
        """List the films that a person may mean; see `Catalog.suggest`.

        Parameters
        ----------
        text : str
            What they have typed so far.
        k : int
            How many films at most.

        Returns
        -------
        list of Film
            Likeliest first.
        """
        text = text.encode("utf-8", "replace").decode().strip()
        return self._nearest(text, k) if text else []

    def titled_by_number(self, text: str) -> tuple[Film, ...]:
        """Tell which films are titled with a number; see `Catalog.titled_by_number`.

        Parameters
        ----------
        text : str
            What a person typed.

        Returns
        -------
        tuple of Film
            Empty where the text is no number.
        """
        return tuple(self._matches(text.strip())) if text.strip().isdigit() else ()

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

    def _unknown(self, text: str) -> UnknownFilmError:
        suggestions = self._nearest(text)
        hint = f"; did you mean {_listed(suggestions)}?" if suggestions else ""
        if text.isdigit():
            hint = f", and none has that movie_id{hint}"
        return UnknownFilmError(f"no film is titled {text!r}{hint}", tuple(film.label for film in suggestions))

    def _nearest(self, text: str, k: int = _N_SUGGESTIONS) -> list[Film]:
        """Find what the text may have meant: titles that hold its words or begin like it, then those spelt alike."""
        # Imported here: only a miss needs it.
        from rapidfuzz import fuzz, process

        title, year = _readings(text)[-1]
        wanted = bare_key(title_key(title))
        titles = self._rows("SELECT bare_key, movie_id FROM titles", ())
        movie_ids = [film.movie_id for film in self._best_known(_holding(titles, wanted), wanted, year)]
        if len(movie_ids) < k:
            keys = [key for key, _ in titles]
            alike = process.extract(wanted, keys, scorer=fuzz.ratio, limit=_N_ALIKE, score_cutoff=_ALIKE)
            # A part of a longer title, such as "harry poter"; a short text is part of anything.
            longer = {row: key for row, key in enumerate(keys) if len(key) > len(wanted) >= _LONG_ENOUGH}
            part = process.extract(wanted, longer, scorer=fuzz.partial_ratio, limit=_N_ALIKE, score_cutoff=_PART_ALIKE)
            alike += [(key, _PART_WORTH * score, row) for key, score, row in part]
            support = {
                film.movie_id: film.n_ratings for film in self._films(titles[row][1] for _, _, row in alike).values()
            }
            alike.sort(key=lambda match: (-match[1], -support[titles[match[2]][1]]))
            movie_ids += [titles[row][1] for _, _, row in alike]
        nearest = list(dict.fromkeys(movie_ids))[:k]
        films = self._films(nearest)
        return [films[movie_id] for movie_id in nearest]

    def _best_known(self, movie_ids: list[int], wanted: str, year: int | None) -> list[Film]:
        """Put first who bears just this title, then who is of this year, then whom most people know."""
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


def _readings(text: str) -> list[tuple[str, int | None]]:
    """List the ways to read a text as title and year: "Blade Runner 2049" is a title before it is a year."""
    parsed = parse_title(text)
    readings: list[tuple[str, int | None]] = [(text, None), (parsed.title, parsed.year)]
    if parsed.year is None and (split := split_bare_year(text)):
        readings.append((parse_title(split[0]).title, split[1]))
    return readings


def _holding(titles: list[tuple[str, int]], wanted: str) -> list[int]:
    """Name the films with a title that holds all words of a text, or begins like it."""
    words, closed = [f" {word} " for word in wanted.split()], wanted.replace(" ", "")
    # Most titles lack the first word, and are passed over for one look.
    return [
        movie_id
        for key, movie_id in titles
        if words
        and (
            (words[0] in f" {key} " and all(word in f" {key} " for word in words))
            or key.replace(" ", "").startswith(closed)
        )
    ]


def _spellings(key: str) -> list[tuple[str, str]]:
    """List what a key may stand for, surest first: with its article or without, and written together or apart."""
    bare = bare_key(key)
    # "la confidential" is "L.A. Confidential", "walle" is "WALL·E".
    closed, closed_bare = key.replace(" ", ""), bare.replace(" ", "")
    together = [("replace(key, ' ', '')", closed), ("replace(bare_key, ' ', '')", closed_bare)]
    return [("key", key), ("bare_key", bare), *together]


def _ambiguous(text: str, films: list[Film]) -> AmbiguousFilmError:
    message = f"{len(films)} films are titled {text!r}: {_listed(films)}; name one by its movie_id"
    return AmbiguousFilmError(message, tuple(film.label for film in films))


def _listed(films: list[Film]) -> str:
    names = [f"{film.label} [{film.movie_id}]" for film in films[:_N_LISTED]]
    if len(films) > _N_LISTED:
        names.append(f"and {len(films) - _N_LISTED} more")
    return ", ".join(names)
