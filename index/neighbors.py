"""The nearest films of every film, as a table; a block of films at a time, resumable.

Owns a folder beside the table while it is made: ``NAME.parts/parts.json`` says what it is of,
``part-00000-CHECKSUM.parquet`` and so on are the blocks that are done. May import `catalog` only.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from catalog.errors import ConfigError, DataError, StoreError
from catalog.io.files import atomic_path, read_record, write_bytes, write_error, write_record, xxh3_file
from catalog.io.locks import exclusive
from index.cosine import CosineIndex
from index.search import Nearest

_KIND, _VERSION, _RECORD = "keyart-neighbors", 1, "parts.json"
_BLOCK_FILMS = 256

SCHEMA = pa.schema(
    [("movie_id", pa.int64()), ("rank", pa.int32()), ("neighbor_id", pa.int64()), ("similarity", pa.float32())]
)
"""One row a pair: a film, its neighbor's rank from 1, the neighbor, and their exact cosine."""


def write_neighbors(
    index: CosineIndex,
    k: int,
    path: Path,
    *,
    duplicate_similarity: float | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the k nearest films of every film into a Parquet file.

    What was done by a run that was broken off is not done again, as long as the index is the same and what was written
    is as it was. Memory: a block of features.

    Parameters
    ----------
    index : CosineIndex
        The films.
    k : int
        How many neighbors each; fewer are written where there are fewer.
    path : Path
        The Parquet file; it appears when all is done, in place of an earlier one.
    duplicate_similarity : float, optional
        As in `CosineIndex.search`.
    advance : callable, optional
        Is told of films that are done.

    Returns
    -------
    int
        How many pairs were written.

    Raises
    ------
    ConfigError
        There is a folder where the file should be.
    DataError
        The features of a film are not those that the index was built from.
    StoreError
        The disk is full, or another process writes the same file; what is done is kept.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name the Parquet file to write")
    parts_dir = path.with_name(f"{path.name}.parts")
    with exclusive(parts_dir):
        _begin(parts_dir, {"k": k, "duplicate_similarity": duplicate_similarity, **_origin(index)})
        movie_ids = index.movie_ids
        parts = []
        for number, start in enumerate(range(0, len(movie_ids), _BLOCK_FILMS)):
            block = movie_ids[start : start + _BLOCK_FILMS]
            part = _done(parts_dir, number)
            if part is None:
                found = index.similar(block.tolist(), k, duplicate_similarity=duplicate_similarity)
                part = _write_part(parts_dir, number, _table(block.tolist(), found))
            parts.append(part)
            advance(len(block))
        n_pairs = _join(parts, path, _origin(index) | {"k": k})
    try:
        shutil.rmtree(parts_dir)
    except OSError as error:
        raise write_error(parts_dir, error) from error
    return n_pairs


def _origin(index: CosineIndex) -> dict[str, Any]:
    # Not what was measured: an index that is built again of the same films answers the same.
    names = ("type", "settings", "centred", "fingerprint", "identity")
    return {"n_films": len(index), **{name: index.report[name] for name in names}}


def _begin(parts_dir: Path, origin: dict[str, Any]) -> None:
    """Keep the parts of an earlier run only if they are of the same index and the same question."""
    try:
        if read_record(parts_dir / _RECORD, _KIND, _VERSION) == origin:
            return
    except (FileNotFoundError, DataError):
        pass
    for part in parts_dir.glob("part-*.parquet"):
        part.unlink()
    write_record(parts_dir / _RECORD, _KIND, _VERSION, origin)


def _done(parts_dir: Path, number: int) -> Path | None:
    """Find a part that is as it was written; one that is not is computed anew."""
    # Parquet itself would read changed numbers without a word.
    for part in parts_dir.glob(f"part-{number:05d}-*.parquet"):
        if part.stem.endswith(f"-{xxh3_file(part)}"):
            return part
        part.unlink()
    return None


def _write_part(parts_dir: Path, number: int, table: pa.Table) -> Path:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    content = stream.getvalue()
    part = parts_dir / f"part-{number:05d}-{xxhash.xxh3_64_hexdigest(content)}.parquet"
    write_bytes(part, content)
    return part


def _table(movie_ids: list[int], found: list[Nearest]) -> pa.Table:
    lengths = [len(nearest) for nearest in found]
    columns = [
        np.repeat(np.array(movie_ids, np.int64), lengths),
        np.concatenate([np.arange(1, length + 1, dtype=np.int32) for length in lengths]),
        np.concatenate([nearest.movie_ids for nearest in found]),
        np.concatenate([nearest.similarities for nearest in found]),
    ]
    return pa.table(columns, schema=SCHEMA)


def _join(parts: list[Path], path: Path, origin: dict[str, Any]) -> int:
    metadata = {f"keyart.{name}": str(origin[name]) for name in ("k", "fingerprint", "n_films")}
    n_pairs = 0
    with atomic_path(path) as temporary_path:
        try:
            with pq.ParquetWriter(temporary_path, SCHEMA.with_metadata(metadata), write_page_checksum=True) as writer:
                for part in parts:
                    table = pq.read_table(part)
                    writer.write_table(table.replace_schema_metadata(metadata))
                    n_pairs += len(table)
        except pa.ArrowException as error:
            raise StoreError(f"cannot write {path} ({error}); remove {parts[0].parent} and run it again") from error
    return n_pairs
