from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from catalog.film import Film
from posters.importing import import_folder
from posters.store import PosterStore
from tests.posters.pictures import draw_poster

FILMS = [
    Film(1, "The Lamp", 1995, imdb_id="0000011", tmdb_id=101),
    Film(2, "Café: Löwe", 2001, imdb_id="0000012", tmdb_id=102),
    Film(3, "Lamp 2049", 2017, alternative_titles=("Una lampada",)),
    Film(4, "Pair", 1990),
    Film(5, "Pair", 1990),
    Film(6, "Twin", 1999, tmdb_id=7),
    Film(7, "Twin Again", 1999, tmdb_id=7),
    Film(8, "State of the Art", 2012),
    Film(9, "1984", 1984),
]
NFO = '<movie><title>Lampe</title><uniqueid default="true" type="imdb">tt0000012</uniqueid></movie>'


def write(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw_poster(number))


def imported(folder: Path, store: PosterStore) -> list[int]:
    import_folder(folder, FILMS, store, "name")
    return [poster.movie_id for poster in store.posters()]


@pytest.mark.parametrize(
    ("name", "movie_ids"),
    [
        # Kodi, Jellyfin, Emby, Plex.
        ("The Lamp (1995)/poster.jpg", [1]),
        ("The Lamp (1995)/folder.jpg", [1]),
        ("The Lamp (1995)/The Lamp (1995)-poster.jpg", [1]),
        ("The Lamp (1995) {imdb-tt0000012}/poster.jpg", [2]),
        ("Other (1950) [imdbid-tt0000011]/cover.png", [1]),
        ("Other [tmdbid-102]/poster1.jpg", [2]),
        ("Other (1950) {tmdb-7} {edition-Long}/poster.jpg", [6, 7]),
        ("Lamp, The (1995)/movie.jpg", [1]),
        ("A/B/The Lamp (1996) [1080p]/default.jpg", [1]),
        ("The Lamp (1995)/scan.jpg", [1]),
        # One folder for all.
        ("The Lamp (1995).jpg", [1]),
        ("the.lamp.1995.1080p.BluRay.jpg", [1]),
        ("Cafe - Lowe (2001).webp", [2]),
        ("tt0000012.jpg", [2]),
        ("0000012.jpg", [2]),
        ("Lamp 2049.jpg", [3]),
        ("Lamp 2049 (2017).jpg", [3]),
        ("Una lampada (2017).jpg", [3]),
        ("State of the Art.jpg", [8]),
        ("1984.jpg", [9]),
        ("1984 (1984).jpg", [9]),
        # None of these.
        ("The Lamp (1980)/poster.jpg", []),
        ("The Lamp/scan.jpg", []),
        ("Pair (1990).jpg", []),
        ("The Lamp (1995) {imdb-tt0000099}/poster.jpg", []),
        ("The Lamp (1995) {imdb-tt0000011} {tmdb-102}/poster.jpg", [1]),
        ("Other (1950) {imdb-tt0000011} {tmdb-102}/poster.jpg", []),
        ("The Lamp (1995)/fanart.jpg", []),
        ("The Lamp (1995)/The Lamp (1995)-clearlogo.png", []),
        ("The Lamp (1995)/extrafanart/x.jpg", []),
    ],
)
def test_posters_are_recognized_as_media_servers_name_them(
    tmp_path: Path, store: PosterStore, name: str, movie_ids: list[int]
) -> None:
    write(tmp_path / "mine", name)
    assert imported(tmp_path / "mine", store) == movie_ids


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_any_unicode_form_is_recognized(tmp_path: Path, store: PosterStore, form: str) -> None:
    write(tmp_path / "mine", unicodedata.normalize(form, "Café Löwe (2001)/poster.jpg"))  # type: ignore[arg-type]
    assert imported(tmp_path / "mine", store) == [2]


@pytest.mark.parametrize(
    "text",
    [NFO, "<movie><tmdbid>102</tmdbid></movie>", "https://www.imdb.com/title/tt0000012/", "<title>Café Löwe</title>"],
)
@pytest.mark.parametrize("nfo", ["movie.nfo", "Anything.nfo"])
def test_ids_are_read_from_a_file_of_kodi(tmp_path: Path, store: PosterStore, text: str, nfo: str) -> None:
    write(tmp_path / "mine", "Unnamed/poster.jpg")
    (tmp_path / "mine" / "Unnamed" / nfo).write_text(text, encoding="utf-8")
    assert imported(tmp_path / "mine", store) == [2]


@pytest.mark.parametrize("nfo", ["movie.nfo", "Café Löwe (2001).nfo"])
def test_a_file_of_one_film_names_no_other_of_a_common_folder(tmp_path: Path, store: PosterStore, nfo: str) -> None:
    folder = tmp_path / "mine"
    write(folder, "1984 (1984).jpg", "Café Löwe (2001).jpg", "The Lamp (1995)-poster.jpg", "Unknown (1990).jpg")
    (folder / nfo).write_text(NFO, encoding="utf-8")
    report = import_folder(folder, FILMS, store, "name")
    assert [poster.movie_id for poster in store.posters()] == [1, 2, 9]
    assert report.unmatched == (folder / "Unknown (1990).jpg",)


def test_a_poster_named_as_its_folder_takes_the_file_of_the_folder(tmp_path: Path, store: PosterStore) -> None:
    write(tmp_path / "mine", "Unnamed/Unnamed-poster.jpg")
    (tmp_path / "mine" / "Unnamed" / "movie.nfo").write_text(NFO, encoding="utf-8")
    assert imported(tmp_path / "mine", store) == [2]


def test_the_report_says_what_was_not_used(tmp_path: Path, store: PosterStore) -> None:
    folder = tmp_path / "mine"
    names = ("Pair (1990).jpg", "The Lamp (1995)/folder.jpg", "The Lamp (1995)/poster.jpg", "Unknown (1990).jpg")
    write(folder, *names, "The Lamp (1995)/backdrop2.jpg")
    report = import_folder(folder, FILMS, store, "name")
    assert report.n_imported == 1
    assert report.ambiguous == ((folder / "Pair (1990).jpg", "Pair (1990) [4], Pair (1990) [5]"),)
    assert report.duplicates == (folder / "The Lamp (1995)" / "folder.jpg",)
    assert report.unmatched == (folder / "Unknown (1990).jpg",)
    assert report.others == (folder / "The Lamp (1995)" / "backdrop2.jpg",)
