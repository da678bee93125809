"""``keyart check``."""

from __future__ import annotations

from pathlib import Path

import click

from catalog.errors import ConfigError
from catalog.io.progress import bar
from catalog.text import plural
from keyart import pipeline
from keyart.cli.options import json_option, workspace_options
from keyart.cli.output import echo, print_json, print_notes


@click.command("check")
@click.option("--repair", is_flag=True, help="Mend what can be mended, and check again.")
@click.option(
    "--trust-databases",
    is_flag=True,
    help="With --repair: accept catalog.sqlite and posters.sqlite as they are, if SQLite's own check passes. Only for "
    "files that another program wrote.",
)
@json_option
@workspace_options
@click.pass_context
def command(context: click.Context, repair: bool, trust_databases: bool, as_json: bool, home: Path) -> None:
    """Check every file, id and fingerprint of the workspace.

    Every file is compared with its checksum, the ids of every part with those of the others, and every part with what
    it was made from. A line is printed for each thing that is wrong, with what mends it, and the exit code is 1.
    Nothing is changed without --repair, which rebuilds what is made from other parts, sets damaged posters to be
    fetched or imported again and removes what killed processes left. A damaged catalog, damaged ratings and a damaged
    database of posters are never removed; they are named with what mends them.
    """
    if trust_databases and not repair:
        raise ConfigError("--trust-databases says what a repair accepts; give --repair too")
    report = pipeline.check(home, repair=repair, trust_databases=trust_databases, progress=bar)
    if as_json:
        print_json(report.to_dict())
    else:
        print_notes(report.notes)
        for sentence in report.mended:
            echo(f"mended: {sentence}")
        for finding in report.findings:
            echo(f"wrong: {finding}")
        if report.is_whole:
            echo("all files, ids and fingerprints are right")
        else:
            echo(plural(len(report.findings), "thing is wrong", "things are wrong"))
    context.exit(0 if report.is_whole else 1)
