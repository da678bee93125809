"""``keyart fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import cf
from catalog.errors import ConfigError
from catalog.io.locks import check_free
from catalog.io.progress import bar_of, write_line
from catalog.text import plural
from keyart import recommend
from keyart.cli.completion import complete_model
from keyart.cli.interruption import keeps
from keyart.cli.options import set_option, workspace_options
from keyart.cli.output import announce, definitions, echo
from keyart.workspace.layout import Workspace


@click.command("fit")
@click.argument("names", nargs=-1, metavar="[MODEL]...", shell_complete=complete_model)
@set_option
@workspace_options
def command(names: tuple[str, ...], parameters: dict[str, dict[str, Any]], home: Path) -> None:
    """Fit recommenders on the workspace's ratings and keep them there, ready for `keyart recommend`.

    Without MODEL, list the available models.
    """
    from keyart.workspace.contents import open_ratings

    if not names:
        rows = [(name, entry.summary) for name, entry in cf.registry.MODELS.items()]
        echo(definitions(("model", "what it is"), rows))
        return
    for name in names:
        cf.registry.make(name, **parameters.get(name, {}))
    if strange := set(parameters) - set(names):
        raise ConfigError(f"--set names {', '.join(sorted(strange))}, which is not among the models to fit")
    workspace = Workspace.open(home)
    for name in names:
        check_free(workspace.model_dir(name))
    ratings = open_ratings(workspace)
    expected_s = {name: recommend.models.expected_fit_s(name, ratings, parameters.get(name)) or 0.0 for name in names}
    for name in names:
        announce(name, expected_s[name])
    with bar_of({name: 1.0 + one_s for name, one_s in expected_s.items()})(
        "fit", len(names), "models" if len(names) > 1 else "model"
    ) as advance:
        for n_fitted, name in enumerate(names):
            advance(0, name)
            with keeps(f"fitted and kept: {', '.join(names[:n_fitted]) or 'none'}"):
                report = recommend.models.fit_model(workspace, name, ratings, parameters.get(name))
            advance(1)
            write_line(
                f"{name}: fitted on {plural(report.n_ratings, 'rating')} of {plural(report.n_films, 'film')} by "
                f"{plural(report.n_users, 'user')} in {report.fit_s:.1f} s"
            )
