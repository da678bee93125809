"""The folder of a demonstration: claimed before anything is written, so that no other file is overwritten."""

from __future__ import annotations

from pathlib import Path

from catalog.errors import ConfigError, DataError, NotBuiltError
from catalog.films import Catalog
from catalog.io.files import read_record, write_record
from catalog.titles import parse_title
from keyart.cli.demo.catalog import movies_csv
from keyart.cli.demo.films import films

_KIND, _VERSION, _NAME = "keyart-demo", 1, "keyart-demo.json"


def claim_folder(folder: Path) -> None:
    """Take a new or empty folder, or that of an earlier demonstration; ConfigError if it is in other use."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a new or empty folder with --out DIR")
    if not folder.absolute().parent.is_dir():
        raise ConfigError(f"{folder}: there is no folder {folder.parent}; create it first")
    if folder.is_dir() and any(folder.iterdir()) and not _is_claimed(folder):
        raise ConfigError(
            f"{folder} is neither empty nor of an earlier `keyart demo`; nothing was written: name a new or empty "
            "folder with --out DIR"
        )
    _check_films(folder / "workspace" / "catalog.sqlite", folder)
    write_record(folder / _NAME, _KIND, _VERSION, {})


def _is_claimed(folder: Path) -> bool:
    try:
        read_record(folder / _NAME, _KIND, _VERSION)
    except FileNotFoundError:
        # Versions without a record wrote the same films.
        path = folder / "movielens" / "movies.csv"
        return path.is_file() and path.read_bytes() == movies_csv()
    except DataError as error:
        raise ConfigError(
            f"{folder} holds the demonstration of another version of keyart; remove it, or name a new folder with "
            "--out DIR"
        ) from error
    return True


def _check_films(catalog_path: Path, folder: Path) -> None:
    """Raise ConfigError if other films have been loaded into the workspace since."""
    try:
        with Catalog.open(catalog_path) as catalog:
            added = {film.movie_id for film in catalog.added()}
            loaded = {film.movie_id: film.title for film in catalog if film.movie_id not in added}
    except (NotBuiltError, DataError):
        # Loading again repairs a damaged catalog.
        return
    if loaded != {film.movie_id: parse_title(film.title).title for film in films()}:
        raise ConfigError(
            f"the workspace {catalog_path.parent} holds other films than the demonstration's, which would replace "
            f"them; name another folder than {folder} with --out DIR"
        )
