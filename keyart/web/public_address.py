"""The address at which browsers see the server: behind a proxy, and from pages of other origins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from catalog.errors import ConfigError

_ROOT_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True)
class Seen:
    """What a browser has in its address bar, without scheme where no proxy names it, and the client's own address."""

    host: str
    scheme: str | None = None
    client: str | None = None

    def is_origin(self, origin: str) -> bool:
        """Return whether a page of an origin is one of this server."""
        scheme, separator, netloc = origin.lower().partition("://")
        host = self.host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ""))
        return bool(separator) and netloc == host and self.scheme in (None, scheme)


@dataclass(frozen=True)
class PublicAddress:
    """A path prefix, the proxies whose X-Forwarded headers are believed, and other origins that may ask."""

    root_path: str = ""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    allowed_origins: tuple[str, ...] = ()

    @classmethod
    def parse(cls, root_path: str, trusted_proxies: Iterable[str], allowed_origins: Iterable[str]) -> PublicAddress:
        """Parse the options of a command; ConfigError names the one that is wrong."""
        path = root_path.rstrip("/")
        if not _ROOT_PATH.fullmatch(path):
            raise ConfigError(f"--root-path: expected a path such as /films, received {root_path!r}")
        return cls(path, tuple(map(_network, trusted_proxies)), tuple(map(_origin, allowed_origins)))

    def allows(self, origin: str) -> bool:
        """Return whether pages of another origin may ask."""
        return "*" in self.allowed_origins or origin in self.allowed_origins

    def check_token(self, token: str | None) -> None:
        """Raise ConfigError if pages of any origin could ask without a token."""
        if "*" in self.allowed_origins and token is None:
            raise ConfigError("--allow-origin * lets every page in; set KEYART_TOKEN, or name the origins")

    def seen(self, headers: Mapping[str, str], client: str | None) -> Seen:
        """Return the address that a browser asked, of which a trusted proxy tells."""
        host = headers.get("host", "")
        if not self._trusts(client):
            return Seen(host, client=client)
        scheme = _last(headers.get("x-forwarded-proto", "")).lower()
        return Seen(
            _last(headers.get("x-forwarded-host", "")) or host,
            scheme if scheme in _DEFAULT_PORTS else None,
            _address(_last(headers.get("x-forwarded-for", ""))) or client,
        )

    def _trusts(self, client: str | None) -> bool:
        try:
            address = ip_address(client or "")
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self.trusted_proxies)


def _last(values: str) -> str:
    """Return what the nearest proxy has added; what is before it, a client may have made up."""
    return values.rpartition(",")[2].strip()


def _address(text: str) -> str:
    """Return an IP address as it is written; nothing for anything else, which would reach the log."""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigError(
            f"--trusted-proxy: expected an address such as 127.0.0.1 or 10.0.0.0/8, received {text!r}"
        ) from error


def _origin(text: str) -> str:
    origin = text.lower().rstrip("/")
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        raise ConfigError(f"--allow-origin: expected an origin such as https://app.example.org, received {text!r}")
    # Browsers leave the default port out.
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition(":")[0], ""))
