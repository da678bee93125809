from pathlib import Path

from catalog.io.files import write_bytes
from keyart.workspace.changes import Snapshot


def test_unchanged_files_are_current(tmp_path: Path) -> None:
    write_bytes(tmp_path / "record.json", b"{}")
    snapshot = Snapshot.take([tmp_path / "record.json", tmp_path, tmp_path / "not-there"])
    (tmp_path / "record.json").read_bytes()
    assert snapshot.is_current()


def test_a_file_replaced_by_one_of_the_same_length_is_a_change(tmp_path: Path) -> None:
    write_bytes(tmp_path / "record.json", b"{}")
    snapshot = Snapshot.take([tmp_path / "record.json"])
    write_bytes(tmp_path / "record.json", b"[]")
    assert not snapshot.is_current()


def test_a_file_added_or_removed_is_a_change_of_its_folder_too(tmp_path: Path) -> None:
    record, folder = Snapshot.take([tmp_path / "record.json"]), Snapshot.take([tmp_path])
    write_bytes(tmp_path / "record.json", b"{}")
    assert not record.is_current()
    assert not folder.is_current()
    record = Snapshot.take([tmp_path / "record.json"])
    (tmp_path / "record.json").unlink()
    assert not record.is_current()
