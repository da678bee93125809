"""Which films of a catalog are meant: by year, genre, support or a list. May import `catalog.errors` only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from catalog.errors import DataError


@dataclass(frozen=True)
class Filter:
    """A choice of films; what is not said is not asked.

    Parameters
    ----------
    first_year, last_year : int, optional
        The years of release, both included. A film without a year passes only where neither is given.
    genres : tuple of str
        A film passes by any of them; capitals do not matter.
    min_support : int, default 0
        How many users must have rated it.
    movie_ids : collection of int, optional
        Only these.
    """

    first_year: int | None = None
    last_year: int | None = None
    genres: tuple[str, ...] = ()
    min_support: int = 0
    movie_ids: Collection[int] | None = None

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return self != Filter()

    def as_sql(self) -> tuple[str, list[object]]:
        """Write it as the condition of a query; `movie_ids` are left to the caller.

        Returns
        -------
        clause : str
            On the columns of the table ``films``.
        values : list
            For its question marks.
        """
        clauses: list[str] = ["n_ratings >= ?"]
        values: list[object] = [self.min_support]
        for sign, year in ((">=", self.first_year), ("<=", self.last_year)):
            if year is not None:
                clauses.append(f"year {sign} ?")
                values.append(year)
        if self.genres:
            clauses.append("(" + " OR ".join(["instr('|' || lower(genres) || '|', ?)"] * len(self.genres)) + ")")
            values += [f"|{genre.lower()}|" for genre in self.genres]
        return " AND ".join(clauses), values


def read_movie_ids(path: Path) -> frozenset[int]:
    """Read a list of films: one movie_id a line; blank lines and what follows a ``#`` do not count.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    frozenset of int
        The ids.

    Raises
    ------
    DataError
        It cannot be read, or a line is no movie_id.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path} ({error}); expected a text file with one movie_id a line") from error
    movie_ids = set()
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        # Longer numbers are none of SQLite's, and Python refuses to read those of some thousand digits.
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise DataError(f"{path}, line {number}: expected a movie_id, a whole number; received {text[:40]!r}")
        movie_ids.add(int(text))
    return frozenset(movie_ids)
