"""Requests drawn from the API's own description, right ones and wrong ones: no answer is a fault of the server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from tests.keyart.web.conftest import copied, eventually
from tests.keyart.web.test_serve_command import read_until, started

schemathesis = pytest.importorskip("schemathesis")

pytestmark = pytest.mark.heavy

# Which ids, names and images are right depends on the workspace, so requests as described may be refused.
# Nor can it say that /api/films/{movie_id} takes the GET of /api/films/similar, and refuses it.
_LEFT_OUT = ("positive_data_acceptance", "unsupported_method", "allow_header_conformance")
_REAL_IDS = {"movie_id": range(1, 25), "other_id": range(1, 25), "film": range(1, 25), "user_id": range(1, 10)}


@pytest.fixture(scope="module")
def description(fitted_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The description of a server whose catalog may be changed."""
    # In a process of its own: Hypothesis takes a server's use of `random` for its own, and CPython before 3.11.9 may
    # fail to parse a module while another thread parses the header of an array (python/cpython issue 106905).
    with started(copied(fitted_home, tmp_path_factory)) as server:
        address, _ = read_until(server, "http://").split("  ")
        assert server.stderr is not None
        # Else the server would wait once the pipe is full.
        threading.Thread(target=server.stderr.read, daemon=True).start()
        # Until the network is loaded, which takes long on a busy machine, answers may come too late.
        eventually(partial(requests.get, f"{address}readyz", timeout=60), lambda answer: answer.ok)
        yield schemathesis.openapi.from_url(f"{address}openapi.json", timeout=60)


def checks() -> list[Any]:
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    return [check for check in CHECKS.get_all() if check.__name__ not in _LEFT_OUT]


@pytest.mark.parametrize(("n_cases", "n_in_all"), [(3, 100), pytest.param(240, 10_000, marks=pytest.mark.faults)])
def test_answers_are_those_that_are_described(description: Any, n_cases: int, n_in_all: int) -> None:
    """Each operation gets so many right requests and so many wrong ones, those without parameters fewer."""
    chosen, faults, n_asked = checks(), list[str](), 0
    for result in description.get_all_operations():
        operation = result.ok()
        for mode in schemathesis.GenerationMode:
            try:
                n_asked += _ask(operation, mode, n_cases, chosen)
            except Unsatisfiable:
                # Where nothing is asked for, nothing can be wrong.
                assert mode == schemathesis.GenerationMode.NEGATIVE
            except (schemathesis.errors.SchemathesisError, ExceptionGroup) as error:
                # The one error of a group may be of the first call only, such as of a slow answer.
                faults.append("\n".join(map(str, [operation.label, error, *getattr(error, "exceptions", ())])))
    assert not faults, "\n\n".join(faults)
    assert n_asked >= n_in_all


def _ask(operation: Any, mode: Any, n_cases: int, chosen: list[Any]) -> int:
    """Ask one operation, and return how often."""
    n_asked = 0

    @settings(
        max_examples=n_cases,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), ids=st.data())
    def ask(case: Any, ids: st.DataObject) -> None:
        is_right = mode == schemathesis.GenerationMode.POSITIVE
        for name in _REAL_IDS.keys() & case.path_parameters.keys():
            if is_right and ids.draw(st.booleans()):
                case.path_parameters[name] = ids.draw(st.sampled_from(_REAL_IDS[name]))
        nonlocal n_asked
        n_asked += 1
        case.call_and_validate(checks=chosen, timeout=60)

    ask()
    return n_asked
