"""What clusters are called: by the genres and tags that are commoner in them than in the whole catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from math import log, sqrt

_N_WORDS = 3
_N_CANDIDATES = 8
# So many films of the usual mix are added to every cluster before it is compared, so that a few films prove little.
_SMOOTHING = 10
_LEAST_FILMS = 3
# In standard deviations of what chance gives: a word may be commoner by accident, and there are many words.
_LEAST_DEVIATION = 2.5


def name_clusters(clusters: Sequence[int], words: Sequence[Sequence[str]], n_clusters: int) -> list[str]:
    """Name clusters by what is commoner in them than elsewhere.

    Words are ordered by what they tell of a cluster: their share there, times the logarithm of how much commoner they
    are there than in all films. The share keeps out what three films in a thousand have, the logarithm what all have.

    Parameters
    ----------
    clusters : sequence of int, of length n
        The cluster of each film, from 0.
    words : sequence of sequences of str, of length n
        The genres and tags of each film, each once.
    n_clusters : int
        How many clusters there are.

    Returns
    -------
    list of str, of length n_clusters
        No two the same; "cluster 7" where nothing sets the films apart.
    """
    overall = Counter(word for of_film in words for word in of_film)
    inside = [Counter[str]() for _ in range(n_clusters)]
    for cluster, of_film in zip(clusters, words, strict=True):
        inside[cluster].update(of_film)
    sizes = Counter(clusters)
    names: list[str] = []
    for cluster in range(n_clusters):
        telling = _telling(inside[cluster], sizes[cluster], overall, len(clusters))
        free = (name for name in _names(telling) if name not in names)
        names.append(next(free, f"cluster {cluster + 1}"))
    return names


def _telling(inside: Counter[str], size: int, overall: Counter[str], n_films: int) -> list[str]:
    """List the words that set a cluster apart, the most telling first."""
    scores = {}
    for word, n in inside.items():
        usual = overall[word] / n_films
        share = (n + _SMOOTHING * usual) / (size + _SMOOTHING)
        beyond_chance = n - size * usual > _LEAST_DEVIATION * sqrt(size * usual * (1 - usual))
        if n >= _LEAST_FILMS and beyond_chance:
            scores[word] = share * log(share / usual)
    return sorted(scores, key=lambda word: (-scores[word], word))


def _names(telling: list[str]) -> Iterator[str]:
    """Give the names that these words make, the best first; a second cluster of the same words gets others."""
    if telling:
        yield " · ".join(telling[:_N_WORDS])
    for chosen in combinations(telling[:_N_CANDIDATES], _N_WORDS):
        yield " · ".join(chosen)
