"""Downloads that are checked by a hash, end in time and continue where they broke off."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import portalocker
import requests
import urllib3

from catalog.errors import FetchError
from catalog.io.files import open_file, write_error

OnBytes = Callable[[int, int | None], None]
"""Called with the number of bytes that came, and of all if known; the first number is negative where they are lost."""

_CONNECT_S = 3.05
_READ_S = 30.0
_CHUNK_BYTES = 1 << 18
_MOST_TRIES = 10
_MD5_DIGITS = 32
_RANGE = re.compile(r"bytes (?P<start>\d+)-\d+/(?P<all>\d+|\*)")
_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError)


@dataclass(frozen=True)
class RemoteFile:
    """A file that is known by its hash, or not yet; `what` and `ways_out` are for messages."""

    url: str
    hash: str  # MD5 (32 digits) or SHA-256 (64), in hexadecimal; empty where any content is taken
    what: str
    ways_out: str

    def is_at(self, path: Path) -> bool:
        """Return whether a file has the right content."""
        return path.is_file() and (not self.hash or file_hash(path, self.hash) == self.hash)

    def error(self, reason: str) -> FetchError:
        return FetchError(f"cannot download {self.what}: {reason}. {self.ways_out}")


def file_hash(path: Path, like: str) -> str:
    """Hash a file by the algorithm of another hash."""
    with open_file(path) as stream:
        if len(like) == _MD5_DIGITS:
            return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        return hashlib.file_digest(stream, "sha256").hexdigest()


def download(
    file: RemoteFile, path: Path, deadline_s: float | None = None, on_bytes: OnBytes = lambda *_: None
) -> None:
    """Download a file; it appears whole, with the right hash, or not at all.

    What came of an earlier download that broke off is continued. Keras' own download has no time limit, and leaves a
    part under the file's name.
    """
    partial_path = path.with_name(f".{path.name}.{file.hash[:8]}.download")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial_path.open("ab+") as stream:
            _lock(stream, file)
            # Another process may have finished it in the meantime.
            if not file.is_at(path):
                try:
                    _Download(file, partial_path, stream, deadline_s, on_bytes).run()
                except FetchError:
                    if not partial_path.stat().st_size:
                        partial_path.unlink()
                    raise
                partial_path.replace(path)
        # Not there but where another process finished the file.
        partial_path.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


def _lock(stream: IO[bytes], file: RemoteFile) -> None:
    try:
        portalocker.lock(stream, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
    except portalocker.LockException:
        raise file.error("another process is downloading it; let it finish") from None


class _Download:
    """Appends to a partial file until it is whole."""

    def __init__(
        self, file: RemoteFile, path: Path, stream: IO[bytes], deadline_s: float | None, on_bytes: OnBytes
    ) -> None:
        self._file = file
        self._path = path
        self._stream = stream
        self._deadline_s = deadline_s
        self._on_bytes = on_bytes
        self._begin = time.monotonic()
        self._n_bytes = stream.seek(0, os.SEEK_END)

    def run(self) -> None:
        was_begun = self._n_bytes > 0
        if was_begun:
            self._on_bytes(self._n_bytes, None)
        self._receive_all()
        received = file_hash(self._path, self._file.hash)
        if self._file.hash in ("", received):
            return
        self._drop()
        if was_begun:
            # The beginning may be of another file.
            self.run()
            return
        name = "MD5" if len(received) == _MD5_DIGITS else "SHA-256"
        raise self._file.error(f"what {self._file.url} sent has the {name} {received}, expected {self._file.hash}")

    def _receive_all(self) -> None:
        for n_left in reversed(range(_MOST_TRIES)):
            n_before = self._n_bytes
            try:
                self._receive()
            except _ERRORS as error:
                # A server that breaks off now and then is asked for the rest.
                if not n_left or self._n_bytes <= n_before:
                    raise self._file.error(self._reason(error)) from error
            else:
                return
            finally:
                self._stream.flush()
                os.fsync(self._stream.fileno())

    def _receive(self) -> None:
        url, timeout = self._file.url, self._timeout()
        # Compressed parts could not be put together.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={self._n_bytes}-"} if self._n_bytes else {})
        with requests.get(url, stream=True, timeout=timeout, headers=headers) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable and self._n_bytes:
                self._check_whole(response)
                return
            response.raise_for_status()
            if response.status_code != requests.codes.partial_content:
                self._drop()
            n_all = self._n_all(response)
            # Whatever has arrived, not a whole chunk: the deadline also ends a download at a byte per second.
            while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
                self._stream.write(chunk)
                self._n_bytes += len(chunk)
                self._on_bytes(len(chunk), n_all)
                self._timeout()
            if n_all is not None and self._n_bytes < n_all:
                raise requests.ConnectionError

    def _n_all(self, response: requests.Response) -> int | None:
        """Return the length of the whole file, if known; FetchError if the response is another part of it."""
        if match := _RANGE.fullmatch(response.headers.get("Content-Range", "")):
            if int(match["start"]) != self._n_bytes:
                self._drop()
                raise self._file.error(f"{self._host} sent another part than was asked for; try again")
            if match["all"] != "*":
                return int(match["all"])
        n_coming = int(response.headers.get("Content-Length", 0))
        return self._n_bytes + n_coming if n_coming else None

    def _check_whole(self, response: requests.Response) -> None:
        """Begin again where a server has no more to send, unless what is here is the whole file."""
        n_all = response.headers.get("Content-Range", "").removeprefix("bytes */")
        # With a hash, the content is checked.
        if not self._file.hash and n_all != str(self._n_bytes):
            self._drop()
            self._receive()

    def _timeout(self) -> tuple[float, float]:
        """Return the time limits of a request, in seconds; FetchError past the deadline."""
        if self._deadline_s is None:
            return _CONNECT_S, _READ_S
        left_s = self._begin + self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise self._file.error(f"it did not come within {self._deadline_s:g} s")
        return min(_CONNECT_S, left_s), min(_READ_S, left_s)

    def _drop(self) -> None:
        self._stream.truncate(0)
        if self._n_bytes:
            self._on_bytes(-self._n_bytes, None)
            self._n_bytes = 0

    @property
    def _host(self) -> str:
        return self._file.url.split("/")[2]

    def _reason(self, error: Exception) -> str:
        host = self._host
        answer = getattr(error, "response", None)
        if answer is not None:
            return f"{host} answered {answer.status_code}"
        if self._n_bytes:
            return f"{host} broke off after {self._n_bytes / 1e6:,.1f} MB; the same command continues there"
        return f"{host} cannot be reached, or broke off"
