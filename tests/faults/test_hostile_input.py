"""Whatever is in a file from elsewhere, it is read or refused by a KeyartError: no crash, no hang, no endless memory.

Ten thousand cases of each kind of file: `make faults`. `make fuzz` looks for cases that reach new code.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.conftest import RunCases
from tests.faults.hostile import TARGETS, spoiled

LIGHT = [name for name, target in TARGETS.items() if not target.is_heavy]


@pytest.mark.heavy
@pytest.mark.parametrize("name", LIGHT)
def test_spoiled_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    assert target.run(target.valid(), tmp_path / "files") == "read"

    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.deferred(lambda: spoiled(target)))
    def read(files: dict[str, bytes]) -> None:
        target.run(files, tmp_path / "files")

    read()


@pytest.mark.faults
@pytest.mark.parametrize("name", TARGETS)
def test_ten_thousand_spoiled_files_are_read_or_refused(fuzz: RunCases, name: str) -> None:
    # Keras takes a tenth of a second to refuse a file.
    assert fuzz(name, "--cases", "1000" if name.startswith("keras") else "10000") == []
