"""What clusters are called: by the genres and tags that are commoner in them than in the whole catalog."""

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
_SURE_DEVIATION = 2.5


def name_clusters(clusters: Sequence[int], words: Sequence[Sequence[str]], n_clusters: int) -> list[str]:
    """Name clusters by what is commoner in them than elsewhere.

    Words are ordered by what they tell of a cluster: their share there, times the logarithm of how much commoner they
    are there than in all films. The share keeps out what three films in a thousand have, the logarithm what all have.
    Words that chance does not explain make the name by themselves, where there are some.
    """
    overall = Counter(word for of_film in words for word in of_film)
    inside = [Counter[str]() for _ in range(n_clusters)]
    for cluster, of_film in zip(clusters, words, strict=True):
        inside[cluster].update(of_film)
    sizes = Counter(clusters)
    names: list[str] = []
    taken: list[set[str]] = []
    for cluster in range(n_clusters):
        sure, others = _telling(inside[cluster], sizes[cluster], overall, len(clusters))
        # The same words in another order are no other name.
        words_of_name = next((chosen for chosen in _choices(sure, others) if set(chosen) not in taken), ())
        taken.append(set(words_of_name))
        names.append(" · ".join(words_of_name) or f"cluster {cluster + 1}")
    return names


def _telling(inside: Counter[str], size: int, overall: Counter[str], n_films: int) -> tuple[list[str], list[str]]:
    """List the words that are commoner in a cluster, most telling first: those that chance does not explain, others."""
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
    """List candidate labels, best first; a second cluster with the same words takes the next."""
    if sure:
        yield sure[:_N_WORDS]
    words = [*sure, *others][:_N_CANDIDATES]
    for n_words in range(min(2, len(words)), _N_WORDS + 1):
        yield from combinations(words, n_words)
