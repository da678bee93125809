from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from catalog.errors import DamageError, DataError, NotBuiltError, StoreError
from catalog.image_formats import READABLE
from catalog.io.checksums import ChecksumError, has_recorded_checksum, recorded_checksums, revision_of
from catalog.io.files import xxh3_file
from posters.database import DATABASE_NAME, Origin, Source, State
from posters.store import PosterStore, check_registered
from tests.damage import flip_bit
from tests.posters.pictures import draw_poster

FETCHED = Origin(Source.TMDB_MOVIE, poster_path="/p.jpg", size="w342", language="en-US")
IMPORTED = Origin(Source.IMPORT)


def file_names(store_dir: Path) -> set[str]:
    return {path.name for path in store_dir.iterdir() if not path.name.startswith(DATABASE_NAME)}


def test_stores_the_file_verbatim_and_a_row(store: PosterStore, tmp_path: Path) -> None:
    content = draw_poster(1)
    poster = store.put(6, content, FETCHED)
    assert poster.path == tmp_path / "posters" / "6.jpg"
    assert poster.path.read_bytes() == content
    assert store.poster(6) == poster
    record = store.record(6)
    assert record is not None
    assert (record.state, record.source, record.poster_path, record.size) == ("ok", "tmdb_movie", "/p.jpg", "w342")
    assert (record.language, record.width, record.height, record.n_bytes) == ("en-US", 92, 138, len(content))
    assert datetime.fromisoformat(record.fetched_at).utcoffset() == timedelta(0)


def test_names_the_file_by_its_content(store: PosterStore) -> None:
    for movie_id, image_format in enumerate(["JPEG", "PNG", "WEBP", "GIF"], start=1):
        store.put(movie_id, draw_poster(movie_id, image_format), FETCHED)
    assert [poster.path.name for poster in store.posters()] == ["1.jpg", "2.png", "3.webp", "4.gif"]


def test_lists_posters_by_ascending_movie_id(store: PosterStore) -> None:
    for movie_id in (30, 4, 100):
        store.put(movie_id, draw_poster(movie_id), FETCHED)
    assert [poster.movie_id for poster in store.posters()] == [4, 30, 100]


def test_a_reopened_store_is_the_same(store: PosterStore, tmp_path: Path) -> None:
    store.put(1, draw_poster(1), FETCHED)
    store.mark(2, State.NOT_FOUND, "unknown", FETCHED)
    with PosterStore.open(tmp_path / "posters") as again:
        assert again.records() == store.records()
        assert again.posters() == store.posters()


def test_what_is_left_of_a_log_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    left = tmp_path / "posters" / f"{DATABASE_NAME}-shm"
    with PosterStore.open(tmp_path / "posters") as store, store.writer_lock():
        store.put(1, draw_poster(1), FETCHED)
        assert left.exists()
    assert not left.exists()
    left.write_bytes(bytes(32768))
    with PosterStore.open(tmp_path / "posters") as store, store.writer_lock():
        assert not left.exists()
        store.put(2, draw_poster(2), FETCHED)
        assert left.exists()
    with PosterStore.open_to_read(tmp_path / "posters") as store:
        assert len(store.posters()) == 2


def test_a_journal_that_restores_nothing_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    posters, journal = tmp_path / "posters", tmp_path / "posters" / f"{DATABASE_NAME}-journal"
    with PosterStore.open(posters) as store:
        store.put(1, draw_poster(1), FETCHED)
    for content in (b"", bytes(512)):
        journal.write_bytes(content)
        with PosterStore.open(posters) as store, store.writer_lock():
            assert not journal.exists()
    # Another program that writes at this moment has one of the same look.
    with closing(sqlite3.connect(posters / DATABASE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE posters SET attempts = 7")
        assert journal.read_bytes()[:1] in (b"", b"\0")
        with (
            PosterStore.open(posters) as store,
            pytest.raises(StoreError, match="locked"),
            store.writer_lock(),
        ):
            pass
        assert journal.exists()
        other.execute("COMMIT")


def test_another_format_replaces_the_file(store: PosterStore, tmp_path: Path) -> None:
    store.put(1, draw_poster(1), FETCHED)
    store.put(1, draw_poster(1, "PNG"), IMPORTED)
    assert file_names(tmp_path / "posters") == {"1.png"}
    record = store.record(1)
    assert record is not None
    assert (record.source, record.poster_path, record.attempts) == ("import", None, 2)


def test_an_invalid_poster_never_replaces_a_valid_one(store: PosterStore) -> None:
    poster = store.put(1, draw_poster(1), FETCHED)
    with pytest.raises(DataError, match="a web page"):
        store.put(1, b"<html>", FETCHED)
    store.mark(1, State.FAILED, "HTTP 500", FETCHED)
    assert store.poster(1) == poster
    assert store.states() == {1: State.OK}


def test_marking_a_film_as_without_poster_removes_its_poster(store: PosterStore, tmp_path: Path) -> None:
    for movie_id, state in ((1, State.NO_POSTER), (2, State.NOT_FOUND)):
        store.put(movie_id, draw_poster(movie_id), FETCHED)
        store.mark(movie_id, state, "TMDB says so", FETCHED)
    assert store.states() == {1: State.NO_POSTER, 2: State.NOT_FOUND}
    assert file_names(tmp_path / "posters") == set()


def test_a_replacement_is_written_beside_the_old_poster(store: PosterStore, tmp_path: Path) -> None:
    old = store.put(1, draw_poster(1), FETCHED)
    written = store.write_file(1, draw_poster(2))
    # Until the new file is registered, the old poster is unchanged.
    assert store.poster(1) == old
    assert old.path.read_bytes() == draw_poster(1)
    new = store.register(1, written, FETCHED)
    assert (new.path.name, new.path.read_bytes()) == (f"1-{new.sha256[:8]}.jpg", draw_poster(2))
    store.confirm()
    assert file_names(tmp_path / "posters") == {new.path.name}
    # The same bytes repair the file in place; other bytes get the plain name, which is free again.
    new.path.write_bytes(b"damaged")
    assert store.put(1, draw_poster(2), FETCHED) == new
    assert store.put(1, draw_poster(3), FETCHED).path.name == "1.jpg"
    store.confirm()
    assert file_names(tmp_path / "posters") == {"1.jpg"}


def test_the_old_poster_is_removed_only_by_the_commit(store: PosterStore, tmp_path: Path) -> None:
    old = store.put(1, draw_poster(1), FETCHED)
    with PosterStore.open(tmp_path / "posters") as reader:
        with store.transaction():
            store.put(1, draw_poster(2), FETCHED)
            assert reader.poster(1) == old
        assert reader.poster(1) != old
    assert old.path.exists()
    store.confirm()
    assert not old.path.exists()


def test_unregistered_files_are_removed(store: PosterStore, tmp_path: Path) -> None:
    store.put(1, draw_poster(1), FETCHED)
    store.write_file(1, draw_poster(2))
    store.mark(2, State.NOT_FOUND, "unknown", FETCHED)
    store.write_file(2, draw_poster(2))
    # Film 3 has no row: its file stays, because the database may have been lost.
    store.write_file(3, draw_poster(3))
    (tmp_path / "posters" / "notes.txt").touch()
    with store.writer_lock():
        pass
    assert file_names(tmp_path / "posters") == {"1.jpg", "3.jpg", "notes.txt"}


# No HEIC, which Pillow does not write.
@pytest.mark.parametrize("image_format", [name for name in READABLE if name != "HEIF"])
def test_unregistered_files_of_every_format_are_noticed(store: PosterStore, tmp_path: Path, image_format: str) -> None:
    content = draw_poster(2, image_format)
    store.put(1, draw_poster(1), FETCHED)
    store.alternates.write_file(1, content, FETCHED)
    store.write_file(1, content)
    with store.writer_lock():
        pass
    assert file_names(tmp_path / "posters") == {"1.jpg", "alternates"}
    assert not list((tmp_path / "posters" / "alternates").iterdir())
    name = store.write_file(3, content).file_name
    for path in (tmp_path / "posters").glob(f"{DATABASE_NAME}*"):
        path.unlink()
    (tmp_path / "posters" / "1.jpg").unlink()
    with pytest.raises(DataError, match=f"not registered, such as {name}"):
        check_registered(tmp_path / "posters")


def test_a_missing_file_is_not_ok(store: PosterStore) -> None:
    store.put(1, draw_poster(1), FETCHED).path.unlink()
    store.put(2, draw_poster(2), FETCHED).path.write_bytes(b"cut")
    assert store.posters() == []
    assert store.poster(1) is None
    assert store.states() == {1: State.MISSING, 2: State.MISSING}
    store.mark(1, State.FAILED, "HTTP 500", FETCHED)
    assert store.states()[1] == State.FAILED


def test_the_counts_add_up(store: PosterStore) -> None:
    store.put(1, draw_poster(1), FETCHED)
    store.mark(2, State.NO_LINK, "no link")
    store.mark(3, State.FAILED, "HTTP 500", FETCHED)
    store.mark(99, State.FAILED, "not asked about", FETCHED)
    counts = store.counts([1, 2, 3, 4, 5])
    assert sum(counts.values()) == 5
    assert counts == {"ok": 1, "no_link": 1, "failed": 1, "missing": 2, "no_poster": 0, "not_found": 0}


def test_counts_attempts(store: PosterStore) -> None:
    store.mark(1, State.FAILED, "HTTP 500", FETCHED)
    store.mark(1, State.FAILED, "HTTP 503", FETCHED)
    record = store.record(1)
    assert record is not None
    assert (record.attempts, record.reason) == (2, "HTTP 503")


@pytest.mark.parametrize("state", [State.OK, State.MISSING])
def test_ok_and_missing_cannot_be_marked(store: PosterStore, state: State) -> None:
    with pytest.raises(ValueError, match="why there is no poster"):
        store.mark(1, state, "")


def put_same_poster(store: PosterStore, movie_ids: Iterable[int]) -> None:
    for movie_id in movie_ids:
        store.put(movie_id, draw_poster(0), replace(FETCHED, poster_path=f"/{movie_id}.jpg"))


def test_a_picture_of_many_films_is_a_placeholder(store: PosterStore, tmp_path: Path) -> None:
    good = store.put(50, draw_poster(50), FETCHED)
    put_same_poster(store, range(1, 11))
    # The same poster imported by a user is not a placeholder.
    store.put(20, draw_poster(0), IMPORTED)
    for movie_id in (11, 50):
        with pytest.raises(DataError, match="10 other films got as well: a placeholder"):
            put_same_poster(store, [movie_id])
    assert store.states() == {**dict.fromkeys(range(1, 12), State.FAILED), 20: State.OK, 50: State.OK}
    assert store.poster(50) == good
    assert file_names(tmp_path / "posters") == {"20.jpg", "50.jpg"}
    # It is recognized again, also by another process.
    with PosterStore.open(tmp_path / "posters") as again, pytest.raises(DataError, match="a placeholder"):
        put_same_poster(again, [1])
    store.put(1, draw_poster(1), FETCHED)
    record = store.record(1)
    assert record is not None
    assert (record.state, record.attempts) == (State.OK, 3)


def posters_of(store: PosterStore) -> dict[int, tuple[bytes, str | None]]:
    """The content and the age of every film's poster."""
    fetched_at = {record.movie_id: record.fetched_at for record in store.records()}
    return {poster.movie_id: (poster.path.read_bytes(), fetched_at[poster.movie_id]) for poster in store.posters()}


def test_posters_replaced_by_a_placeholder_are_restored(store: PosterStore, tmp_path: Path) -> None:
    for movie_id in range(1, 13):
        store.put(movie_id, draw_poster(movie_id), FETCHED)
    before, names = posters_of(store), file_names(tmp_path / "posters")
    put_same_poster(store, range(1, 11))
    # Film 1 gets its own poster in the meantime, and TMDB no longer has one of film 2.
    store.put(1, draw_poster(100), FETCHED)
    store.mark(2, State.NO_POSTER, "none", FETCHED)
    put_same_poster(store, [11, 13])
    with pytest.raises(DataError, match="a placeholder"):
        put_same_poster(store, [12])
    after = posters_of(store)
    assert after.pop(1)[0] == draw_poster(100)
    assert after == {movie_id: poster for movie_id, poster in before.items() if movie_id > 2}
    assert (store.states()[2], store.states()[13]) == (State.NO_POSTER, State.FAILED)
    store.confirm()
    assert file_names(tmp_path / "posters") == names - {"1.jpg", "2.jpg"} | {store.posters()[0].path.name}
    # It is recognized although no row refers to it.
    with PosterStore.open(tmp_path / "posters") as again, pytest.raises(DataError, match="a placeholder"):
        put_same_poster(again, [3])


def test_confirm_keeps_posters_that_a_placeholder_may_have_replaced(store: PosterStore, tmp_path: Path) -> None:
    for movie_id in range(1, 12):
        store.put(movie_id, draw_poster(movie_id), FETCHED)
    before = posters_of(store)
    for first in (1, 6):
        with PosterStore.open(tmp_path / "posters") as once, once.writer_lock():
            put_same_poster(once, range(first, first + 5))
            once.confirm()
    with pytest.raises(DataError, match="a placeholder"):
        put_same_poster(store, [11])
    assert posters_of(store) == before


def test_replaced_posters_are_removed_by_confirm(store: PosterStore, tmp_path: Path) -> None:
    for movie_id in range(1, 5):
        store.put(movie_id, draw_poster(movie_id), FETCHED)
    for movie_id in range(1, 4):
        store.put(movie_id, draw_poster(10 + movie_id), FETCHED)
    with store.writer_lock():
        assert len(list((tmp_path / "posters").glob("*.jpg"))) == 4 + 3
    # Imported posters count as final.
    store.put(2, draw_poster(22), IMPORTED)
    store.confirm()
    assert file_names(tmp_path / "posters") == {poster.path.name for poster in store.posters()}
    assert len(store.posters()) == 4


def test_a_poster_written_while_a_placeholder_is_rejected(store: PosterStore) -> None:
    put_same_poster(store, range(1, 11))
    written = store.write_file(5, draw_poster(5))
    with pytest.raises(DataError, match="a placeholder"):
        put_same_poster(store, [11])
    assert store.register(5, written, FETCHED).path.read_bytes() == draw_poster(5)
    assert store.states()[5] is State.OK


def test_films_may_share_a_poster(store: PosterStore) -> None:
    for movie_id in range(1, 30):
        store.put(movie_id, draw_poster(0), FETCHED)
    put_same_poster(store, range(30, 39))
    assert set(store.states().values()) == {State.OK}


def test_a_full_disk_leaves_nothing_behind(
    store: PosterStore, tmp_path: Path, fill_the_disk: Callable[[], None]
) -> None:
    first = store.put(1, draw_poster(1), FETCHED)
    fill_the_disk()
    for movie_id in (1, 2):
        with pytest.raises(StoreError, match="free some space"):
            store.put(movie_id, draw_poster(7), FETCHED)
    assert file_names(tmp_path / "posters") == {"1.jpg"}
    assert store.posters() == [first]
    assert store.states() == {1: State.OK}


def test_a_full_database_is_reported(store: PosterStore, tmp_path: Path) -> None:
    connection: sqlite3.Connection = store._database._connection
    n_pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {n_pages}")
    with pytest.raises(StoreError, match="free some space"):
        store.mark(1, State.FAILED, "x" * 100_000)
    with pytest.raises(StoreError, match="free some space"):
        store.put(2, draw_poster(2), replace(FETCHED, poster_path="x" * 100_000))
    assert store.records() == []
    assert file_names(tmp_path / "posters") == set()
    connection.execute("PRAGMA max_page_count = 1000000")
    before = store.put(1, draw_poster(1), FETCHED)
    n_pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {n_pages}")
    with store.transaction():
        store.put(1, draw_poster(2), FETCHED)
        with pytest.raises(StoreError, match="free some space"):
            store.put(1, draw_poster(3), replace(FETCHED, poster_path="x" * 100_000))
    # Whatever SQLite rolled back, row and file are of the same poster.
    (poster,) = store.posters()
    assert hashlib.sha256(poster.path.read_bytes()).hexdigest() == poster.sha256
    assert file_names(tmp_path / "posters") == {poster.path.name}
    assert poster.movie_id == before.movie_id


def test_refuses_another_version(tmp_path: Path) -> None:
    PosterStore.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / DATABASE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DataError, match=r"version 99, this keyart reads version 2; .*move the file away"):
        PosterStore.open(tmp_path)


def test_refuses_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_text("hello " * 1000)
    with pytest.raises(DataError, match="not a readable SQLite database"):
        PosterStore.open(tmp_path)


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        PosterStore.open(tmp_path / "file" / "posters")


def test_one_process_writes_at_a_time(store: PosterStore, tmp_path: Path) -> None:
    with PosterStore.open(tmp_path / "posters") as other:
        with (
            store.writer_lock(),
            pytest.raises(StoreError, match=f"process {os.getpid()} is writing into"),
            other.writer_lock(),
        ):
            pass
        with other.writer_lock():
            pass
    assert file_names(tmp_path / "posters") == set()


def test_partial_files_of_a_killed_process_are_removed(store: PosterStore, tmp_path: Path) -> None:
    store.put(1, draw_poster(1), FETCHED)
    (tmp_path / "posters" / ".2.jpg.partial").write_bytes(b"half")
    with store.writer_lock():
        pass
    assert file_names(tmp_path / "posters") == {"1.jpg"}


def test_every_film_has_a_row(store: PosterStore) -> None:
    store.mark(2, State.NOT_FOUND, "unknown", FETCHED)
    store.add_films([1, 2, 3])
    store.add_films([3, 4])
    assert store.states() == {1: State.MISSING, 2: State.NOT_FOUND, 3: State.MISSING, 4: State.MISSING}
    record = store.record(1)
    assert record is not None
    assert (record.attempts, record.fetched_at, record.reason) == (0, None, None)
    store.put(1, draw_poster(1), FETCHED)
    record = store.record(1)
    assert record is not None
    assert record.attempts == 1


def test_returns_films_older_than_a_moment(store: PosterStore) -> None:
    store.put(1, draw_poster(1), FETCHED)
    store.put(2, draw_poster(2), IMPORTED)
    store.mark(3, State.NO_POSTER, "none", FETCHED)
    store.mark(4, State.NO_LINK, "none")
    store.add_films([5])
    now = datetime.now(UTC)
    assert store.older_than(now - timedelta(hours=1)) == set()
    assert store.older_than(now + timedelta(hours=1)) == {1, 3}


def test_films_fetched_in_the_future_count_as_old(store: PosterStore) -> None:
    for movie_id, days in ((1, 365), (2, 0.5)):
        store.put(movie_id, draw_poster(movie_id), FETCHED)
        moment = (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")
        store._database._connection.execute("UPDATE posters SET fetched_at = ? WHERE movie_id = ?", (moment, movie_id))
    assert store.older_than(datetime.now(UTC) - timedelta(days=180)) == {1}


def test_sums_the_size_of_stored_posters(store: PosterStore) -> None:
    for movie_id in (1, 2, 3):
        store.put(movie_id, draw_poster(movie_id), FETCHED)
    store.mark(4, State.FAILED, "HTTP 500", FETCHED)
    assert store.n_bytes([1, 2, 4, 9]) == len(draw_poster(1)) + len(draw_poster(2))
    store.posters()[0].path.unlink()
    assert store.n_bytes([1, 2, 4, 9]) == len(draw_poster(2))
    assert [record.movie_id for record in store.failed()] == [4]


def test_writing_while_another_reads(store: PosterStore, tmp_path: Path) -> None:
    with PosterStore.open(tmp_path / "posters") as reader:
        store.put(1, draw_poster(1), FETCHED)
        assert [poster.movie_id for poster in reader.posters()] == [1]


def test_closing_waits_for_readers(store: PosterStore) -> None:
    store.put(1, draw_poster(1), FETCHED)
    with store._database.lock:
        closing = threading.Thread(target=store.close)
        closing.start()
        # If the store were closed early, one of these reads would fail or end the process.
        for _ in range(1000):
            assert store.poster(1)
    closing.join()
    with pytest.raises(DataError, match="closed"):
        store.poster(1)


def test_repr_shows_the_folder(store: PosterStore, tmp_path: Path) -> None:
    assert repr(store) == f"PosterStore({str(tmp_path / 'posters')!r})"


def test_reading_needs_no_write_permission(store: PosterStore, tmp_path: Path) -> None:
    store.put(1, draw_poster(1), FETCHED)
    store.close()
    folder = tmp_path / "posters"
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    with PosterStore.open_to_read(folder) as reader:
        assert [poster.movie_id for poster in reader.posters()] == [1]
        with pytest.raises(StoreError, match="readonly"):
            reader.mark(2, State.NOT_FOUND, "unknown", FETCHED)
    # SQLite may create its two files beside the database.
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert before.items() <= after.items()


def test_reading_creates_no_store(tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match="no posters here yet"):
        PosterStore.open_to_read(tmp_path / "posters")
    assert not (tmp_path / "posters").exists()


KILLED = """
import os, signal, sys
from functools import partial
from pathlib import Path
from posters.database import State
from posters.store import PosterStore, check_registered
store = PosterStore.open(Path(sys.argv[1]))
for movie_id in range(1, 4):
    store.mark(movie_id, State.NOT_FOUND, "unknown")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_reader_sees_commits_of_a_killed_writer(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    with PosterStore.open_to_read(tmp_path) as reader:
        assert reader.states() == dict.fromkeys((1, 2, 3), State.NOT_FOUND)


def test_a_flipped_bit_of_the_database_is_damage(tmp_path: Path, store: PosterStore) -> None:
    with store.writer_lock():
        store.put(1, draw_poster(1), IMPORTED)
    path = tmp_path / "posters" / "posters.sqlite"
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamageError, match=r"posters\.sqlite is damaged: .*; run `keyart check`, which says"):
        PosterStore.open_to_read(tmp_path / "posters")


def write_as_earlier_versions_do(path: Path, reason: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        with connection:
            connection.execute("UPDATE posters SET reason = ?", (reason,))


def test_what_another_program_wrote_is_no_damage(tmp_path: Path, store: PosterStore) -> None:
    with store.writer_lock():
        store.mark(1, State.NOT_FOUND, "unknown")
    store.close()
    path = tmp_path / "posters" / DATABASE_NAME
    for reason in ("one", "other"):
        write_as_earlier_versions_do(path, reason)
        with PosterStore.open_to_read(tmp_path / "posters") as reader:
            assert reader.record(1).reason == reason  # type: ignore[union-attr]
    # The next writer records its checksum, though it changes nothing.
    with PosterStore.open(tmp_path / "posters") as writer, writer.writer_lock():
        pass
    assert has_recorded_checksum(path)


def test_a_flipped_bit_is_damage_though_a_reader_kept_the_log(tmp_path: Path, store: PosterStore) -> None:
    path = tmp_path / "posters" / DATABASE_NAME
    with closing(sqlite3.connect(path)) as reader:
        store.mark(1, State.NOT_FOUND, "unknown")
        reader.execute("SELECT * FROM posters").fetchall()
        store.close()
        assert has_recorded_checksum(path)
    flip_bit(path, path.read_bytes().index(b"unknown"))
    with pytest.raises(ChecksumError, match="damaged"):
        PosterStore.open_to_read(tmp_path / "posters")


def test_the_database_has_no_log_at_rest(tmp_path: Path, store: PosterStore) -> None:
    folder = tmp_path / "posters"
    for movie_id in (1, 2):
        with store.writer_lock():
            store.mark(movie_id, State.NOT_FOUND, "unknown")
            assert (folder / f"{DATABASE_NAME}-wal").exists()
        assert {path.name for path in folder.glob(f"{DATABASE_NAME}*")} == {DATABASE_NAME, f"{DATABASE_NAME}.json"}
    with PosterStore.open_to_read(folder) as reader:
        assert len(reader.records()) == 2


def test_the_database_is_readable_while_it_is_written(tmp_path: Path, store: PosterStore) -> None:
    with store.writer_lock():
        store.put(1, draw_poster(1), IMPORTED)
        with PosterStore.open_to_read(tmp_path / "posters") as reader:
            assert [poster.movie_id for poster in reader.posters()] == [1]
    with PosterStore.open_to_read(tmp_path / "posters") as reader:
        assert [poster.movie_id for poster in reader.posters()] == [1]
    path = tmp_path / "posters" / "posters.sqlite"
    assert recorded_checksums(path) == {xxh3_file(path): revision_of(path)}


def test_a_database_that_is_locked_is_not_read_as_if_it_never_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PosterStore.open(tmp_path) as store:
        store.put(1, draw_poster(1), FETCHED)
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0))
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as writer:
        writer.execute("PRAGMA locking_mode = EXCLUSIVE")
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked"):
            PosterStore.open_to_read(tmp_path)


def test_partial_files_of_alternates_are_removed(store: PosterStore, tmp_path: Path) -> None:
    partial_path = tmp_path / "posters" / "alternates" / ".1-0123abcd.jpg.partial"
    partial_path.parent.mkdir()
    partial_path.write_bytes(b"half")
    with store.writer_lock():
        assert not partial_path.exists()
