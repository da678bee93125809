from __future__ import annotations

import os
from pathlib import Path

import pytest

from catalog.errors import ConfigError, DataError
from features.folder import pictures_in


def _write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_pictures_at_any_depth_are_named_by_their_paths_and_sorted(tmp_path: Path) -> None:
    _write(tmp_path, "b.png", "a/z.jpg", "a/deep/er/c.JPEG", "A.webp", "d.gif")
    found = pictures_in(tmp_path)
    assert [picture.picture_id for picture in found] == ["A.webp", "a/deep/er/c.JPEG", "a/z.jpg", "b.png", "d.gif"]
    assert all(picture.source == tmp_path / str(picture.picture_id) for picture in found)


def test_other_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    _write(tmp_path, "a.jpg", "notes.txt", "jpg", ".b.jpg", ".thumbnails/c.jpg", "x/._d.jpg")
    assert [picture.picture_id for picture in pictures_in(tmp_path)] == ["a.jpg"]


def test_links_to_folders_are_not_followed_so_that_none_leads_round(tmp_path: Path) -> None:
    _write(tmp_path, "a/b.jpg")
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    assert [picture.picture_id for picture in pictures_in(tmp_path)] == ["a/b.jpg"]


def test_pipes_and_links_that_lead_nowhere_are_listed_to_be_reported_as_broken(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert [picture.picture_id for picture in pictures_in(tmp_path)] == ["link.jpg", "pipe.jpg"]


def test_a_name_that_is_not_utf_8_still_has_an_id(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    try:
        Path(os.fsdecode(path)).write_bytes(b"")
    except OSError:
        pytest.skip("this file system knows UTF-8 names only")
    assert [picture.picture_id for picture in pictures_in(tmp_path)] == ["caf\\xe9.jpg"]


def test_a_folder_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere is not a folder"):
        pictures_in(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no images; expected files named \.avif, "):
        pictures_in(_write(tmp_path, "notes.txt"))
