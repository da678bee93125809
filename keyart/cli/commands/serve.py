"""``keyart serve``."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from catalog.extras import require
from keyart.cli.options import workspace_options


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; others than this need --token.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="At which port.")
@click.option("--token", metavar="TOKEN", help="What clients must show: 16 letters or more.")
@click.option("--read-only", is_flag=True, help="Add no films, whoever asks.")
@workspace_options
def command(host: str, port: int, token: str | None, read_only: bool, home: Path) -> None:
    """Serve the web page and its HTTP API until Ctrl-C."""
    # Until it serves, there is nothing to bring to an end; what is being imported may swallow an interrupt in Python.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        _serve(host, port, token, home, read_only=read_only)
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(host: str, port: int, token: str | None, home: Path, *, read_only: bool) -> None:
    require("web", "the web page")
    from keyart.web.app import serve

    click.echo(f"http://{host}:{port}/  (Ctrl-C ends it)", err=True)
    serve(home, host, port, token, read_only=read_only)
