"""What every kind of index is to `index.cosine`: rows without ids, asked by vectors of length 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Protocol

import faiss
import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.io.files import atomic_path
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix

Found = tuple[Ids, FloatMatrix]
"""Rows and their cosines, nearest first; not more than were asked for."""

Allowed = npt.NDArray[np.bool_] | None
"""Which rows may be found; None for all of them."""


class Rows(Protocol):
    """The rows of one generation of an index. They never change: what is added or removed makes new ones."""

    kind: ClassVar[str]

    @property
    def mean(self) -> FloatMatrix | None:
        """What is subtracted from features before they are compared."""

    def __len__(self) -> int: ...

    def search(self, unit_queries: FloatMatrix, k: int, allowed: Allowed, own_rows: Ids | None = None) -> list[Found]:
        """Find the nearest rows of each query; where the queries are rows themselves, they may be found too.

        Parameters
        ----------
        unit_queries : ndarray of shape (n, n_features), float32
            Of length 1, less the mean.
        k : int
            How many rows each.
        allowed : ndarray of shape (n_rows,), bool, or None
            Which rows may be found; None for all of them.
        own_rows : ndarray of shape (n,), int64, optional
            Where the queries are rows themselves, their numbers; they may be found too.

        Returns
        -------
        list of (ndarray of shape (k,), int64; ndarray of shape (k,), float32)
            Rows and their exact cosines, nearest first; fewer where fewer are allowed.
        """

    def n_listed(self, k: int) -> int:
        """Tell how many rows must be compared exactly for k hits.

        Parameters
        ----------
        k : int
            How many hits.

        Returns
        -------
        int
            At most as many as there are rows.
        """

    def scan(
        self, unit_query: FloatMatrix, allowed: Allowed = None, own_row: int | None = None
    ) -> tuple[FloatMatrix, npt.NDArray[np.bool_]]:
        """Tell every row's cosine, and which of them are exact; of rows that are not allowed, any number.

        Parameters
        ----------
        unit_query : ndarray of shape (n_features,), float32
            Of length 1, less the mean.
        allowed : ndarray of shape (n_rows,), bool, or None
            Which rows are asked about; what is told of the others means nothing. None for all of them.
        own_row : int, optional
            Where the query is a row itself, its number.

        Returns
        -------
        cosines : ndarray of shape (n_rows,), float32
            In [-1, 1].
        is_exact : ndarray of shape (n_rows,), bool
            Which of them are exact.
        """

    def cosines(self, unit_query: FloatMatrix, rows: Ids) -> FloatMatrix:
        """Tell the exact cosines of some rows.

        Parameters
        ----------
        unit_query : ndarray of shape (n_features,), float32
            Of length 1, less the mean.
        rows : ndarray of shape (m,), int64
            Which rows.

        Returns
        -------
        ndarray of shape (m,), float32
            In [-1, 1].
        """

    def units(self, rows: Ids) -> FloatMatrix:
        """Tell rows themselves, of length 1.

        Parameters
        ----------
        rows : ndarray of shape (m,), int64
            Which rows.

        Returns
        -------
        ndarray of shape (m, n_features), float32
            Less the mean.
        """

    def merged(self, kept: Ids, added: FilmFeatures | None, order: Ids) -> Rows:
        """Make the rows of the next generation: those kept, then those added, put in order.

        Parameters
        ----------
        kept : ndarray of shape (n_kept,), int64
            The rows that stay.
        added : FilmFeatures or None
            The films that come.
        order : ndarray of shape (n_kept + n_added,), int64
            For each row of the next generation, its place among those kept followed by those added.

        Returns
        -------
        Rows
            This one stays as it is.
        """

    def save(self, folder: Path, generation: str) -> dict[str, str]:
        """Write the files of a generation, and name each by what it is.

        Parameters
        ----------
        folder : Path
            The index folder.
        generation : str
            What the files' names begin with.

        Returns
        -------
        dict of str to str
            Their names.

        Raises
        ------
        StoreError
            A file cannot be written.
        """

    def settings(self) -> dict[str, Any]:
        """Tell what `open` must know besides the files.

        Returns
        -------
        dict
            What JSON can hold.
        """


# FAISS' own stubs know neither the arguments nor the attributes that its Python layer adds.
_faiss: Any = faiss


def search_parameters(allowed: Allowed, n_probe: int = 0) -> Any:
    """Say in FAISS' words which rows may be found.

    Parameters
    ----------
    allowed : ndarray of shape (n,), bool, or None
        The rows; None for all of them.
    n_probe : int, default 0
        Into how many inverted lists to look, where there are such.

    Returns
    -------
    faiss.SearchParameters or None
        None where there is nothing to say.
    """
    rules: dict[str, Any] = {"nprobe": n_probe} if n_probe else {}
    if allowed is not None:
        bits = np.packbits(allowed, bitorder="little")
        rules["sel"] = _faiss.IDSelectorBitmap(bits)
        # FAISS keeps the address only.
        rules["sel"].bits_kept_alive = bits
    if n_probe:
        return _faiss.SearchParametersIVF(**rules)
    return _faiss.SearchParameters(**rules) if rules else None


@contextmanager
def threads_for(n_queries: int) -> Iterator[None]:
    """Keep FAISS from waking other threads for a single query, which costs more than they do, most of all when busy.

    Parameters
    ----------
    n_queries : int
        How many queries are asked at once.

    Yields
    ------
    None
        The number of threads is that of the calling thread only.
    """
    n_threads = _faiss.omp_get_max_threads()
    _faiss.omp_set_num_threads(1 if n_queries == 1 else n_threads)
    try:
        yield
    finally:
        _faiss.omp_set_num_threads(n_threads)


def as_found(rows: npt.NDArray[np.int64], values: FloatMatrix) -> list[Found]:
    """Leave out the places where FAISS found nothing.

    Parameters
    ----------
    rows : ndarray of shape (n, k), int64
        -1 where there was no more to be found.
    values : ndarray of shape (n, k), float32
        What belongs to each.

    Returns
    -------
    list of (ndarray, ndarray)
        One pair a query.
    """
    return [(found[found >= 0], value[found >= 0]) for found, value in zip(rows, values, strict=True)]


def write_faiss(index: faiss.Index, path: Path) -> None:
    """Write a FAISS index, whole or not at all.

    Parameters
    ----------
    index : faiss.Index
        The index.
    path : Path
        Where it shall stand.

    Raises
    ------
    StoreError
        The file cannot be written.
    """
    # Through Python's stream: of the last few kilobytes that do not fit on the disk, FAISS' own says nothing.
    with atomic_path(path) as temporary_path, temporary_path.open("wb") as stream:
        _faiss.write_index(index, _faiss.PyCallbackIOWriter(stream.write))


def open_faiss(path: Path) -> faiss.Index:
    """Map a FAISS index into memory; processes that open the same file share its pages.

    FAISS trusts what it reads: the file must have been held to its checksum.

    Parameters
    ----------
    path : Path
        What `write_faiss` wrote.

    Returns
    -------
    faiss.Index
        An index that can be asked, but not added to.

    Raises
    ------
    FileNotFoundError
        It is missing.
    DataError
        It is damaged.
    """
    damaged = DataError(f"{path} is damaged; run `keyart build` again")
    if not path.stat().st_size:
        # It cannot be mapped, which would end the process.
        raise damaged
    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        # Where it has gone meanwhile, that is what is wrong with it.
        path.stat()
        raise damaged from error


def emptied(index: faiss.Index) -> faiss.Index:
    """Make an empty index of the same kind and training.

    Parameters
    ----------
    index : faiss.Index
        Any index; a mapped one stays as it is.

    Returns
    -------
    faiss.Index
        One that can be added to.
    """
    own = faiss.deserialize_index(faiss.serialize_index(index))
    own.reset()
    return own
