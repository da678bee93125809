"""The nearest films of every film, as a table; computed a block of films at a time, resumable.

While the table is being made, a folder beside it holds ``NAME.parts/parts.json``, which identifies index and options,
and the finished blocks as ``part-00000-CHECKSUM.parquet`` and so on.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from catalog.errors import ConfigError, DataError, StoreError
from catalog.io.files import (
    atomic_path,
    check_output,
    clear_partial_of,
    read_record,
    record_kind,
    remove_file,
    write_bytes,
    write_record,
    xxh3_file,
)
from catalog.io.locks import exclusive, is_leftover
from catalog.io.progress import Advance, ignore
from catalog.scored_ids import ScoredIds
from index.blend import Index

_KIND, _VERSION, _RECORD = "keyart-neighbors", 1, "parts.json"
_BLOCK_FILMS = 256
_PART_NAME = re.compile(r"part-(\d{5,})-[0-9a-f]{16}\.parquet")

SCHEMA = pa.schema(
    [("movie_id", pa.int64()), ("rank", pa.int32()), ("neighbor_id", pa.int64()), ("similarity", pa.float32())]
)
"""One row a pair: a film, its neighbor's rank from 1, the neighbor, and their exact cosine."""
OtherIds = tuple[str | None, int | None]
"""The imdb_id and the tmdb_id of a film."""


def write_neighbors(
    index: Index,
    k: int,
    path: Path,
    *,
    duplicate_similarity: float | None = None,
    ids: Mapping[int, OtherIds] | None = None,
    without: Sequence[int] = (),
    advance: Advance = ignore,
) -> int:
    """Write the k nearest films of every film into a Parquet file.

    `ids` adds the other ids of film and neighbor; films of `without` are left out as both. Resumes an interrupted run
    of the same index and options. The file appears when all is done, in place of an earlier one. Returns the number of
    pairs. Memory: a block of features.
    """
    check_output(path, (".parquet",))
    parts_dir = path.with_name(f"{path.name}.parts")
    _check_parts(parts_dir)
    with exclusive(parts_dir):
        clear_partial_of(path)
        movie_ids = np.setdiff1d(index.movie_ids, np.asarray(without, np.int64), assume_unique=True)
        origin = index.origin | {"n_films": len(movie_ids)}
        _begin(parts_dir, {"k": k, "duplicate_similarity": duplicate_similarity, "without": [*without], **origin})
        parts, finished = [], _finished(parts_dir)
        for number, start in enumerate(range(0, len(movie_ids), _BLOCK_FILMS)):
            block = movie_ids[start : start + _BLOCK_FILMS]
            part = _intact(finished.get(number, ()))
            if part is None:
                results = index.similar(block.tolist(), k, without=without, duplicate_similarity=duplicate_similarity)
                part = _write_part(parts_dir, number, _table(block.tolist(), results))
            parts.append(part)
            advance(len(block))
        n_pairs = _join(parts, path, origin | {"k": k}, ids)
        for part in (*parts_dir.glob("part-*.parquet"), parts_dir / _RECORD):
            remove_file(part)
    # A file of a user's own keeps the folder.
    with suppress(OSError):
        parts_dir.rmdir()
    return n_pairs


def has_parts(path: Path) -> bool:
    """Return whether an interrupted `write_neighbors` left finished parts of a file."""
    return any(path.with_name(f"{path.name}.parts").glob("part-*.parquet"))


def _check_parts(parts_dir: Path) -> None:
    """Raise ConfigError if the folder of the parts holds other files."""
    if record_kind(parts_dir / _RECORD) == _KIND:
        return
    if not all(is_leftover(path.name) for path in parts_dir.glob("*")):
        raise ConfigError(
            f"{parts_dir}, where the parts of the table are written, holds other files; nothing was written: choose "
            "another --out, or move the folder away"
        )


def _begin(parts_dir: Path, origin: dict[str, Any]) -> None:
    """Keep the parts of an earlier run only if index and options are the same."""
    try:
        if read_record(parts_dir / _RECORD, _KIND, _VERSION) == origin:
            return
    except (FileNotFoundError, DataError):
        pass
    for part in parts_dir.glob("part-*.parquet"):
        remove_file(part)
    write_record(parts_dir / _RECORD, _KIND, _VERSION, origin)


def _finished(parts_dir: Path) -> dict[int, list[Path]]:
    """List the finished parts by number, all at once: to look for each takes time with the square of their number."""
    finished: dict[int, list[Path]] = {}
    for part in parts_dir.glob("part-*.parquet"):
        if match := _PART_NAME.fullmatch(part.name):
            finished.setdefault(int(match[1]), []).append(part)
    return finished


def _intact(parts: Iterable[Path]) -> Path | None:
    """Return the first part that is as it was written; removes those that have changed since."""
    # Parquet itself would read changed numbers without an error.
    for part in parts:
        if part.stem.endswith(f"-{xxh3_file(part)}"):
            return part
        remove_file(part)
    return None


def _write_part(parts_dir: Path, number: int, table: pa.Table) -> Path:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    content = stream.getvalue()
    part = parts_dir / f"part-{number:05d}-{xxhash.xxh3_64_hexdigest(content)}.parquet"
    write_bytes(part, content)
    return part


def _table(movie_ids: list[int], results: list[ScoredIds]) -> pa.Table:
    lengths = [len(nearest) for nearest in results]
    columns = [
        np.repeat(np.array(movie_ids, np.int64), lengths),
        np.concatenate([np.arange(1, length + 1, dtype=np.int32) for length in lengths]),
        np.concatenate([nearest.ids for nearest in results]),
        np.concatenate([nearest.scores for nearest in results]),
    ]
    return pa.table(columns, schema=SCHEMA)


def _with_ids(table: pa.Table, ids: Mapping[int, OtherIds]) -> pa.Table:
    for column, prefix in (("movie_id", ""), ("neighbor_id", "neighbor_")):
        pairs = [ids.get(movie_id, (None, None)) for movie_id in table[column].to_pylist()]
        for name, kind, position in (("imdb_id", pa.string(), 0), ("tmdb_id", pa.int64(), 1)):
            table = table.append_column(f"{prefix}{name}", pa.array([pair[position] for pair in pairs], kind))
    return table


def _join(parts: list[Path], path: Path, origin: dict[str, Any], ids: Mapping[int, OtherIds] | None) -> int:
    schema = SCHEMA if ids is None else _with_ids(SCHEMA.empty_table(), ids).schema
    metadata = {f"keyart.{name}": str(origin[name]) for name in ("k", "fingerprint", "n_films")}
    n_pairs = 0
    with atomic_path(path) as temporary_path:
        try:
            with pq.ParquetWriter(temporary_path, schema.with_metadata(metadata), write_page_checksum=True) as writer:
                for part in parts:
                    table = pq.read_table(part) if ids is None else _with_ids(pq.read_table(part), ids)
                    writer.write_table(table.replace_schema_metadata(metadata))
                    n_pairs += len(table)
        except pa.ArrowException as error:
            raise StoreError(f"cannot write {path} ({error}); remove {parts[0].parent} and run it again") from error
    return n_pairs
