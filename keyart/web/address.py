"""Where the server listens, and who may ask there; checked before anything heavy is imported."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address

from catalog.errors import ConfigError
from keyart.workspace.settings import SERVER_TOKEN

_MIN_TOKEN_LENGTH = 16


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host: localhost, 127.0.0.1, ::1, also in brackets."""
    try:
        return host == "localhost" or ip_address(_bare(host)).is_loopback
    except ValueError:
        return False


def read_token(host: str) -> str | None:
    """Read the token that clients must show; ConfigError if other machines could ask without one."""
    token = SERVER_TOKEN.value()
    names = f"{SERVER_TOKEN.setting.variable} or {SERVER_TOKEN.file_setting.variable}"
    if token is None and not is_loopback(host):
        raise ConfigError(f"--host {host} is open to other machines; set {names}, so that they must show a token")
    if token is not None and len(token) < _MIN_TOKEN_LENGTH:
        raise ConfigError(f"{names}: expected a token of {_MIN_TOKEN_LENGTH} characters or more, received {len(token)}")
    return token


def listen(host: str, port: int) -> socket.socket:
    """Listen on a port, any free one for 0; whoever connects before the server runs waits for it."""
    try:
        result = socket.getaddrinfo(_bare(host), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = result[0]
        # Where TCP is named, asyncio sends at once; else the body of an answer waits 40 ms for its headers' receipt.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise ConfigError(f"--host {host} is no address of this machine: {error.strerror}") from error
    try:
        if os.name == "posix":
            # A port is free at once after its server has ended. On Windows the option would share it.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        raise _unusable(host, port, error) from error
    return listener


def url(host: str, listener: socket.socket) -> str:
    """Return the address of the start page, as a browser on this machine takes it."""
    name = _bare(host)
    if name in ("", "0.0.0.0", "::"):  # noqa: S104 - only compared
        name = "127.0.0.1"
    port: int = listener.getsockname()[1]
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"


def _unusable(host: str, port: int, error: OSError) -> ConfigError:
    advice = "choose another with --port N, or --port 0 for any free one"
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"port {port} is in use by another program; {advice}")
    if error.errno == errno.EACCES:
        return ConfigError(f"port {port} is reserved for the administrator; {advice}")
    return ConfigError(
        f"cannot listen on --host {host}, port {port}: {error.strerror}; is it an address of this machine?"
    )


def _bare(host: str) -> str:
    """Return an address without the brackets that IPv6 has in URLs."""
    return host.removeprefix("[").removesuffix("]")
