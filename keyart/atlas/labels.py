"""Name clusters by the genres and tags that are more frequent in them than in the whole catalog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from math import log, sqrt

_N_WORDS = 3
_N_CANDIDATES = 8
# Pseudo-count: this many films with the usual frequencies are added to every cluster, so that a few films prove little.
_SMOOTHING = 10
_LEAST_FILMS = 3
# In standard deviations of a random cluster: with many words, some are more frequent by chance.
_SURE_DEVIATION = 2.5


def name_clusters(clusters: Sequence[int], words: Sequence[Sequence[str]], n_clusters: int) -> list[str]:
    """Name each cluster by its words of highest weight; no two names are the same.

    The weight is the share of films with the word, times the logarithm of its ratio to the share in all films. The
    share excludes words of three films in a thousand, the logarithm words of all films. Where some words are
    significant, only they make the name.
    """
    overall = Counter(word for of_film in words for word in of_film)
    inside = [Counter[str]() for _ in range(n_clusters)]
    for cluster, of_film in zip(clusters, words, strict=True):
        inside[cluster].update(of_film)
    sizes = Counter(clusters)
    names: list[str] = []
    taken: list[set[str]] = []
    for cluster in range(n_clusters):
        sure, others = _frequent_words(inside[cluster], sizes[cluster], overall, len(clusters))
        # The same words in another order are the same name.
        name_words = next((chosen for chosen in _choices(sure, others) if set(chosen) not in taken), ())
        taken.append(set(name_words))
        names.append(" · ".join(name_words) or f"cluster {cluster + 1}")
    return names


def _frequent_words(
    inside: Counter[str], size: int, overall: Counter[str], n_films: int
) -> tuple[list[str], list[str]]:
    """List the words that are more frequent in a cluster, by weight: significant ones, and others."""
    scores, sure = {}, set()
    for word, n in inside.items():
        usual = overall[word] / n_films
        share = (n + _SMOOTHING * usual) / (size + _SMOOTHING)
        if n >= _LEAST_FILMS and n > size * usual:
            scores[word] = share * log(share / usual)
            if n - size * usual > _SURE_DEVIATION * sqrt(size * usual * (1 - usual)):
                sure.add(word)
    ordered = sorted(scores, key=lambda word: (-scores[word], word))
    return [word for word in ordered if word in sure], [word for word in ordered if word not in sure]


def _choices(sure: list[str], others: list[str]) -> Iterator[Sequence[str]]:
    """Yield candidates for a name, best first; a second cluster with the same words gets the next one."""
    if sure:
        yield sure[:_N_WORDS]
    words = [*sure, *others][:_N_CANDIDATES]
    for n_words in range(min(2, len(words)), _N_WORDS + 1):
        yield from combinations(words, n_words)
