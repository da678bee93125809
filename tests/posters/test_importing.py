from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.errors import DataError, StoreError
from catalog.film import Film
from posters import validation
from posters.database import Origin, Source, State
from posters.importing import By, import_csv, import_folder
from posters.store import PosterStore
from tests.posters.pictures import draw_poster

HEAT = Film(6, "Heat", 1995, imdb_id="0113277", tmdb_id=949)
TOY_STORY = Film(1, "Toy Story", 1995, imdb_id="0114709", tmdb_id=862)
TWINS = [Film(70, "Twin", tmdb_id=500, imdb_id="0000070"), Film(71, "Twin", tmdb_id=500, imdb_id="12345678")]
FILMS = [TOY_STORY, HEAT, *TWINS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def write(path: Path, seed: int = 0, image_format: str = "JPEG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(draw_poster(seed, image_format))
    return path


@pytest.mark.parametrize(
    "name", ["0113277.jpg", "tt0113277.jpg", "113277.JPG", "TT113277.jpeg", "00113277.Jpg", "0113277.webp"]
)
def test_matches_by_imdb_id(folder: Path, store: PosterStore, name: str) -> None:
    path = write(folder / name)
    report = import_folder(folder, FILMS, store)
    assert (report.n_imported, report.unmatched, report.rejected, report.duplicates) == (1, (), (), ())
    poster = store.poster(6)
    assert poster is not None
    assert poster.source is Source.IMPORT
    assert poster.path.name == "6.jpg"
    assert poster.path.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("by", "name"), [("movie", "6.jpg"), ("tmdb", "949.jpg"), ("imdb", "0113277.jpg")])
def test_matches_by_the_chosen_id(folder: Path, store: PosterStore, by: By, name: str) -> None:
    write(folder / name)
    assert import_folder(folder, FILMS, store, by).n_imported == 1
    assert store.states() == {6: State.OK}


def test_matches_ids_of_eight_digits(folder: Path, store: PosterStore) -> None:
    write(folder / "tt12345678.jpg")
    import_folder(folder, FILMS, store)
    assert store.states() == {71: State.OK}


def test_films_that_share_a_tmdb_id_get_the_same_poster(folder: Path, store: PosterStore) -> None:
    write(folder / "500.png", 5, "PNG")
    assert import_folder(folder, FILMS, store, "tmdb").n_imported == 2
    assert [poster.path.name for poster in store.posters()] == ["70.png", "71.png"]


def test_an_unknown_kind_of_id_is_a_value_error(folder: Path, store: PosterStore) -> None:
    with pytest.raises(ValueError, match="imdb, movie, tmdb"):
        import_folder(folder, FILMS, store, "title")  # type: ignore[arg-type]


def test_searches_subfolders_and_skips_hidden_files(folder: Path, store: PosterStore) -> None:
    write(folder / "a" / "b" / "0113277.jpg")
    write(folder / ".0114709.jpg")
    write(folder / ".trash" / "0114709.jpg")
    (folder / "README.txt").write_text("not a poster, nor meant as one")
    report = import_folder(folder, FILMS, store)
    assert (report.n_imported, report.unmatched, report.rejected) == (1, (), ())
    assert store.states() == {6: State.OK}


def test_links_are_followed(folder: Path, store: PosterStore, tmp_path: Path) -> None:
    (folder / "0113277.jpg").symlink_to(write(tmp_path / "elsewhere" / "heat.jpg"))
    write(tmp_path / "more" / "0114709.jpg", 1)
    (folder / "more").symlink_to(tmp_path / "more", target_is_directory=True)
    (folder / "round").symlink_to(folder, target_is_directory=True)
    assert import_folder(folder, FILMS, store).n_imported == 2
    poster = store.poster(6)
    assert poster is not None
    assert not poster.path.is_symlink()


def test_a_broken_link_is_rejected(folder: Path, store: PosterStore) -> None:
    (folder / "0113277.jpg").symlink_to(folder / "gone")
    ((_, reason),) = import_folder(folder, FILMS, store).rejected
    assert reason == "cannot be read: No such file or directory"


def test_lists_unmatched_files(folder: Path, store: PosterStore) -> None:
    write(folder / "0113277.jpg")
    unmatched = [write(folder / "7777777.jpg"), write(folder / "cover.jpg"), write(folder / "٣.jpg")]
    assert import_folder(folder, FILMS, store).unmatched == tuple(sorted(unmatched))


def test_rejects_invalid_posters_and_continues(folder: Path, store: PosterStore) -> None:
    (folder / "0113277.jpg").write_text("sorry")
    write(folder / "0114709.jpg")
    write(folder / "0000070.bmp", 0, "PPM")
    report = import_folder(folder, FILMS, store)
    assert report.n_imported == 1
    assert {path.name: reason for path, reason in report.rejected} == {
        "0113277.jpg": "expected an image (JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP), received a text file",
        "0000070.bmp": "expected an image (JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP), received something else",
    }
    assert store.states() == {1: State.OK}


def test_a_huge_file_is_rejected_unread(folder: Path, store: PosterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posters.importing.MAX_POSTER_BYTES", 100)
    monkeypatch.setattr(validation, "MAX_POSTER_BYTES", 100)
    write(folder / "0113277.jpg")
    assert len(import_folder(folder, FILMS, store).rejected) == 1


def test_the_first_valid_file_of_a_film_wins(folder: Path, store: PosterStore) -> None:
    (folder / "0113277.gif").write_text("sorry")
    good = write(folder / "0113277.jpg", 1)
    second = write(folder / "tt0113277.jpg", 2)
    report = import_folder(folder, FILMS, store)
    assert (report.n_imported, report.duplicates) == (1, (second,))
    assert [path.name for path, _ in report.rejected] == ["0113277.gif"]
    poster = store.poster(6)
    assert poster is not None
    assert poster.path.read_bytes() == good.read_bytes()


def test_a_second_import_changes_nothing(folder: Path, store: PosterStore) -> None:
    write(folder / "0113277.jpg")
    import_folder(folder, FILMS, store)
    before = store.records()
    report = import_folder(folder, FILMS, store)
    assert (report.n_imported, report.n_unchanged) == (0, 1)
    assert store.records() == before


def test_another_poster_replaces_the_earlier_one(folder: Path, store: PosterStore) -> None:
    store.put(6, draw_poster(1), Origin(Source.TMDB_MOVIE))
    store.put(1, draw_poster(1), Origin(Source.TMDB_MOVIE))
    path = write(folder / "0113277.jpg", 2)
    (folder / "0114709.jpg").write_text("sorry")
    assert import_folder(folder, FILMS, store).n_imported == 1
    assert store.posters()[1].path.read_bytes() == path.read_bytes()
    assert store.posters()[0].source is Source.TMDB_MOVIE


def test_source_files_are_unchanged(folder: Path, store: PosterStore) -> None:
    path = write(folder / "0113277.jpg")
    before = path.stat()
    import_folder(folder, FILMS, store)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (before.st_ino, before.st_mtime_ns, before.st_size)


def test_progress_is_reported(folder: Path, store: PosterStore) -> None:
    write(folder / "0113277.jpg")
    write(folder / "cover.jpg")
    steps: list[tuple[int, int]] = []
    import_folder(folder, FILMS, store, on_progress=lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]


def test_a_missing_or_empty_folder_is_reported(folder: Path, store: PosterStore) -> None:
    with pytest.raises(DataError, match="does not exist"):
        import_folder(folder / "typo", FILMS, store)
    with pytest.raises(DataError, match="holds no images; expected files such as"):
        import_folder(folder, FILMS, store)
    with pytest.raises(DataError, match="is a file"):
        import_folder(write(folder / "0113277.jpg"), FILMS, store)


def test_a_full_disk_is_reported(folder: Path, store: PosterStore, fill_the_disk: Callable[[], None]) -> None:
    write(folder / "0113277.jpg")
    fill_the_disk()
    with pytest.raises(StoreError, match="free some space"):
        import_folder(folder, FILMS, store)
    assert store.records() == []


def test_imports_the_posters_of_a_csv(folder: Path, store: PosterStore, tmp_path: Path) -> None:
    write(folder / "pictures" / "heat, final.jpg", 1)
    elsewhere = write(tmp_path / "elsewhere" / "toys.png", 2, "PNG")
    csv_path = folder / "posters.csv"
    csv_path.write_text(
        f'\ufeffmovie_id,path,note\r\n6,"pictures/heat, final.jpg",x\r\n1,{elsewhere},\r\n999,pictures/none.jpg,\r\n'
        "70,pictures/gone.jpg,\r\n6,pictures/again.jpg,\r\n71,pictures,\r\n",
        encoding="utf-8",
        newline="",
    )
    report = import_csv(csv_path, FILMS, store)
    assert (report.n_imported, report.unmatched) == (2, (folder / "pictures/none.jpg",))
    assert report.duplicates == (folder / "pictures/again.jpg",)
    assert report.rejected == (
        (folder / "pictures/gone.jpg", "cannot be read: No such file or directory"),
        (folder / "pictures", f"cannot read {folder / 'pictures'}: it is a folder, expected a file"),
    )
    assert [poster.path.name for poster in store.posters()] == ["1.png", "6.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the columns path; path missing, received an empty file"),
        ("movie_id,file\n6,a.jpg\n", "line 1: expected the columns path; path missing"),
        ("film,path\n6,a.jpg\n", "line 1: expected a column movie_id, imdb_id, tmdb_id, received none"),
        ("movie_id,path\n", "holds no line below its header"),
        ("movie_id,path\n6,a.jpg\nsix,b.jpg\n", "line 3, column movie_id: expected a movie_id .* received 'six'"),
        ("movie_id,path\n6,\n", "line 2, column path: expected the path of a poster"),
        ("movie_id,path\n6,a.jpg,b.jpg\n", "line 2: expected 2 columns"),
    ],
)
def test_an_invalid_csv_is_reported_before_anything_changes(
    folder: Path, store: PosterStore, text: str, message: str
) -> None:
    write(folder / "a.jpg")
    (folder / "posters.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        import_csv(folder / "posters.csv", FILMS, store)
    assert store.records() == []


def test_ids_of_a_csv_keep_their_namespace(folder: Path, store: PosterStore) -> None:
    for name in "abcd":
        write(folder / f"{name}.jpg", ord(name))
    csv_path = folder / "posters.csv"
    csv_path.write_text("movieId,path\n0113277,a.jpg\n0000006,b.jpg\ntmdb:862,c.jpg\n500,d.jpg\n")
    report = import_csv(csv_path, FILMS, store)
    assert report.unmatched == (folder / "b.jpg", folder / "d.jpg")
    assert [poster.path.name for poster in store.posters()] == ["1.jpg", "6.jpg"]
    csv_path.write_text("imdb_id,tmdb_id,path\n,500,a.jpg\n113277,,b.jpg\n")
    assert import_csv(csv_path, FILMS, store).n_imported == 3


def test_a_missing_csv_is_reported(folder: Path, store: PosterStore) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none\.csv"):
        import_csv(folder / "none.csv", FILMS, store)


@pytest.mark.parametrize("by", ["movie", "tmdb"])
def test_imdb_ids_are_never_read_as_other_ids(folder: Path, store: PosterStore, by: By) -> None:
    write(folder / "0000006.jpg")
    write(folder / "tt0000949.jpg")
    report = import_folder(folder, FILMS, store, by)
    assert (report.n_imported, len(report.unmatched)) == (0, 2)


def test_an_import_repairs_a_damaged_poster(folder: Path, store: PosterStore) -> None:
    content = write(folder / "0113277.jpg").read_bytes()
    import_folder(folder, FILMS, store)
    poster = store.poster(6)
    assert poster is not None
    # Of the same length, so that only the content differs.
    poster.path.write_bytes(b"x" * len(content))
    assert import_folder(folder, FILMS, store).n_imported == 1
    assert poster.path.read_bytes() == content
