"""One face for every kind of index: build, save, open, search, add, remove; by movie_id or by features.

Owns a folder: ``index.json`` (the record, written last: it names the other files with their checksums, so the folder
changes from one generation to the next at once), ``*.faiss`` with the rows or their projections, ``*.npz`` and
``*.npy`` beside them. Whoever has a generation open keeps it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError, NotBuiltError, UnknownFilmError
from catalog.io.files import atomic_path
from index import manifest
from index.backends.base import Allowed, Rows
from index.backends.exact import ExactRows
from index.backends.projection import residuals
from index.backends.shortlist import ShortlistRows
from index.build import build_shortlist, make_trial, measured
from index.generation import Generation, Growth
from index.plan import Kind, Plan, make_plan
from index.search import DUPLICATE_SIMILARITY, Nearest, Scan, Searcher, artwork_groups
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix, Matrix, check_queries, faults, mean_row, unit_rows

# How often the record is read again when its files vanish while they are opened.
_N_ATTEMPTS = 5


class CosineIndex:
    """Films by the cosine of their features; make it with `build` or `open`.

    Searching is safe from several threads, also while films are added or removed.

    Parameters
    ----------
    generation : object
        What it consists of; made by `build` and `open`.
    identity : mapping
        What the features are of; see `build`.
    fingerprint : str
        Which films and posters the rows are of.
    report : mapping
        What was measured when it was built.
    """

    def __init__(
        self, generation: Generation, identity: Mapping[str, Any], fingerprint: str, report: Mapping[str, Any]
    ) -> None:
        self.identity = dict(identity)
        self.fingerprint = fingerprint
        self._measured = dict(report)
        self._now = generation
        self._changing = threading.Lock()

    @classmethod
    def build(
        cls,
        features: FilmFeatures,
        identity: Mapping[str, Any],
        *,
        kind: Kind | Literal["auto"] = "auto",
        center: bool = False,
        target_recall: float = 0.99,
        max_memory_bytes: int | None = None,
        plan: Plan | None = None,
        fingerprint: str = "",
        seed: int = 0,
        advance: Callable[[int], None] = lambda _: None,
    ) -> CosineIndex:
        """Build an index, and measure it.

        Films whose features are all zero or not finite are left out; `left_out` says which and why.

        Parameters
        ----------
        features : FilmFeatures
            Where the films' features lie. A shortlist reads them there whenever it is asked.
        identity : mapping
            What the features are of: ``backbone``, ``n_features`` and whatever else tells them from others. Features
            of another identity are not compared with these.
        kind : "auto", "exact" or "shortlist", default "auto"
            Compare with all films, or with a shortlist; by default what size and memory ask for.
        center : bool, default False
            Subtract the mean of all features before they are compared. Right for a network without training, whose
            features all point much the same way; the similarities are then cosines of centered features.
        target_recall : float, default 0.99
            The share of the truly nearest films that a shortlist should find.
        max_memory_bytes : int, optional
            What a query may need.
        plan : Plan, optional
            In place of `kind` and `max_memory_bytes`.
        fingerprint : str, optional
            Which films and posters these are; lets a caller see that an index is out of date.
        seed : int, default 0
            Draws samples.
        advance : callable, optional
            Is told of films that are done, all of them once.

        Returns
        -------
        CosineIndex
            The index, in memory.

        Raises
        ------
        DataError
            No film can be compared, or the features are not as wide as the identity says.
        ConfigError
            Nothing fits into so little memory.
        """
        if features.n_features != int(identity["n_features"]):
            raise DataError(f"expected features of {identity['n_features']} columns, received {features.n_features}")
        if not 0 < target_recall < 1:
            raise ValueError(f"the recall should lie between 0 and 1, received {target_recall}")
        began = time.perf_counter()
        left_out = _faulty(features)
        good = _without(features, left_out)
        plan = plan or make_plan(len(good), good.n_features, kind, max_memory_bytes)
        mean, rng = mean_row(good) if center else None, np.random.default_rng(seed)
        rows: ExactRows | ShortlistRows
        if plan.kind == "exact":
            rows = ExactRows.build(good, mean)
            trial = make_trial(rows, rng)
            advance(len(features))
            growth = Growth(len(good))
        else:
            advance(len(left_out))
            rows, trial = build_shortlist(good, plan, mean, rng, target_recall, advance)
            growth = Growth(len(good), float(residuals(rows.projected(trial.rows)).mean()))
        build_s = time.perf_counter() - began
        asked = {"kind": kind, "target_recall": target_recall, "max_memory_bytes": max_memory_bytes}
        report = {
            "asked": asked,
            "kind_because": plan.reason,
            "memory_bytes": plan.n_bytes,
            "build_s": round(build_s, 2),
            **measured(rows, trial, target_recall),
        }
        generation = Generation(good.movie_ids, tuple(good.poster_sha256s), rows, growth, left_out)
        return cls(generation, identity, fingerprint, report)

    @classmethod
    def open(cls, folder: Path, features: FilmFeatures | None = None) -> CosineIndex:
        """Map what `save` wrote into memory.

        Parameters
        ----------
        folder : Path
            The index folder.
        features : FilmFeatures, optional
            Where the features lie now; a shortlist needs them. Films whose features are gone, or of another poster
            than when the index was built, are not found any more.

        Returns
        -------
        CosineIndex
            An index that answers as the saved one did.

        Raises
        ------
        NotBuiltError
            There is no index, or there are no features any more.
        DataError
            It is of another version, or damaged.
        """
        record = manifest.read(folder)
        for _ in range(_N_ATTEMPTS):
            try:
                return cls._of(folder, record, features)
            except FileNotFoundError as error:
                # Another generation may have taken its place between the record and the files.
                newer = manifest.read(folder)
                if newer == record:
                    raise NotBuiltError(f"no index here ({error.filename} is missing); run `keyart build`") from error
                record = newer
            except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
                raise manifest.damaged(folder, error) from error
        raise NotBuiltError(f"the index in {folder} changes faster than it can be opened; try again")

    @classmethod
    def _of(cls, folder: Path, record: Mapping[str, Any], features: FilmFeatures | None) -> CosineIndex:
        names = manifest.check(folder, record["files"])
        # Opened here: of a damaged file that it opened itself, NumPy leaves the handle open.
        with (folder / names["films"]).open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            movie_ids, mean = arrays["movie_ids"], arrays["mean"] if record["centred"] else None
            hashes = tuple("" if not row.any() else row.tobytes().hex() for row in arrays["poster_sha256s"])
        usable: Allowed = None
        rows: Rows
        if record["type"] == ExactRows.kind:
            rows = ExactRows.open(folder, names, mean)
        elif features is None:
            raise NotBuiltError(f"the index in {folder} reads features, and there are none; run `keyart extract`")
        else:
            if features.n_features != int(record["identity"]["n_features"]):
                raise ValueError(f"it is of {record['identity']['n_features']} columns, not {features.n_features}")
            present, found = features.aligned(movie_ids, hashes)
            usable = None if found.all() else found
            rows = ShortlistRows.open(folder, names, record["settings"], present, mean)
        if len(rows) != len(movie_ids):
            raise ValueError(f"{len(rows)} rows for {len(movie_ids)} films")
        left_out = {int(movie_id): reason for movie_id, reason in record["left_out"].items()}
        generation = Generation(movie_ids, hashes, rows, Growth(**record["growth"]), left_out, usable)
        return cls(generation, record["identity"], record["fingerprint"], record["report"])

    def save(self, folder: Path) -> None:
        """Write the index as a new generation; whoever has the earlier one open keeps it.

        One process at a time may write into a folder; see `catalog.io.locks.exclusive`.

        Parameters
        ----------
        folder : Path
            The index folder.

        Raises
        ------
        StoreError
            The files cannot be written; the earlier index is untouched.
        """
        now, generation, before = self._now, secrets.token_hex(4), manifest.names_of(folder)
        try:
            names = {"films": f"{generation}.npz", **now.rows.save(folder, generation)}
            with atomic_path(folder / names["films"]) as temporary_path, temporary_path.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **_arrays(now))
            manifest.write(folder, names, self._description(now))
        except BaseException:
            manifest.remove_others(folder, before)
            raise
        manifest.remove_others(folder, names.values())

    def __len__(self) -> int:
        return len(self.movie_ids)

    def __contains__(self, movie_id: int) -> bool:
        return self._now.row_of(movie_id) is not None

    @property
    def movie_ids(self) -> Ids:
        """The films that can be found, ascending."""
        now = self._now
        return now.movie_ids if now.usable is None else now.movie_ids[now.usable]

    @property
    def kind(self) -> str:
        """``"exact"`` or ``"shortlist"``."""
        return self._now.rows.kind

    @property
    def mean(self) -> FloatMatrix | None:
        """What is subtracted from features before they are compared, of shape (n_features,); None for nothing."""
        return self._now.rows.mean

    @property
    def centered(self) -> bool:
        """Whether the mean of all features is subtracted before they are compared."""
        return self.mean is not None

    @property
    def n_features(self) -> int:
        """The number of columns."""
        return int(self.identity["n_features"])

    @property
    def left_out(self) -> dict[int, str]:
        """Films that cannot be compared, and why."""
        return dict(self._now.left_out)

    @property
    def n_stale(self) -> int:
        """Films whose features are gone or of another poster than when the index was built."""
        return len(self._now.movie_ids) - len(self)

    @property
    def poster_sha256s(self) -> dict[int, str]:
        """The hash of the poster that each film was indexed by; empty where that is not known."""
        now = self._now
        return dict(zip(now.movie_ids.tolist(), now.poster_sha256s, strict=True))

    @property
    def needs_refit(self) -> bool:
        """Whether so much was added, or so different, that the index should be built anew."""
        # Without a basis or a mean there is nothing to fit.
        return self._now.growth.is_too_much and (self.kind != ExactRows.kind or self.centered)

    @property
    def report(self) -> dict[str, Any]:
        """What was measured when the index was built, and how it has grown since; as ``index.json`` holds it."""
        return self._description(self._now)

    def search(
        self,
        features: Matrix,
        k: int,
        *,
        among: npt.ArrayLike | None = None,
        without: npt.ArrayLike | None = None,
        duplicate_similarity: float | None = None,
    ) -> list[Nearest]:
        """Find the films nearest to features.

        Parameters
        ----------
        features : ndarray of shape (n, n_features), or (n_features,) for one
            Features as they came from the network.
        k : int
            How many films; fewer are returned where there are fewer.
        among : array_like of int, optional
            The movie_ids that may be found; k of them are found where there are k.
        without : array_like of int, optional
            movie_ids that may not be found.
        duplicate_similarity : float, optional
            Fold films with the same poster, or with posters as similar as this, into the first of them.

        Returns
        -------
        list of Nearest
            One a query.

        Raises
        ------
        DataError
            The features have another number of columns, or are all zero or not finite; or the features of a film are
            not those that the index was built from.
        ValueError
            k is less than 1.
        """
        _check_k(k)
        now = self._now
        queries = check_queries(features, self.n_features, self.identity["backbone"])
        units, _ = unit_rows(queries, now.rows.mean)
        searcher = Searcher(now, now.allowed(among, without), duplicate_similarity)
        return searcher.nearest(units, k, np.full(len(units), -1))

    def similar(
        self,
        movie_ids: Sequence[int],
        k: int,
        *,
        among: npt.ArrayLike | None = None,
        without: npt.ArrayLike | None = None,
        duplicate_similarity: float | None = None,
    ) -> list[Nearest]:
        """Find the films nearest to films of the index, themselves left out.

        Parameters
        ----------
        movie_ids : sequence of int, of length n
            The films asked about.
        k : int
            How many films each; fewer are returned where there are fewer.
        among : array_like of int, optional
            The movie_ids that may be found; k of them are found where there are k.
        without : array_like of int, optional
            movie_ids that may not be found.
        duplicate_similarity : float, optional
            Fold films with the same poster, or with posters as similar as this, into the first of them.

        Returns
        -------
        list of Nearest
            One a film asked about.

        Raises
        ------
        UnknownFilmError
            A film is not in the index.
        DataError
            A film's features cannot be compared, or are not those that the index was built from.
        ValueError
            k is less than 1.
        """
        _check_k(k)
        now = self._now
        own_rows = self._rows_of(now, movie_ids)
        searcher = Searcher(now, now.allowed(among, without), duplicate_similarity)
        return searcher.nearest(now.rows.units(own_rows), k, own_rows) if len(own_rows) else []

    def scan(self, movie_id: int) -> Scan:
        """Tell how near every other film is to one, roughly for those that are not near.

        Parameters
        ----------
        movie_id : int
            The film.

        Returns
        -------
        Scan
            Whose `Scan.settle` makes any of them exact.

        Raises
        ------
        UnknownFilmError, DataError
            As `similar`.
        """
        now = self._now
        (own_row,) = self._rows_of(now, [movie_id])
        return Scan.of(now, now.rows.units(np.array([own_row]))[0], int(own_row))

    def scan_features(self, features: Matrix) -> Scan:
        """Tell how near every film is to features, roughly for those that are not near.

        Parameters
        ----------
        features : ndarray of shape (n_features,)
            Features as they came from the network.

        Returns
        -------
        Scan
            As `scan` returns it.

        Raises
        ------
        DataError
            As `search`.
        """
        queries = check_queries(features, self.n_features, self.identity["backbone"])
        return Scan.of(self._now, unit_rows(queries, self.mean)[0][0], None)

    def artwork_groups(self, movie_ids: npt.ArrayLike, bound: float = DUPLICATE_SIMILARITY) -> Ids:
        """Tell which of some films show the same artwork: the same poster, or posters as similar as a bound.

        Parameters
        ----------
        movie_ids : array_like of shape (n,), int
            The films, those that are to stand for others first. Films without features stand for themselves.
        bound : float, default 0.97
            A cosine.

        Returns
        -------
        ndarray of shape (n,), int64
            For each film, the place of the one that stands for it; its own where that is itself.
        """
        now, named = self._now, np.asarray(movie_ids, np.int64)
        groups = np.arange(len(named))
        places = np.flatnonzero([now.row_of(movie_id) is not None for movie_id in named.tolist()])
        groups[places] = places[artwork_groups(now, np.searchsorted(now.movie_ids, named[places]), bound)]
        return groups

    def add(self, features: FilmFeatures) -> None:
        """Add films, which can be found at once; those that are there already are replaced. `save` keeps them.

        Parameters
        ----------
        features : FilmFeatures
            The films.

        Raises
        ------
        DataError
            The features have another number of columns, or are stored as other numbers than those of the index.
        """
        if features.n_features != self.n_features:
            raise DataError(f"expected features of {self.n_features} columns, received {features.n_features}")
        faulty = _faulty(features)
        good = np.flatnonzero(~np.isin(features.movie_ids, list(faulty)))
        with self._changing:
            self._now = self._now.with_films(features.take(good) if len(good) else None, faulty)

    def remove(self, movie_ids: npt.ArrayLike) -> None:
        """Remove films; those that are not there are passed over. `save` makes it last.

        Parameters
        ----------
        movie_ids : array_like of int
            The films.

        Raises
        ------
        DataError
            None would be left.
        """
        with self._changing:
            self._now = self._now.without_films(np.asarray(movie_ids, np.int64))

    def _rows_of(self, now: Generation, movie_ids: Sequence[int]) -> Ids:
        rows = []
        for movie_id in movie_ids:
            if movie_id in now.left_out:
                raise DataError(f"movie_id {movie_id} cannot be compared: {now.left_out[movie_id]}")
            if (row := now.row_of(movie_id)) is None:
                raise UnknownFilmError(f"no features of movie_id {movie_id} in this index of {len(self)} films")
            rows.append(row)
        return np.array(rows, np.int64)

    def _description(self, now: Generation) -> dict[str, Any]:
        return {
            "type": now.rows.kind,
            "n_films": len(now.movie_ids),
            "n_features": self.n_features,
            "centred": now.rows.mean is not None,
            "settings": now.rows.settings(),
            "growth": vars(now.growth),
            "drift": round(now.growth.drift, 4),
            "left_out": {str(movie_id): reason for movie_id, reason in now.left_out.items()},
            "fingerprint": self.fingerprint,
            "identity": self.identity,
            "report": self._measured,
        }


def _faulty(features: FilmFeatures) -> dict[int, str]:
    """Name the films that cannot be compared."""
    reasons: dict[int, str] = {}
    start = 0
    for block in features.blocks():
        reasons |= {int(features.movie_ids[start + row]): reason for row, reason in faults(block).items()}
        start += len(block)
    return reasons


def _without(features: FilmFeatures, left_out: Mapping[int, str]) -> FilmFeatures:
    if not left_out:
        return features
    if len(left_out) == len(features):
        movie_id, reason = next(iter(left_out.items()))
        raise DataError(f"none of the {len(features)} films can be compared; movie_id {movie_id}: {reason}")
    return features.take(np.flatnonzero(~np.isin(features.movie_ids, list(left_out))))


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k should be 1 or more, received {k}")


def _arrays(now: Generation) -> dict[str, npt.NDArray[Any]]:
    hashes = b"".join(bytes.fromhex(sha256) if sha256 else bytes(32) for sha256 in now.poster_sha256s)
    return {
        "movie_ids": now.movie_ids,
        "poster_sha256s": np.frombuffer(hashes, np.uint8).reshape(len(now.movie_ids), 32),
        "mean": np.empty(0, np.float32) if now.rows.mean is None else now.rows.mean,
    }
