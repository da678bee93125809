"""Match films that files name by ids, or by title and year, to those of a catalog."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from catalog.film import Film
from catalog.film_ids import FilmId, Imdb, Movie, Tmdb
from catalog.titles import bare_key, parse_title, title_key

# Sources differ by the premiere and the release in a country.
_MOST_YEARS_APART = 1


class FilmMatcher:
    """Looks up films of a catalog; built once for many look-ups."""

    def __init__(self, films: Iterable[Film]) -> None:
        self._by_id: defaultdict[FilmId, list[Film]] = defaultdict(list)
        self._by_title: defaultdict[str, list[Film]] = defaultdict(list)
        self._by_alternative: defaultdict[str, list[Film]] = defaultdict(list)
        for film in films:
            for film_id in _ids_of(film):
                self._by_id[film_id].append(film)
            self._by_title[_key(film.title)].append(film)
            for key in {_key(title) for title in film.alternative_titles}:
                self._by_alternative[key].append(film)

    def by_id(self, film_id: FilmId) -> Sequence[Film]:
        """Return the films that have an id."""
        return self._by_id.get(film_id, ())

    def by_title(self, title: str, year: int | None) -> Sequence[Film]:
        """Return the films of a title: of that year, else of one beside it; alternative titles after titles.

        Without a year, every film of the title is returned.
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
        return ()


def _ids_of(film: Film) -> list[FilmId]:
    ids: list[FilmId] = [Movie(film.movie_id)]
    if film.imdb_id:
        ids.append(Imdb(film.imdb_id))
    if film.tmdb_id:
        ids.append(Tmdb(film.tmdb_id))
    return ids


def _key(title: str) -> str:
    return bare_key(title_key(title)).replace(" ", "")


def _is_of_year(film: Film, year: int | None, distance: int) -> bool:
    if year is None:
        return distance == 0
    # A film without a year may be of any, but comes after one of the year.
    return abs(film.year - year) == distance if film.year else distance > 0
