"""Sheets of small posters (sprites): a thousand in one file, for a page that shows all of them at once.

A sheet is named by a hash of its content, so an unchanged one is neither drawn nor sent again. Its list of movie_ids,
not a row of another table, says which film is in which cell.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from catalog.errors import DamageError, DataError, StoreError
from catalog.io.checksums import hold_to_xxh3
from catalog.io.files import (
    atomic_path,
    is_read_failure,
    read_error,
    read_failures,
    remove_file,
    write_bytes,
    xxh3_file,
)
from features.images import decode_image
from posters.store import Poster

CELL_WIDTH, CELL_HEIGHT = 64, 96
"""Of a small poster, in pixels."""
SMALL = 4
"""Times that the cells of a small sheet are smaller."""
N_COLUMNS = 32
"""Posters in a row of a sheet."""
SHEET_FILMS = N_COLUMNS * N_COLUMNS
"""Posters on a full sheet."""

_EMPTY = "#8d8a84"
_QUALITY = 80
_N_READERS = 4
_REDUCED_QUALITY = 70
# Part of the hash that names a sheet; change the number when the way of drawing changes.
_RECIPE = f"1 {CELL_WIDTH}x{CELL_HEIGHT} webp {_QUALITY}"


@dataclass(frozen=True)
class Sheet:
    """A sheet: its file name, and the film in each cell, row by row."""

    name: str
    movie_ids: tuple[int, ...]
    # Of its file; None before it is drawn, and of earlier versions.
    xxh3: str | None = None
    # Films whose posters could not be read.
    n_blank: int = 0
    # Of the file with small cells; None before it is drawn, and of earlier versions.
    small_xxh3: str | None = None

    @property
    def small_name(self) -> str:
        """The name of the file with small cells."""
        return self.name.removesuffix(".webp") + "-small.webp"

    @property
    def files(self) -> dict[str, str | None]:
        """The names of its files, with their checksums."""
        small = {self.small_name: self.small_xxh3} if self.small_xxh3 else {}
        return {self.name: self.xxh3, **small}

    def path(self, folder: Path, name: str) -> Path:
        """Locate one of its files; DamageError unless it is as it was drawn."""
        path = folder / name
        try:
            hold_to_xxh3(path, self.files[name] or xxh3_file(path))
        except (DataError, OSError, ValueError) as error:
            if is_read_failure(error):
                raise read_error(path, error) from error
            raise DamageError(f"the sheet {path} of the atlas is damaged ({error}); run `keyart atlas`") from error
        return path

    def is_drawn(self, folder: Path, name: str) -> bool:
        """Return whether one of its files is there, as it was drawn, and shows every poster."""
        # Without a checksum it may be what an interrupted run left, and could not be told from a damaged one.
        if self.n_blank or not self.files.get(name):
            return False
        try:
            return self.path(folder, name).is_file()
        except DamageError:
            return False


def assign(
    before: Iterable[Sheet], unchanged: set[int], new: Sequence[int], poster_sha256s: Mapping[int, str]
) -> list[Sheet]:
    """Assign each film a cell: unchanged films keep theirs, new ones get the next free one."""
    filled = [[movie_id for movie_id in sheet.movie_ids if movie_id in unchanged] for sheet in before]
    waiting = list(reversed(new))
    for movie_ids in filled:
        while waiting and len(movie_ids) < SHEET_FILMS:
            movie_ids.append(waiting.pop())
    waiting.reverse()
    filled += [waiting[start : start + SHEET_FILMS] for start in range(0, len(waiting), SHEET_FILMS)]
    return [Sheet(_name(movie_ids, poster_sha256s), tuple(movie_ids)) for movie_ids in filled if movie_ids]


def draw(
    sheets: Iterable[Sheet],
    folder: Path,
    posters: Mapping[int, Poster],
    advance: Callable[[int], None] = lambda _: None,
    on_blank: Callable[[int], None] = lambda _: None,
) -> Iterator[Sheet]:
    """Draw the sheets that are missing, damaged or in part blank, and yield all of them as they are then.

    `on_blank` receives the films whose posters cannot be read, and whose cells stay blank.
    """
    for sheet in sheets:
        drawn = sheet if sheet.is_drawn(folder, sheet.name) else _draw(sheet, folder, posters, on_blank)
        yield drawn if drawn.is_drawn(folder, sheet.small_name) else _draw_small(drawn, folder)
        advance(len(sheet.movie_ids))


def _draw(sheet: Sheet, folder: Path, posters: Mapping[int, Poster], on_blank: Callable[[int], None]) -> Sheet:
    small = list(_posters([posters.get(movie_id) for movie_id in sheet.movie_ids]))
    blank = [movie_id for movie_id, poster in zip(sheet.movie_ids, small, strict=True) if poster is None]
    for movie_id in blank:
        on_blank(movie_id)
    with atomic_path(folder / sheet.name) as temporary_path:
        _drawn(small).save(temporary_path, "WEBP", quality=_QUALITY, method=2)
    # Its small cells are those of what it was.
    return replace(sheet, xxh3=xxh3_file(folder / sheet.name), n_blank=len(blank), small_xxh3=None)


def _draw_small(sheet: Sheet, folder: Path) -> Sheet:
    path = folder / sheet.small_name
    write_bytes(path, reduced(folder / sheet.name))
    return replace(sheet, small_xxh3=xxh3_file(path))


def reduced(path: Path) -> bytes:
    """Draw a sheet again with small cells, to see thousands of posters at once; returns the file's content."""
    content = io.BytesIO()
    with read_failures(path), Image.open(path) as sheet:
        sheet.convert("RGB").reduce(SMALL).save(content, "WEBP", quality=_REDUCED_QUALITY, method=2)
    return content.getvalue()


def remove_others(sheets: Iterable[Sheet], folder: Path) -> None:
    """Remove the files of sheets that are no longer used."""
    remaining = {name for sheet in sheets for name in sheet.files}
    for path in folder.glob("sheet-*.webp"):
        if path.name not in remaining:
            remove_file(path)


def along_the_map(positions: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """Order films along a Z-curve, so that a part of the map needs few sheets.

    References
    ----------
    .. [1] G. M. Morton, "A computer oriented geodetic data base and a new technique in file sequencing", IBM, 1966.
    """
    cells = np.clip((positions + 1) * (1 << 15), 0, (1 << 16) - 1).astype(np.uint64)
    code = np.zeros(len(cells), np.uint64)
    for bit in range(16):
        for axis in range(2):
            code |= (cells[:, axis] >> np.uint64(bit) & np.uint64(1)) << np.uint64(2 * bit + axis)
    return np.argsort(code, kind="stable")


def _name(movie_ids: Iterable[int], poster_sha256s: Mapping[int, str]) -> str:
    lines = (f"{movie_id} {poster_sha256s[movie_id]}" for movie_id in movie_ids)
    return f"sheet-{hashlib.sha256(chr(10).join([_RECIPE, *lines]).encode()).hexdigest()[:24]}.webp"


def _drawn(posters: Sequence[Image.Image | None]) -> Image.Image:
    n_rows = -(-len(posters) // N_COLUMNS)
    picture = Image.new("RGB", (N_COLUMNS * CELL_WIDTH, n_rows * CELL_HEIGHT), _EMPTY)
    for number, poster in enumerate(posters):
        if poster is not None:
            row, column = divmod(number, N_COLUMNS)
            picture.paste(poster, (column * CELL_WIDTH, row * CELL_HEIGHT))
    return picture


def _posters(posters: Sequence[Poster | None]) -> Iterator[Image.Image | None]:
    with ThreadPoolExecutor(_N_READERS) as threads:
        yield from threads.map(_small, posters)


def _small(poster: Poster | None) -> Image.Image | None:
    # A cell that is left blank is drawn again by the next run.
    with suppress(DataError, StoreError):
        if poster is not None:
            image = decode_image(poster.read(), str(poster.path))
            return ImageOps.fit(image, (CELL_WIDTH, CELL_HEIGHT), Image.Resampling.LANCZOS)
    return None
