"""What films have in common beside looks and ratings: genres, tags, years, titles, and people where they are loaded.

Every kind of facts is a sparse matrix of films × terms, weighted by inverse document frequency, so that what many films
have counts little. A kind that is not known of a film is no evidence: it counts as for a typical pair of films.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import sparse

from catalog.film import Film, FilmTag, FilmTerm
from catalog.films import Catalog
from catalog.scored_ids import ScoredIds
from catalog.series import series_name
from catalog.titles import KEY_ARTICLES, bare_key, title_key
from cf.coldstart.terms import rarity, unlisted

FloatArray = npt.NDArray[np.float64]

WEIGHTS = {"genre": 0.5, "tag": 0.2, "keyword": 0.2, "director": 0.2, "cast": 0.2, "title": 0.3}
"""How much each kind counts; that of years is `YEAR_WEIGHT`. They are divided by their sum over the kinds known."""
YEAR_WEIGHT = 0.2
YEARS_APART = 10.0
"""After so many years, the agreement of years is 1/e."""
N_IN_COMMON = 4
"""How many common facts are named at most."""

# A rare term is one of many that a film may have, so having few of them does not make two films the same.
_OPEN_KINDS = ("tag", "keyword", "director", "cast", "title")
_STOP_WORDS = frozenset(
    (*KEY_ARTICLES, *"and of in to on at for from with by or part episode vol volume chapter".split())
)
# What MovieLens lists among genres, though it says nothing of a film's kind.
_FORMATS = frozenset(("IMAX",))
_LABELS = {"tag": "tagged {}", "keyword": "{}", "director": "directed by {}", "cast": "with {}", "title": "“{}”"}
# What is named first, where several facts are.
_ORDER = ("title", "director", "cast", "genre", "tag", "keyword")

_Terms = Mapping[str, float]


@dataclass(frozen=True)
class _Kind:
    """The facts of one kind: rows of films at most 1 long, columns of terms."""

    name: str
    terms: tuple[str, ...]
    rows: sparse.csr_array
    known: npt.NDArray[np.bool_]
    # Of a typical pair of films of which both are known.
    typical: float

    @classmethod
    def of(cls, name: str, facts: Sequence[_Terms]) -> _Kind:
        """Weight terms; `facts` are those of every film, with the strength of each."""
        columns: dict[str, int] = {}
        places = [[columns.setdefault(term, len(columns)) for term in of_film] for of_film in facts]
        lengths = [len(of_film) for of_film in places]
        strengths = np.array([strength for of_film in facts for strength in of_film.values()], np.float64)
        indices = np.array([place for of_film in places for place in of_film], np.int32)
        n_known, n_films = sum(map(bool, lengths)), np.bincount(indices, minlength=len(columns))
        weights = rarity(n_films, n_known)
        shape = (len(facts), len(columns))
        rows = sparse.csr_array((strengths * weights[indices], indices, np.cumsum([0, *lengths])), shape=shape)
        squares = rows.multiply(rows).sum(axis=1)
        more = unlisted(n_known) if name in _OPEN_KINDS else 0.0
        rows = sparse.csr_array(sparse.diags_array(1 / np.sqrt(np.where(squares > 0, squares + more, 1))) @ rows)
        total, own = rows.sum(axis=0), rows.multiply(rows).sum()
        n_pairs = n_known * (n_known - 1)
        typical = float((total @ total - own) / n_pairs) if n_pairs else 0.0
        return cls(name, tuple(columns), rows, np.array(lengths) > 0, typical)


class ContentSimilarity:
    """Compares the films of a catalog by their content. Safe to use from several threads."""

    def __init__(
        self,
        films: Iterable[Film],
        tags: Iterable[FilmTag] = (),
        terms: Iterable[FilmTerm] = (),
        weights: Mapping[str, float] | None = None,
    ) -> None:
        listed = sorted(films, key=lambda film: film.movie_id)
        weights = {**WEIGHTS, "year": YEAR_WEIGHT, **(weights or {})}
        self.movie_ids = np.array([film.movie_id for film in listed], np.int64)
        self._row_of = {film.movie_id: row for row, film in enumerate(listed)}
        self._years = np.array([film.year or np.nan for film in listed], np.float64)
        self._decades = [f"{film.year // 10}0s" if film.year else "" for film in listed]
        self._distinct_years, self._place_of_year = np.unique(self._years, return_inverse=True)
        facts = _facts(listed, tags, terms)
        self._kinds = [_Kind.of(kind, facts[kind]) for kind in WEIGHTS if weights[kind] and any(facts[kind])]
        has_years = bool(np.isfinite(self._years).any())
        total = sum(weights[kind.name] for kind in self._kinds) + weights["year"] * has_years
        self._weights = {name: weight / total if total else 0.0 for name, weight in weights.items()}
        self._typical_year = _typical_agreement(self._years)
        # Of kinds that are unknown of one film or both, by which kinds are known of the films.
        self._unknown = [
            (kind.known, typical := self._weights[kind.name] * kind.typical, np.where(kind.known, 0.0, typical))
            for kind in self._kinds
        ]
        scaled = [kind.rows * np.sqrt(self._weights[kind.name]) for kind in self._kinds]
        self._rows = sparse.csr_array(sparse.hstack(scaled)) if scaled else sparse.csr_array((len(listed), 1))
        # What the columns of these rows mean: kinds by their place in the order of naming, and terms.
        self._meanings = [(_ORDER.index(kind.name), term) for kind in self._kinds for term in kind.terms]

    @classmethod
    def of(cls, catalog: Catalog) -> ContentSimilarity:
        """Compare the films of a catalog."""
        return cls(catalog, catalog.tags(), catalog.terms())

    def to_film(self, movie_id: int) -> ScoredIds:
        """Return the agreement of all other films with one, by movie_id; empty for a film that is unknown.

        It takes one product of a sparse matrix with a row of it.
        """
        row = self._row(movie_id)
        if row is None:
            return ScoredIds.empty()
        return ScoredIds(np.delete(self.movie_ids, row), np.delete(self._agreement(row), row))

    def to_films(self, movie_ids: Sequence[int], without: Sequence[int] = ()) -> ScoredIds:
        """Return the mean agreement of all films with several, but for these and `without`."""
        rows = [row for row in map(self._row, movie_ids) if row is not None]
        if not rows:
            return ScoredIds.empty()
        scores = np.mean([self._agreement(row) for row in rows], axis=0)
        others = np.flatnonzero(~np.isin(self.movie_ids, [*movie_ids, *without]))
        return ScoredIds(self.movie_ids[others], scores[others])

    def in_common_with(self, movie_id: int) -> Callable[[int], tuple[str, ...]]:
        """Return a function that names what another film has in common with this one.

        It names at most `N_IN_COMMON` facts of those that count most.
        """
        row = self._row(movie_id)
        if row is None:
            return lambda _other: ()
        weights = self._weights_of(row)

        def in_common(other: int) -> tuple[str, ...]:
            other_row = self._row(other)
            return () if other_row is None else tuple(self._common_facts(row, weights, other_row))[:N_IN_COMMON]

        return in_common

    def _row(self, movie_id: int) -> int | None:
        return self._row_of.get(movie_id)

    def _agreement(self, row: int) -> FloatArray:
        own, terms = slice(*self._rows.indptr[row : row + 2]), np.zeros(self._rows.shape[1])
        terms[self._rows.indices[own]] = self._rows.data[own]
        scores = np.asarray(self._rows @ terms, np.float64)
        for known, of_all, of_unknown in self._unknown:
            scores += of_unknown if known[row] else of_all
        # Of some hundred years in place of all films.
        years = np.exp(-np.abs(self._distinct_years - self._years[row]) / YEARS_APART)
        years = self._weights["year"] * np.where(np.isnan(years), self._typical_year, years)
        scores += years[self._place_of_year]
        return scores

    def _weights_of(self, row: int) -> dict[int, float]:
        # Without sparse products, which take a hundred times as long for two short rows.
        of_row = slice(self._rows.indptr[row], self._rows.indptr[row + 1])
        return dict(zip(self._rows.indices[of_row].tolist(), self._rows.data[of_row].tolist(), strict=True))

    def _common_facts(self, row: int, weights: Mapping[int, float], other: int) -> Iterator[str]:
        others = self._weights_of(other)
        # By kind, and in a kind those first that count most.
        places = sorted(
            weights.keys() & others.keys(),
            key=lambda place: (self._meanings[place][0], -weights[place] * others[place], place),
        )
        facts = [self._meanings[place] for place in places]
        titles = [term for order, term in facts if _ORDER[order] == "title"]
        for order, term in facts:
            kind = _ORDER[order]
            # The name of a series, and not each of its words.
            if kind != "title" or not _is_within(term, titles):
                yield _LABELS.get(kind, "{}").format(term)
        if (decade := self._decades[row]) and decade == self._decades[other]:
            yield decade


def _is_within(term: str, terms: Iterable[str]) -> bool:
    """Return whether a term is a part of a longer one."""
    return any(f" {term} " in f" {other} " != f" {term} " for other in terms)


def _facts(
    films: Sequence[Film], tags: Iterable[FilmTag], terms: Iterable[FilmTerm]
) -> dict[str, list[dict[str, float]]]:
    """Return for every kind the terms of every film, with their strengths."""
    facts = {kind: [defaultdict[str, float](float) for _ in films] for kind in WEIGHTS}
    rows = {film.movie_id: row for row, film in enumerate(films)}
    for film, genres, title in zip(films, facts["genre"], facts["title"], strict=True):
        genres.update(dict.fromkeys((genre for genre in film.genres if genre not in _FORMATS), 1.0))
        title.update(dict.fromkeys(_title_terms(film.title), 1.0))
    for tag in tags:
        if tag.movie_id in rows:
            facts["tag"][rows[tag.movie_id]][tag.tag] = float(np.log1p(tag.n_users))
    spellings: dict[str, str] = {}
    for term in terms:
        if term.movie_id in rows:
            facts[term.kind][rows[term.movie_id]][spellings.setdefault(term.term.casefold(), term.term)] = 1.0
    return {kind: [dict(of_film) for of_film in each] for kind, each in facts.items()}


# A server opens nearly the same catalog again and again.
@lru_cache(maxsize=100_000)
def _title_terms(title: str) -> tuple[str, ...]:
    """List the words of a title that mean something, and the name of the series that it may be of."""
    words = [word for word in bare_key(title_key(title)).split() if word not in _STOP_WORDS and not word.isdigit()]
    name = series_name(title)
    return (*words, name) if " " in name else tuple(words)


def _typical_agreement(years: FloatArray) -> float:
    """Return the mean agreement of the years of two films."""
    numbers, counts = np.unique(years[np.isfinite(years)], return_counts=True)
    if counts.sum() < 2:
        return 0.0
    shares = counts / counts.sum()
    return float(shares @ np.exp(-np.abs(numbers[:, None] - numbers) / YEARS_APART) @ shares)
