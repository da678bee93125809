"""Name clusters by the genres and tags that are more frequent in them than chance explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from math import log

import numpy as np
import numpy.typing as npt

_N_WORDS = 3
_N_CANDIDATES = 8
# Pseudo-count: this many films with the usual frequencies are added to every cluster, so that a few films prove little.
_SMOOTHING = 10
_LEAST_FILMS = 3
# Of the words that hold, so many do by chance.
_FALSE_SHARE = 0.05


def name_clusters(clusters: Sequence[int], words: Sequence[Sequence[str]], n_clusters: int) -> list[str]:
    """Name each cluster by the words that hold for it, those of highest weight first; no two names are the same.

    The weight is the share of films with the word, times the logarithm of its ratio to the share in all films. The
    share excludes words of three films in a thousand, the logarithm words of all films. A cluster for which no word
    holds is called by its number.
    """
    overall = Counter(word for of_film in words for word in of_film)
    inside = [Counter[str]() for _ in range(n_clusters)]
    for cluster, of_film in zip(clusters, words, strict=True):
        inside[cluster].update(of_film)
    sizes = Counter(clusters)
    holding = _holding_words(inside, [sizes[cluster] for cluster in range(n_clusters)], overall, len(clusters))
    names: list[str] = []
    for cluster, held in enumerate(holding):
        by_weight = _by_weight(held, inside[cluster], sizes[cluster], overall, len(clusters))
        names.append(_name(by_weight, names) or number_name(cluster))
    return names


def number_name(cluster: int) -> str:
    """Name a cluster for which no word holds."""
    return f"cluster {cluster + 1}"


def _holding_words(
    inside: Sequence[Counter[str]], sizes: Sequence[int], overall: Counter[str], n_films: int
) -> list[list[str]]:
    """List the words of each cluster that more of its films have than of as many films drawn by chance.

    All words of all clusters are tested at once, by the hypergeometric distribution, and the share of those that pass
    by chance is bounded.

    References
    ----------
    .. [1] Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", JRSS B 57(1), 1995.
    """
    from scipy.stats import hypergeom

    common = sorted(word for word, n in overall.items() if n >= _LEAST_FILMS)
    pairs = [(cluster, word) for cluster in range(len(inside)) for word in common]
    if not pairs:
        return [[] for _ in inside]
    counts = np.array([(inside[c][word], overall[word], sizes[c]) for c, word in pairs])
    by_chance = np.asarray(hypergeom.sf(counts[:, 0] - 1, n_films, counts[:, 1], counts[:, 2]), np.float64)
    holds = (by_chance <= _threshold(by_chance)) & (counts[:, 0] >= _LEAST_FILMS)
    held: list[list[str]] = [[] for _ in inside]
    for number in np.flatnonzero(holds):
        cluster, word = pairs[number]
        held[cluster].append(word)
    return held


def _threshold(by_chance: npt.NDArray[np.float64]) -> float:
    """Return the largest probability that passes."""
    ordered = np.sort(by_chance)
    passing = ordered[ordered <= _FALSE_SHARE * np.arange(1, len(ordered) + 1) / len(ordered)]
    return float(passing[-1]) if len(passing) else -1.0


def _by_weight(words: Sequence[str], inside: Counter[str], size: int, overall: Counter[str], n_films: int) -> list[str]:
    def weight(word: str) -> float:
        usual = overall[word] / n_films
        share = (inside[word] + _SMOOTHING * usual) / (size + _SMOOTHING)
        return share * log(share / usual)

    return sorted(words, key=lambda word: (-weight(word), word))


def _name(words: Sequence[str], taken: Sequence[str]) -> str | None:
    """Return the best name that is not taken; None without words."""
    # The same words in another order are the same name.
    sets = [set(name.split(" · ")) for name in taken]
    free = next((chosen for chosen in _choices(words) if set(chosen) not in sets), None)
    if free or not words:
        return " · ".join(free) if free else None
    name = " · ".join(words[:_N_WORDS])
    return f"{name} ({2 + sum(other.startswith(f'{name} (') for other in taken)})"


def _choices(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield candidates for a name, best first; a second cluster with the same words gets the next one."""
    yield words[:_N_WORDS]
    candidates = words[:_N_CANDIDATES]
    for n_words in range(min(2, len(candidates)), _N_WORDS + 1):
        yield from combinations(candidates, n_words)
