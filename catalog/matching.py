"""Match films that files name by ids, or by title and year, to those of a catalog."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from catalog.film import Film
from catalog.film_ids import FilmId, Imdb, Movie, Tmdb
from catalog.titles import bare_key, parse_title, title_key

# Sources differ by the premiere and the release in a country.
_MOST_YEARS_APART = 1


class FilmMatcher:
    """Looks up films of a catalog; built once for many look-ups."""

    def __init__(self, films: Iterable[Film]) -> None:
        films = tuple(films)
        self._by_id = group_by_id(films)
        self._by_title: defaultdict[str, list[Film]] = defaultdict(list)
        self._by_alternative: defaultdict[str, list[Film]] = defaultdict(list)
        self._by_part: defaultdict[str, list[Film]] = defaultdict(list)
        for film in films:
            self._by_title[_key(film.title)].append(film)
            for key in _keys_of_parts(film.title):
                self._by_part[key].append(film)
            for key in {_key(title) for title in film.alternative_titles}:
                self._by_alternative[key].append(film)

    def by_id(self, film_id: FilmId) -> Sequence[Film]:
        """Return the films that have an id."""
        return self._by_id.get(film_id, ())

    def match(
        self, film_ids: Sequence[FilmId], titles: Iterable[tuple[str, int | None]]
    ) -> tuple[Sequence[Film], bool]:
        """Return the films that ids mean, else titles with years, and whether the ids alone say so.

        Ids that contradict each other are settled by the titles; otherwise all films that they name are returned. A
        film of the same title whose id is another is not.
        """
        named = list({film.movie_id: film for film_id in film_ids for film in self.by_id(film_id)}.values())
        fitting = [film for film in named if not any(self._contradicts(film_id, film) for film_id in film_ids)]
        if fitting:
            return fitting, True
        titled = [films for title, year in titles if title and (films := self.by_title(title, year))]
        if settled := [film for film in named if any(film in films for films in titled)]:
            return settled, False
        if len(named) > 1:
            return named, False
        others = ([film for film in films if not _is_another(film, film_ids)] for films in titled)
        return next(filter(None, others), ()), False

    def _contradicts(self, film_id: FilmId, film: Film) -> bool:
        # Only IMDb's ids seldom change; any other has to be that of another film of the catalog.
        if isinstance(film_id, Imdb):
            return film.imdb_id is not None and film.imdb_id != film_id.number
        others = self.by_id(film_id)
        return bool(others) and film not in others

    def by_title(self, title: str, year: int | None) -> Sequence[Film]:
        """Return the films of a title: of that year, else of one beside it; alternative titles after titles.

        At last the one film of that very year whose title is the same without a subtitle or what is before it: "Star
        Wars" is "Star Wars: Episode IV - A New Hope". Without a year, every film of the title is returned.
        """
        parsed = parse_title(title)
        # "1984 (1984)" and "Blade Runner (Director's Cut)": as written first, then without what is in parentheses.
        keys = dict.fromkeys(_key(one) for one in (title, parsed.title, *parsed.alternatives))
        wanted = year if year is not None else parsed.year
        for distance in range(_MOST_YEARS_APART + 1):
            for titles in (self._by_title, self._by_alternative):
                for key in keys:
                    if films := [film for film in titles.get(key, ()) if _is_of_year(film, wanted, distance)]:
                        return films
        return self._by_parts(keys, _keys_of_parts(parsed.title), wanted)

    def _by_parts(self, keys: Iterable[str], parts: Iterable[str], year: int | None) -> Sequence[Film]:
        matches = [film for key in keys for film in self._by_part.get(key, ())]
        matches += [film for key in parts for film in self._by_title.get(key, ())]
        films = {film.movie_id: film for film in matches if year is not None and film.year == year}
        return tuple(films.values()) if len(films) == 1 else ()


def group_by_id(films: Iterable[Film]) -> Mapping[FilmId, Sequence[Film]]:
    """Map each id to the films that have it; a TMDB id may be that of several."""
    by_id: defaultdict[FilmId, list[Film]] = defaultdict(list)
    for film in films:
        for film_id in _ids_of(film):
            by_id[film_id].append(film)
    return dict(by_id)


def _is_another(film: Film, film_ids: Iterable[FilmId]) -> bool:
    """Return whether a film of the same title has another id, by the first that can be compared."""
    for film_id in film_ids:
        if isinstance(film_id, Imdb) and film.imdb_id:
            return film.imdb_id != film_id.number
        if isinstance(film_id, Tmdb) and film.tmdb_id:
            return film.tmdb_id != film_id.number
    return False


def _ids_of(film: Film) -> list[FilmId]:
    ids: list[FilmId] = [Movie(film.movie_id)]
    if film.imdb_id:
        ids.append(Imdb(film.imdb_id))
    if film.tmdb_id:
        ids.append(Tmdb(film.tmdb_id))
    return ids


def _key(title: str) -> str:
    return bare_key(title_key(title)).replace(" ", "")


def _keys_of_parts(title: str) -> set[str]:
    """Return the keys of what stands before and behind each colon or dash."""
    marks = list(re.finditer(r"(?:,? or)?:\s| [-–—] ", title))
    keys = {_key(part) for mark in marks for part in (title[: mark.start()], title[mark.end() :])}
    return keys - {""}


def _is_of_year(film: Film, year: int | None, distance: int) -> bool:
    if year is None:
        return distance == 0
    # A film without a year may be of any, but comes after one of the year.
    return abs(film.year - year) == distance if film.year else distance > 0
