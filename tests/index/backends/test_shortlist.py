"""Lengths of shortlists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from index.backends.shortlist import Sizes


@given(
    st.dictionaries(st.sampled_from([1, 10, 100]), st.integers(1, 5000), min_size=1),
    st.integers(1, 10_000),
    st.integers(1, 10_000),
)
def test_shortlist_sizes_grow_with_k(by_k: dict[int, int], one: int, other: int) -> None:
    longest = 0
    for k in sorted(by_k):
        longest = by_k[k] = max(longest, by_k[k], k + 1)
    sizes = Sizes(by_k)
    for k, n in by_k.items():
        assert sizes.for_hits(k) == n
    fewer, more = sorted((one, other))
    assert fewer <= sizes.for_hits(fewer) <= sizes.for_hits(more)
    if fewer >= min(by_k) and more <= max(by_k):
        assert by_k[min(by_k)] <= sizes.for_hits(fewer) <= by_k[max(by_k)]


def test_shortlist_sizes_are_interpolated_geometrically() -> None:
    sizes = Sizes({1: 10, 100: 1000})
    assert [sizes.for_hits(k) for k in (1, 10, 100, 200)] == [10, 100, 1000, 2000]
