"""Further posters of films, in the folder ``alternates`` beside the posters; their rows are in the same database.

A file is named ``{movie_id}-{sha256[:8]}.jpg`` and written before its row is committed. Files without a row are removed
when the next run begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from catalog.image_formats import STORED_SUFFIX
from catalog.io.files import clear_partial, read_error, row_errors, sha256_file, write_error, write_unflushed
from posters.database import DATABASE_NAME, Alternate, Origin, PosterDatabase
from posters.validation import verify_image

_FOLDER_NAME = "alternates"
_FILE_NAME = re.compile(rf"[0-9]+-[0-9a-f]{{8}}({STORED_SUFFIX})")


class AlternateStore:
    """The alternates of a `PosterStore`, which commits its changes."""

    def __init__(self, posters_dir: Path, database: PosterDatabase) -> None:
        self._folder = posters_dir / _FOLDER_NAME
        self._database = database

    def write_file(self, movie_id: int, content: bytes, origin: Origin) -> Alternate:
        """Verify a poster and write its file; it takes effect with `PosterStore.register`. Safe from any thread."""
        facts = verify_image(content)
        name = f"{movie_id}-{facts.sha256[:8]}{facts.suffix}"
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise write_error(self._folder, error) from error
        write_unflushed(self._folder / name, content)
        return Alternate(
            movie_id=movie_id,
            poster_path=origin.poster_path or "",
            size=origin.size,
            language=origin.language,
            file_name=name,
            n_bytes=facts.n_bytes,
            sha256=facts.sha256,
            width=facts.width,
            height=facts.height,
            vote_average=origin.vote_average,
            vote_count=origin.vote_count,
        )

    def files(self) -> list[tuple[int, Path, str]]:
        """Return movie_id, path and hash of each alternate by movie_id, the best first; without files that are gone."""
        rows = [(row, self._path_of(row.file_name)) for row in self._database.alternates()]
        return [(row.movie_id, path, row.sha256) for row, path in rows if path.is_file()]

    def verified(self) -> Iterator[tuple[Path, bool]]:
        """Yield the path of every alternate, and whether its file is as it was stored."""
        for row in self._database.alternates():
            path = self._path_of(row.file_name)
            try:
                is_whole = path.is_file() and sha256_file(path) == row.sha256
            except OSError as error:
                raise read_error(path, error) from error
            yield path, is_whole

    def _path_of(self, file_name: str) -> Path:
        # A database from elsewhere must not name files elsewhere.
        with row_errors(self._folder.parent / DATABASE_NAME):
            if not _FILE_NAME.fullmatch(file_name):
                raise ValueError(f"no poster is called {file_name!r}")
        return self._folder / file_name

    def sweep(self) -> None:
        """Remove the files without a row, and partial ones."""
        clear_partial(self._folder)
        named = {row.file_name for row in self._database.alternates()}
        try:
            for path in self._folder.iterdir() if self._folder.is_dir() else ():
                if _FILE_NAME.fullmatch(path.name) and path.name not in named:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(self._folder, error) from error
