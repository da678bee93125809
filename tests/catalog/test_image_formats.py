"""Formats that are read by way of an extra, and what is said without it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from catalog import image_formats
from catalog.errors import DataError
from catalog.film import Film
from features.images import read_image
from posters.importing import import_folder
from posters.store import PosterStore
from posters.validation import verify_image

# 60 × 90 pixels of noise, by x265.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX5tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ACJpbG9jAAAAAERAAAEAAQAAAAABogABAAAAAAAAAV8AAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRt"
    "AAAAAAABAAAA/mlwcnAAAADeaXBjbwAAAHdodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMA"
    "AAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBh8mW6uSmubgIaDAgAAADAyAAAAMAIWIAAQAGRAHBc8CJAAAAE2NvbHJu"
    "Y2x4AAEADQAGgAAAABRpc3BlAAAAAAAAAEAAAABaAAAAKGNsYXAAAAA8AAAAAQAAAFoAAAAB/////AAAAAIAAAAAAAAAAgAAABBw"
    "aXhpAAAAAAMICAgAAAAYaXBtYQAAAAAAAAABAAEFgQIDBYQAAAFnbWRhdAAAAVsoAa9Y5vhp5PRcvpi+b6qKvrZNbMAbmpjHjn2c"
    "WVOWZVfO3dduZJffLL8Mo9xFHOOBMlbq+Z7fRMD1HQZookem9O94IW3KZ41CKQ2GnIdOvrzxr8dlwxOZbcOQLav6cmI9letO7jC2"
    "unxYDJekosfCRmATRk5UctxacHfaMUCfW1KiwoBTIop2ReMGA1PrOvSMQ+JvLLQYGVA5Lu5poP81kEGcEDCLvjfa1JB5lPqHtQ3i"
    "FQJa0TEIH/CmzQRUspeOQbrjJdOTLdZ656I4Egi2zrqZr6LuxXb6Bfb3/8NaoPqqte0/zvSUjNg+KtACzJrQgrrTIxafVgnsAZ2t"
    "Fv4hhUhtcAxqhyRwvwVJD+GcUuBZUxr1sTaBbhqWhLd6Yd3+V/XMy+itueYul09dlyEbTzy+T4/3YWJdNK5cQRItS01cvYfUy6bJ"
    "AiZIomUmLyc7i29nXtU9ASDRwA=="
)


def test_heic_is_read_wherever_images_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = verify_image(HEIC)
    assert (facts.suffix, facts.width, facts.height) == (".heic", 60, 90)
    pixels, size = read_image(HEIC)
    assert (pixels.shape, size) == ((224, 224, 3), (60, 90))
    assert pixels.std() > 20
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("1.HEIC", "2.heif"):
        (folder / name).write_bytes(HEIC)
    with PosterStore.open(tmp_path / "posters") as store:
        report = import_folder(folder, [Film(1, "One"), Film(2, "Two")], store, "movie")
    assert (report.n_imported, report.passed_over) == (2, {})
    assert {path.name for path in (tmp_path / "posters").glob("*.heic")} == {"1.heic", "2.heic"}


@pytest.mark.parametrize("content", [HEIC[:400], HEIC[:40], HEIC[:100] + bytes(600)])
def test_a_damaged_heic_image_is_refused(content: bytes) -> None:
    with pytest.raises(DataError):
        verify_image(content)
    with pytest.raises(DataError):
        read_image(content)


def test_without_the_extra_it_is_said_what_reads_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_formats, "_HEIF", False)
    monkeypatch.setattr(image_formats, "READABLE", ("JPEG", "PNG"))
    monkeypatch.setattr(image_formats, "SUFFIXES", frozenset((".jpg",)))
    hint = r"HEIC images are read after .*pip install pi-heif"
    with pytest.raises(DataError, match=hint):
        verify_image(HEIC)
    with pytest.raises(DataError, match=hint):
        read_image(HEIC)
    counts = image_formats.count_endings([Path("a.heic"), Path("b.HEIC"), Path("c.txt")])
    assert image_formats.listed_endings(counts).startswith("2 .heic, 1 .txt; HEIC images are read after ")
    assert image_formats.listed_endings({".txt": 1}) == "1 .txt"
