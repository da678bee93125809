from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog.errors import ConfigError
from index.options import IndexOptions
from index.plan import Kind, make_plan
from tests.contracts import films_of, random_features
from tests.index import kinds

pytestmark = pytest.mark.heavy

GIGABYTE = 10**9


def test_small_catalogs_get_an_exact_index_and_large_ones_a_shortlist() -> None:
    assert make_plan(2_000, 25_088).kind == "exact"
    plan = make_plan(20_000, 25_088)
    assert (plan.kind, plan.rank, plan.codec, plan.n_lists) == ("shortlist", 512, "SQfp16", 0)
    assert "20,000 films of 25,088 numbers are 2,008 MB, too many to compare with all of them" in plan.reason


def test_requested_kind_is_planned() -> None:
    assert make_plan(10, 64, "shortlist").kind == "shortlist"
    assert make_plan(10_000, 2_000, "exact", GIGABYTE).kind == "exact"
    assert make_plan(10, 64, "exact").reason == "as requested"


def test_very_large_catalogs_use_inverted_lists() -> None:
    assert make_plan(1_000_000, 25_088, max_memory_bytes=4 * GIGABYTE).n_lists == 4_000
    assert make_plan(200_000, 25_088, max_memory_bytes=GIGABYTE).n_lists == 0


def test_less_memory_shortens_then_coarsens_codes() -> None:
    plans = [make_plan(200_000, 25_088, max_memory_bytes=n << 20) for n in (400, 200, 130, 100, 60, 40)]
    assert [plan.codec for plan in plans] == ["SQfp16", "SQfp16", "SQ8", "SQ8", "PQ", "PQ"]
    assert [plan.n_bytes for plan in plans] == sorted((plan.n_bytes for plan in plans), reverse=True)
    assert "stored as PQ to fit into 42 MB" in plans[-1].reason


@settings(max_examples=300, deadline=None)
@given(
    n_films=st.one_of(st.integers(1, 200), st.integers(1, 5_000_000)),
    n_features=st.one_of(st.integers(1, 300), st.sampled_from([512, 25_088])),
    kind=st.sampled_from(["auto", "exact", "shortlist"]),
    max_memory_bytes=st.one_of(st.integers(0, 100_000), st.integers(0, 10 * GIGABYTE)),
)
@example(n_films=50, n_features=64, kind="shortlist", max_memory_bytes=0)
@example(n_films=5_000, n_features=25_088, kind="auto", max_memory_bytes=10_000_000)
@example(n_films=50_000, n_features=25_088, kind="auto", max_memory_bytes=10_000_000)
def test_plan_fits_into_memory_or_error_names_the_memory_needed(
    n_films: int, n_features: int, kind: Kind, max_memory_bytes: int
) -> None:
    try:
        plan = make_plan(n_films, n_features, kind, max_memory_bytes)
    except ConfigError as error:
        needed = re.search(r"needs [\d,]+ MB; allow it with --max-memory (\d+)MB", str(error))
        assert needed is not None
        needed_bytes = int(needed[1]) * 10**6
        assert needed_bytes > max_memory_bytes
        # The memory that the message names is enough.
        plan = make_plan(n_films, n_features, kind, needed_bytes)
        assert plan.n_bytes <= needed_bytes
    else:
        assert plan.n_bytes <= max_memory_bytes
    assert kind in ("auto", plan.kind)
    assert plan.build_s >= 0
    assert plan.rank <= min(n_films, n_features)
    assert (plan.rank > 0) is (plan.kind == "shortlist")
    assert str(plan).startswith(f"{plan.kind}, ")
    if plan.codec == "PQ":
        assert n_films >= 10_000


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_more_films_take_more_time_and_memory(one: int, other: int) -> None:
    fewer, more = (make_plan(n, 25_088, "exact", 10**18) for n in sorted((one, other)))
    assert (fewer.n_bytes, fewer.build_s) <= (more.n_bytes, more.build_s)


def test_zero_memory_is_not_the_default() -> None:
    with pytest.raises(ConfigError, match="0 MB are too little: the smallest shortlist needs"):
        make_plan(100, 64, max_memory_bytes=0)


@pytest.mark.parametrize("name", kinds.KINDS)
def test_memory_forecast_is_close_to_the_files_sizes(name: str, tmp_path: Path) -> None:
    kind = kinds.KINDS[name]
    films = films_of(random_features(1, 600, 256).astype(kind.dtype))
    plan = make_plan(600, 256, "shortlist" if kind.rank else "exact")
    index = kinds.CosineIndex.build(
        films, {**kinds.IDENTITY, "n_features": 256}, IndexOptions(center=kind.center), plan=plan
    )
    index.save(tmp_path)
    n_bytes = sum(path.stat().st_size for path in tmp_path.iterdir() if path.suffix != ".json")
    # The fitted basis may be shorter than planned.
    assert 0.2 * plan.n_bytes <= n_bytes <= plan.n_bytes + 4096
