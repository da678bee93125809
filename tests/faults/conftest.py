"""Runs commands under faults in processes of their own, and prints how many cases there were."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.faults.preload import build, environment
from tests.test_layers import ROOT

FIGURES = "figures of faults"
RunCases = Callable[..., list[str]]
RecordCases = Callable[[str, int], None]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def run_cases(library: Path, record_property: Callable[[str, object], None]) -> RunCases:
    """Run the cases that the arguments of `tests.faults` choose; returns what was wrong, a line for each case."""

    def run(*arguments: str) -> list[str]:
        # A server takes seconds to begin; what it writes is what `add` writes.
        stride = int(os.environ.get("STRIDE", "1")) * (7 if "serve" in arguments else 1)
        every = () if "--stride" in arguments else ("--stride", str(stride))
        return _run("tests.faults", (*arguments, *every), environment(library), record_property)

    return run


@pytest.fixture
def fuzz(record_property: Callable[[str, object], None]) -> RunCases:
    """Read spoiled files as the arguments of `tests.faults.fuzz` choose; returns what was wrong, a line for each."""

    def run(*arguments: str) -> list[str]:
        return _run("tests.faults.fuzz", arguments, dict(os.environ), record_property)

    return run


@pytest.fixture
def record_cases(record_property: Callable[[str, object], None]) -> RecordCases:
    """Count cases that a test runs itself."""

    def record(name: str, n_cases: int) -> None:
        record_property(FIGURES, {"command": name, "cases": n_cases, "endings": {"right": n_cases}})

    return record


def _run(
    module: str, arguments: Sequence[str], env: dict[str, str], record_property: Callable[[str, object], None]
) -> list[str]:
    process = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, env=env, capture_output=True, text=True
    )
    lines = [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]
    for line in lines:
        if "command" in line:
            record_property(FIGURES, line)
    wrong = [line["wrong"] for line in lines if "wrong" in line]
    if process.returncode and not wrong:
        wrong.append(f"exit code {process.returncode}: {process.stderr[-3000:]}")
    return wrong


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print a table of the cases of every command."""
    rows: dict[str, dict[str, int]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ():
                if name == FIGURES:
                    row = rows.setdefault(value["command"], {})
                    for ending, n in {"cases": value["cases"], **value["endings"]}.items():
                        row[ending] = row.get(ending, 0) + n
    if rows:
        terminalreporter.section("faults")
        for command, row in rows.items():
            endings = ", ".join(f"{n:,} {ending}" for ending, n in sorted(row.items()) if ending != "cases")
            terminalreporter.write_line(f"{command:22} {row['cases']:6,} cases: {endings}")
        terminalreporter.write_line(f"{'all':22} {sum(row['cases'] for row in rows.values()):6,} cases")
