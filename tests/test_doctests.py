"""Examples in docstrings print what they say, where they need no workspace."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = (
    "catalog.filters",
    "catalog.series",
    "catalog.titles",
    "features.options",
    "keyart.pipeline.look_alikes",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name: str) -> None:
    outcome = doctest.testmod(import_module(name))
    assert outcome.attempted
    assert not outcome.failed
