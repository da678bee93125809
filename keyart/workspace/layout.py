"""The layout of a workspace folder, and its version.

::

    keyart-data/
      workspace.json        kind and version; the default encoder, if it is not the first
      catalog.sqlite        films, titles, links, tags
      ratings-*.parquet     ratings; the catalog names the current file
      posters/              poster files, and the state of every film's poster
      features/             shards of features
      index/                the cosine index
      atlas/                the map of all posters, with sheets of thumbnails
      cf/                   a folder per fitted recommender
      hybrid.json           the weight of ratings beside looks, if it was fitted
      encoders/NAME/        what is made by a further encoder: features/, index/, atlas/, looks/, cf/, hybrid.json
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from catalog.errors import ConfigError, DamageError, DataError, KeyartError, NotBuiltError
from catalog.films import Catalog
from catalog.io.files import read_record, record_kind, write_record
from catalog.io.locks import SHORTLY_S, exclusive, is_leftover

_KIND, _VERSION = "keyart-workspace", 1
_FILES = ("workspace.json", "catalog.sqlite", "catalog.sqlite.json", "catalog.sqlite.damaged", "hybrid.json")
_FOLDERS = ("posters", "features", "looks", "index", "atlas", "cf", "encoders")


class Workspace:
    """A workspace folder as one of its encoders sees posters, opened with `create` or `open`.

    `encoder` names a folder below ``encoders/``; None is the first encoder, whose parts are in the workspace itself.
    """

    def __init__(self, home: str | Path, encoder: str | None = None) -> None:
        # Absolute, since a program may change its working directory.
        self.home = Path(home).absolute()
        self.encoder = encoder

    def with_encoder(self, encoder: str | None) -> Workspace:
        """Return a view of the same workspace by another encoder, which need not have any parts yet."""
        return Workspace(self.home, encoder)

    @classmethod
    def create(cls, home: Home) -> Workspace:
        """Open a workspace, or create it in a new or empty folder; ConfigError if the folder is in other use."""
        if isinstance(home, Workspace):
            return home
        home = Path(home)
        if _record_path(home).is_file():
            return cls.open(home)
        if _holds_catalog(home / "catalog.sqlite"):
            # Only the record is lost, which can be restored.
            return cls(home)._recorded({})
        if home.exists() and (not home.is_dir() or not all(is_leftover(path.name) for path in home.iterdir())):
            raise ConfigError(
                f"{home} is neither empty nor a keyart workspace; name a new or empty folder with --home DIR"
            )
        if not home.absolute().parent.is_dir():
            raise ConfigError(f"{home.parent} does not exist; create it first, or name another folder with --home DIR")
        return cls(home)._recorded({})

    def _recorded(self, content: dict[str, Any]) -> Self:
        """Write the record, which other writers would take for a leftover without the lock."""
        with exclusive(self.home, SHORTLY_S):
            write_record(self.record_path, _KIND, _VERSION, content)
        return self

    @classmethod
    def open(cls, home: Home) -> Workspace:
        """Open an existing workspace by its default encoder; NotBuiltError if there is none."""
        if isinstance(home, Workspace):
            return home
        home = Path(home)
        try:
            record = read_record(_record_path(home), _KIND, _VERSION)
        except (FileNotFoundError, NotADirectoryError) as error:
            if _holds_catalog(home / "catalog.sqlite"):
                raise DamageError(
                    f"{_record_path(home)} is missing beside a catalog of films; run `keyart check --repair`, or load "
                    "them again"
                ) from error
            raise NotBuiltError(
                f"no workspace at {home}; make one with `keyart load DIR` on a MovieLens folder or a table of films, "
                "or name yours with --home DIR or KEYART_HOME"
            ) from error
        return cls(home, _encoder_named(home, record))

    def default(self) -> Workspace:
        """Return the view by the default encoder, as it is recorded now."""
        return Workspace.open(self.home)

    def set_default(self, encoder: str | None) -> None:
        """Record which encoder `open` chooses."""
        self._recorded({} if encoder is None else {"encoder": encoder})

    def keeps(self, path: Path) -> bool:
        """Return whether keyart may have written a path below this folder, if the folder is a workspace."""
        if record_kind(self.record_path) != _KIND:
            return False
        first, *below = path.relative_to(self.home).parts
        return first in _FOLDERS or (not below and (first in _FILES or is_ratings_name(first)))

    def restore_record(self) -> bool:
        """Write the record anew unless it can be read now; returns whether it was written."""
        with exclusive(self.home, SHORTLY_S):
            with suppress(DataError, FileNotFoundError):
                _encoder_named(self.home, read_record(self.record_path, _KIND, _VERSION))
                return False
            write_record(self.record_path, _KIND, _VERSION, {})
        return True

    @property
    def record_path(self) -> Path:
        return _record_path(self.home)

    @property
    def catalog_path(self) -> Path:
        return self.home / "catalog.sqlite"

    def ratings_path(self, name: str) -> Path:
        return self.home / name

    @property
    def posters_dir(self) -> Path:
        return self.home / "posters"

    @property
    def encoders_dir(self) -> Path:
        """Holds a folder for every encoder but the first."""
        return self.home / "encoders"

    @property
    def encoder_dir(self) -> Path:
        """Holds all that depends on the encoder."""
        return self.home if self.encoder is None else self.encoders_dir / self.encoder

    @property
    def features_dir(self) -> Path:
        return self.encoder_dir / "features"

    @property
    def looks_dir(self) -> Path:
        """Low-dimensional features of posters for the cold start."""
        return self.encoder_dir / "looks"

    @property
    def index_dir(self) -> Path:
        return self.encoder_dir / "index"

    @property
    def atlas_dir(self) -> Path:
        return self.encoder_dir / "atlas"

    @property
    def hybrid_path(self) -> Path:
        return self.encoder_dir / "hybrid.json"

    @property
    def cold_start_dir(self) -> Path:
        """The model of the cold start, which learned from looks."""
        return self.encoder_dir / "cf" / "cold-start"

    def model_dir(self, name: str) -> Path:
        return self.home / "cf" / name


def _encoder_named(home: Path, record: dict[str, Any]) -> str | None:
    encoder = record.get("encoder")
    if encoder is not None and (not isinstance(encoder, str) or not is_encoder_name(encoder)):
        raise DataError(
            f"{_record_path(home)} names {encoder!r} as its encoder; run `keyart encoders` to see which there are, and "
            "remove that line"
        )
    return encoder


def is_encoder_name(text: str) -> bool:
    """Return whether a text may name an encoder: it is part of a path, and + joins two of them."""
    return re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", text) is not None


Home = str | Path | Workspace
"""How the functions of `keyart.pipeline` accept a workspace: as a folder, or opened."""


def _holds_catalog(path: Path) -> bool:
    """Return whether a file is a catalog, and not a database of another program."""
    try:
        with Catalog.open(path) as catalog:
            return catalog.fact("numbering") is not None
    except KeyartError:
        return False


def is_ratings_name(name: str) -> bool:
    """Return whether `load`, in this version or an earlier one, may have given a file of ratings this name."""
    return re.fullmatch(r"ratings-([0-9a-f]{8}|[0-9a-f]{16})\.parquet", name) is not None


def _record_path(home: Path) -> Path:
    return home / "workspace.json"
