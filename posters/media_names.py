"""Recognize the films of posters in the folders of media servers: Kodi, Jellyfin, Emby and Plex.

A film has a folder, ``Heat (1995) {imdb-tt0113277}/poster.jpg``, or a file in a common one, ``Heat (1995).jpg``. Ids
stand in braces or brackets, or in a .nfo file; other pictures, such as fanart, stand beside the posters.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from catalog.errors import DataError
from catalog.film import Film
from catalog.film_ids import FilmId, Imdb, format_imdb_id, parse_film_id
from catalog.image_formats import SUFFIXES
from catalog.io.files import read_bytes
from catalog.matching import FilmMatcher

# What a poster is called that is not named after its film, the preferred name first.
_POSTER_NAMES = ("poster", "folder", "cover", "default", "movie")
_OTHER_ART = re.compile(
    r"(?:.*[-.])?(?:extra)?(?:fanart|backdrop|background|banner|logo|clearlogo|clearart|thumb|thumbnail|landscape|"
    r"disc|discart|cdart|characterart|keyart|art|still|screenshot|season[-_ ]?(?:\d+|all|specials).*)\d*",
    re.IGNORECASE,
)
_OTHER_FOLDERS = frozenset(
    ("actors", "extrafanart", "extrathumbs", "backdrops", "extras", "trailers", "subs", "featurettes")
)
_ID = re.compile(
    r"(imdb|tmdb)(?:id)?[-=: ]?((?:tt)?[0-9]{1,12})(?![0-9])|(?<![a-z0-9])(tt[0-9]{7,9})(?![0-9])", re.IGNORECASE
)
_BRACES = re.compile(r"\{[^}]*\}|\[[^\]]*\]")
_YEAR_IN_BRACKETS = re.compile(r"^(.+?)[\s._]*\(((?:18|19|20)\d\d)\)")
_YEAR = re.compile(r"[\s._([]((?:18|19|20)\d\d)(?=[\s._)\]]|$)")
_NFO_ID = re.compile(
    r"""<uniqueid[^>]*type=["'](imdb|tmdb)["'][^>]*>\s*((?:tt)?\d{1,12})\s*<|<(imdb|tmdb)_?id>\s*((?:tt)?\d{1,12})\s*<"""
    r"""|<id>\s*(tt\d{1,12})\s*<|imdb\.com/title/(tt\d{1,12})|themoviedb\.org/movie/(\d{1,12})""",
    re.IGNORECASE,
)
# People and sets have ids and titles of their own.
_NFO_OTHERS = re.compile(r"<(actor|director|writer|credits|set)\b[^>]*>.*?</\1>", re.IGNORECASE | re.DOTALL)
_NFO_OF_SERIES = re.compile(r"<(?:tvshow|season|episodedetails|musicvideo)\b", re.IGNORECASE)
_NFO_TITLE = re.compile(r"<(?:original)?title>([^<]+)</", re.IGNORECASE)
_NFO_YEAR = re.compile(r"<(?:year|premiered)>\s*(\d{4})", re.IGNORECASE)
_NFO_OF_SHOW = "tvshow.nfo"
_SEASON = re.compile(r"(?:season|staffel|series)[ _-]?\d+", re.IGNORECASE)
_VIDEOS = frozenset((".avi", ".iso", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".ts", ".webm", ".wmv"))
_PART = re.compile(r"[-. _](?:cd|dvd|disc|part|pt)[ _-]?\d+$", re.IGNORECASE)
_MAX_NFO_BYTES = 1 << 20


@dataclass(frozen=True)
class MediaFolder:
    """What a folder says of all posters in it."""

    # The only .nfo file, where the folder is that of a single film.
    nfo: Path | None
    is_of_series: bool


def inspect_folder(folder: Path) -> MediaFolder:
    """List a folder once, however many posters it has."""
    paths = list(folder.iterdir())
    nfos = [path for path in paths if path.suffix.lower() == ".nfo"]
    is_of_series = any(
        path.name.lower() == _NFO_OF_SHOW or (path.is_dir() and _SEASON.fullmatch(path.name)) for path in paths
    )
    is_of_series |= bool(_SEASON.fullmatch(folder.name)) and (folder.parent / _NFO_OF_SHOW).is_file()
    is_of_one = len(nfos) == 1 and not _has_other_films(paths, nfos[0])
    return MediaFolder(nfos[0] if is_of_one else None, is_of_series)


def _has_other_films(paths: Iterable[Path], nfo: Path) -> bool:
    """Return whether a folder has films, or posters of films, besides that of its .nfo file."""
    films = {_PART.sub("", path.stem) for path in paths if path.suffix.lower() in _VIDEOS}
    own = {*_POSTER_NAMES, nfo.stem.lower(), nfo.parent.name.lower()}
    pictures = (path for path in paths if path.suffix.lower() in SUFFIXES and not is_other_art(path))
    return len(films) > 1 or any(_stem(path).lower() not in own for path in pictures)


def is_other_art(path: Path) -> bool:
    """Return whether a picture is no poster, by its name: fanart, a logo, a banner."""
    return bool(_OTHER_ART.fullmatch(path.stem)) or path.parent.name.lower() in _OTHER_FOLDERS


def poster_rank(path: Path) -> tuple[int, str]:
    """Return the order in which the posters of one film are preferred: poster.jpg before folder.jpg."""
    stem = _stem(path).lower()
    return (_POSTER_NAMES.index(stem) if stem in _POSTER_NAMES else -1), path.name


def films_of(path: Path, matcher: FilmMatcher, lone_nfo: Path | None = None) -> tuple[Sequence[Film], bool]:
    """Return the films that a poster may be of, and whether ids say so: of its name, its folder or a .nfo file.

    Without an id that is known, films of the title and year are returned. `lone_nfo` is that of its `MediaFolder`.
    """
    names, nfo = _names(path), _nfo(path, lone_nfo)
    film_ids = [*chain.from_iterable(map(_ids_in, names)), *_ids_of_nfo(nfo)]
    return matcher.match(film_ids, chain(chain.from_iterable(map(_titles_in, names)), _titles_of_nfo(nfo)))


def _names(path: Path) -> list[str]:
    """Return the names of a poster that may be that of its film."""
    stem, folder = _stem(path), path.parent.name
    if stem.lower() in _POSTER_NAMES:
        return [folder]
    # A folder of many posters may be called "Heat" by chance, but not "Heat (1995)".
    is_of_film = any(_ids_in(folder)) or _YEAR_IN_BRACKETS.match(folder)
    return [stem, folder] if is_of_film else [stem]


def _stem(path: Path) -> str:
    """Return the name of a file without its ending and what media servers append: "Heat (1995)-poster", "poster2"."""
    stem = re.sub(r"[-. ](?:poster|cover|folder)\d*$", "", path.stem, flags=re.IGNORECASE)
    return re.sub(r"^(poster|folder|cover)[-_ ]?\d+$", r"\1", stem, flags=re.IGNORECASE)


def _ids_in(name: str) -> Iterator[FilmId]:
    if isinstance(film_id := parse_film_id(name), Imdb):
        yield film_id
    for kind, number, bare in _ID.findall(name):
        film_id = Imdb(format_imdb_id(int(bare[2:]))) if bare else parse_film_id(f"{kind}:{number}")
        if film_id is not None:
            yield film_id


def _titles_in(name: str) -> Iterator[tuple[str, int | None]]:
    plain = _BRACES.sub(" ", name).strip()
    if match := _YEAR_IN_BRACKETS.match(plain):
        yield match[1], int(match[2])
    # The last one first: "Blade.Runner.2049.2017".
    for match in reversed(list(_YEAR.finditer(plain))):
        yield plain[: match.start()], int(match[1])
    # "Blade Runner 2049" ends with no year.
    yield plain, None


def _nfo(path: Path, lone_nfo: Path | None) -> str:
    """Return the text of the .nfo file of a poster, blank without one."""
    folder, stem = path.parent, _stem(path)
    candidates: list[Path | None] = [folder / f"{stem}.nfo"]
    # In a folder of many films, the one .nfo file is that of a single film.
    if stem.lower() in (*_POSTER_NAMES, folder.name.lower()):
        candidates += [folder / "movie.nfo", lone_nfo]
    for nfo in candidates:
        if nfo and nfo.is_file() and nfo.stat().st_size <= _MAX_NFO_BYTES:
            text = _text_of(nfo)
            return "" if _NFO_OF_SERIES.search(text) else _NFO_OTHERS.sub("", text)
    return ""


def _text_of(nfo: Path) -> str:
    try:
        return read_bytes(nfo, _MAX_NFO_BYTES).decode(errors="replace")
    except OSError as error:
        raise DataError(f"cannot read {nfo}, which names a film: {error.strerror}") from error


def _ids_of_nfo(text: str) -> Iterator[FilmId]:
    for kind, number, other_kind, other_number, *imdb, tmdb in _NFO_ID.findall(text):
        id_text = next(filter(None, imdb), None) or f"{kind or other_kind or 'tmdb'}:{number or other_number or tmdb}"
        if film_id := parse_film_id(id_text):
            yield film_id


def _titles_of_nfo(text: str) -> Iterator[tuple[str, int | None]]:
    year = _NFO_YEAR.search(text)
    for title in _NFO_TITLE.findall(text):
        yield html.unescape(title).strip(), int(year[1]) if year else None
