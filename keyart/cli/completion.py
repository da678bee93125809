"""Completion of titles and names of models in the shell."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem

import cf
from catalog.errors import KeyartError
from catalog.films import Catalog
from keyart.cli.options import workspace_home
from keyart.workspace.layout import Workspace

_N_TITLES = 50


class QuotingBashComplete(BashComplete):
    """Quotes titles, whose spaces and parentheses Bash would read; other shells quote by themselves."""

    name = "bash"

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Format an item for Bash's script."""
        return super().format_completion(CompletionItem(shlex.quote(item.value), item.type))


def complete_film(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the titles of the workspace that begin with what was typed, in any case."""
    try:
        with Catalog.open(Workspace.open(Path(workspace_home(context))).catalog_path) as catalog:
            labels = [film.label for film in catalog]
    except KeyartError:
        # Without a workspace there is nothing to complete, and a message would end up between the words.
        return []
    return sorted(label for label in labels if label.casefold().startswith(incomplete.casefold()))[:_N_TITLES]


def complete_model(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of recommenders that begin with what was typed."""
    return [name for name in cf.registry.MODELS if name.startswith(incomplete)]


def complete_cold_start_model(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of models of the cold start that begin with what was typed."""
    return [name for name in cf.coldstart.registry.COLD_START_MODELS if name.startswith(incomplete)]


def complete_embedding(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of embeddings that begin with what was typed."""
    from keyart.similarity.evaluation.candidates import CANDIDATES

    return [name for name in CANDIDATES if name.startswith(incomplete)]
