"""Read TMDB's daily export of movie ids: a gzip file of JSON lines, each with an ``id``.

Ids that it does not list are unknown to TMDB, which saves requests for them.

References
----------
https://developer.themoviedb.org/docs/daily-id-exports
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

from catalog.errors import DataError
from catalog.io.files import open_regular, parse_json

_WHAT = "TMDB's daily export of movie ids (movie_ids_MM_DD_YYYY.json.gz)"
_MAX_LINE_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"


def read_live_ids(source: str, tmdb_ids: Collection[int], download: Callable[[str, str], bytes]) -> frozenset[int]:
    """Return those of some ids that an export, a file or an address, lists.

    The export is read to its end first: one that was cut off would lack ids that TMDB knows. It lists films that are
    not for adults. An unzipped export is accepted, but then missing lines at its end go unnoticed.
    """
    wanted = frozenset(tmdb_ids)
    try:
        with _open(source, download) as stream, _unzipped(stream) as lines:
            live = frozenset(tmdb_id for tmdb_id in _ids(lines, source) if tmdb_id in wanted)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{source}: expected {_WHAT}, received a file that is cut off or no gzip file") from error
    except OSError as error:
        raise DataError(f"cannot read {source}: {error.strerror or error}; expected {_WHAT}") from error
    if wanted and not live:
        raise DataError(f"{source} lists none of the {len(wanted):,} tmdb_ids of the catalog; expected {_WHAT}")
    return live


def is_address(source: str) -> bool:
    """Return whether an export is named by an address, not by a path."""
    return source.lower().startswith(("http://", "https://"))


def _ids(lines: IO[bytes], source: str) -> Iterator[int]:
    # With a limit, since a decompression bomb of one endless line would fill the memory.
    for number, line in enumerate(iter(lambda: lines.readline(_MAX_LINE_BYTES), b""), start=1):
        if not line.strip():
            continue
        try:
            yield int(parse_json(line)["id"])
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise DataError(f'{source}, line {number}: expected a JSON object with an "id", as in {_WHAT}') from error


def _check_address(source: str) -> None:
    try:
        parts = urlsplit(source)
        # Reading the port checks it.
        good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise DataError(f"expected the address of {_WHAT}; received {source[:200]!r}")


def _open(source: str, download: Callable[[str, str], bytes]) -> IO[bytes]:
    if is_address(source):
        _check_address(source)
        return io.BytesIO(download(source, f"{_WHAT}; an export is kept for three months"))
    return os.fdopen(open_regular(Path(source)), "rb")


def _unzipped(stream: IO[bytes]) -> IO[bytes]:
    """Unzip a stream, unless a browser or curl has done so already."""
    zipped = stream.read(len(_GZIP)) == _GZIP
    stream.seek(0)
    return cast(IO[bytes], gzip.open(stream)) if zipped else stream
