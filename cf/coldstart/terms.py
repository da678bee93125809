"""People and words that films are known for, as rows of numbers: what few films have counts most.

A film has more of them than anybody lists. So two films that share the only one that is listed are not the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
# Bounds time and memory: the regression on terms takes the cube of their number, or of that of films.
N_TERMS = 2000


def rarity(n_films: npt.NDArray[np.integer], n_known: int) -> npt.NDArray[np.float64]:
    """Weigh terms by the inverse document frequency: `n_films` of the `n_known` films with any have each."""
    return np.asarray(np.log1p(n_known / np.maximum(n_films, 1)))


def unlisted(n_known: int) -> float:
    """Return the square of what a film has beside the terms that are listed of it, as rare as any."""
    return float(np.log1p(n_known) ** 2 / 2)


@dataclass(frozen=True)
class TermEncoding:
    """Encodes the terms of films; make it with `TermEncoding.fit`."""

    terms: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    unlisted: float = 0.0

    @classmethod
    def fit(cls, films: Sequence[Sequence[str]]) -> Self:
        """Learn which terms there are: of more than `N_TERMS`, those that most films have."""
        counts = Counter(term for of_film in films for term in set(of_film))
        chosen = sorted(counts, key=lambda term: (-counts[term], term))[:N_TERMS]
        n_known = sum(map(bool, films))
        weights = rarity(np.array([counts[term] for term in chosen], np.int64), n_known)
        return cls(tuple(chosen), tuple(weights.tolist()), unlisted(n_known))

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Restore what `asdict` gave, from JSON."""
        return cls(tuple(record["terms"]), tuple(record["weights"]), record["unlisted"])

    def __call__(self, films: Sequence[Sequence[str]]) -> Floats:
        """Encode films as rows at most 1 long; NaN where no term is known."""
        places = {term: place for place, term in enumerate(self.terms)}
        rows = np.zeros((len(films), len(places)), np.float32)
        for row, of_film in zip(rows, films, strict=True):
            known = [places[term] for term in of_film if term in places]
            row[known] = [self.weights[place] for place in known]
        lengths = np.sqrt(np.square(rows).sum(axis=1, keepdims=True) + self.unlisted)
        return np.where(rows.any(axis=1, keepdims=True), rows / np.maximum(lengths, 1e-9), np.nan).astype(np.float32)
