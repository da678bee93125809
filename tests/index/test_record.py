"""Records of an index as ``index.json`` holds them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from index.options import IndexOptions, Target
from index.record import Growth, IndexRecord
from tests.contracts import films_of, random_features
from tests.index.kinds import KINDS


@pytest.mark.parametrize("name", KINDS)
def test_record_equals_itself_read_from_json(name: str) -> None:
    kind = KINDS[name]
    record = kind.build(films_of(random_features(1).astype(kind.dtype))).record
    assert IndexRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record


def test_record_keeps_the_keys_of_version_0_1() -> None:
    record = KINDS["short basis"].build(films_of(random_features(1))).record.to_dict()
    assert list(record) == [
        "type",
        "n_films",
        "n_features",
        "centred",
        "settings",
        "growth",
        "drift",
        "left_out",
        "fingerprint",
        "identity",
        "report",
        "similarity",
        "embedding",
    ]
    assert list(record["settings"]) == ["rank", "shortlist", "n_probe"]
    assert list(record["growth"]) == ["n_fitted", "residual_fitted", "n_added", "residual_added"]
    assert list(record["report"]) == [
        "asked",
        "kind_because",
        "memory_bytes",
        "build_s",
        "n_queries",
        "recall",
        "target_recall",
        "target_met",
        "latency_ms",
        "similarity_because",
    ]
    assert list(record["report"]["asked"]) == ["kind", "target_recall", "max_memory_bytes", "similarity"]
    assert list(record["report"]["latency_ms"]) == ["average", "p99", "batched"]


def test_an_index_built_before_there_were_embeddings_stays_as_it_is() -> None:
    content = KINDS["short basis"].build(films_of(random_features(1))).record.to_dict()
    for recorded in (content, content["report"]["asked"]):
        del recorded["similarity"]
    record = IndexRecord.from_dict(content)
    assert (record.similarity, record.build.target.similarity) == ("cosine", "cosine")


# Growth


def test_residuals_are_averaged_over_all_added_films() -> None:
    growth = Growth(100, 0.2).after(np.array([0.1, 0.3])).after(np.array([0.6])).after(np.empty(0))
    assert (growth.n_added, growth.n_fitted) == (3, 100)
    assert growth.residual_added == pytest.approx(1 / 3)
    assert growth.drift == pytest.approx(5 / 3)
    assert (Growth(100).drift, Growth(100, 0.2).drift) == (1.0, 1.0)


# Options


def test_unset_options_come_from_the_earlier_index_else_from_the_defaults() -> None:
    earlier = Target("shortlist", 0.9, 1000)
    assert Target.of(IndexOptions()) == Target("auto", 0.99, None)
    assert Target.of(IndexOptions(), earlier) == earlier
    assert Target.of(IndexOptions("exact", max_memory_bytes=0), earlier) == Target("exact", 0.9, 0)


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the kind auto, exact or shortlist, received 'flat'"):
        IndexOptions("flat")  # type: ignore[arg-type]
