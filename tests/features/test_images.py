from __future__ import annotations

import io
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
from features.framing import Resize
from features.images import decode_image, read_image
from tests.features.conftest import draw_poster


def _png(width: int, height: int, bits: int, rows: np.ndarray) -> bytes:
    """Write RGB as PNG, also as Pillow cannot: with 16 bits a channel, or with less than the header promises."""
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    chunks = b""
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        chunks += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return b"\x89PNG\r\n\x1a\n" + chunks


SIZES = [(182, 268), (224, 224), (500, 751), (333, 217), (31, 47), (1, 1), (1000, 3)]


@pytest.mark.parametrize("resize", list(Resize))
@pytest.mark.parametrize("size", SIZES)
def test_images_of_any_size_become_224_by_224_and_report_their_size(
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
def test_nearest_equals_keras_load_img_pixel_for_pixel(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    path = draw_poster(tmp_path / f"p{suffix}", 2, size)
    np.testing.assert_array_equal(read_image(path, Resize.NEAREST)[0], _as_keras_reads(path))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_large_transparent_images_are_laid_on_white_as_small_ones_are(mode: str) -> None:
    rng = np.random.default_rng(4)
    drawn = Image.fromarray(rng.integers(0, 256, (700, 9, 4), np.uint8), "RGBA").convert(mode)
    content = io.BytesIO()
    drawn.save(content, "PNG" if mode != "PA" else "TIFF")
    layer = Image.open(io.BytesIO(content.getvalue())).convert("RGBA")
    whole = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    np.testing.assert_array_equal(np.asarray(decode_image(content.getvalue())), np.asarray(whole))


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_every_opaque_mode_is_read_as_keras_reads_it(tmp_path: Path, mode: str) -> None:
    path = draw_poster(tmp_path / "p.png", 3, mode=mode)
    np.testing.assert_array_equal(read_image(path, Resize.NEAREST)[0], _as_keras_reads(path))


def test_a_cmyk_jpeg_is_read_as_keras_reads_it(tmp_path: Path) -> None:
    path = draw_poster(tmp_path / "p.jpg", 4, mode="CMYK")
    np.testing.assert_array_equal(read_image(path, Resize.NEAREST)[0], _as_keras_reads(path))


@pytest.mark.parametrize("mode", ["I;16", "RGB;16"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path, mode: str) -> None:
    gray = np.linspace(0, 65_535, 224 * 224).astype(np.uint16).reshape(224, 224)
    if mode == "I;16":
        Image.fromarray(gray).save(tmp_path / "p.png")
    else:
        (tmp_path / "p.png").write_bytes(_png(224, 224, 16, np.repeat(gray[:, :, None], 3, axis=2).astype(">u2")))
    pixels = read_image(tmp_path / "p.png", Resize.NEAREST)[0]
    np.testing.assert_array_equal(pixels, np.repeat((gray >> 8).astype(np.uint8)[:, :, None], 3, axis=2))


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGBA", ".png"), ("LA", ".png"), ("P", ".png"), ("P", ".gif"), ("RGBA", ".webp")]
)
def test_transparent_pixels_become_white(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    if mode == "P":
        image = Image.new("P", (40, 40), 0)
        image.putpalette([200, 10, 10, 0, 0, 250])
        image.paste(1, (0, 20, 40, 40))
        image.save(path, transparency=0)
    else:
        image = Image.new("RGBA", (40, 40), (200, 10, 10, 0))
        image.paste((0, 0, 250, 255), (0, 20, 40, 40))
        image.convert(mode).save(path, **({"lossless": True, "exact": True} if suffix == ".webp" else {}))
    pixels = read_image(path)[0]
    assert pixels[:100].min() == 255
    assert pixels[130:, :, 0].max() < 40


def test_the_first_frame_of_a_gif_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (30, 30), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "p.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "p.gif")[0][100, 100].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = Image.open(draw_poster(tmp_path / "upright.png", 9, (40, 64)))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    turned = upright.transpose(undo) if undo is not None else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned.save(tmp_path / f"p{suffix}", exif=exif, quality=100)
    pixels, size = read_image(tmp_path / f"p{suffix}")
    assert size == (40, 64)
    expected = read_image(tmp_path / "upright.png")[0].astype(int)
    # What JPEG loses is 10; what a wrong turn costs is 40.
    assert np.abs(pixels - expected).mean() < 15


def test_a_damaged_exif_block_costs_nothing_but_itself(tmp_path: Path) -> None:
    Image.new("RGB", (30, 40), "navy").save(tmp_path / "p.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert read_image(tmp_path / "p.jpg")[1] == (30, 40)


@pytest.mark.parametrize(("suffix", "most_apart"), [(".avif", 12), (".tif", 0), (".bmp", 0)])
def test_formats_that_people_keep_are_read(tmp_path: Path, suffix: str, most_apart: int) -> None:
    expected = read_image(draw_poster(tmp_path / "p.png", 3, (120, 180)))
    with Image.open(tmp_path / "p.png") as image:
        image.convert("RGB").save(tmp_path / f"p{suffix}", **({"quality": 95} if suffix == ".avif" else {}))
    pixels, size = read_image(tmp_path / f"p{suffix}")
    assert size == expected[1]
    assert np.abs(pixels.astype(int) - expected[0]).mean() <= most_apart


@pytest.mark.parametrize("mode", ["I;16", "CMYK", "RGBA", "LA", "1", "F"])
def test_every_mode_of_tiff_is_read(tmp_path: Path, mode: str) -> None:
    Image.new("L" if mode in ("I;16", "F") else mode, (40, 60)).convert(mode).save(tmp_path / "p.tif")
    assert read_image(tmp_path / "p.tif")[0].shape == (224, 224, 3)


@pytest.mark.parametrize("format_", ["EPS", "PPM", "ICO"])
def test_other_formats_are_no_pictures_here(tmp_path: Path, format_: str) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "p.png", format=format_)
    with pytest.raises(DataError, match="is not a picture; expected JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP"):
        read_image(tmp_path / "p.png")


def test_bytes_are_read_as_their_file_is(tmp_path: Path) -> None:
    path = draw_poster(tmp_path / "p.jpg", 10)
    np.testing.assert_array_equal(read_image(path.read_bytes())[0], read_image(path)[0])
    with pytest.raises(DataError, match=r"^the second of a list is not a picture"):
        read_image(b"text", name="the second of a list")


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
def test_rejects_files_that_are_no_images(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"p\.jpg is not a picture; expected JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP"):
        read_image(tmp_path / "p.jpg")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif"])
def test_a_picture_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    path = draw_poster(tmp_path / f"p{suffix}", 7, (120, 180))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"p\{suffix} (cannot be decoded|is not a picture)"):
        read_image(path)


@pytest.mark.parametrize("side", [9_500, 20_000, 60_000])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, side: int) -> None:
    (tmp_path / "p.png").write_bytes(_png(side, side, 8, np.empty((0, 0, 3), np.uint8)))
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


def test_a_folder_is_not_an_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it is a folder, expected a file"):
        read_image(tmp_path)
