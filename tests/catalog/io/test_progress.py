from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import time
from contextlib import suppress

import pytest

from catalog.io import progress
from catalog.io.progress import bar, bar_of, shown, silent

WORK = """
from catalog.io.progress import bar, write_line
with bar("brew", 2, "pots") as advance:
    for name in ("coffee", "tea"):
        advance(0, name)
        advance(1)
        write_line(f"{name} is ready")
"""


def test_named_units_are_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("brew", 2, "pots") as advance:
        for name in ("coffee", "tea"):
            advance(0, name)
            advance(1)
    captured = capsys.readouterr()
    first, coffee, tea = captured.err.splitlines()
    assert first == "brew: 2 pots"
    assert coffee.startswith("brew: coffee in ")
    assert coffee.endswith(" s (1 of 2 pots)")
    assert tea.endswith(" s (2 of 2 pots)")
    assert captured.out == ""


def test_units_without_a_name_are_reported_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with bar("read", 3000, "files") as advance:
        for _ in range(3):
            advance(1000)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "_LINE_S", 0.0)
    with bar("read", 3000, "files") as advance:
        advance(1000)
        advance(2000)
    assert capsys.readouterr().err == "read: 1,000 of 3,000 files\nread: 3,000 of 3,000 files\n"


def test_the_start_of_work_is_no_part_of_its_rate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(progress, "_LINE_S", 10.0)
    with bar("extract", 64, "images") as advance:
        for clock[0] in (24.0, 24.0, 24.1, 24.1, 36.0, 36.0, 36.0, 36.0):
            advance(4)
    assert capsys.readouterr().err.splitlines() == [
        "extract: 4 of 64 images",
        "extract: 20 of 64 images, about 132 s left",
    ]


def test_a_bar_of_units_that_come_at_once_is_full_at_the_end() -> None:
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 100))
    code = "from catalog.io.progress import bar\nwith bar('read', 4, 'files') as advance: advance(4)"
    subprocess.run([sys.executable, "-c", code], stderr=end, check=True)
    os.close(end)
    screen = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert "read: 100%" in screen


def test_the_time_left_is_that_expected_of_what_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with bar_of({"mean": 1.0, "factors": 10.0, "network": 400.0})("evaluate", 3, "models") as advance:
        for name, clock[0] in (("mean", 2.0), ("network", 402.0), ("factors", 412.0)):
            advance(0, name)
            advance(1)
    assert [line.partition("(")[2] for line in capsys.readouterr().err.splitlines()[1:]] == [
        "1 of 3 models, about 820 s left)",
        "2 of 3 models, about 10 s left)",
        "3 of 3 models)",
    ]


def test_a_terminal_shows_a_bar_with_the_current_unit_and_lines_above_it() -> None:
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 100))
    done = subprocess.run([sys.executable, "-c", WORK], stdout=subprocess.PIPE, stderr=end, check=True, text=True)
    os.close(end)
    screen = _all_of(terminal)
    assert done.stdout == "coffee is ready\ntea is ready\n"
    assert "brew: 100%" in screen
    assert "2/2" in screen
    assert "tea" in screen
    assert "1 of 2" not in screen


def _all_of(terminal: int) -> str:
    """Read what was written to a terminal whose other end is closed; one read may return a part."""
    parts = []
    with suppress(OSError):  # How Linux says that this was all.
        while part := os.read(terminal, 65536):
            parts.append(part)
    os.close(terminal)
    return b"".join(parts).decode()


def test_a_bar_goes_on_counting_seconds_while_a_unit_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_TICK_S", 0.001)
    ticks: list[int] = []
    with progress._ticking(lambda: ticks.append(1)):
        while len(ticks) < 3:
            time.sleep(0.001)
    n_ticks = len(ticks)
    time.sleep(0.01)
    assert len(ticks) == n_ticks


def test_counts_so_far_are_shown_as_steps(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LINE_S", 0.0)
    with shown(bar, "fetch", "films") as show:
        show(2, 9)
        show(9, 9)
    assert capsys.readouterr().err == "fetch: 2 of 9 films\nfetch: 9 of 9 films\n"


def test_silent_progress_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with silent("brew", 2, "pots") as advance:
        advance(0, "coffee")
        advance(1)
    assert capsys.readouterr().err == ""
