"""`make soak` in small: everything at once, without a judgement on times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_layers import ROOT

pytest.importorskip("fastapi")


@pytest.mark.release
def test_answers_stay_right_under_everything_at_once(home: Path) -> None:
    words = ["--home", home, "--minutes", "0.25", "--clients", "8", "--idle", "100", "--max-ratio", "inf"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "soak.py", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| look-up, quiet server |" in done.stdout
