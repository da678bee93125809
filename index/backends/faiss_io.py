"""FAISS indexes written, memory-mapped and searched, in the types of this package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.io.files import atomic_path, name_in_utf8
from catalog.scored_ids import ScoredIds
from index.backends.base import Allowed
from index.vectors import FloatMatrix

# FAISS' own stubs know neither the arguments nor the attributes that its Python layer adds.
_faiss: Any = faiss


def search_parameters(allowed: Allowed, n_probe: int = 0) -> Any:
    """Translate a filter, and how many inverted lists to search, into FAISS' parameters; None where there are none."""
    rules: dict[str, Any] = {"nprobe": n_probe} if n_probe else {}
    if allowed is not None:
        bits = np.packbits(allowed, bitorder="little")
        rules["sel"] = _faiss.IDSelectorBitmap(bits)
        # FAISS keeps the address only.
        rules["sel"].bits_kept_alive = bits
    if n_probe:
        return _faiss.SearchParametersIVF(**rules)
    return _faiss.SearchParameters(**rules) if rules else None


def all_products(index: faiss.Index, query: FloatMatrix) -> FloatMatrix:
    """Return the inner product of a vector with every row of a flat index, in the order of the rows.

    A search for all rows would sort them, which takes longer than comparing them.
    """
    n_rows = int(index.ntotal)
    products = np.empty(n_rows, np.float32)
    flat = _faiss.downcast_index(index)
    if isinstance(flat, _faiss.IndexFlat):
        vector, rows = np.ascontiguousarray(query, np.float32), np.arange(n_rows)
        pointers = (_faiss.swig_ptr(array) for array in (products, rows))
        flat.compute_distance_subset(1, _faiss.swig_ptr(vector), n_rows, *pointers)
        return products
    with threads_for(1):
        scores, rows = flat.search(np.ascontiguousarray(query[None], np.float32), n_rows)
    products[rows[0]] = scores[0]
    return products


@contextmanager
def threads_for(n_queries: int) -> Iterator[None]:
    """Keep FAISS from waking other threads for a single query, which costs more than they save on a busy machine.

    The number of threads changes for the calling thread only.
    """
    n_threads = _faiss.omp_get_max_threads()
    _faiss.omp_set_num_threads(1 if n_queries == 1 else n_threads)
    try:
        yield
    finally:
        _faiss.omp_set_num_threads(n_threads)


def as_scored(rows: npt.NDArray[np.int64], values: FloatMatrix) -> list[ScoredIds]:
    """Drop the positions where FAISS found nothing, which it marks with row -1."""
    return [ScoredIds(row, value).take(row >= 0) for row, value in zip(rows, values, strict=True)]


def write_faiss(index: faiss.Index, path: Path) -> None:
    """Write a FAISS index, whole or not at all."""
    # Through Python's stream: FAISS' own reports no error for the last few kilobytes that do not fit on the disk.
    with atomic_path(path) as temporary_path, temporary_path.open("wb") as stream:
        _faiss.write_index(index, _faiss.PyCallbackIOWriter(stream.write))


def open_faiss(path: Path) -> faiss.Index:
    """Memory-map a FAISS index, which cannot be added to; processes that open the same file share its pages.

    FAISS trusts what it reads, so the file's checksum must have been verified.
    """
    damaged = DataError(f"{path} is damaged; run `keyart build` again")
    if not path.stat().st_size:
        # Mapping an empty file would end the process.
        raise damaged
    try:
        with name_in_utf8(path) as name:
            return faiss.read_index(name, faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        # Raises FileNotFoundError if the file has been removed meanwhile.
        path.stat()
        raise damaged from error


def flat_index(n_columns: int, *, half: bool) -> faiss.IndexFlatCodes:
    """Make an empty index of inner products with rows stored as single or half floats."""
    if not half:
        return faiss.IndexFlatIP(n_columns)
    index = faiss.IndexScalarQuantizer(n_columns, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    # Half floats need no training.
    index.is_trained = True
    return index


def emptied(index: faiss.Index) -> faiss.Index:
    """Copy the kind and training of an index, without its rows; a mapped one stays as it is."""
    if isinstance(index, faiss.IndexFlatIP):
        return flat_index(index.d, half=False)
    if isinstance(index, faiss.IndexScalarQuantizer) and index.sq.qtype == faiss.ScalarQuantizer.QT_fp16:
        return flat_index(index.d, half=True)
    # What is trained can be had by way of a copy only. Of rows at full length it would take their memory three times.
    own = faiss.deserialize_index(faiss.serialize_index(index))
    own.reset()
    return own
