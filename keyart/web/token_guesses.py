"""Slow down guesses of the token: by address, so that other clients wait for nobody."""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

_N_ADDRESSES = 4096
# What an Internet provider gives to one customer.
_IPV6_PREFIX = 64


@dataclass
class _Guesses:
    level: float = 0.0
    at: float = 0.0
    last: bytes = b""


class TokenGuesses:
    """Counts wrong tokens by address: after `n_free` of them, one every `pause_s`.

    An address from which the right token came within `trusted_s` is never made to wait: honest clients may share it
    with somebody who guesses.
    """

    def __init__(
        self,
        n_free: int = 10,
        pause_s: float = 2.0,
        trusted_s: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._n_free = n_free
        self._pause_s = pause_s
        self._trusted_s = trusted_s
        self._clock = clock
        self._guesses: OrderedDict[str, _Guesses] = OrderedDict()
        # By itself, so that addresses that guess cannot displace those that need not.
        self._trusted: OrderedDict[str, float] = OrderedDict()

    def wait_s(self, client: str | None) -> int:
        """Return in how many seconds an address may show a token again; 0 for now."""
        network, now = _network(client), self._clock()
        guesses = self._guesses.get(network)
        if guesses is None or self._trusted.get(network, -math.inf) > now:
            return 0
        over = self._level(guesses, now) - (self._n_free - 1)
        return max(0, math.ceil(over * self._pause_s))

    def failed(self, client: str | None, token: str) -> bool:
        """Count a wrong token; return False for the one that the address has just shown, which is no further guess."""
        network, now, digest = _network(client), self._clock(), hashlib.sha256(token.encode()).digest()
        guesses = self._guesses.setdefault(network, _Guesses())
        self._guesses.move_to_end(network)
        _trim(self._guesses)
        if guesses.last == digest:
            return False
        guesses.level, guesses.at, guesses.last = self._level(guesses, now) + 1, now, digest
        return True

    def succeeded(self, client: str | None) -> None:
        """Note that an address has shown the right token."""
        network = _network(client)
        self._trusted[network] = self._clock() + self._trusted_s
        self._trusted.move_to_end(network)
        _trim(self._trusted)

    def _level(self, guesses: _Guesses, now: float) -> float:
        return max(0.0, guesses.level - (now - guesses.at) / self._pause_s)


def _trim(addresses: OrderedDict[str, _Guesses] | OrderedDict[str, float]) -> None:
    if len(addresses) > _N_ADDRESSES:
        addresses.popitem(last=False)


def _network(client: str | None) -> str:
    """Return the network of a client: its address, or the part of an IPv6 address that is not its own choice."""
    try:
        address = ip_address(client or "")
    except ValueError:
        return ""
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address.packed, _IPV6_PREFIX), strict=False))
