"""Whether files have changed."""

from pathlib import Path

from catalog.io.files import write_bytes
from keyart.workspace.changes import Stamps


def test_what_stands_as_it_did_holds(tmp_path: Path) -> None:
    write_bytes(tmp_path / "record.json", b"{}")
    stamps = Stamps.of([tmp_path / "record.json", tmp_path, tmp_path / "not-there"])
    (tmp_path / "record.json").read_bytes()
    assert stamps.hold()


def test_a_file_that_is_replaced_by_one_of_the_same_length_is_noticed(tmp_path: Path) -> None:
    write_bytes(tmp_path / "record.json", b"{}")
    stamps = Stamps.of([tmp_path / "record.json"])
    write_bytes(tmp_path / "record.json", b"[]")
    assert not stamps.hold()


def test_a_file_that_comes_or_goes_is_noticed_in_its_folder_too(tmp_path: Path) -> None:
    record, folder = Stamps.of([tmp_path / "record.json"]), Stamps.of([tmp_path])
    write_bytes(tmp_path / "record.json", b"{}")
    assert not record.hold()
    assert not folder.hold()
    record = Stamps.of([tmp_path / "record.json"])
    (tmp_path / "record.json").unlink()
    assert not record.hold()
