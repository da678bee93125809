"""The image files of a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from catalog.errors import ConfigError, DataError
from catalog.image_formats import SUFFIXES, count_endings, listed_endings
from catalog.text import printable
from features.pipeline import Picture


def pictures_in(folder: Path) -> list[Picture]:
    """List the image files of a folder at any depth, in the order of their ids, which are relative POSIX paths.

    Files are known by their names' endings, so that a text file or a pipe named ``.jpg`` is reported as a broken
    picture and one named ``.txt`` is none. Hidden files and folders are passed over, links to folders are not followed.
    """
    paths = _files_below(folder)
    matches = [Picture(printable(path.relative_to(folder).as_posix()), path) for path in paths if _is_picture(path)]
    if not matches:
        others = listed_endings(count_others(folder))
        raise DataError(
            f"{folder} holds no images; expected files named {', '.join(sorted(SUFFIXES))}, found {others or 'none'}"
        )
    return sorted(matches, key=lambda picture: str(picture.picture_id))


def count_others(folder: Path) -> dict[str, int]:
    """Count the files of a folder that `pictures_in` passes over, by ending, the most frequent first."""
    return count_endings(path for path in _files_below(folder) if not _is_picture(path))


def _files_below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; expected one with images below it")
    paths = []
    for name, below, files in os.walk(folder, onerror=_refuse):
        below[:] = [one for one in below if not one.startswith(".")]
        paths += [Path(name, file) for file in files if not file.startswith(".")]
    return paths


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _refuse(error: OSError) -> NoReturn:
    # If the folder were skipped, the features of its images would be dropped.
    raise DataError(f"cannot list {error.filename}: {error.strerror}") from error
