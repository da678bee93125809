"""Choose the kind and size of an index before a long build, by the number of films and the memory available."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from catalog.errors import ConfigError
from index.backends.pairwise import pairs_bytes
from index.embedding import Similarity

Kind = Literal["exact", "shortlist"]
Codec = Literal["SQfp16", "SQ8", "PQ"]

RANKS = (512, 384, 256, 192, 128, 64)
"""The ranks that a basis may have, longest first."""

# Beyond this, queries of an exact index take noticeably long, and more memory than exactness is worth.
_EXACT_BYTES = 256 << 20
# Embedded films are few bytes, and a shortlist of them costs nothing else: comparing 16 MB takes some milliseconds.
_EXACT_EMBEDDED_BYTES = 16 << 20
# Up to this many films, comparing every projection takes a few milliseconds. Inverted lists took longer for 60,000:
# with some hundred directions, many of them must be searched for the target recall.
_FLAT_FILMS = 200_000
# Bytes a number of the projection: half floats, bytes, and eight numbers to a byte.
_CODEC_BYTES: dict[Codec, float] = {"SQfp16": 2.0, "SQ8": 1.0, "PQ": 0.125}
# A coarser code is better than a basis so short that it explains little.
_N_LONG = 3
# To train, codes of 8 bits for several numbers at once need many films.
_PQ_FILMS = 10_000
# An inverted list stores each film's number, and FAISS where to find it.
_LISTED_BYTES = 16
# Ids, the poster's hash, length and checksum of the row.
_FILM_BYTES = 52
# Per second, of one core that is some years old and of a disk that is not idle.
_FLOPS, _READ_BYTES_S = 5e10, 5e8


@dataclass(frozen=True)
class Plan:
    """How an index will be built."""

    kind: Kind
    # Why it is of this kind.
    reason: str
    # The memory that a query needs at most, with the shared pages of its files.
    n_bytes: int
    # A rough forecast.
    build_s: float
    # The longest basis that may be used; 0 for an exact index.
    rank: int = 0
    # How projections are stored.
    codec: Codec = "SQfp16"
    # How many inverted lists they are sorted into; 0 where every projection is compared.
    n_lists: int = 0
    # What is compared, and why.
    similarity: Similarity = "cosine"
    similarity_because: str = ""

    def __str__(self) -> str:
        return f"{self.kind}, {self.n_bytes / 1e6:,.0f} MB, about {max(self.build_s, 1):,.0f} s: {self.reason}"


def make_plan(
    n_films: int,
    n_features: int,
    kind: Kind | Literal["auto"] = "auto",
    max_memory_bytes: int | None = None,
    *,
    embedded: bool = False,
) -> Plan:
    """Plan an index of n_films × n_features numbers within a memory limit, by default a quarter of the machine's.

    Numbers that are `embedded` are half floats that the index itself stores. Raises ConfigError where nothing fits.
    """
    budget_bytes = _quarter_of_memory_bytes() if max_memory_bytes is None else max_memory_bytes
    exact_bytes = _exact_bytes(n_films, n_features, embedded=embedded)
    size = f"{n_films:,} films of {n_features:,} numbers are {exact_bytes / 1e6:,.0f} MB"
    small = exact_bytes <= (_EXACT_EMBEDDED_BYTES if embedded else _EXACT_BYTES)
    if kind == "exact" or (kind == "auto" and small and exact_bytes <= budget_bytes):
        if exact_bytes > budget_bytes:
            raise ConfigError(_too_little(budget_bytes, exact_bytes, "an exact index") + "; or build a shortlist")
        reason = "as requested" if kind == "exact" else f"{size}, few enough to compare with all of them"
        pairs_s = n_films**2 * n_features / _FLOPS if not embedded and pairs_bytes(n_films, n_features) else 0.0
        return Plan("exact", reason, exact_bytes, n_films * n_features * 2 / _READ_BYTES_S + pairs_s)
    why = "as requested" if kind == "shortlist" else f"{size}, too many to compare with all of them"
    stored_bytes = exact_bytes if embedded else 0
    return _shortlist_plan(n_films, n_features, budget_bytes, stored_bytes, why)


def _exact_bytes(n_films: int, n_features: int, *, embedded: bool) -> int:
    if embedded:
        return n_films * (n_features * 2 + _FILM_BYTES)
    return n_films * (n_features * 4 + _FILM_BYTES) + pairs_bytes(n_films, n_features)


def _shortlist_plan(n_films: int, n_features: int, budget_bytes: int, stored_bytes: int, why: str) -> Plan:
    ranks = [rank for rank in RANKS if rank <= min(n_films, n_features)] or [min(n_films, n_features)]
    n_lists = int(4 * n_films**0.5) if n_films > _FLAT_FILMS else 0
    for codec in _CODEC_BYTES:
        for rank in ranks[: _N_LONG if codec != "PQ" else None]:
            n_bytes = stored_bytes + _shortlist_bytes(n_films, n_features, rank, codec, n_lists)
            if n_bytes <= budget_bytes and (codec != "PQ" or n_films >= _PQ_FILMS):
                seconds = 2.0 * n_films * n_features * (rank + 200) / _FLOPS + n_films * n_features * 2 / _READ_BYTES_S
                coarse = "" if codec == "SQfp16" else f", stored as {codec} to fit into {budget_bytes / 1e6:,.0f} MB"
                return Plan("shortlist", why + coarse, n_bytes, seconds + 10, rank, codec, n_lists)
    smallest: tuple[int, Codec] = (ranks[-1], "PQ") if n_films >= _PQ_FILMS else (ranks[:_N_LONG][-1], "SQ8")
    least_bytes = stored_bytes + _shortlist_bytes(n_films, n_features, *smallest, n_lists)
    raise ConfigError(_too_little(budget_bytes, least_bytes, "the smallest shortlist"))


def _shortlist_bytes(n_films: int, n_features: int, rank: int, codec: Codec, n_lists: int) -> int:
    listed = _LISTED_BYTES if n_lists else 0
    codes = n_films * (int(rank * _CODEC_BYTES[codec]) + listed + _FILM_BYTES)
    return codes + 4 * rank * (n_features + n_lists)


def _too_little(budget_bytes: int, needed_bytes: int, what: str) -> str:
    return (
        f"{budget_bytes / 1e6:,.0f} MB are too little: {what} needs {needed_bytes / 1e6:,.0f} MB; "
        f"allow it with --max-memory {-(-needed_bytes // 10**6)}MB"
    )


def _quarter_of_memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
