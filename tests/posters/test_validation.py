from __future__ import annotations

import hashlib
import io
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngImageFile

from catalog.errors import DataError
from posters import validation
from posters.validation import is_surely_varied, verify_header, verify_image
from tests.posters.pictures import declare_png, draw_blank, draw_poster

SUFFIXES = {
    "JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "AVIF": ".avif", "TIFF": ".tif", "BMP": ".bmp"
}  # fmt: skip


@pytest.mark.parametrize(("image_format", "suffix"), SUFFIXES.items())
def test_returns_format_size_and_checksum(image_format: str, suffix: str) -> None:
    content = draw_poster(1, image_format, (60, 90))
    facts = verify_image(content)
    assert (facts.suffix, facts.width, facts.height, facts.n_bytes) == (suffix, 60, 90, len(content))
    assert facts.sha256 == hashlib.sha256(content).hexdigest()


def test_a_jpeg_with_a_second_picture_is_a_jpeg() -> None:
    pictures = [Image.open(io.BytesIO(draw_poster(seed))) for seed in (1, 2)]
    stream = io.BytesIO()
    pictures[0].save(stream, "MPO", save_all=True, append_images=pictures[1:])
    assert verify_image(stream.getvalue()).suffix == ".jpg"


@pytest.mark.parametrize("image_format", SUFFIXES)
@pytest.mark.parametrize("part", [0.3, 0.5, 0.9])
def test_refuses_truncated_images(image_format: str, part: float) -> None:
    content = draw_poster(2, image_format, (120, 180))
    with pytest.raises(DataError, match=r"cut off or damaged|received something else"):
        verify_image(content[: int(part * len(content))])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"once upon a time", "received a text file"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "received a web page"),
        (b"\x00\x01\x02\x03" * 50, "received something else"),
        (draw_poster(3, "PPM"), "received something else"),
        (draw_poster(3, "PNG", (1, 1)), "received 1 x 1: a placeholder"),
        (draw_poster(3, "PNG", (200, 8)), "received 200 x 8"),
        (draw_blank(), "one color all over: a placeholder"),
        (declare_png(5_001, 5_000), "decompression bomb"),
        (declare_png(9_000, 9_000), "decompression bomb"),
        (declare_png(12_000, 10_000), "decompression bomb"),
        (declare_png(60_000, 60_000), "decompression bomb"),
    ],
    ids=[
        "empty",
        "text",
        "page",
        "binary",
        "ppm",
        "pixel",
        "strip",
        "blank",
        "limit",
        "large",
        "above-warning",
        "above-error",
    ],
)
def test_refuses_files_that_are_no_poster(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        verify_image(content)


def noise(mode: str, image_format: str, *, around: tuple[float, float], size: tuple[int, int] = (138, 207)) -> bytes:
    """Encode an image of noise."""
    rng = random.Random(0)
    grains = bytes(round(min(max(rng.gauss(*around), 0), 255)) for _ in range(size[0] * size[1]))
    stream = io.BytesIO()
    Image.frombytes("L", size, grains).convert(mode).save(stream, image_format)
    return stream.getvalue()


@pytest.mark.parametrize(("mode", "image_format"), [("L", "JPEG"), ("RGB", "PNG"), ("RGB", "WEBP"), ("P", "GIF")])
@pytest.mark.parametrize("level", [0, 219])
def test_refuses_a_single_color_with_noise(mode: str, image_format: str, level: int) -> None:
    with pytest.raises(DataError, match="one color all over"):
        verify_image(noise(mode, image_format, around=(level, 2.5)))


def network_pixels(content: bytes, side: int = 224) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
    image = Image.open(io.BytesIO(content))
    return np.asarray(image.convert("RGB").resize((side, side))), image.size


@pytest.mark.parametrize("size", [(16, 400), (40, 60), (138, 207), (300, 450)])
@pytest.mark.parametrize("spread", [2.5, 20.0])
def test_noise_is_not_surely_varied(size: tuple[int, int], spread: float) -> None:
    for side in (224, 299):
        content = noise("RGB", "PNG", around=(128, spread), size=size)
        assert not is_surely_varied(*network_pixels(content, side))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_posters_are_surely_varied_and_have_a_header(image_format: str) -> None:
    content = draw_poster(3, image_format)
    assert is_surely_varied(*network_pixels(content))
    assert verify_header(content) == (92, 138)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_accepts_a_dark_poster(image_format: str) -> None:
    image = Image.new("RGB", (342, 513), (2, 2, 4))
    # Only one line of dark letters is visible.
    ImageDraw.Draw(image).text((120, 400), "THE NIGHT", fill=(60, 0, 0), font_size=24)
    stream = io.BytesIO()
    image.save(stream, image_format)
    assert verify_image(stream.getvalue()).width == 342


@pytest.mark.parametrize("mode", ["1", "P", "I;16", "CMYK", "LA"])
def test_accepts_a_poster_of_few_colors(mode: str) -> None:
    image = Image.new("L", (92, 138), 0)
    ImageDraw.Draw(image).rectangle((20, 20, 70, 70), fill=255)
    if mode == "P":
        # Two colors that are adjacent in the palette.
        image = image.point(lambda level: level > 0)
        image.putpalette([10, 10, 40, 240, 230, 200])
    stream = io.BytesIO()
    image.convert(mode).save(stream, "JPEG" if mode == "CMYK" else "PNG")
    assert verify_image(stream.getvalue()).height == 138


def test_at_most_two_large_images_are_decoded_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    n_at_once, most, counting = 0, 0, threading.Lock()
    load = PngImageFile.load

    def watched(image: PngImageFile) -> object:
        nonlocal n_at_once, most
        with counting:
            n_at_once += 1
            most = max(most, n_at_once)
        try:
            return load(image)
        finally:
            with counting:
                n_at_once -= 1

    monkeypatch.setattr(PngImageFile, "load", watched)
    content = draw_poster(1, "PNG", (2500, 10_000))
    with ThreadPoolExecutor(6) as threads:
        facts = list(threads.map(verify_image, [content] * 6))
    assert {(fact.width, fact.height) for fact in facts} == {(2500, 10_000)}
    assert 1 <= most <= 2


def test_refuses_a_huge_image_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "MAX_POSTER_BYTES", 1 << 20)
    with pytest.raises(DataError, match="at most 1 MiB, received 2 MiB"):
        verify_image(b"\0" * (2 << 20))
