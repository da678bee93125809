"""The bound on what a server logs."""

from __future__ import annotations

import logging

import pytest

from keyart.web.log_limit import LogLimit


class Log:
    """What passes a limit, at a time of its own."""

    def __init__(self, n_repeats: int, n_records: int) -> None:
        self.now, self.lines = 0.0, list[str]()
        self._limit = LogLimit(n_repeats, n_records, window_s=60, clock=lambda: self.now)

    def write(self, text: str, *args: object) -> None:
        record = logging.LogRecord("keyart", logging.WARNING, "", 0, text, args, None)
        if self._limit.filter(record):
            self.lines.append(record.getMessage())


def test_repeats_are_counted_instead_of_written() -> None:
    log = Log(n_repeats=2, n_records=100)
    for _ in range(1000):
        log.write("film %s is %s", 6, "gone")
    log.write("another")
    assert log.lines == ["film 6 is gone", "film 6 is gone", "another"]
    log.now = 60
    log.write("film 6 is gone")
    assert log.lines[3:] == ["film 6 is gone (repeated 998 times)"]
    log.now = 120
    log.write("film 6 is gone")
    assert log.lines[4:] == ["film 6 is gone"]


def test_messages_that_all_differ_are_bounded_too() -> None:
    log = Log(n_repeats=2, n_records=10)
    for number in range(1000):
        log.write("film %d is gone", number)
    assert len(log.lines) == 10
    assert log.lines[-1] == "film 9 is gone (too many messages; the next ones are left out for up to 60 s)"
    assert len(log._limit._repeats) <= 11
    log.now = 60
    log.write("film 7 is gone")
    assert log.lines[10:] == ["film 7 is gone"]


@pytest.mark.parametrize("text", ["100 %", "{}"])
def test_marks_of_formats_in_a_message_are_kept(text: str) -> None:
    log = Log(n_repeats=1, n_records=100)
    for now in (0, 1, 60):
        log.now = now
        log.write("%s", text)
    assert log.lines == [text, f"{text} (repeated 1 times)"]
