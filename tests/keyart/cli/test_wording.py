"""Sentences that depend on a number."""

from __future__ import annotations

import pytest

from keyart.cli.commands.cold_start import _audience
from keyart.cli.commands.tune import _bucket


@pytest.mark.parametrize(
    ("n", "most", "sentence"),
    [
        (0, 20, "0 users who would like it better than their average film"),
        (1, 20, "1 user who would like it better than their average film"),
        (1, 1, "the user who would like it most"),
        (1000, 1000, "the 1,000 users who would like it most"),
    ],
)
def test_an_audience_is_counted(n: int, most: int, sentence: str) -> None:
    assert _audience(n, most) == sentence


@pytest.mark.parametrize(("least", "most", "text"), [(0, 0, "0"), (1, 4, "1–4"), (1000, 10**9, "1000+")])
def test_a_bucket_of_one_number_is_that_number(least: int, most: int, text: str) -> None:
    assert _bucket(least, most) == text
