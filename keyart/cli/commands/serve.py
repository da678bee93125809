"""``keyart serve``."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from catalog.extras import require
from keyart.cli.encoders import encoder_option
from keyart.cli.options import refused_option, workspace_options
from keyart.cli.output import echo
from keyart.web.address import listen, read_token, url
from keyart.web.public_address import PublicAddress
from keyart.workspace.layout import Workspace
from keyart.workspace.settings import SERVER_TOKEN


@click.command("serve")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; any but this machine's needs a token (KEYART_TOKEN).",
)
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port to listen on; 0 for a free one.",
)
@refused_option(SERVER_TOKEN, "--token")
@click.option("--read-only", is_flag=True, help="Refuse to add films.")
@click.option(
    "--root-path",
    default="",
    metavar="PATH",
    help="The prefix of all addresses, such as /films, where a reverse proxy takes it off.",
)
@click.option(
    "--trusted-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A reverse proxy whose X-Forwarded-Host, -Proto and -For are believed; may be repeated.",
)
@click.option(
    "--allow-origin",
    "allowed_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Another origin whose pages may use the API, such as https://app.example.org; may be repeated; * for any.",
)
@encoder_option(takes_blends=True)
@workspace_options
def command(
    host: str,
    port: int,
    read_only: bool,
    root_path: str,
    trusted_proxies: tuple[str, ...],
    allowed_origins: tuple[str, ...],
    encoder: str | None,
    home: Path,
) -> None:
    """Serve the web page and its HTTP API until Ctrl-C.

    To serve other machines too, set --host and a token of 16 characters or more that they must show. The token is read
    from KEYART_TOKEN or from the file that KEYART_TOKEN_FILE names.
    """
    public = PublicAddress.parse(root_path, trusted_proxies, allowed_origins)
    # Until it serves, there is nothing to bring to an end; what is being imported may swallow an interrupt in Python.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        _serve(host, port, home, encoder, public, read_only=read_only)
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(host: str, port: int, home: Path, encoder: str | None, public: PublicAddress, *, read_only: bool) -> None:
    require("web", "the web page")
    token = read_token(host)
    public.check_token(token)
    Workspace.open(home)
    with listen(host, port) as listener:
        echo(f"opening {home} …", err=True)
        from keyart.web.app import make_app
        from keyart.web.server import serve

        app = make_app(home, token, encoder=encoder, read_only=read_only, public=public, owns_process=True)
        address = url(host, listener)
        serve(app, listener, lambda: echo(f"{address}  (Ctrl-C ends it)", err=True))
