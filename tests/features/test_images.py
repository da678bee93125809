from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from catalog.errors import DataError
from features.images import Resize, read_image
from tests.features.conftest import draw_poster

SIZES = [(182, 268), (224, 224), (500, 751), (333, 217), (31, 47), (1, 1), (1000, 3)]


@pytest.mark.parametrize("resize", list(Resize))
@pytest.mark.parametrize("size", SIZES)
def test_a_picture_of_any_size_becomes_224_by_224_and_its_size_is_told(
    tmp_path: Path, size: tuple[int, int], resize: Resize
) -> None:
    pixels, told = read_image(draw_poster(tmp_path / "p.png", 1, size), resize)
    assert (pixels.shape, pixels.dtype, told) == ((224, 224, 3), np.uint8, size)


def _as_keras_reads(path: Path) -> np.ndarray:
    import keras

    with warnings.catch_warnings():
        # Pillow's, of a palette whose transparency Keras does not drop first.
        warnings.simplefilter("ignore", UserWarning)
        return keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif"])
@pytest.mark.parametrize("size", SIZES)
def test_nearest_is_what_keras_reads_pixel_for_pixel(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    path = draw_poster(tmp_path / f"p{suffix}", 2, size)
    np.testing.assert_array_equal(read_image(path, Resize.NEAREST)[0], _as_keras_reads(path))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "I;16"])
def test_every_mode_is_read_as_keras_reads_it(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "p.png"
    if mode == "I;16":
        Image.fromarray(np.arange(0, 60_000, 10, np.uint16).reshape(60, 100)).save(path)
    else:
        draw_poster(path, 3, mode=mode)
    np.testing.assert_array_equal(read_image(path, Resize.NEAREST)[0], _as_keras_reads(path))


def test_a_cmyk_jpeg_is_read_as_keras_reads_it(tmp_path: Path) -> None:
    path = draw_poster(tmp_path / "p.jpg", 4, mode="CMYK")
    np.testing.assert_array_equal(read_image(path, Resize.NEAREST)[0], _as_keras_reads(path))


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.open(draw_poster(path, 5, mode="P")).save(path, transparency=bytes(range(0, 255, 5)))
    np.testing.assert_array_equal(read_image(path, Resize.NEAREST)[0], _as_keras_reads(path))


def test_antialias_sees_every_pixel_and_nearest_does_not(tmp_path: Path) -> None:
    stripes = np.zeros((896, 896, 3), np.uint8)
    stripes[::4] = stripes[1::4] = 255
    Image.fromarray(stripes).save(tmp_path / "p.png")
    antialiased, nearest = (read_image(tmp_path / "p.png", resize)[0] for resize in Resize)
    assert abs(float(antialiased[20:200].mean()) - 127.5) < 10
    assert set(np.unique(nearest)) < {0, 255}


def test_antialias_is_the_default(tmp_path: Path) -> None:
    path = draw_poster(tmp_path / "p.png", 6, (400, 600))
    np.testing.assert_array_equal(read_image(path)[0], read_image(path, Resize.ANTIALIAS)[0])
    assert (read_image(path)[0] != read_image(path, Resize.NEAREST)[0]).any()


def test_red_comes_first(tmp_path: Path) -> None:
    Image.new("RGB", (50, 50), (250, 100, 5)).save(tmp_path / "p.png")
    assert read_image(tmp_path / "p.png")[0][0, 0].tolist() == [250, 100, 5]


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such picture: .*p\.jpg"):
        read_image(tmp_path / "p.jpg")


@pytest.mark.parametrize("content", [b"", b"once upon a time", b"<html></html>", bytes(1000)])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"p\.jpg is not a picture; expected JPEG, PNG, WebP or GIF"):
        read_image(tmp_path / "p.jpg")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be decoded"):
        read_image(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif"])
def test_a_picture_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    path = draw_poster(tmp_path / f"p{suffix}", 7, (120, 180))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"p\{suffix} (cannot be decoded|is not a picture)"):
        read_image(path)


@pytest.mark.parametrize("side", [9_500, 20_000, 60_000])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = b""
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        chunks += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with pytest.raises(DataError, match=r"p\.png (unpacks to|cannot be decoded: Image size)"):
        read_image(tmp_path / "p.png")


@given(st.sampled_from([".png", ".jpg", ".webp", ".gif"]), st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
def test_a_damaged_picture_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, place: int, bytes_: bytes
) -> None:
    path = draw_poster(tmp_path_factory.getbasetemp() / f"damaged{suffix}", 8, (40, 50))
    content = bytearray(path.read_bytes())
    start = place % len(content)
    content[start : start + len(bytes_)] = bytes_
    path.write_bytes(content)
    try:
        pixels, _ = read_image(path)
    except DataError as error:
        assert path.name in str(error)  # noqa: PT017 -- either answer is right
    else:
        assert pixels.shape == (224, 224, 3)
