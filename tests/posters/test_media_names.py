from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from catalog.errors import DataError
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
        ("Lamp.2049.2017.1080p.jpg", [3]),
        ("The Lamp (1995) 2160p 2023.jpg", [1]),
        ("The_Lamp_[1995].jpg", [1]),
        ("The.Lamp.1995.2023.Remaster.jpg", [1]),
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
    [
        NFO,
        "<movie><tmdbid>102</tmdbid></movie>",
        "https://www.imdb.com/title/tt0000012/",
        "https://www.themoviedb.org/movie/102-lowe",
        "<title>Café Löwe</title>",
        "<title>Caf&#233; L&ouml;we</title><premiered>2001-03-01</premiered><year></year>",
        "<title>Lion</title><originaltitle>Café Löwe</originaltitle><year>2001</year>",
        "<movie><title>Café Löwe</title><set><name>x</name><tmdbid>101</tmdbid></set>"
        "<actor><name>A</name><tmdbid>101</tmdbid></actor><actor>\n<imdbid>tt0000011</imdbid></actor></movie>",
    ],
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


@pytest.mark.parametrize("other", ["1984 (1984).jpg", "1984 (1984)-poster.jpg", "1984.mkv", "1984-cd1.avi"])
@pytest.mark.parametrize("name", ["folder.jpg", "poster.jpg"])
def test_the_picture_of_a_common_folder_is_that_of_no_film(
    tmp_path: Path, store: PosterStore, other: str, name: str
) -> None:
    folder = tmp_path / "mine"
    write(folder, name, other)
    (folder / "Café Löwe (2001).mkv").write_bytes(b"")
    (folder / "Café Löwe (2001).nfo").write_text(NFO, encoding="utf-8")
    assert 2 not in imported(folder, store)


@pytest.mark.parametrize("video", [("a.mkv",), ("a-cd1.avi", "a-cd2.avi")])
def test_the_file_of_a_folder_of_one_film_names_its_picture(
    tmp_path: Path, store: PosterStore, video: tuple[str, ...]
) -> None:
    write(tmp_path / "mine", "Unnamed/folder.jpg", "Unnamed/fanart.jpg")
    for name in video:
        (tmp_path / "mine" / "Unnamed" / name).write_bytes(b"")
    (tmp_path / "mine" / "Unnamed" / "grp-x.nfo").write_text(NFO, encoding="utf-8")
    assert imported(tmp_path / "mine", store) == [2]


@pytest.mark.parametrize(
    ("name", "nfo", "text"),
    [
        ("The Lamp/poster.jpg", "The Lamp/tvshow.nfo", "<tvshow><uniqueid type='tmdb'>101</uniqueid></tvshow>"),
        ("The Lamp/poster.jpg", "The Lamp/Season 1/x.nfo", ""),
        ("The Lamp/Season 1/The Lamp (1995).jpg", "The Lamp/tvshow.nfo", ""),
        ("Unnamed/poster.jpg", "Unnamed/x.nfo", "<episodedetails><uniqueid type='tmdb'>101</uniqueid>"),
    ],
)
def test_posters_of_series_are_those_of_no_film(
    tmp_path: Path, store: PosterStore, name: str, nfo: str, text: str
) -> None:
    folder = tmp_path / "mine"
    write(folder, name)
    (folder / nfo).parent.mkdir(exist_ok=True)
    (folder / nfo).write_text(text)
    assert imported(folder, store) == []


def test_files_that_are_no_images_are_counted_by_ending(tmp_path: Path, store: PosterStore) -> None:
    folder = tmp_path / "mine"
    write(folder, "The Lamp (1995).jpg")
    for name in ("a.jxl", "b.JXL", "c.psd", "d"):
        (folder / name).write_bytes(b"x")
    for by in ("name", "imdb"):
        report = import_folder(folder, FILMS, store, by)  # type: ignore[arg-type]
        assert report.passed_over == {".jxl": 2, ".psd": 1, "without ending": 1}
    (folder / "The Lamp (1995).jpg").unlink()
    with pytest.raises(DataError, match=r"found 2 .jxl, 1 .psd, 1 without ending"):
        import_folder(folder, FILMS, store, "name")


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
